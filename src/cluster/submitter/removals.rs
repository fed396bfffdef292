//! [`Removals`]: what is taken out of the server's streams, beside all else.

use super::pending::Pending;
use crate::cluster::api::Api;
use crate::cluster::record;
use crate::cluster::requests::WINDOW;
use std::collections::VecDeque;
use tokio::task::JoinSet;

/// Something that is not needed any more.
pub(super) enum Removal {
    /// A call, by its number in the stream.
    Call(u64),
    /// All calls of this submitter that are in the stream before a number.
    CallsBefore(u64),
    /// The record of a call, by the numbers of both.
    Record(u64, u64),
    /// What was too large of a call.
    Large(u64),
}

impl Removal {
    async fn run(self, api: Api, id: String) {
        match self {
            Self::Call(sequence) => drop(api.delete(sequence).await),
            Self::CallsBefore(sequence) => drop(api.purge(&id, Some(sequence)).await),
            Self::Record(number, record) => drop(record::take(api, id, number, record).await),
            Self::Large(number) => api.remove_large(&id, Some(number)).await,
        }
    }
}

#[derive(Default)]
pub(super) struct Removals {
    waiting: VecDeque<Removal>,
    started: JoinSet<()>,
}

impl Removals {
    pub(super) fn push(&mut self, removal: Removal) {
        self.waiting.push_back(removal);
    }

    /// Removes what a call that is over has beside its message in the stream.
    pub(super) fn push_of(&mut self, number: u64, pending: &Pending) {
        if pending.has_chunks {
            self.push(Removal::Large(number));
        }
        if let Some(record) = pending.record {
            self.push(Removal::Record(number, record));
        }
    }

    /// Starts what there is room for; forgets what has ended.
    pub(super) fn start(&mut self, api: &Api, id: &str) {
        while self.started.try_join_next().is_some() {}
        while self.started.len() < WINDOW {
            let Some(removal) = self.waiting.pop_front() else {
                return;
            };
            self.started.spawn(removal.run(api.clone(), id.to_owned()));
        }
    }

    /// Waits until one has ended; says whether there was one.
    pub(super) async fn next(&mut self) -> bool {
        self.started.join_next().await.is_some()
    }

    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn are_done(&self) -> bool {
        self.waiting.is_empty() && self.started.is_empty()
    }

    /// Waits until all have ended.
    pub(super) async fn end(&mut self, api: &Api, id: &str) {
        loop {
            self.start(api, id);
            if !self.next().await {
                return;
            }
        }
    }
}
