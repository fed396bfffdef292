//! A call without an answer, and how far it has come.

use super::command::Place;
use crate::cluster::large::{Large, Running};
use crate::function::Settle;
use bytes::Bytes;
use std::time::Instant;

/// A call without an answer.
pub(super) struct Pending {
    pub(super) function: &'static str,
    pub(super) version: u32,
    /// Since when workers that do not have the function are all that was found.
    pub(super) unserved: Option<Instant>,
    pub(super) payload: Bytes,
    pub(super) large: Option<(Large, Bytes)>,
    /// Whether chunks of a body are kept beside the queue.
    pub(super) has_chunks: bool,
    /// What stores the argument, reads the result, or takes the record.
    pub(super) task: Option<Running>,
    pub(super) settle: Settle,
    pub(super) place: Option<Place>,
    pub(super) stage: Stage,
    /// Grows when a message was lost, for the server drops a second one with
    /// the same id.
    pub(super) attempt: u32,
    /// The last number in the stream that was known when it was sent: it is behind.
    pub(super) after: u64,
    /// Its record, if this submitter has a durable name, by the number in the
    /// stream of records.
    pub(super) record: Option<u64>,
}

#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// To be sent when there is room.
    Waiting,
    /// Sent, or its record was, and not known to be stored.
    Sent(Instant),
    /// In the stream, under this number.
    Stored(u64),
    /// Claimed, or its receipt was lost; where it is in the stream, if it is there, is
    /// being looked for.
    Searched,
}
