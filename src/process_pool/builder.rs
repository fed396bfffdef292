//! [`ProcessPoolBuilder`]: what can be set about a process pool.

use super::workers::Workers;
use super::{ProcessPool, serve};
use crate::error::{BuildError, CallError};
use crate::function::{Function, Functions, encode};
use crate::sync::processors;
use crate::thread_pool::ThreadPool;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Why a process pool could not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProcessBuildError {
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] BuildError),
    /// [`Functions::init`] has not been called in this process, so a child would
    /// run `main` and build a pool of its own.
    #[error("call functions.init() first thing in main, before a process pool is built")]
    InitNotReached,
    /// This process is itself a child of a pool, and built a pool before it got
    /// to [`Functions::init`].
    #[error("a child process builds a pool before its main has called functions.init()")]
    ChildBeforeInit,
    /// The initializer is not in the registry, or its argument cannot be
    /// encoded.
    #[error("cannot use the initializer: {0}")]
    Initializer(CallError),
}

/// What does not change about a pool's children.
pub(super) struct Settings {
    pub(super) program: Option<PathBuf>,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) current_dir: Option<PathBuf>,
    pub(super) memory_limit: Option<u64>,
    pub(super) call_timeout: Option<Duration>,
    pub(super) max_tasks_per_child: Option<usize>,
    pub(super) stop_grace: Duration,
    pub(super) capture_stderr: bool,
    pub(super) initializer: Option<Initializer>,
}

/// A function that each child runs first.
pub(super) struct Initializer {
    pub(super) function: &'static str,
    pub(super) argument: Vec<u8>,
}

/// Sets up a [`ProcessPool`]; made by [`ProcessPool::builder`].
///
/// # Examples
///
/// ```
/// use as_completed::function::{Function, Functions};
/// use as_completed::process::ProcessPool;
/// use std::time::Duration;
///
/// const NAP: Function<u64, ()> = Function::new("nap", |millis| {
///     std::thread::sleep(Duration::from_millis(millis));
/// });
///
/// let functions = Functions::new().with(NAP);
/// functions.init();
/// let pool = ProcessPool::builder(functions)
///     .max_workers(1)
///     .call_timeout(Duration::from_secs(1))
///     .build()?;
/// assert!(pool.call(NAP, 60_000).join().is_err());
/// # Ok::<(), as_completed::process::ProcessBuildError>(())
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct ProcessPoolBuilder {
    functions: Functions,
    max_workers: usize,
    queue_capacity: Option<usize>,
    keep_alive: Option<Duration>,
    /// Kept for `build` to tell.
    unusable: Option<CallError>,
    settings: Settings,
}

impl ProcessPoolBuilder {
    pub(super) fn new(functions: Functions) -> Self {
        Self {
            functions,
            max_workers: processors(),
            queue_capacity: None,
            keep_alive: None,
            unusable: None,
            settings: Settings {
                program: None,
                args: Vec::new(),
                env: Vec::new(),
                current_dir: None,
                memory_limit: None,
                call_timeout: None,
                max_tasks_per_child: None,
                stop_grace: Duration::from_secs(1),
                capture_stderr: false,
                initializer: None,
            },
        }
    }

    /// Sets how many children the pool has at most; as many as there are
    /// processors by default. 0 makes [`build`](Self::build) fail.
    pub fn max_workers(mut self, max_workers: usize) -> Self {
        self.max_workers = max_workers;
        self
    }

    /// Bounds the queue to `calls` that have not started; unbounded by default.
    ///
    /// While it is full, `call` waits for room and `try_call` gives the argument
    /// back. 0 makes [`build`](Self::build) fail.
    pub fn queue_capacity(mut self, calls: usize) -> Self {
        self.queue_capacity = Some(calls);
        self
    }

