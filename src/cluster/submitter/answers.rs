//! What the workers tell a submitter: answers, and calls that were given back.

use super::Submitter;
use super::pending::Stage;
use super::sending::Sent;
use crate::cluster::message::{Answer, ToSubmitter, ToWorker, pack, unpack};
use crate::cluster::names::Names;
use crate::error::JoinError;
use async_nats::Message;
use bytes::Bytes;
use std::time::Duration;

impl Submitter {
    pub(super) fn receive(&mut self, message: &Message) {
        if let Some((number, attempt)) = Names::read_stored(&message.subject) {
            return self.stored(number, attempt, message, Sent::Call);
        }
        if let Some((number, attempt)) = Names::read_recorded(&message.subject) {
            return self.stored(number, attempt, message, Sent::Record);
        }
        match unpack(&message.payload) {
            Ok((head @ ToSubmitter::Answer { .. }, body)) => self.receive_answer(head, body),
            Ok((ToSubmitter::Answers(lengths), mut body)) => {
                for length in lengths {
                    if length > body.len() {
                        return;
                    }
                    if let Ok((head, body)) = unpack(&body.split_to(length)) {
                        self.receive_answer(head, body);
                    }
                }
            }
            Ok((ToSubmitter::Moved { number, from, to }, _)) => self.moved(number, from, to),
            Ok((ToSubmitter::Purged, _)) => self.check.after(Duration::ZERO),
            Ok((ToSubmitter::Recorded(number), _)) => self.answer_recorded(number),
            Ok((ToSubmitter::Present, _)) => self.is_present(message),
            // Of another version.
            Err(_) => {}
        }
    }

    fn receive_answer(&mut self, head: ToSubmitter, body: Bytes) {
        let ToSubmitter::Answer {
            number,
            worker,
            sequence,
            answer,
            large,
        } = head
        else {
            return;
        };
        self.highest = self.highest.max(sequence);
        if self.is_of_another(number) {
            // For whoever claims it; one that nobody can run is kept by the worker
            // until then.
            if answer != Answer::Unserved {
                self.unclaimed.entry(worker).or_default().push(sequence);
            }
            return;
        }
        let worker = Some((worker, sequence));
        if answer == Answer::Unserved {
            self.arrived(worker);
            return self.unserved(number);
        }
        match large {
            Some(large) => self.get(number, worker, large),
            None => self.answered(number, worker, answer.into_result(body)),
        }
    }

    /// A call has a result. Each handle settles once: a second answer finds no
    /// call.
    pub(super) fn answered(
        &mut self,
        number: u64,
        worker: Option<(String, u64)>,
        result: Result<Bytes, JoinError>,
    ) {
        if let Some(record) = self.calls.get(&number).and_then(|pending| pending.record) {
            return self.take(number, record, worker, result);
        }
        self.arrived(worker);
        self.settle(number, result);
        // It made room.
        self.pause = None;
    }

    /// An answer need not be repeated.
    pub(super) fn arrived(&mut self, worker: Option<(String, u64)>) {
        if let Some((worker, sequence)) = worker {
            self.arrived.entry(worker).or_default().push(sequence);
        }
    }

    /// Somebody with the same durable name asks whether there is one.
    fn is_present(&self, message: &Message) {
        let client = self.connection.client.clone();
        if let Some(reply) = message.reply.clone() {
            tokio::spawn(async move { client.publish(reply, Bytes::new()).await });
        }
    }

    /// A worker has given a call back.
    pub(super) fn moved(&mut self, number: u64, from: u64, to: u64) {
        let is_of_another = self.is_of_another(number);
        match self.calls.get_mut(&number) {
            None if is_of_another => {}
            None => self.delete(to),
            Some(pending) => {
                let is_there = match pending.stage {
                    Stage::Stored(stored) => stored == from,
                    stage => matches!(stage, Stage::Searched),
                };
                if is_there {
                    pending.stage = Stage::Stored(to);
                }
            }
        }
    }

    /// Tells the workers which answers are here.
    pub(super) async fn acknowledge(&mut self) {
        let arrived = std::mem::take(&mut self.arrived).into_iter();
        let arrived = arrived.map(|(worker, answers)| (worker, ToWorker::Arrived(answers)));
        let unclaimed = std::mem::take(&mut self.unclaimed).into_iter();
        let unclaimed = unclaimed.map(|(worker, answers)| (worker, ToWorker::Record(answers)));
        for (worker, told) in arrived.chain(unclaimed) {
            if let Ok(message) = pack(&told, &[]) {
                let subject = self.connection.names.to_worker(&worker);
                self.publish(subject, message).await;
            }
        }
    }
}
