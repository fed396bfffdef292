//! The errors: of tasks without a result, of pools that cannot be built, and of
//! each way of waiting.

mod panic;
mod rejected;
mod remote;
mod timed_out;

pub use self::panic::Panic;
pub use self::rejected::{InitializerError, Rejected, SpawnError, SubmitError};
pub use self::remote::{CallError, Died, TryCallError};
pub use self::timed_out::TimedOut;

use std::io;
use thiserror::Error;

/// Why a task ended without a result.
///
/// The counterpart of what `Future.result()` raises in Python. A task that
/// returns an `Err` has returned: that is a result.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinError, ThreadPool};
///
/// let pool = ThreadPool::new(1);
/// let handle = pool.submit(|| i32::from_str_radix("z", 10));
/// match handle.join() {
///     Ok(Ok(number)) => unreachable!("{number}"),
///     Ok(Err(error)) => assert_eq!(error.to_string(), "invalid digit found in string"),
///     Err(JoinError::Panicked(panic)) => panic.resume(),
///     Err(error) => unreachable!("cancelled or rejected: {error}"),
/// }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The task panicked.
    #[error(transparent)]
    Panicked(Panic),
    /// The task was cancelled: before it started, or by killing the process
    /// that ran it, or by whoever settles its [`Promise`](crate::Promise).
    #[error("task was cancelled")]
    Cancelled,
    /// The executor did not accept the task, or dropped it without running it.
    #[error(transparent)]
    Rejected(Rejected),
    /// The child process that ran the task died.
    #[error(transparent)]
    Died(Died),
    /// The task ran for longer than it may: it was asked to stop, or the process
    /// that ran it was killed.
    #[error(transparent)]
    TimedOut(TimedOut),
    /// So many workers of a cluster died, or went silent, while they had the
    /// task, that it is not tried again.
    #[error("task was given up because {0} workers died while they had it")]
    WorkersLost(u32),
    /// A call of a named function did not get there, or its result not back.
    #[error(transparent)]
    Call(Box<CallError>),
}

// Every task has room for one.
const _: () = assert!(std::mem::size_of::<JoinError>() <= 16);

impl JoinError {
    /// Returns whether the task panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    ///
    /// let error = Inline.submit(|| panic!("no")).join().unwrap_err();
    /// assert!(error.is_panic());
    /// ```
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Returns whether the task was cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::JoinError;
    ///
    /// assert!(JoinError::Cancelled.is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Returns whether the executor rejected the task.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.shutdown();
    /// assert!(pool.submit(|| 1).join().unwrap_err().is_rejected());
    /// ```
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }
}

/// For functions that return [`io::Result`]: of the kind
/// [`TimedOut`](io::ErrorKind::TimedOut) where the task was, else of the kind
/// [`Other`](io::ErrorKind::Other).
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
/// use std::{fs, io};
///
/// fn size(pool: &ThreadPool, path: &'static str) -> io::Result<usize> {
///     Ok(pool.submit(move || fs::read(path)).join()??.len())
/// }
///
/// assert!(size(&ThreadPool::new(1), "Cargo.toml")? > 0);
/// # Ok::<(), io::Error>(())
/// ```
impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        let kind = match error {
            JoinError::TimedOut(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Why a pool could not be built.
///
/// # Examples
///
/// ```
/// use as_completed::{BuildError, ThreadPool};
///
/// let error = ThreadPool::builder().max_workers(0).build().unwrap_err();
/// assert_eq!(error, BuildError::NoWorkers);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_workers(0)`: no task could run.
    #[error("a pool needs at least one worker: max_workers is 0")]
    NoWorkers,
    /// `queue_capacity(0)`: no task could be submitted.
    #[error("a queue needs room for at least one task: queue_capacity is 0")]
    NoCapacity,
    /// `thread_name` contains a NUL byte, which a thread's name cannot contain.
    #[error("thread_name contains a NUL byte")]
    ThreadName,
}

/// [`JoinHandle::wait_timeout`](crate::ScopedJoinHandle::wait_timeout) ended
/// before the task did.
///
/// # Examples
///
/// ```
/// use as_completed::{ThreadPool, WaitTimeoutError};
/// use std::time::Duration;
///
/// let pool = ThreadPool::new(1);
/// let handle = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
/// assert_eq!(handle.wait_timeout(Duration::from_millis(1)), Err(WaitTimeoutError));
/// handle.cancel(); // or the drop of the pool waits for ever
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("task unfinished when the timeout ended")]
pub struct WaitTimeoutError;

/// [`JoinHandle::try_join`](crate::ScopedJoinHandle::try_join) found the task
/// unfinished, and returns the handle.
///
/// Dropping it detaches the task.
///
/// # Examples
///
/// ```
/// use as_completed::{CancelToken, ThreadPool};
/// use std::time::Duration;
///
/// let (pool, token) = (ThreadPool::new(1), CancelToken::new());
/// let seen = token.clone();
/// let unfinished = pool.submit(move || seen.sleep(Duration::MAX)).try_join().unwrap_err();
/// assert_eq!(unfinished.to_string(), "task unfinished");
/// token.cancel();
/// assert!(!unfinished.into_handle().join()?);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[derive(Debug, Error)]
#[error("task unfinished")]
pub struct TryJoinError<H> {
    handle: H,
}

impl<H> TryJoinError<H> {
    pub(crate) fn new(handle: H) -> Self {
        Self { handle }
    }

    /// Returns the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel();
    /// let unfinished = pool.submit(move || receiver.recv()).try_join().unwrap_err();
    /// sender.send(4).unwrap();
    /// assert_eq!(unfinished.into_handle().join()?, Ok(4));
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[must_use]
    pub fn into_handle(self) -> H {
        self.handle
    }
}

/// A timeout ended before all awaited tasks were final.
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, Inline, ThreadPool};
/// use std::time::Duration;
///
/// let pool = ThreadPool::new(1);
/// let endless = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
/// let mut all = as_completed([endless, Inline.submit(|| true)]).cancel_on_drop();
/// assert!(all.next_timeout(Duration::ZERO).is_ok());
/// let error = all.next_timeout(Duration::ZERO).unwrap_err();
/// assert_eq!((error.pending, error.total), (1, 2));
/// assert_eq!(error.to_string(), "1 (of 2) tasks unfinished");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{pending} (of {total}) tasks unfinished")]
#[non_exhaustive]
pub struct UnfinishedError {
    /// The number of tasks that were not final when the timeout ended.
    pub pending: usize,
    /// The number of awaited tasks, including those yielded before.
    pub total: usize,
}

/// [`ThreadPool::join_timeout`](crate::ThreadPool::join_timeout) ended before
/// all tasks and workers had.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// let pool = ThreadPool::new(1);
/// let (sender, receiver) = mpsc::channel::<()>();
/// let (started, start) = mpsc::channel();
/// let busy = pool.submit(move || {
///     started.send(()).unwrap();
///     receiver.recv()
/// });
/// start.recv().unwrap();
/// let queued = pool.submit(|| ());
/// let error = pool.join_timeout(Duration::ZERO).unwrap_err();
/// assert_eq!((error.running, error.queued), (1, 1));
/// assert_eq!(error.to_string(), "pool unfinished: 1 running, 1 queued");
/// drop(sender);
/// # (busy.wait(), queued.wait());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("pool unfinished: {running} running, {queued} queued")]
#[non_exhaustive]
pub struct JoinTimeoutError {
    /// The number of tasks that were running when the timeout ended.
    pub running: usize,
    /// The number of tasks that had not started when the timeout ended.
    pub queued: usize,
}
