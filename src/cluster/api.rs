//! The requests to the server that make, look at and empty a queue.

use super::names::Names;
use async_nats::{Client, RequestErrorKind};
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
}

impl Api {
    pub(super) fn new(client: Client, names: Names) -> Self {
        Self { client, names }
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
}
