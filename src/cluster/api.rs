//! The requests to the server that make, look at and empty a queue.

use super::names::{Names, is_durable};
use super::refusal::{
    NAME_IN_USE, NO_MESSAGE, NO_SEQUENCE, NO_STREAM, NOT_DELETED, OFF, OFF_FOR_ACCOUNT, Refusal,
};
use super::requests::{self, WINDOW};
use crate::sync::Mutex;
use async_nats::{Client, RequestErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Before a request without an answer is made again.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

/// How long the server keeps what is left of a durable call.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many missing numbers of a stream fit in an answer of the server.
const MOST_DELETED: u64 = 100_000;

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Deserialize)]
struct ServerError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        match error.err_code {
            OFF | OFF_FOR_ACCOUNT => Self::NoJetStream,
            code => Self::Server {
                code,
                text: error.description,
            },
        }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// What the server says to the publisher of a message.
#[derive(Deserialize)]
struct Receipt {
    error: Option<ServerError>,
    #[serde(default)]
    seq: u64,
}

/// Reads the server's receipt for a message: its number in the stream.
pub(super) fn read_receipt(payload: &[u8]) -> Result<u64, Refusal> {
    let receipt: Receipt = serde_json::from_slice(payload)?;
    receipt
        .error
        .map_or(Ok(receipt.seq), |error| Err(error.into()))
}

/// Reads an answer of the server.
fn read(payload: &[u8]) -> Result<Value, Refusal> {
    let mut answer: Value = serde_json::from_slice(payload)?;
    match answer.get_mut("error").map(Value::take) {
        None | Some(Value::Null) => Ok(answer),
        Some(error) => Err(ServerError::deserialize(error)?.into()),
    }
}

/// The requests about one queue.
#[derive(Clone)]
pub(super) struct Api {
    /// Shared with the connection, which may replace it.
    client: Arc<Mutex<Client>>,
    pub(super) names: Names,
    /// On how many servers the queue keeps a message.
    replicas: usize,
}

impl Api {
    pub(super) fn new(client: Client, names: Names, replicas: usize) -> Self {
        Self {
            client: Arc::new(Mutex::new(client)),
            names,
            replicas,
        }
    }

    pub(super) fn client(&self) -> Client {
        self.client.lock().clone()
    }

    /// From now on, all that have this, clones too, make their requests over this client.
    pub(super) fn replace_client(&self, client: Client) {
        *self.client.lock() = client;
    }