    /// Kills a call that runs for longer than this, child and all: it resolves
    /// to [`JoinError::TimedOut`](crate::JoinError::TimedOut). No limit by
    /// default. What a child does before its first call counts as part of it;
    /// the initializer has the same time for itself.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.settings.call_timeout = Some(timeout);
        self
    }

    /// Replaces a child after so many calls, for functions that leak; never by
    /// default. 0 counts as 1.
    pub fn max_tasks_per_child(mut self, calls: usize) -> Self {
        self.settings.max_tasks_per_child = Some(calls.max(1));
        self
    }

    /// Limits the address space of each child, by `RLIMIT_AS`.
    ///
    /// An allocation past it fails, which aborts the child in most programs, and
    /// fails the one task. The program itself and its threads' stacks count too.
    /// Not every system enforces it.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.memory_limit = Some(bytes);
        self
    }

    /// Sets the program that the children run, this one by default. It calls
    /// [`Functions::init`] with the same functions.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.settings.program = Some(program.into());
        self
    }

    /// Adds arguments to the children's command line; it has none by default.
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.settings.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable of the children, which otherwise have those
    /// of this process.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.env.push((name.into(), value.into()));
        self
    }

    /// Sets the children's current directory, that of this process by default.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.current_dir = Some(directory.into());
        self
    }

    /// Sets a function that each child runs before its first call, with
    /// `argument`.
    ///
    /// If it returns an error or panics the pool is broken: pending and later
    /// calls resolve to [`Rejected::Initializer`](crate::Rejected::Initializer).
    /// If its process dies, the call that the child was started for fails, and
    /// the next one starts another child.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    /// use std::sync::OnceLock;
    ///
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// const LOAD: Function<String, Result<(), String>> = Function::new("load", |text| {
    ///     let words = text.split(' ').map(str::to_owned).collect();
    ///     WORDS.set(words).map_err(|_| "loaded twice".to_owned())
    /// });
    /// const WORD: Function<usize, Option<String>> =
    ///     Function::new("word", |n| WORDS.get()?.get(n).cloned());
    ///
    /// let functions = Functions::new().with(LOAD).with(WORD);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).initializer(LOAD, "one two".to_owned()).build()?;
    /// assert_eq!(pool.call(WORD, 1).join().unwrap().as_deref(), Some("two"));
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn initializer<A: Serialize>(
        mut self,
        function: Function<A, Result<(), String>>,
        argument: A,
    ) -> Self {
        let name = function.name();
        match encode(&argument) {
            Ok(argument) => {
                self.settings.initializer = Some(Initializer {
                    function: name,
                    argument,
                });
            }
            Err(cause) => {
                self.unusable = Some(CallError::Encode {
                    function: name.to_owned(),
                    part: "argument",
                    cause,
                });
            }
        }
        self
    }

    /// Ends children that have been idle for this long; they are started again
    /// when needed. By default children stay.
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Keeps what each child writes to its standard error last, for
    /// [`Died::stderr`](crate::Died::stderr); false by default.
    ///
    /// All of it is still copied to the standard error of this process. It is
    /// then a pipe for the child, and not a terminal.
    pub fn capture_stderr(mut self, capture: bool) -> Self {
        self.settings.capture_stderr = capture;
        self
    }

    /// Sets how long a child that is no more needed has to exit before it is
    /// killed; a second by default.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.settings.stop_grace = grace;
        self
    }

    /// Creates the pool. Starts no child yet.
    ///
    /// # Errors
    ///
    /// [`ProcessBuildError`] if [`Functions::init`] has not been called in this
    /// process, or a setting makes no sense.
    pub fn build(self) -> Result<ProcessPool, ProcessBuildError> {
        if serve::is_unserved_child() {
            return Err(ProcessBuildError::ChildBeforeInit);
        }
        if !serve::init_reached() {
            return Err(ProcessBuildError::InitNotReached);
        }
        if let Some(error) = self.unusable {
            return Err(ProcessBuildError::Initializer(error));
        }
        if let Some(initializer) = &self.settings.initializer {
            serve::check_known(&self.functions, initializer.function)
                .map_err(ProcessBuildError::Initializer)?;
        }
        let mut threads = ThreadPool::builder()
            .max_workers(self.max_workers)
            .thread_name("process");
        if let Some(calls) = self.queue_capacity {
            threads = threads.queue_capacity(calls);
        }
        if let Some(idle) = self.keep_alive {
            threads = threads.keep_alive(idle);
        }
        Ok(ProcessPool {
            threads: threads.build()?,
            workers: Arc::new(Workers::new(self.functions, self.settings)),
        })
    }
}

impl fmt::Debug for ProcessPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolBuilder")
            .field("functions", &self.functions)
            .field("max_workers", &self.max_workers)
            .finish_non_exhaustive()
    }
}
