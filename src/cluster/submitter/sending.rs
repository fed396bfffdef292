//! From the caller into the stream: sending calls, and the server's receipts.

use super::command::Place;
use super::found::Found;
use super::pending::{Pending, Stage};
use super::removals::Removal;
use super::{Once, Submitter};
use crate::cluster::api;
use crate::cluster::queue;
use crate::cluster::record::Record;
use crate::cluster::refusal::{QUEUE_FULL, Refusal, WRONG_LAST_SEQUENCE};
use crate::error::Rejected;
use async_nats::{HeaderMap, Message, StatusCode};
use std::time::{Duration, Instant};

/// How many messages are sent ahead of their receipts.
const WINDOW: usize = 1024;

/// When a full queue is tried again.
const FULL: Duration = Duration::from_millis(20);

/// What of a call was sent.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sent {
    Call,
    Record,
}

impl Submitter {
    pub(super) async fn send_waiting(&mut self) {
        let may_send = self.connected && self.pause.is_none() && self.searches == 0;
        while may_send && self.sent < WINDOW {
            let Some(number) = self.waiting.pop_front() else {
                return;
            };
            let Some(pending) = self.calls.get_mut(&number) else {
                continue;
            };
            if !matches!(pending.stage, Stage::Waiting) {
                continue;
            }
            pending.stage = Stage::Sent(Instant::now());
            pending.after = self.highest;
            self.sent += 1;
            let (mut payload, attempt) = (pending.payload.clone(), pending.attempt);
            let names = &self.connection.names;
            let mut headers = HeaderMap::new();
            let (subject, reply) = if self.durable.is_some() && pending.record.is_none() {
                headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
                // It was written by this library, and is no longer than a call may be.
                payload = Record::write(&payload, &[]).unwrap_or_default();
                (
                    names.record(&self.id, number).into(),
                    names.recorded(&self.id, number, attempt),
                )
            } else {
                if self.once == Once::ById {
                    headers.insert("Nats-Msg-Id", format!("{}.{number}.{attempt}", self.id));
                }
                (
                    self.subject.clone(),
                    names.stored(&self.id, number, attempt),
                )
            };
            let client = &self.connection.client;
            // Fails only once the client is closed.
            let _ = if headers.is_empty() {
                client.publish_with_reply(subject, reply, payload).await
            } else {
                client
                    .publish_with_reply_and_headers(subject, reply, headers, payload)
                    .await
            };
        }
    }

    /// The server says what became of a message.
    pub(super) fn stored(&mut self, number: u64, attempt: u32, message: &Message, sent: Sent) {
        let answer = match message.status {
            Some(StatusCode::NO_RESPONDERS) => Err(Refusal::NoJetStream),
            _ => api::read_receipt(&message.payload),
        };
        let Some(pending) = self.calls.get_mut(&number) else {
            // Ended meanwhile; cancelled, as a rule.
            let durable = self.durable.as_ref();
            if durable.is_none_or(|durable| durable.is_own_attempt(attempt)) {
                if let Ok(sequence) = answer {
                    match sent {
                        Sent::Call => self.delete(sequence),
                        Sent::Record => {
                            let record = Removal::Record(number, sequence);
                            self.removals.push(record);
                        }
                    }
                }
            }
            return;
        };
        if pending.attempt != attempt {
            // It was not found and sent again, and has been on its way all the time.
            if let (Once::BySearch, Ok(sequence)) = (self.once, answer) {
                self.delete(sequence);
            }
            return;
        }
        match (pending.stage, &answer) {
            (Stage::Sent(_), _) => self.sent -= 1,
            // Late.
            (Stage::Searched, Ok(_)) if self.once == Once::BySearch => {}
            _ => return,
        }
        match answer {
            Ok(sequence) if sent == Sent::Record => {
                pending.stage = Stage::Waiting;
                self.recorded(number, sequence);
                self.waiting.push_front(number);
            }
            // A record is there, and the receipt for it was lost.
            Err(Refusal::Server {
                code: WRONG_LAST_SEQUENCE,
                ..
            }) if sent == Sent::Record => {
                pending.stage = Stage::Waiting;
                self.read_record(number, true);
            }
            Ok(sequence) => self.is_stored(number, sequence),
            Err(refusal) => {
                pending.stage = Stage::Waiting;
                self.waiting.push_front(number);
                let full = matches!(refusal, Refusal::Server { code, .. } if code == QUEUE_FULL);
                let pause = if full {
                    FULL
                } else {
                    self.connection.lease / 3
                };
                self.pause = Some(Instant::now() + pause);
                if !full {
                    self.remake();
                }
                self.refuse(number);
            }
        }
    }

    /// A call is in the stream, under this number.
    pub(super) fn is_stored(&mut self, number: u64, sequence: u64) {
        self.highest = self.highest.max(sequence);
        if let Some(pending) = self.calls.get_mut(&number) {
            pending.stage = Stage::Stored(sequence);
            if let Some(place) = pending.place.take() {
                let _ = place.tell.send(Ok(()));
            }
        }
    }

    /// Without a server nobody knows which of the sent calls are stored: those
    /// that may not wait are taken, and sent until they are.
    pub(super) fn accept_sent(&mut self) {
        for pending in self.calls.values_mut() {
            let is_sent = matches!(pending.stage, Stage::Sent(_) | Stage::Searched);
            let may_not_wait = |place: &mut Place| is_sent && !place.may_wait;
            if let Some(place) = pending.place.take_if(may_not_wait) {
                let _ = place.tell.send(Ok(()));
            }
        }
    }

    /// Gives a call back that may not wait for room.
    pub(super) fn refuse(&mut self, number: u64) {
        let may_not_wait = |pending: &Pending| {
            let may_wait = pending.place.as_ref().is_none_or(|place| place.may_wait);
            !may_wait && matches!(pending.stage, Stage::Waiting)
        };
        if self.calls.get(&number).is_some_and(may_not_wait) {
            if let Some(pending) = self.calls.remove(&number) {
                self.removals.push_of(number, &pending);
                if let Some(place) = pending.place {
                    let _ = place.tell.send(Err(Rejected::QueueFull));
                }
            }
        }
    }

    /// Sends again what has been without a receipt for so long. With an id, the server
    /// drops it if the first has arrived; without one it is looked for before.
    pub(super) fn send_again(&mut self, age: Duration) {
        // Very many calls may be stored.
        if self.sent == 0 {
            return;
        }
        let mut sought = Vec::new();
        for (number, pending) in &mut self.calls {
            if let Stage::Sent(at) = pending.stage {
                if at.elapsed() >= age {
                    self.sent -= 1;
                    match self.once {
                        Once::ById => {
                            pending.stage = Stage::Waiting;
                            self.waiting.push_back(*number);
                        }
                        Once::BySearch => {
                            pending.stage = Stage::Searched;
                            sought.push((*number, pending.attempt));
                        }
                    }
                }
            }
        }
        self.search(sought);
    }

    /// Makes the queue again, if a restart of the server has lost it.
    pub(super) fn remake(&self) {
        let connection = &self.connection;
        let (api, settings) = (connection.api.clone(), connection.settings.clone());
        let finds = self.finds.clone();
        tokio::spawn(async move {
            if let Some(created) = queue::remake(api, settings).await {
                let _ = finds.send(Found::Stream(created));
            }
        });
    }
}
