//! The workers that were heard of, and the calls that none of them can run.

use super::Submitter;
use super::pending::Stage;
use crate::cluster::event::ClusterEvent;
use crate::cluster::message::{Announcement, Served, unpack};
use crate::cluster::status::{ClusterStatus, WorkerStatus};
use crate::error::{CallError, JoinError};
use async_nats::Message;
use std::collections::HashMap;
use std::time::Instant;

impl Submitter {
    /// A worker says who it is.
    pub(super) fn announced(&mut self, message: &Message) {
        if let Ok((announcement, _)) = unpack::<Announcement>(&message.payload) {
            let id = announcement.worker.clone();
            let is_new = self
                .workers
                .insert(id, (announcement, Instant::now()))
                .is_none();
            if is_new {
                self.send_unserved();
            }
        }
    }

    /// Forgets the workers that have been silent, and says so when none is left, or
    /// when calls wait for the first.
    pub(super) fn forget_workers(&mut self) {
        if !self.connected {
            return self.trust_workers();
        }
        let patience = 2 * self.connection.lease;
        let had_some = !self.workers.is_empty();
        self.workers.retain(|_, (_, at)| at.elapsed() < patience);
        if !self.workers.is_empty() {
            self.is_alone_told = false;
        } else if had_some {
            self.alone = Instant::now();
            self.tell(ClusterEvent::WorkersLost);
        } else if !self.is_alone_told && !self.calls.is_empty() && self.alone.elapsed() >= patience
        {
            self.is_alone_told = true;
            self.tell(ClusterEvent::NoWorkers);
        }
    }

    /// Nobody could be heard for a while: counts from now.
    pub(super) fn trust_workers(&mut self) {
        self.alone = Instant::now();
        for (_, at) in self.workers.values_mut() {
            *at = self.alone;
        }
    }

    /// A worker does not have the function of a call.
    pub(super) fn unserved(&mut self, number: u64) {
        if let Some(pending) = self.calls.get_mut(&number) {
            if !matches!(pending.stage, Stage::Stored(_) | Stage::Sent(_)) {
                return;
            }
            if matches!(pending.stage, Stage::Sent(_)) {
                self.sent -= 1;
            }
            pending.stage = Stage::Waiting;
            pending.attempt += 1;
            pending.unserved.get_or_insert_with(Instant::now);
            self.unserved.push(number);
        }
    }

    /// Sends the calls again whose function some worker has, and ends those that
    /// have waited for one for too long.
    pub(super) fn send_unserved(&mut self) {
        // Very many calls may be of few functions.
        let mut are_served = HashMap::new();
        for number in std::mem::take(&mut self.unserved) {
            let Some(pending) = self.calls.get(&number) else {
                continue;
            };
            let (function, version) = (pending.function, pending.version);
            let serves = |(worker, _): &(Announcement, Instant)| {
                let mut served = worker.functions.iter();
                served.any(|served| served.name == function && served.version == version)
            };
            let is_served = || self.workers.values().any(serves);
            if *are_served
                .entry((function, version))
                .or_insert_with(is_served)
            {
                self.waiting.push_back(number);
            } else if pending
                .unserved
                .is_some_and(|at| at.elapsed() >= self.grace)
            {
                let workers = self.workers.values().map(|(worker, _)| {
                    let Announcement {
                        host,
                        pid,
                        functions,
                        ..
                    } = worker;
                    let functions: Vec<_> = functions.iter().map(Served::to_string).collect();
                    format!("{host}:{pid} with {}", functions.join(", "))
                });
                let error = CallError::Unserved {
                    function: function.to_owned(),
                    version,
                    workers: workers.collect(),
                };
                self.settle(number, Err(JoinError::call(error)));
            } else {
                self.unserved.push(number);
            }
        }
    }

    /// What a queue and its workers do.
    pub(super) fn status(&self, calls: u64) -> ClusterStatus {
        let workers = self.workers.values();
        let mut workers: Vec<_> = workers.map(|(worker, _)| worker.into()).collect();
        workers.sort_by(|a: &WorkerStatus, b| (&a.host, a.pid).cmp(&(&b.host, b.pid)));
        ClusterStatus { calls, workers }
    }
}
