//! [`wait()`]: some or all of a set of tasks, at once.

use super::as_completed::{AsCompleted, as_completed};
use super::awaited::{Awaited, awaited};
use crate::task::cancel_all;
use std::time::{Duration, Instant};

/// When [`wait()`] returns.
///
/// # Examples
///
/// ```
/// use as_completed::{wait, Inline, ReturnWhen};
///
/// let handles = [Inline.submit(|| 1), Inline.submit(|| panic!("no"))];
/// let waited = wait(handles, ReturnWhen::FirstFailure, None);
/// assert!(waited.done.into_iter().any(|handle| handle.join().is_err()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReturnWhen {
    /// When at least one task is final.
    FirstCompleted,
    /// When a task panicked or was rejected, or when all are final. Cancelled
    /// tasks do not count as failed. Python's `FIRST_EXCEPTION`.
    #[doc(alias = "FirstException")]
    FirstFailure,
    /// When all tasks are final.
    AllCompleted,
}

/// The result of [`wait()`]. Dropping it detaches the tasks;
/// [`cancel_pending`](Self::cancel_pending) cancels those that are not final.
///
/// # Examples
///
/// ```
/// use as_completed::{wait, ReturnWhen, ThreadPool};
/// use std::time::Duration;
///
/// let pool = ThreadPool::new(1);
/// let endless = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
/// let waited = wait([endless], ReturnWhen::AllCompleted, Some(Duration::ZERO));
/// assert!(waited.done.is_empty());
/// waited.cancel_pending();
/// ```
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it holds all the handles; dropping it detaches their tasks"]
pub struct Waited<H> {
    /// The handles whose tasks are final, in the order in which they became
    /// so.
    pub done: Vec<H>,
    /// The other handles, in no particular order.
    pub pending: Vec<H>,
}

impl<H: Awaited> Waited<H> {
    /// Cancels the tasks of `pending`: those that have not started never run,
    /// and running ones are asked to stop if they were submitted by
    /// `submit_cancellable`.
    ///
    /// All are cancelled before the first callback runs. Never waits for a
    /// running task.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{wait, Inline, ReturnWhen, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let sleeper = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
    /// let quick = Inline.submit(|| true);
    /// let waited = wait([sleeper, quick], ReturnWhen::FirstCompleted, None);
    /// waited.cancel_pending();
    /// assert_eq!(waited.done.len(), 1);
    /// pool.join(); // ends, for the sleeper does
    /// ```
    pub fn cancel_pending(&self) {
        cancel_all(self.pending.iter().map(awaited));
    }
}

/// Blocks until `return_when` holds, or for `timeout` at most, and returns the
/// handles in two lists.
///
/// Accepts what [`as_completed`] accepts. Without a timeout, on a worker of a
/// pool, it runs tasks of that pool as [`AsCompleted`] does; with a timeout it
/// only waits. A timeout is not an error: the two lists show what is final. The
/// counterpart of Python's
/// `concurrent.futures.wait`.
///
/// # Examples
///
/// ```
/// use as_completed::{wait, ReturnWhen, ThreadPool};
///
/// let pool = ThreadPool::new(2);
/// let handles = [pool.submit(|| 1), pool.submit(|| 2)];
/// let waited = wait(handles, ReturnWhen::AllCompleted, None);
/// assert_eq!((waited.done.len(), waited.pending.len()), (2, 0));
/// ```
pub fn wait<I>(handles: I, return_when: ReturnWhen, timeout: Option<Duration>) -> Waited<I::Item>
where
    I: IntoIterator,
    I::Item: Awaited,
{
    let start = Instant::now();
    let mut all = as_completed(handles);
    let mut done = Vec::with_capacity(all.len());
    let is_enough = |handle: &I::Item| match return_when {
        ReturnWhen::FirstCompleted => true,
        ReturnWhen::FirstFailure => awaited(handle).is_failed(),
        ReturnWhen::AllCompleted => false,
    };

    let mut enough = false;
    while !enough {
        let Some(handle) = next(&mut all, start, timeout) else {
            break;
        };
        enough = is_enough(&handle);
        done.push(handle);
    }
    // What became final meanwhile is done too.
    done.extend(std::iter::from_fn(|| all.next_ready()));
    Waited {
        done,
        pending: all.into_pending(),
    }
}

/// The next handle; `None` at the end, or when the timeout has passed since
/// `start`.
fn next<H: Awaited>(
    all: &mut AsCompleted<H>,
    start: Instant,
    timeout: Option<Duration>,
) -> Option<H> {
    match timeout {
        None => all.next(),
        Some(timeout) => {
            let left = timeout.saturating_sub(start.elapsed());
            all.next_timeout(left).ok().flatten()
        }
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::promise;
    use std::sync::mpsc;
    use std::thread;

    /// The time does not begin anew with each handle.
    #[test]
    fn the_time_counts_from_the_start() {
        let timeout = Duration::from_secs(600);
        // Nothing to test on a machine that was started just now.
        let Some(start) = Instant::now().checked_sub(timeout) else {
            return;
        };
        let (_promise, handle) = promise::<()>();
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let next = next(&mut as_completed([handle]), start, Some(timeout));
            sender.send(next.is_none())
        });
        assert_eq!(ended.recv_timeout(timeout / 10), Ok(true));
    }
}
