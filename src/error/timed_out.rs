//! [`TimedOut`]: a task ran for longer than it may.

use std::time::Duration;
use thiserror::Error;

/// A task ran for longer than it may.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinError, TimedOut};
///
/// fn seconds(error: &JoinError) -> Option<u64> {
///     match error {
///         JoinError::TimedOut(timed_out) => Some(timed_out.limit().as_secs()),
///         _ => None,
///     }
/// }
/// # let _ = TimedOut::limit;
/// # assert_eq!(seconds(&JoinError::Cancelled), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("task ran for longer than {:?}", self.limit())]
pub struct TimedOut {
    /// Half as large as a `Duration`, so that a task's place for its result
    /// stays small.
    nanoseconds: u64,
}

impl TimedOut {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            nanoseconds: limit.as_nanos().try_into().unwrap_or(u64::MAX),
        }
    }

    /// Returns how long the task was allowed to run, up to 584 years.
    #[must_use]
    pub fn limit(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }
}
