//! What the workers tell a submitter: answers, and calls that were given back.

use super::Submitter;
use super::pending::Stage;
use crate::cluster::message::{Answer, ToSubmitter, ToWorker, pack, unpack};
use crate::cluster::names::Names;
use async_nats::Message;
use std::time::Instant;

impl Submitter {
    pub(super) fn receive(&mut self, message: &Message) {
        if let Some((number, attempt)) = Names::read_stored(&message.subject) {
            self.stored(number, attempt, message);
            return;
        }
        match unpack(&message.payload) {
            Ok((
                ToSubmitter::Answer {
                    number,
                    worker,
                    sequence,
                    answer,
                    large,
                },
                body,
            )) => {
                self.highest = self.highest.max(sequence);
                if answer == Answer::Unserved {
                    self.arrived.entry(worker).or_default().push(sequence);
                    return self.unserved(number);
                }
                if let Some(large) = large {
                    return self.get(number, worker, sequence, large);
                }
                self.arrived.entry(worker).or_default().push(sequence);
                // Each handle settles once: a second answer finds no call.
                self.settle(number, answer.into_result(body));
                // It made room.
                self.pause = None;
            }
            Ok((ToSubmitter::Moved { number, from, to }, _)) => self.moved(number, from, to),
            Ok((ToSubmitter::Purged, _)) => self.check = Some(Instant::now()),
            // Of another version.
            Err(_) => {}
        }
    }

    /// A worker has given a call back.
    pub(super) fn moved(&mut self, number: u64, from: u64, to: u64) {
        match self.calls.get_mut(&number) {
            None => self.delete(to),
            Some(pending) => {
                if matches!(pending.stage, Stage::Stored(stored) if stored == from) {
                    pending.stage = Stage::Stored(to);
                }
            }
        }
    }

    /// Tells the workers which answers are here.
    pub(super) async fn acknowledge(&mut self) {
        for (worker, sequences) in std::mem::take(&mut self.arrived) {
            if let Ok(message) = pack(&ToWorker::Arrived(sequences), &[]) {
                let subject = self.connection.names.to_worker(&worker);
                self.publish(subject, message).await;
            }
        }
    }
}
