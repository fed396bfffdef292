//! What a worker holds: messages that it has pulled and not acknowledged.

use super::slots::Request;
use crate::cluster::large::{Large, Running};
use crate::cluster::refusal::Refusal;
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
    /// Whether there is a mark at the server that says that it runs alone.
    pub(super) is_marked: bool,
}

pub(super) enum Stage {
    /// Has lost so many workers that one more ends it, and waits until nothing
    /// runs here.
    Suspect {
        /// How often its message was delivered.
        deliveries: u64,
    },
    /// Its mark is being made.
    Marking {
        #[expect(dead_code, reason = "it ends when it is dropped")]
        task: Running,
    },
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

/// Something that is done for a call beside the loop has ended.
pub(super) enum Step {
    /// Its argument is here.
    Fetched {
        sequence: u64,
        function: &'static str,
        request: Request,
        argument: Result<Bytes, Refusal>,
    },
    /// Its result is stored.
    Stored { sequence: u64 },
    /// It is marked.
    Marked { sequence: u64, was_marked: bool },
}
