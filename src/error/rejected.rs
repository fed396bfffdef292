//! [`Rejected`]: why an executor did not run a task, and the related errors.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// Why an executor did not run a task.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinError, Rejected, ThreadPool};
///
/// let pool = ThreadPool::new(1);
/// pool.shutdown();
/// match pool.submit(|| 1).join() {
///     Err(JoinError::Rejected(reason @ Rejected::ShutDown)) => {
///         assert_eq!(reason.to_string(), "cannot schedule new tasks after shutdown");
///     }
///     other => unreachable!("{other:?}"),
/// }
/// ```
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The executor has been shut down.
    #[error("cannot schedule new tasks after shutdown")]
    ShutDown,
    /// The executor's queue is full. `submit` waits for room; `try_submit` returns
    /// this instead.
    #[error("queue is full")]
    QueueFull,
    /// The executor dropped the task without running it.
    #[error("executor dropped the task without running it")]
    Lost,
    /// The task is within one [`Limit`](crate::Limit), and has come to a second one that
    /// cannot hold it as well. Only an executor of your own between the two brings this
    /// about: all tasks of a limit must go on to the same further limits, and those must
    /// be older than it. Otherwise two limits could wait for each other for ever.
    #[error("task is in a limit that this one cannot contain")]
    Limited,
    /// The initializer of a worker failed, so the pool runs no more tasks; or it
    /// submitted a task to its own pool, which is not ready yet.
    #[error(transparent)]
    Initializer(InitializerError),
    /// No worker is running and none could be started; or, for a task with a
    /// timeout, the thread that measures it; or the one that reads the input of a map.
    #[error(transparent)]
    Thread(SpawnError),
}

/// The initializer of a pool's worker failed.
///
/// Its [source](Error::source) is what the initializer returned, or the
/// [`Panic`](crate::Panic) that it panicked with. All rejected tasks share it.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
/// use std::error::Error;
///
/// let pool = ThreadPool::builder()
///     .initializer(|| Err("no database".into()))
///     .build()?;
/// let error = pool.submit(|| 1).join().unwrap_err();
/// assert_eq!(error.to_string(), "initializer of a worker failed");
/// assert_eq!(error.source().unwrap().to_string(), "no database");
/// # Ok::<(), as_completed::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct InitializerError(
    /// `None` if the initializer has not failed, but submitted a task to the pool
    /// that it initializes.
    Option<Arc<Box<dyn Error + Send + Sync>>>,
);

impl InitializerError {
    pub(crate) fn new(cause: Box<dyn Error + Send + Sync>) -> Self {
        Self(Some(Arc::new(cause)))
    }

    /// For what an initializer submits to its own pool.
    pub(crate) fn own_pool() -> Self {
        Self(None)
    }
}

impl fmt::Display for InitializerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "initializer of a worker failed",
            None => "an initializer cannot submit tasks to its own pool",
        })
    }
}

impl Error for InitializerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().map(|cause| &***cause as _)
    }
}

/// A thread could not be started: a worker's, the one that measures timeouts, or one
/// that reads the input of a map.
///
/// Its [source](Error::source) is the [`io::Error`] of the operating system.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinError, Rejected, ThreadPool};
///
/// // No machine has a stack of 64 TiB.
/// let pool = ThreadPool::builder().stack_size(1 << 46).build()?;
/// match pool.submit(|| 1).join() {
///     Err(JoinError::Rejected(Rejected::Thread(error))) => {
///         assert_eq!(error.to_string(), "cannot start a thread");
///     }
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), as_completed::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpawnError(Arc<io::Error>);

impl SpawnError {
    pub(crate) fn new(cause: io::Error) -> Self {
        Self(Arc::new(cause))
    }

    /// Returns the kind of the operating system's error: on most systems
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there are too many threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{JoinError, Rejected, ThreadPool};
    /// use std::io;
    ///
    /// // No machine has a stack of 64 TiB.
    /// let pool = ThreadPool::builder().stack_size(1 << 46).build()?;
    /// match pool.submit(|| 1).join() {
    ///     Err(JoinError::Rejected(Rejected::Thread(error))) => {
    ///         assert_ne!(error.kind(), io::ErrorKind::NotFound);
    ///     }
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind()
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot start a thread")
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// The error of `try_submit`: the closure and why it was not accepted.
///
/// Dropping it drops the closure.
///
/// # Examples
///
/// ```
/// use as_completed::{Inline, Rejected, ThreadPool};
///
/// let pool = ThreadPool::new(1);
/// pool.shutdown();
/// let error = pool.try_submit(|| 42).unwrap_err();
/// assert!(matches!(error.reason(), Rejected::ShutDown));
/// assert_eq!(Inline.submit(error.into_closure()).join().unwrap(), 42);
/// ```
pub struct SubmitError<F> {
    closure: F,
    reason: Rejected,
}

impl<F> SubmitError<F> {
    pub(crate) fn new(closure: F, reason: Rejected) -> Self {
        Self { closure, reason }
    }

    /// Returns why the task was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Rejected, ThreadPool};
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.shutdown();
    /// let error = pool.try_submit(|| 42).unwrap_err();
    /// assert!(matches!(error.reason(), Rejected::ShutDown));
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Rejected {
        &self.reason
    }

    /// Gives the closure back.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.shutdown();
    /// let closure = pool.try_submit(|| 42).unwrap_err().into_closure();
    /// assert_eq!(closure(), 42);
    /// ```
    #[must_use]
    pub fn into_closure(self) -> F {
        self.closure
    }
}

impl<F> fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

/// Its message and source are those of the reason.
impl<F> Error for SubmitError<F> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}
