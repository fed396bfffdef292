//! What a worker holds: messages that it has pulled and not acknowledged.

use super::large::{Large, Running};
use crate::task::JoinHandle;
use async_nats::Subject;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// A call that this worker has.
pub(super) struct Held {
    pub(super) submitter: Arc<str>,
    pub(super) number: u64,
    /// To where it is acknowledged; that of the last delivery.
    pub(super) acknowledge: Subject,
    /// The call as it came, to give it back.
    pub(super) message: Bytes,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// The argument, too large for its message, is being read.
    Fetching {
        #[expect(dead_code, reason = "it ends when it is dropped")]
        task: Running,
    },
    /// Waits for a slot, or runs.
    InPool {
        /// Tells two runs of one call apart.
        run: u64,
        handle: JoinHandle<()>,
        function: &'static str,
        started: Arc<OnceLock<Instant>>,
    },
    /// Ended; the result, too large for its message, is being stored.
    Storing {
        answer: Bytes,
        result: (Large, Bytes),
        #[expect(dead_code, reason = "it ends when it is dropped")]
        task: Running,
    },
    /// Ended; the answer is sent until the submitter has it.
    Answered {
        answer: Bytes,
        /// What is not in the message, to be stored again.
        result: Option<(Large, Bytes)>,
        sent: Instant,
    },
}

/// What the subject for acknowledging tells about a delivery.
pub(super) struct Delivery {
    pub(super) sequence: u64,
    /// How often the message was delivered, this time included.
    pub(super) deliveries: u64,
}

impl Delivery {
    /// Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…`, where
    /// newer servers have two words more before the stream.
    pub(super) fn read(subject: &str) -> Option<Self> {
        let words: Vec<_> = subject.strip_prefix("$JS.ACK.")?.split('.').collect();
        let skip = if words.len() >= 9 { 4 } else { 2 };
        Some(Self {
            deliveries: words.get(skip)?.parse().ok()?,
            sequence: words.get(skip + 1)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_subjects_are_read() {
        for subject in [
            "$JS.ACK.as_completed_q.workers.2.17.40.1700000000000000000.5",
            "$JS.ACK._.hash.as_completed_q.workers.2.17.40.1700000000000000000.5",
            "$JS.ACK._.hash.as_completed_q.workers.2.17.40.1700000000000000000.5.random",
        ] {
            let delivery = Delivery::read(subject).unwrap();
            assert_eq!((delivery.deliveries, delivery.sequence), (2, 17));
        }
        assert!(Delivery::read("$JS.ACK.short").is_none());
        assert!(Delivery::read("_INBOX.x").is_none());
    }
}
