//! What the callers tell the submitter, and what it tells them.

use crate::cluster::error::ClusterError;
use crate::cluster::event::ClusterEvent;
use crate::cluster::large::Large;
use crate::cluster::status::ClusterStatus;
use crate::error::{JoinError, Rejected};
use crate::function::Settle;
use crate::sync::Sender;
use bytes::Bytes;

/// What the callers tell this task.
pub(in crate::cluster) enum Command {
    Call(NewCall),
    Cancel(u64),
    CancelAll(Sender<usize>),
    /// Which calls of a function are left from earlier submitters of this name.
    List(
        &'static str,
        Sender<Result<Vec<(u64, Bytes)>, ClusterError>>,
    ),
    Claim(Vec<Claim>),
    Release(Vec<u64>),
    Status(Sender<Result<ClusterStatus, ClusterError>>),
    Stop,
}

pub(in crate::cluster) struct NewCall {
    pub(in crate::cluster) number: u64,
    pub(in crate::cluster) function: &'static str,
    pub(in crate::cluster) version: u32,
    /// The whole message.
    pub(in crate::cluster) payload: Bytes,
    /// The argument, if it is not in the message.
    pub(in crate::cluster) large: Option<(Large, Bytes)>,
    pub(in crate::cluster) settle: Settle,
    /// In a bounded queue, who waits until the call has its place.
    pub(in crate::cluster) place: Option<Place>,
}

/// A call of an earlier submitter of this name, and what settles its new handle.
pub(in crate::cluster) struct Claim {
    pub(in crate::cluster) number: u64,
    pub(in crate::cluster) function: &'static str,
    pub(in crate::cluster) settle: Settle,
}

/// What is done about a place in a bounded queue.
pub(in crate::cluster) struct Place {
    pub(in crate::cluster) may_wait: bool,
    pub(in crate::cluster) tell: Sender<Result<(), Rejected>>,
}

/// What is on its way to the thread on which callbacks run.
pub(in crate::cluster) enum Report {
    /// A call has ended.
    Ended(Settle, Result<Bytes, JoinError>),
    Event(ClusterEvent),
}
