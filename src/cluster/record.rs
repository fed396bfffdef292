//! The record of a durable call: its message, and then its answer beside it.
//!
//! A record is one message in a stream of its own, in a subject of its own.
//!
//! - The submitter writes it before it sends the call, only if there is none, and
//!   the call carries its number in the stream.
//! - A worker writes the answer over it when no submitter of the name is there,
//!   only if its number is still the one that the call carries, and before the
//!   call leaves the queue.
//! - Whoever takes the record out of the stream may settle the handle, and nobody
//!   else; the server says to one that it was there.
//!
//! So a call whose result was taken leaves nothing behind, however late or often
//! workers answer it: there is no record any more over which to write. And a call
//! that has a record and no answer there is in the queue or with a worker, unless
//! its submitter died between the two messages: then the next one sends it.

use super::api::{Api, nanoseconds};
use super::delivery::Delivery;
use super::inbox;
use super::large::PAUSE;
use super::message::{pack, unpack};
use super::refusal::Refusal;
use super::requests::{self, WINDOW};
use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How many records are read ahead.
const BATCH: usize = 512;

/// How long a request for records waits at the server for more of them.
const WAIT: Duration = Duration::from_millis(250);

/// How many requests have to bring nothing until the records that are missing are read
/// one by one: two seconds in all, for a busy server may be late with what it has.
const EMPTY: u32 = 8;

/// How long the server may take to answer a request, and how many it may forget.
const PATIENCE: Duration = Duration::from_secs(2);
const FORGOTTEN: u32 = 5;

#[derive(Serialize, Deserialize)]
struct Head {
    /// How long the call's message is; what follows it is the answer.
    call: usize,
}

pub(super) struct Record {
    /// The message that made the call.
    pub(super) call: Bytes,
    /// The message that answers it.
    pub(super) answer: Option<Bytes>,
}

impl Record {
    /// Makes the message of a record, the answer empty if there is none.
    pub(super) fn write(call: &[u8], answer: &[u8]) -> Result<Bytes, String> {
        pack(&Head { call: call.len() }, &[call, answer].concat())
    }

    pub(super) fn read(message: &Bytes) -> Result<Self, String> {
        let (head, mut call) = unpack::<Head>(message)?;
        if head.call > call.len() {
            return Err("the record is cut short".to_owned());
        }
        let answer = call.split_off(head.call);
        Ok(Self {
            call,
            answer: (!answer.is_empty()).then_some(answer),
        })
    }
}

/// A record, where it is.
pub(super) struct Listed {
    pub(super) number: u64,
    /// Its number in the stream.
    pub(super) sequence: u64,
    pub(super) record: Record,
}

/// Reads all records of a submitter.
pub(super) async fn list(api: &Api, submitter: &str) -> Result<Vec<Listed>, Refusal> {
    let mut missing = api.recorded(submitter).await?;
    let mut listed = HashMap::new();
    if !missing.is_empty() {
        read_all(api, submitter, &mut missing, &mut listed).await?;
    }
    // They may have been taken meanwhile.
    let read = |number| {
        let (api, submitter) = (api.clone(), submitter.to_owned());
        async move { Ok((number, api.record(&submitter, number).await?)) }
    };
    for (number, found) in requests::each(WINDOW, missing, read).await? {
        let Some((sequence, message)) = found else {
            continue;
        };
        if let Ok(record) = Record::read(&message) {
            let found = Listed {
                number,
                sequence,
                record,
            };
            listed.insert(number, found);
        }
    }
    Ok(listed.into_values().collect())
}

