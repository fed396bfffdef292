//! The requests to the server that make, look at and empty a queue.

use super::names::Names;
use async_nats::{Client, RequestErrorKind};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody listens: `JetStream` is off.
    NoJetStream,
    /// The server answered with an error.
    Server { code: u64, text: String },
    /// It did not arrive, or its answer did not.
    Lost(String),
}

impl Refusal {
    pub(super) fn text(&self) -> String {
        match self {
            Self::NoJetStream => "JetStream is off".to_owned(),
            Self::Server { text, .. } | Self::Lost(text) => text.clone(),
        }
    }
}

/// Error codes of the server.
pub(super) const NO_STREAM: u64 = 10059;
pub(super) const NO_CONSUMER: u64 = 10014;
pub(super) const NO_MESSAGE: u64 = 10037;
pub(super) const QUEUE_FULL: u64 = 10077;
const OFF_FOR_ACCOUNT: u64 = 10039;
const OFF: u64 = 10076;

#[derive(Deserialize)]
struct Failed {
    error: Option<ServerError>,
}

#[derive(Deserialize)]
struct ServerError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// What the server says to the publisher of a message.
#[derive(Deserialize)]
pub(super) struct Stored {
    #[serde(default, rename = "seq")]
    pub(super) sequence: u64,
}

/// Reads an answer of the server.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    let lost = |error: serde_json::Error| Refusal::Lost(error.to_string());
    let failed: Failed = serde_json::from_slice(payload).map_err(lost)?;
    match failed.error {
        None => serde_json::from_slice(payload).map_err(lost),
        Some(error) if matches!(error.err_code, OFF | OFF_FOR_ACCOUNT) => Err(Refusal::NoJetStream),
        Some(error) => Err(Refusal::Server {
            code: error.err_code,
            text: error.description,
        }),
    }
}

/// The requests about one queue.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    pub(super) names: Names,
    /// On how many servers a message is kept.
    replicas: usize,
}

impl Api {
    pub(super) fn new(client: Client, names: Names, replicas: usize) -> Self {
        Self {
            client,
            names,
            replicas,
        }
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Value, Refusal> {
        let payload = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let answer = self
            .client
            .request(format!("$JS.API.{what}"), payload.into())
            .await
            .map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => Refusal::NoJetStream,
                _ => Refusal::Lost(error.to_string()),
            })?;
        read(&answer.payload)
    }

    pub(super) async fn stream(&self) -> Result<Value, Refusal> {
        let what = format!("STREAM.INFO.{}", self.names.stream);
        self.ask(&what, &Value::Null).await
    }

    pub(super) async fn create_stream(&self, config: &Value) -> Result<Value, Refusal> {
        let what = format!("STREAM.CREATE.{}", self.names.stream);
        self.ask(&what, config).await
    }

    pub(super) async fn consumer(&self, name: &str) -> Result<Value, Refusal> {
        let what = format!("CONSUMER.INFO.{}.{name}", self.names.stream);
        self.ask(&what, &Value::Null).await
    }

    pub(super) async fn create_consumer(
        &self,
        name: &str,
        config: &Value,
    ) -> Result<Value, Refusal> {
        let stream = &self.names.stream;
        let what = format!("CONSUMER.DURABLE.CREATE.{stream}.{name}");
        let body = json!({ "stream_name": stream, "config": config });
        self.ask(&what, &body).await
    }

    /// Says whether the message is still in the queue.
    pub(super) async fn has(&self, sequence: u64) -> Result<bool, Refusal> {
        let what = format!("STREAM.MSG.GET.{}", self.names.stream);
        match self.ask(&what, &json!({ "seq": sequence })).await {
            Ok(_) => Ok(true),
            Err(Refusal::Server {
                code: NO_MESSAGE | NO_STREAM,
                ..
            }) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    /// Takes one message out of the queue.
    pub(super) async fn delete(&self, sequence: u64) -> Result<(), Refusal> {
        let what = format!("STREAM.MSG.DELETE.{}", self.names.stream);
        let body = json!({ "seq": sequence, "no_erase": true });
        self.ask(&what, &body).await.map(drop)
    }

    /// Takes all calls of one submitter out of the queue, or those before one.
    pub(super) async fn purge(&self, submitter: &str, before: Option<u64>) -> Result<(), Refusal> {
        let what = format!("STREAM.PURGE.{}", self.names.stream);
        let mut body = json!({ "filter": self.names.calls_of(submitter) });
        if let Some(before) = before {
            body["seq"] = json!(before);
        }
        self.ask(&what, &body).await.map(drop)
    }

    /// Makes the stream of what is too large for a message, if it is absent.
    pub(super) async fn create_large(&self) -> Result<(), Refusal> {
        let stream = self.names.large_stream();
        let config = json!({
            "name": stream,
            "subjects": [self.names.large()],
            "retention": "limits",
            "storage": "file",
            // A chunk that is sent twice is kept once.
            "max_msgs_per_subject": 1,
            "discard": "old",
            "max_msgs": -1,
            "max_bytes": -1,
            "max_consumers": -1,
            "max_msg_size": -1,
            "max_age": 0,
            "num_replicas": self.replicas,
            "allow_direct": true,
        });
        self.ask(&format!("STREAM.CREATE.{stream}"), &config)
            .await
            .map(drop)
    }

    /// Publishes a message that is to be stored.
    pub(super) async fn store(&self, subject: &str, payload: Bytes) -> Result<(), Refusal> {
        let lost = |error: async_nats::RequestError| Refusal::Lost(error.to_string());
        let stored = self.client.request(subject.to_owned(), payload).await;
        read::<Stored>(&stored.map_err(lost)?.payload).map(drop)
    }

    /// Returns the message of a subject.
    pub(super) async fn load(&self, subject: &str) -> Result<Bytes, Refusal> {
        let what = format!("$JS.API.DIRECT.GET.{}", self.names.large_stream());
        let body = json!({ "last_by_subj": subject }).to_string();
        let message = self.client.request(what, body.into_bytes().into()).await;
        let message = message.map_err(|error| Refusal::Lost(error.to_string()))?;
        match message.status {
            None => Ok(message.payload),
            Some(_) => Err(Refusal::Server {
                code: NO_MESSAGE,
                text: format!("there is no {subject}"),
            }),
        }
    }

    /// Removes what was too large for a message: of one call, or of all calls of
    /// a submitter.
    pub(super) async fn remove_large(&self, submitter: &str, call: Option<u64>) {
        let filter = match call {
            Some(call) => self.names.large_of_call(submitter, call),
            None => self.names.large_of(submitter),
        };
        let what = format!("STREAM.PURGE.{}", self.names.large_stream());
        // There is no such stream where nothing was too large.
        let _ = self.ask(&what, &json!({ "filter": filter })).await;
    }
}
