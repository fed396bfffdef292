//! Answers: sent when a run has ended, and again until they have arrived.

use super::Serving;
use super::held::{Held, Stage};
use super::slots::{Done, Overdue};
use crate::cluster::api;
use crate::cluster::large::{LONGEST, Large};
use crate::cluster::message::{Answer, Call, ToSubmitter, pack, unpack};
use crate::cluster::names::is_durable;
use crate::cluster::record::Record;
use crate::cluster::refusal::{Refusal, WRONG_LAST_SEQUENCE};
use crate::error::{CallError, JoinError, TimedOut};
use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Serving<'_> {
    /// Makes the message that answers a call.
    pub(super) fn pack(
        &self,
        number: u64,
        sequence: u64,
        answer: Answer,
        large: Option<Large>,
        body: &[u8],
    ) -> Bytes {
        let head = ToSubmitter::Answer {
            number,
            worker: self.id.clone(),
            sequence,
            answer,
            large,
        };
        // Texts and numbers can be encoded.
        pack(&head, body).unwrap_or_default()
    }

    /// Ends a call that is not run.
    pub(super) fn refused(&self, sequence: u64, number: u64, answer: Answer) -> Stage {
        Stage::Answered {
            answer: self.pack(number, sequence, answer, None, &[]),
            result: None,
            sent: Instant::now(),
        }
    }

    /// Sends the answer to a call to its submitter, at the end of this turn; or to its
    /// record, if the submitter is away and will be back.
    pub(super) async fn answer(&self, sequence: u64, held: &Held, answer: Bytes) {
        let lease = self.connection.lease;
        if self.submitters.is_away(&held.submitter, lease)
            && self.record(sequence, held, &answer).await
        {
            return;
        }
        self.outbox.borrow_mut().push(&held.submitter, answer);
    }

    /// Sends the answers of this turn.
    pub(super) async fn send_answers(&self) {
        let messages = self.outbox.borrow_mut().take(self.connection.limit);
        for (submitter, message) in messages {
            let subject = self.connection.names.to_submitter(&submitter);
            self.publish(subject, message).await;
        }
    }

    /// Writes the answer to a durable call into its record, if that is as the call
    /// knows it; says whether the call has one and was answered.
    pub(super) async fn record(&self, sequence: u64, held: &Held, answer: &Bytes) -> bool {
        let Ok((
            Call {
                number,
                record: Some(record),
                ..
            },
            _,
        )) = unpack(&held.message)
        else {
            return false;
        };
        let is_unserved = |head: &ToSubmitter| {
            matches!(
                head,
                ToSubmitter::Answer {
                    answer: Answer::Unserved,
                    ..
                }
            )
        };
        if unpack(answer).is_ok_and(|(head, _)| is_unserved(&head)) {
            return false;
        }
        let Ok(message) = Record::write(&held.message, answer) else {
            return false;
        };
        let names = &self.connection.names;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", record.to_string());
        let _ = self
            .connection
            .client
            .publish_with_reply_and_headers(
                names.record(&held.submitter, number),
                names.answer_recorded(&self.id, number, sequence),
                headers,
                message,
            )
            .await;
        true
    }

    /// The server says what became of an answer for a record.
    pub(super) async fn recorded(&mut self, number: u64, sequence: u64, message: &Message) {
        match api::read_receipt(&message.payload) {
            // Or it was taken or cancelled, or answered by another worker.
            Ok(_)
            | Err(Refusal::Server {
                code: WRONG_LAST_SEQUENCE,
                ..
            }) => {}
            // It is repeated.
            Err(_) => return,
        }
        let held = self.held.get(&sequence);
        if held.is_some_and(|held| matches!(held.stage, Stage::Answered { .. })) {
            if let Some(held) = self.held.remove(&sequence) {
                // First, for the call would run again if this was lost.
                if let Ok(recorded) = pack(&ToSubmitter::Recorded(number), &[]) {
                    let subject = self.connection.names.to_submitter(&held.submitter);
                    self.publish(subject, recorded).await;
                }
                self.let_go(&held).await;
            }
        }
    }

    /// A run has ended.
    pub(super) async fn ended(&mut self, done: Done) {
        self.slots.end(&done);
        let Some(held) = self.held.get(&done.sequence) else {
            return;
        };
        if !matches!(held.stage, Stage::InPool { run, .. } if run == done.run) {
            return;
        }
        if matches!(done.result, Err(JoinError::Cancelled)) {
            // It was to be given back, and had started this moment.
            if let Some(held) = self.held.remove(&done.sequence) {
                self.send_back(done.sequence, held);
            }
            return;
        }
        let (number, submitter) = (held.number, Arc::clone(&held.submitter));
        let (mut answer, mut body) = Answer::of(done.result);
        if body.len() > LONGEST {
            let error = CallError::TooLarge {
                function: done.function.to_owned(),
                part: "result",
                bytes: body.len(),
                limit: LONGEST,
            };
            (answer, body) = Answer::of(Err(JoinError::call(error)));
        }
        let mut limit = self.connection.limit;
        if is_durable(&submitter) {
            // Its record has both.
            limit = limit.saturating_sub(held.message.len());
        }
        let stage = if body.len() > limit {
            let large = Large::new(&self.id, body.len(), limit);
            let answer = self.pack(number, done.sequence, answer, Some(large.clone()), &[]);
            self.store(done.sequence, held, answer, (large, body.into()))
        } else {
            let answer = self.pack(number, done.sequence, answer, None, &body);
            self.answer(done.sequence, held, answer.clone()).await;
            Stage::Answered {
                answer,
                result: None,
                sent: Instant::now(),
            }
        };
        if let Some(held) = self.held.get_mut(&done.sequence) {
            held.stage = stage;
            if std::mem::take(&mut held.is_marked) {
                // It was not to blame.
                self.remove_mark(&submitter, number);
            }
        }
    }

    /// A run has taken too long: stops it, and answers its call.
    pub(super) async fn timed_out(&mut self, overdue: &Overdue) {
        let &Overdue {
            sequence,
            run,
            limit,
        } = overdue;
        let is_meant = |held: &Held| matches!(held.stage, Stage::InPool { run: current, .. } if current == run);
        if !self.held.get(&sequence).is_some_and(is_meant) {
            return;
        }
        let Some(mut held) = self.held.remove(&sequence) else {
            return;
        };
        self.stop_run(&held);
        if std::mem::take(&mut held.is_marked) {
            self.remove_mark(&held.submitter, held.number);
        }
        let (answer, _) = Answer::of(Err(JoinError::TimedOut(TimedOut::new(limit))));
        let answer = self.pack(held.number, sequence, answer, None, &[]);
        self.answer(sequence, &held, answer.clone()).await;
        held.stage = Stage::Answered {
            answer,
            result: None,
            sent: Instant::now(),
        };
        self.held.insert(sequence, held);
    }

    /// Repeats the answers that have not arrived for a while.
    pub(super) async fn answer_again(&mut self, age: Duration) {
        let mut again = Vec::new();
        for (sequence, held) in &mut self.held {
            if let Stage::Answered { answer, sent, .. } = &mut held.stage {
                if sent.elapsed() >= age {
                    *sent = Instant::now();
                    again.push((*sequence, answer.clone()));
                }
            }
        }
        for (sequence, answer) in again {
            if let Some(held) = self.held.get(&sequence) {
                self.answer(sequence, held, answer).await;
            }
        }
    }
}
