//! [`Watch`]: whether the server still delivers.
//!
//! A server of version 2.9 may stop to deliver for good after it was killed: calls are
//! there, workers ask for them, and its consumer says so, but nothing moves. A consumer
//! that is made anew delivers all that is in the stream. In a group, the servers may not
//! agree either on who leads the consumer, though two of three are there.

use super::Submitter;
use super::found::Found;
use super::pending::Stage;
use crate::cluster::api::Api;
use crate::cluster::names::CONSUMER;
use crate::cluster::queue;
use crate::cluster::refusal::Refusal;
use serde_json::Value;
use std::time::{Duration, Instant};

/// For how many leases nothing has to move: the server delivers again within one what
/// a dead worker had.
const PATIENCE: u32 = 2;

/// For how many leases nobody has to lead the consumer.
const ELECTION: u32 = 5;

/// What the server says of its consumer.
#[derive(Default)]
pub(super) struct Consumer {
    /// Whether a server leads it; nothing else is known otherwise.
    is_led: bool,
    created: String,
    /// How many messages it has delivered, those that came again included.
    delivered: u64,
    /// How many of them are not acknowledged.
    held: u64,
    /// How many are to be delivered.
    pending: u64,
    /// How many requests for messages wait.
    requests: u64,
}

impl Consumer {
    async fn look(api: &Api) -> Option<Self> {
        let consumer = match api.consumer(CONSUMER).await {
            Ok(consumer) => consumer,
            Err(refusal @ Refusal::Server { .. }) if refusal.may_pass() => {
                // Only where it is not the whole group that waits for a leader.
                return api.stream().await.ok().map(|_| Self::default());
            }
            Err(_) => return None,
        };
        let number = |number: &Value| number.as_u64().unwrap_or(0);
        Some(Self {
            is_led: true,
            created: consumer["created"].to_string(),
            delivered: number(&consumer["delivered"]["consumer_seq"]),
            held: number(&consumer["num_ack_pending"]),
            pending: number(&consumer["num_pending"]),
            requests: number(&consumer["num_waiting"]),
        })
    }

    fn has_moved(&self, before: &Self) -> bool {
        self.is_led != before.is_led
            || self.created != before.created
            || self.delivered != before.delivered
    }
}

pub(super) struct Watch {
    /// When the server was last asked, or a call has ended.
    asked: Instant,
    /// What seems to be stuck, and since when.
    seen: Option<(Consumer, Instant)>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            asked: Instant::now(),
            seen: None,
        }
    }
}

impl Submitter {
    /// Asks what the consumer does, if no call has ended for a lease.
    pub(super) fn watch(&mut self) {
        let is_stored = |stage| matches!(stage, Stage::Stored(_));
        let mut stages = self.calls.values().map(|pending| pending.stage);
        if !self.connected || self.workers.is_empty() || !stages.any(is_stored) {
            self.watch = Watch::new();
            return;
        }
        if self.watch.asked.elapsed() < self.connection.lease {
            return;
        }
        self.watch.asked = Instant::now();
        let (api, finds) = (self.connection.api.clone(), self.finds.clone());
        tokio::spawn(async move {
            if let Some(consumer) = Consumer::look(&api).await {
                let _ = finds.send(Found::Consumer(consumer));
            }
        });
    }

    pub(super) fn found_consumer(&mut self, consumer: Consumer) {
        let known: usize = self.workers.values().map(|(worker, _)| worker.held).sum();
        let known = u64::try_from(known).unwrap_or(u64::MAX);
        // Nobody has what it should have delivered to those who wait; or it has
        // skipped the calls of this submitter.
        let is_late = consumer.pending > 0 || consumer.held > known || consumer.held == 0;
        let seems_stuck = !consumer.is_led || (consumer.requests > 0 && is_late);
        let patience = if consumer.is_led { PATIENCE } else { ELECTION };
        match &self.watch.seen {
            Some((before, since)) if seems_stuck && !consumer.has_moved(before) => {
                if since.elapsed() >= patience * self.connection.lease {
                    self.watch.seen = None;
                    // Or the calls are not there at all.
                    self.check.after(Duration::ZERO);
                    self.remake_consumer(consumer);
                }
            }
            _ => self.watch.seen = seems_stuck.then(|| (consumer, Instant::now())),
        }
    }

    fn remake_consumer(&self, stuck: Consumer) {
        let connection = &self.connection;
        let (api, settings) = (connection.api.clone(), connection.settings.clone());
        tokio::spawn(async move {
            // Another submitter may have made it anew this moment.
            let now = Consumer::look(&api).await;
            if now.is_some_and(|now| !now.has_moved(&stuck)) {
                let _ = api.delete_consumer(CONSUMER).await;
                // If this is lost, a worker makes it, which does not reach it.
                queue::remake(api, settings).await;
            }
        });
    }
}
