//! The public errors: why a task has no result, why one was not taken, and a
//! small one for each way of waiting.

use crate::sync::Mutex;
use crate::unwind::Payload;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
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
    /// The task was cancelled before it started.
    #[error("task was cancelled before it started")]
    Cancelled,
    /// The executor did not take the task, or lost it.
    #[error("task was rejected: {0}")]
    Rejected(Rejected),
}

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

/// A panic caught in a task: its payload, its message and its thread's name.
///
/// Dropping it drops the payload.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinError, ThreadPool};
///
/// let pool = ThreadPool::builder().thread_name("loader").build()?;
/// match pool.submit(|| panic!("no such file")).join() {
///     Err(JoinError::Panicked(panic)) => {
///         assert_eq!(panic.message(), "no such file");
///         assert_eq!(panic.thread_name(), Some("loader-0"));
///     }
///     other => unreachable!("{other:?}"),
/// }
/// # Ok::<(), as_completed::BuildError>(())
/// ```
pub struct Panic(Box<Caught>);

struct Caught {
    /// Behind a lock only to be `Sync`, which a payload need not be.
    payload: Mutex<Payload>,
    message: Cow<'static, str>,
    thread_name: Option<String>,
}

impl Panic {
    /// Records a panic caught on the current thread.
    pub(crate) fn new(payload: Payload) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Cow::Borrowed(*text)
        } else if let Some(text) = payload.downcast_ref::<String>() {
            Cow::Owned(text.clone())
        } else {
            Cow::Borrowed("panic payload is not a string")
        };
        Self(Box::new(Caught {
            payload: Mutex::new(payload),
            message,
            thread_name: std::thread::current().name().map(str::to_owned),
        }))
    }

    /// Returns the message, where the payload was a string.
    ///
    /// Other payloads, those of [`std::panic::panic_any`], have no message
    /// and give a stand-in that says so.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Inline, JoinError};
    ///
    /// let tried = 3;
    /// match Inline.submit(move || panic!("gave up after {tried} tries")).join() {
    ///     Err(JoinError::Panicked(panic)) => {
    ///         assert_eq!(panic.message(), "gave up after 3 tries");
    ///     }
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the name of the thread that panicked, if it had one.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{JoinError, ThreadPool};
    ///
    /// match ThreadPool::new(1).submit(|| panic!("no")).join() {
    ///     Err(JoinError::Panicked(panic)) => {
    ///         assert_eq!(panic.thread_name(), Some("worker-0"));
    ///     }
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn thread_name(&self) -> Option<&str> {
        self.0.thread_name.as_deref()
    }

    /// Returns what was panicked with, as [`std::thread::JoinHandle::join`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Inline, JoinError};
    ///
    /// match Inline.submit(|| std::panic::panic_any(404)).join() {
    ///     Err(JoinError::Panicked(panic)) => {
    ///         assert_eq!(panic.into_payload().downcast_ref(), Some(&404));
    ///     }
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn into_payload(self) -> Box<dyn std::any::Any + Send + 'static> {
        self.0.payload.into_inner()
    }

    /// Goes on panicking on the current thread with the same payload.
    ///
    /// The panic hook, which has reported the panic once, is not run again
    /// (see [`std::panic::resume_unwind`]).
    ///
    /// # Panics
    ///
    /// Always: that is what it is for.
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// use as_completed::{Inline, JoinError};
    ///
    /// if let Err(JoinError::Panicked(panic)) = Inline.submit(|| panic!("no")).join() {
    ///     panic.resume();
    /// }
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("message", &self.message())
            .field("thread_name", &self.thread_name())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.thread_name() {
            Some(name) => write!(f, "task panicked on thread {name:?}: {}", self.message()),
            None => write!(f, "task panicked: {}", self.message()),
        }
    }
}

impl Error for Panic {}

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
    /// The executor's queue is full.
    #[error("queue is full; take some results first, or use submit, which waits for room")]
    QueueFull,
    /// The executor dropped the task without running it.
    #[error("executor dropped the task without running it")]
    Lost,
    /// The initializer of a worker failed, which breaks its pool.
    #[error("initializer of a worker failed: {0}")]
    Initializer(InitializerError),
    /// No worker is alive and none could be started.
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

/// What the operating system said when a thread could not be started.
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
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) where threads are too many.
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

/// A task that `try_submit` could not hand over, with its closure.
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

    /// Returns why the task was not taken.
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
    /// `max_workers(0)`: nothing would ever run.
    #[error("a pool needs at least one worker: max_workers is 0")]
    NoWorkers,
    /// `queue_capacity(0)`: nothing could ever be submitted.
    #[error("a queue needs room for at least one task: queue_capacity is 0")]
    NoCapacity,
    /// The name of the threads contains a NUL byte, which no thread's name can.
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
/// unfinished; the handle is given back.
///
/// Dropping it detaches the task.
#[derive(Debug, Error)]
#[error("task unfinished")]
pub struct TryJoinError<H> {
    handle: H,
}

impl<H> TryJoinError<H> {
    pub(crate) fn new(handle: H) -> Self {
        Self { handle }
    }

    /// Gives the handle back.
    #[must_use]
    pub fn into_handle(self) -> H {
        self.handle
    }
}

/// A timeout ended while tasks that were waited for were unfinished.
///
/// Its message is that of Python's `as_completed`.
///
/// # Examples
///
/// ```
/// use as_completed::Unfinished;
///
/// let error = Unfinished { pending: 2, total: 4 };
/// assert_eq!(error.to_string(), "2 (of 4) futures unfinished");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{pending} (of {total}) futures unfinished")]
pub struct Unfinished {
    /// Tasks without a result when the timeout ended.
    pub pending: usize,
    /// Tasks that were waited for in all, those yielded before included.
    pub total: usize,
}

/// [`ThreadPool::join_timeout`](crate::ThreadPool::join_timeout) ended before
/// the pool was done.
///
/// # Examples
///
/// ```
/// use as_completed::JoinTimeoutError;
///
/// let error = JoinTimeoutError { running: 1, queued: 2 };
/// assert_eq!(error.to_string(), "pool unfinished: 1 running, 2 queued");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("pool unfinished: {running} running, {queued} queued")]
pub struct JoinTimeoutError {
    /// Tasks that were running when the timeout ended.
    pub running: usize,
    /// Tasks that had not started when the timeout ended.
    pub queued: usize,
}
