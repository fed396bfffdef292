//! Calls that this worker will not run: they go back into the queue, or out of it.

use super::Serving;
use super::held::{Held, Stage};
use crate::cluster::api;
use crate::cluster::delivery::Delivery;
use crate::cluster::message::{Call, ToSubmitter, pack, unpack};
use async_nats::Subject;
use bytes::Bytes;
use std::sync::Arc;

impl Serving<'_> {
    /// Leaves a call in the queue, for nobody to try again within a lease.
    pub(super) async fn leave(&mut self, acknowledge: Subject) {
        let nanoseconds = self.connection.lease.as_nanos();
        let later = format!("-NAK {{\"delay\": {nanoseconds}}}");
        self.publish(acknowledge, later.into()).await;
    }

    /// Puts the calls that have not started into the queue again, but for suspects.
    pub(super) fn give_back(&mut self) {
        let current = self.suspects.current();
        self.give_back_where(|sequence, held| match &held.stage {
            Stage::Fetching { .. } => current != Some(sequence),
            Stage::InPool { handle, .. } => current != Some(sequence) && !handle.is_running(),
            _ => false,
        });
    }

    /// Puts these calls into the queue again.
    ///
    /// As new messages: one that is only refused would count as delivered, as if
    /// this worker had died with it.
    pub(super) fn give_back_where(&mut self, is_meant: impl Fn(u64, &Held) -> bool) {
        let meant: Vec<_> = self
            .held
            .iter()
            .filter(|(sequence, held)| is_meant(**sequence, held))
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in meant {
            let Some(held) = self.held.remove(&sequence) else {
                continue;
            };
            if self.stop_run(&held) {
                self.send_back(sequence, held);
            } else {
                // It has started, or ended, this moment.
                self.held.insert(sequence, held);
            }
        }
    }

    /// Puts a call into the queue again, though it may be running.
    pub(super) fn send_back(&mut self, from: u64, held: Held) {
        if held.is_marked {
            self.remove_mark(&held.submitter, held.number);
        }
        self.publish_again(held.submitter, held.acknowledge, from, held.message);
    }

    /// Publishes a call as a new message, and acknowledges the old one.
    pub(super) fn publish_again(
        &mut self,
        submitter: Arc<str>,
        acknowledge: Subject,
        from: u64,
        message: Bytes,
    ) {
        let lost = Delivery::read(&acknowledge).map_or(0, |delivery| delivery.deliveries - 1);
        let client = self.connection.client.clone();
        let names = self.connection.names.clone();
        self.requests.spawn(async move {
            let sent_back = async {
                let (mut call, argument) = unpack::<Call>(&message)?;
                let lost = u32::try_from(lost).unwrap_or(u32::MAX);
                call.lost = call.lost.saturating_add(lost);
                let number = call.number;
                let message = pack(&call, &argument)?;
                let stored = client
                    .request(names.calls_of(&submitter), message)
                    .await
                    .map_err(|error| error.to_string())?;
                let to = api::read_receipt(&stored.payload).map_err(|refusal| refusal.text())?;
                let moved = pack(&ToSubmitter::Moved { number, from, to }, &[])?;
                let _ = client.publish(names.to_submitter(&submitter), moved).await;
                Ok::<(), String>(())
            };
            // A full queue, most often.
            let word = if sent_back.await.is_ok() {
                "+ACK"
            } else {
                "-NAK"
            };
            let _ = client.publish(acknowledge, word.into()).await;
        });
    }

    /// Ends the calls that nobody waits for, and takes them out of the queue.
    pub(super) async fn drop_all(&mut self, is_meant: impl Fn(&Held) -> bool) {
        let meant: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| is_meant(held))
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in meant {
            if let Some(held) = self.held.remove(&sequence) {
                self.let_go(&held).await;
                self.stop_run(&held);
            }
        }
    }

    /// Takes a call that has ended out of the queue.
    pub(super) async fn let_go(&mut self, held: &Held) {
        if held.is_marked {
            self.remove_mark(&held.submitter, held.number);
        }
        self.say(held, "+ACK").await;
    }

    /// Stops a run; says whether it had not started.
    pub(super) fn stop_run(&mut self, held: &Held) -> bool {
        let had_not_started = match &held.stage {
            Stage::Suspect { .. } | Stage::Marking { .. } => return true,
            // Dropped with what is held.
            Stage::Fetching { .. } => true,
            Stage::InPool { handle, .. } => handle.cancel(),
            Stage::Storing { .. } | Stage::Answered { .. } => return false,
        };
        if had_not_started {
            self.slots.release();
        }
        had_not_started
    }
}
