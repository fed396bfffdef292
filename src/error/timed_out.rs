//! [`TimedOut`]: a task ran for longer than it may.

use std::time::Duration;
use thiserror::Error;

/// A task ran for longer than it may.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
/// use std::time::Duration;
///
/// let pool = ThreadPool::new(1);
/// let limit = Duration::from_millis(5);
/// let handle = pool.submit_with_timeout(limit, |token| token.sleep(Duration::MAX));
/// assert_eq!(handle.join().unwrap_err().to_string(), "task ran for longer than 5ms");
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
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{JoinError, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let limit = Duration::from_millis(5);
    /// match pool.submit_with_timeout(limit, |token| token.sleep(Duration::MAX)).join() {
    ///     Err(JoinError::TimedOut(timed_out)) => assert_eq!(timed_out.limit(), limit),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn limit(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }
}
