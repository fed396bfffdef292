//! [`Submitters`]: who of them lives, and what they have cancelled.

use crate::cluster::names::is_durable;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is known of the submitters.
#[derive(Default)]
pub(super) struct Submitters {
    /// When each was last heard of.
    heard: HashMap<Arc<str>, Instant>,
    /// Those that were silent for a lease, and since when their calls are being
    /// removed from the queue.
    silent: HashMap<Arc<str>, Instant>,
    /// Calls that were cancelled, which may still be delivered.
    cancelled: HashMap<(Arc<str>, u64), Instant>,
}

impl Submitters {
    /// A submitter says that it lives.
    pub(super) fn hear(&mut self, submitter: &str) {
        let submitter: Arc<str> = submitter.into();
        self.silent.remove(&submitter);
        self.heard.insert(submitter, Instant::now());
    }

    /// A call of this submitter is here: it is to be heard of within a lease. One
    /// with a durable name counts once it was heard, for it may be away.
    pub(super) fn expect(&mut self, submitter: &Arc<str>) {
        if !is_durable(submitter) && !self.heard.contains_key(submitter) {
            self.heard.insert(Arc::clone(submitter), Instant::now());
        }
    }

    /// Says whether nobody with this durable name was heard of for a lease.
    pub(super) fn is_away(&self, submitter: &str, lease: Duration) -> bool {
        let heard = self.heard.get(submitter);
        is_durable(submitter) && heard.is_none_or(|heard| heard.elapsed() > lease)
    }

    /// Nobody could be heard for a while: counts from now.
    pub(super) fn trust_all(&mut self) {
        let now = Instant::now();
        for heard in self.heard.values_mut() {
            *heard = now;
        }
    }

    pub(super) fn is_silent(&self, submitter: &str) -> bool {
        self.silent.contains_key(submitter)
    }

    /// Takes those that have been silent for a lease, and will not be back.
    pub(super) fn take_silent(&mut self, lease: Duration) -> Vec<Arc<str>> {
        let mut silent = Vec::new();
        self.heard.retain(|submitter, heard| {
            let is_silent = heard.elapsed() > lease;
            if is_silent && !is_durable(submitter) {
                silent.push(Arc::clone(submitter));
            }
            !is_silent
        });
        let now = Instant::now();
        let those = silent.iter().map(|submitter| (Arc::clone(submitter), now));
        self.silent.extend(those);
        silent
    }

    pub(super) fn cancel(&mut self, submitter: &Arc<str>, number: u64) {
        let call = (Arc::clone(submitter), number);
        self.cancelled.insert(call, Instant::now());
    }

    pub(super) fn has_cancelled(&self, submitter: &Arc<str>, number: u64) -> bool {
        let call = (Arc::clone(submitter), number);
        self.cancelled.contains_key(&call)
    }

    /// Forgets what cannot matter after so long.
    pub(super) fn forget(&mut self, age: Duration) {
        self.cancelled.retain(|_, at| at.elapsed() < age);
        self.silent.retain(|_, at| at.elapsed() < age);
    }
}
