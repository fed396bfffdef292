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
    /// The initializer of a worker failed, so the pool runs no more tasks.
    #[error("initializer of a worker failed: {0}")]
    Initializer(InitializerError),
    /// No worker is running and none could be started.
    #[error("cannot start a worker thread: {0}")]
    Thread(SpawnError),
}

/// What the initializer of a pool's worker returned or panicked with.
///
/// Its message and source are those of the cause, which all rejected tasks
/// share.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinError, Rejected, ThreadPool};
///
/// let pool = ThreadPool::builder()
///     .initializer(|| Err("no database".into()))
///     .build()?;
/// match pool.submit(|| 1).join() {
///     Err(JoinError::Rejected(Rejected::Initializer(cause))) => {
///         assert_eq!(cause.to_string(), "no database");
///     }
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), as_completed::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct InitializerError(Arc<Box<dyn Error + Send + Sync>>);

impl InitializerError {
    pub(crate) fn new(cause: Box<dyn Error + Send + Sync>) -> Self {
        Self(Arc::new(cause))
    }
}

impl fmt::Display for InitializerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for InitializerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// The operating system's error when a thread could not be started.
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
///         println!("{error}, which is {:?}", error.kind());
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
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind()
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for SpawnError {}

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
#[derive(Error)]
#[error("{reason}")]
pub struct SubmitError<F> {
    closure: F,
    reason: Rejected,
}

impl<F> SubmitError<F> {
    pub(crate) fn new(closure: F, reason: Rejected) -> Self {
        Self { closure, reason }
    }

    /// Returns why the task was not accepted.
    #[must_use]
    pub fn reason(&self) -> &Rejected {
        &self.reason
    }

    /// Gives the closure back.
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
