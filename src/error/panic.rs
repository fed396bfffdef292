//! [`Panic`]: a panic of a task, kept for its handle.

use crate::sync::Mutex;
use crate::unwind::Payload;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

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
    location: Option<String>,
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
            location: None,
        }))
    }

    /// Records a panic of another process, which sent the texts.
    #[cfg(feature = "process")]
    pub(crate) fn elsewhere(
        message: String,
        thread_name: Option<String>,
        location: Option<String>,
    ) -> Self {
        Self(Box::new(Caught {
            payload: Mutex::new(Box::new(message.clone())),
            message: Cow::Owned(message),
            thread_name,
            location,
        }))
    }

    /// Returns the panic message, if the payload is a string.
    ///
    /// For other payloads, those of [`std::panic::panic_any`], returns a text that
    /// says so.
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
    ///         let name = panic.thread_name().unwrap(); // such as pool-1-worker-0
    ///         assert!(name.ends_with("worker-0"));
    ///     }
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn thread_name(&self) -> Option<&str> {
        self.0.thread_name.as_deref()
    }

    /// Returns the place in the source that panicked, as `file:line:column`,
    /// where it is known: for panics in a child process.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Inline, JoinError};
    ///
    /// match Inline.submit(|| panic!("no")).join() {
    ///     Err(JoinError::Panicked(panic)) => assert_eq!(panic.location(), None),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// Returns the payload of the panic, as [`std::thread::JoinHandle::join`] does.
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

    /// Resumes the panic on the current thread with the same payload.
    ///
    /// The panic hook has reported the panic already and does not run again
    /// (see [`std::panic::resume_unwind`]).
    ///
    /// # Panics
    ///
    /// Always.
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