    /// For a queue that others have made: what is kept beside it is kept as safely.
    pub(super) fn with_replicas(&self, replicas: usize) -> Self {
        Self {
            replicas,
            ..self.clone()
        }
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Value, Refusal> {
        let payload = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let answer = self
            .client()
            .request(format!("$JS.API.{what}"), payload.into())
            .await
            .map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => Refusal::NoJetStream,
                _ => Refusal::Lost(error.to_string()),
            })?;
        read(&answer.payload)
    }

    /// Makes a request until it has an answer that is not going to change: a server may
    /// be starting again, and a group of servers without a leader at the moment.
    async fn ask_at_last(&self, what: &str, body: &Value) -> Result<Value, Refusal> {
        loop {
            match self.ask(what, body).await {
                Err(refusal) if refusal.may_pass() => tokio::time::sleep(AGAIN).await,
                answer => return answer,
            }
        }
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

    /// Fails until the server has made the stream to its end.
    ///
    /// One of version 2.9 says of a stream that another client makes at the moment that it
    /// is there, and a consumer that is made then never delivers. It is the last part of a
    /// stream that answers here.
    pub(super) async fn check_whole(&self) -> Result<(), Refusal> {
        let first = json!({ "seq": 1 });
        self.direct(&self.names.stream, &first).await.map(drop)
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

    pub(super) async fn delete_consumer(&self, name: &str) -> Result<(), Refusal> {
        let what = format!("CONSUMER.DELETE.{}.{name}", self.names.stream);
        self.ask(&what, &Value::Null).await.map(drop)
    }

    /// Returns which of these calls are not in the queue any more, each given with its
    /// number in the stream.
    ///
    /// The stream tells which of its numbers are missing, unless they are very many: one
    /// request for each call takes minutes if they are very many, and reads all their
    /// arguments.
    pub(super) async fn gone(&self, calls: Vec<(u64, u64)>) -> Result<Vec<(u64, u64)>, Refusal> {
        let stream = self.stream().await?;
        if stream["state"]["num_deleted"].as_u64().unwrap_or(0) > MOST_DELETED {
            return self.gone_one_by_one(calls).await;
        }
        let what = format!("STREAM.INFO.{}", self.names.stream);
        let stream = self.ask(&what, &json!({ "deleted_details": true })).await?;
        let state = &stream["state"];
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let there = number(&state["first_seq"])..=number(&state["last_seq"]);
        let deleted = state["deleted"].as_array();
        let deleted: HashSet<u64> = deleted.into_iter().flatten().map(number).collect();
        let is_gone = |sequence: &u64| !there.contains(sequence) || deleted.contains(sequence);
        let calls = calls.into_iter();
        Ok(calls.filter(|(_, sequence)| is_gone(sequence)).collect())
    }

    async fn gone_one_by_one(&self, calls: Vec<(u64, u64)>) -> Result<Vec<(u64, u64)>, Refusal> {
        let is_gone = |call: (u64, u64)| {
            let api = self.clone();
            async move { api.has(call.1).await.map(|has| (!has).then_some(call)) }
        };
        let gone = requests::each(WINDOW, calls, is_gone).await?;
        Ok(gone.into_iter().flatten().collect())
    }

    /// Says whether the message is still in the queue.
    async fn has(&self, sequence: u64) -> Result<bool, Refusal> {
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

    /// Takes one message out of the queue; tries until it is done.
    pub(super) async fn delete(&self, sequence: u64) -> Result<(), Refusal> {
        let what = format!("STREAM.MSG.DELETE.{}", self.names.stream);
        let body = json!({ "seq": sequence, "no_erase": true });
        self.ask_at_last(&what, &body).await.map(drop)
    }

    /// Makes the stream of what is too large for a message of such a submitter, if
    /// it is absent.
    pub(super) async fn create_large(&self, submitter: &str) -> Result<(), Refusal> {
        let max_age = if is_durable(submitter) {
            KEPT
        } else {
            Duration::ZERO
        };
        let config = json!({
            "name": self.names.large_stream(submitter),
            "subjects": [self.names.large(submitter)],
            "storage": "file",
            "discard": "old",
            "max_msgs": -1,
            "max_age": nanoseconds(max_age),
        });
        self.create_by_subject(config).await
    }

    /// Makes the stream of the records of durable calls, if it is absent.
    pub(super) async fn create_records(
        &self,
        storage: &str,
        most: Option<usize>,
    ) -> Result<(), Refusal> {
        let config = json!({
            "name": self.names.records_stream(),
            "subjects": [self.names.records()],
            "storage": storage,
            // Full, it refuses the new; to answer a record is possible even then.
            "discard": "new",
            "max_msgs": most.map_or(json!(-1), |calls| json!(calls)),
            "max_age": nanoseconds(KEPT),
        });
        self.create_by_subject(config).await
    }

    /// Makes a stream that keeps the last message of each subject.
    async fn create_by_subject(&self, mut config: Value) -> Result<(), Refusal> {
        config["retention"] = json!("limits");
        config["max_msgs_per_subject"] = json!(1);
        config["max_bytes"] = json!(-1);
        config["max_consumers"] = json!(-1);
        config["max_msg_size"] = json!(-1);
        config["num_replicas"] = json!(self.replicas);
        config["allow_direct"] = json!(true);
        let what = format!(
            "STREAM.CREATE.{}",
            config["name"].as_str().unwrap_or_default()
        );
        match self.ask(&what, &config).await {
            // It is there, with the settings of whoever was first.
            Err(Refusal::Server {
                code: NAME_IN_USE, ..
            }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Publishes a message that is to be stored.
    pub(super) async fn store(&self, subject: &str, payload: Bytes) -> Result<(), Refusal> {
        let stored = self.client().request(subject.to_owned(), payload).await;
        let stored = stored.map_err(|error| Refusal::Lost(error.to_string()))?;
        read_receipt(&stored.payload).map(drop)
    }

    /// Returns the chunk of a subject.
    pub(super) async fn load(&self, submitter: &str, subject: &str) -> Result<Bytes, Refusal> {
        let stream = self.names.large_stream(submitter);
        let message = self
            .find(&stream, &json!({ "last_by_subj": subject }))
            .await?;
        message
            .map(|(_, payload)| payload)
            .ok_or_else(|| Refusal::Server {
                code: NO_MESSAGE,
                text: format!("there is no {subject}"),
            })
    }

    /// Returns the record of a call, and its number in the stream of records.
    pub(super) async fn record(
        &self,
        submitter: &str,
        call: u64,
    ) -> Result<Option<(u64, Bytes)>, Refusal> {
        let subject = self.names.record(submitter, call);
        let stream = self.names.records_stream();
        self.find(&stream, &json!({ "last_by_subj": subject }))
            .await
    }

    /// Returns which calls of a submitter have a record.
    pub(super) async fn recorded(&self, submitter: &str) -> Result<HashSet<u64>, Refusal> {
        let what = format!("STREAM.INFO.{}", self.names.records_stream());
        let filter = self.names.records_of(submitter);
        let mut calls = HashSet::new();
        let mut offset = 0;
        loop {
            let body = json!({ "subjects_filter": filter, "offset": offset });
            let info = self.ask(&what, &body).await?;
            // Absent where there is none.
            let page = info["state"]["subjects"].as_object();
            let page = page.into_iter().flat_map(|page| page.keys());
            let before = offset;
            for subject in page {
                offset += 1;
                let number = subject.rsplit('.').next().map(str::parse::<u64>);
                calls.extend(number.and_then(Result::ok));
            }
            if offset == before || info["total"].as_u64().is_none_or(|total| offset >= total) {
                return Ok(calls);
            }
        }
    }

    /// Finds one message, with its number in the stream.
    pub(super) async fn find(
        &self,
        stream: &str,
        which: &Value,
    ) -> Result<Option<(u64, Bytes)>, Refusal> {
        if self.replicas > 1 {
            self.find_at_leader(stream, which).await
        } else {
            self.direct(stream, which).await
        }
    }

    /// Finds a message at the server that leads: any other may be behind, and have a
    /// message no more, or not yet.
    pub(super) async fn find_at_leader(
        &self,
        stream: &str,
        which: &Value,
    ) -> Result<Option<(u64, Bytes)>, Refusal> {
        let found = self.ask(&format!("STREAM.MSG.GET.{stream}"), which).await;
        let message = match &found {
            Ok(found) => &found["message"],
            Err(Refusal::Server {
                code: NO_MESSAGE, ..
            }) => return Ok(None),
            Err(_) => return found.map(|_| None),
        };
        let incomplete = |what: &str| Refusal::Lost(format!("a message without its {what}"));
        let number = message["seq"]
            .as_u64()
            .ok_or_else(|| incomplete("number"))?;
        // Absent for a message without content.
        let payload = message["data"].as_str().unwrap_or_default();
        let payload = BASE64.decode(payload).map_err(|_| incomplete("content"))?;
        Ok(Some((number, payload.into())))
    }

    /// Reads a message as it is, from any server that has the stream.
    async fn direct(&self, stream: &str, which: &Value) -> Result<Option<(u64, Bytes)>, Refusal> {
        let what = format!("$JS.API.DIRECT.GET.{stream}");
        let message = self.client().request(what, which.to_string().into()).await;
        let message = message.map_err(|error| Refusal::Lost(error.to_string()))?;
        match message.status.map(|status| status.as_u16()) {
            None => {
                let number = message
                    .headers
                    .as_ref()
                    .and_then(|headers| headers.get(async_nats::header::NATS_SEQUENCE));
                let number = number.and_then(|number| number.as_str().parse().ok());
                let number = number
                    .ok_or_else(|| Refusal::Lost("a message without its number".to_owned()))?;
                Ok(Some((number, message.payload)))
            }
            Some(404) => Ok(None),
            Some(status) => Err(Refusal::Lost(format!("status {status}"))),
        }
    }

    /// Takes the record of a call out, and says whether it was there: of all that
    /// ask, one is told so.
    pub(super) async fn take_record(
        &self,
        submitter: &str,
        call: u64,
        number: u64,
    ) -> Result<bool, Refusal> {
        let what = format!("STREAM.MSG.DELETE.{}", self.names.records_stream());
        let mut number = number;
        loop {
            match self
                .ask(&what, &json!({ "seq": number, "no_erase": true }))
                .await
            {
                Err(Refusal::Server {
                    code: NOT_DELETED | NO_SEQUENCE | NO_MESSAGE,
                    ..
                }) => {}
                other => return other.map(|_| true),
            }
            // A worker may have put the answer there meanwhile.
            match self.record(submitter, call).await {
                Ok(Some((last, _))) if last != number => number = last,
                Ok(_) => return Ok(false),
                // Nothing was deleted: whoever asks is not to think that it may be.
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Makes a consumer of the records of a submitter, and returns its name.
    pub(super) async fn create_reader(&self, submitter: &str) -> Result<String, Refusal> {
        let stream = self.names.records_stream();
        let config = json!({
            "deliver_policy": "all",
            "ack_policy": "none",
            "filter_subject": self.names.records_of(submitter),
            "inactive_threshold": nanoseconds(Duration::from_secs(30)),
            "num_replicas": 1,
            "mem_storage": true,
        });
        let body = json!({ "stream_name": stream, "config": config });
        let reader = self
            .ask(&format!("CONSUMER.CREATE.{stream}"), &body)
            .await?;
        Ok(reader["name"].as_str().unwrap_or_default().to_owned())
    }

    /// Removes what was too large for a message: of one call, or of all calls of
    /// a submitter.
    pub(super) async fn remove_large(&self, submitter: &str, call: Option<u64>) {
        let filter = match call {
            Some(call) => self.names.large_of_call(submitter, call),
            None => self.names.large_of(submitter),
        };
        self.remove(submitter, &filter).await;
    }

    /// Removes the messages of these subjects that are kept beside the queue; tries
    /// until it is done.
    pub(super) async fn remove(&self, submitter: &str, subjects: &str) {
        let what = format!("STREAM.PURGE.{}", self.names.large_stream(submitter));
        // There is no such stream where nothing was too large.
        let _ = self
            .ask_at_last(&what, &json!({ "filter": subjects }))
            .await;
    }
}