/// Reads the records of a submitter many at a time, until none of them is missing.
///
/// It may end before: nothing says that a server brings no more of them, but that it
/// has brought none for a while.
async fn read_all(
    api: &Api,
    submitter: &str,
    missing: &mut HashSet<u64>,
    listed: &mut HashMap<u64, Listed>,
) -> Result<(), Refusal> {
    let mut reader = Reader::new(api, submitter).await?;
    let (mut empty, mut forgotten) = (0, 0);
    while empty < EMPTY && !missing.is_empty() {
        if forgotten == FORGOTTEN {
            return Err(lost(&"no answer"));
        }
        empty += 1;
        reader.ask().await?;
        let mut left = BATCH;
        while left > 0 && !missing.is_empty() {
            match reader.next().await? {
                Next::Message(message) => {
                    (empty, forgotten, left) = (0, 0, left - 1);
                    let number = message.subject.rsplit('.').next().map(str::parse);
                    let Some(Ok(number)) = number else {
                        continue;
                    };
                    missing.remove(&number);
                    if let Some(found) = Listed::read(number, &message) {
                        // One that is answered meanwhile comes again.
                        listed.insert(number, found);
                    }
                }
                Next::End => break,
                Next::Silence => {
                    (empty, forgotten) = (0, forgotten + 1);
                    break;
                }
            }
        }
    }
    Ok(())
}

impl Listed {
    /// Reads a record that was delivered; what another version has written is left to it.
    fn read(number: u64, message: &Message) -> Option<Self> {
        let sequence = Delivery::read(message.reply.as_deref()?)?.sequence;
        let record = Record::read(&message.payload).ok()?;
        Some(Self {
            number,
            sequence,
            record,
        })
    }
}

fn lost(cause: &impl ToString) -> Refusal {
    Refusal::Lost(cause.to_string())
}

/// A consumer of the records of one submitter, and where its messages come.
struct Reader {
    client: Client,
    /// From where messages are asked for.
    from: String,
    inbox: String,
    messages: Subscriber,
    /// How many requests were made. Each has its own subject: the end of an earlier one
    /// says nothing of the next.
    requests: u64,
}

/// What has come of a request.
enum Next {
    Message(Message),
    /// There are no more now.
    End,
    /// The server seems to have forgotten the request.
    Silence,
}

impl Reader {
    async fn new(api: &Api, submitter: &str) -> Result<Self, Refusal> {
        let client = api.client();
        let inbox = client.new_inbox();
        let messages = client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| lost(&error))?;
        let reader = api.create_reader(submitter).await?;
        let stream = api.names.records_stream();
        Ok(Self {
            client,
            from: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{reader}"),
            inbox,
            messages,
            requests: 0,
        })
    }

    fn reply(&self) -> String {
        format!("{}.{}", self.inbox, self.requests)
    }

    async fn ask(&mut self) -> Result<(), Refusal> {
        self.requests += 1;
        let batch = json!({ "batch": BATCH, "expires": nanoseconds(WAIT) }).to_string();
        let (from, reply) = (self.from.clone(), self.reply());
        let asked = self.client.publish_with_reply(from, reply, batch.into());
        asked.await.map_err(|error| lost(&error))
    }

    async fn next(&mut self) -> Result<Next, Refusal> {
        loop {
            let message = tokio::time::timeout(PATIENCE, inbox::next(&mut self.messages)).await;
            let Ok(message) = message else {
                return Ok(Next::Silence);
            };
            let message = message.ok_or_else(|| lost(&"the client has ended"))?;
            match message.status.map(|status| status.as_u16()) {
                None => return Ok(Next::Message(message)),
                // The end of an earlier request.
                Some(_) if *message.subject != *self.reply() => {}
                Some(404 | 408) => return Ok(Next::End),
                Some(status) => return Err(lost(&format!("status {status}"))),
            }
        }
    }
}

/// Takes a record out of the stream, and says whether this one has it. Tries until
/// it knows.
pub(super) async fn take(api: Api, id: String, number: u64, record: u64) -> bool {
    let mut may_have_it = false;
    loop {
        match api.take_record(&id, number, record).await {
            Ok(was_there) => return was_there || may_have_it,
            // It was not done.
            Err(Refusal::Server { .. }) => {}
            // The server may have done it all the same.
            Err(Refusal::Lost(_) | Refusal::NoJetStream) => may_have_it = true,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for answer in [&b""[..], b"answer"] {
            let message = Record::write(b"call", answer).unwrap();
            let record = Record::read(&message).unwrap();
            assert_eq!(record.call, &b"call"[..]);
            assert_eq!(record.answer.unwrap_or_default(), answer);
        }
        let message = Record::write(b"call", b"").unwrap();
        for length in 0..message.len() {
            assert!(Record::read(&message.slice(..length)).is_err());
        }
    }
}
