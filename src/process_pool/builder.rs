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
///
/// # Examples
///
/// ```
/// use as_completed::function::Functions;
/// use as_completed::process::{ProcessBuildError, ProcessPool};
///
/// let functions = Functions::new();
/// let error = ProcessPool::new(4, functions.clone()).unwrap_err();
/// assert_eq!(error, ProcessBuildError::InitNotReached);
///
/// functions.init(); // what was missing
/// let error = ProcessPool::new(0, functions).unwrap_err();
/// assert!(matches!(error, ProcessBuildError::Settings(_)));
/// ```
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
///     .call_timeout(Duration::from_millis(50))
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
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::Functions;
    /// use as_completed::process::ProcessPool;
    ///
    /// let functions = Functions::new();
    /// functions.init();
    /// let pool = ProcessPool::builder(functions.clone()).max_workers(3).build()?;
    /// assert_eq!(pool.max_workers(), 3);
    /// assert!(ProcessPool::builder(functions).max_workers(0).build().is_err());
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn max_workers(mut self, max_workers: usize) -> Self {
        self.max_workers = max_workers;
        self
    }

    /// Bounds the queue to `calls` that have not started; unbounded by default.
    ///
    /// While it is full, `call` waits for room and `try_call` gives the argument
    /// back. 0 makes [`build`](Self::build) fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Rejected;
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
    /// let pool = ProcessPool::builder(functions).max_workers(1).queue_capacity(1).build()?;
    /// let runs = pool.call(NAP, 60_000);
    /// let waits = pool.call(NAP, 1); // once the first has left the queue
    /// let refused = pool.try_call(NAP, 2).unwrap_err();
    /// assert!(matches!(refused.reason(), Rejected::QueueFull));
    /// assert_eq!(refused.into_argument(), 2);
    /// pool.kill();
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn queue_capacity(mut self, calls: usize) -> Self {
        self.queue_capacity = Some(calls);
        self
    }

    /// Kills a call that runs for longer than this, with its child and what that has
    /// started: it resolves to [`JoinError::TimedOut`](crate::JoinError::TimedOut). No
    /// limit by default. The start of a child counts as part of its first call; the
    /// initializer has the same time for itself. The time in the queue does not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::JoinError;
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
    /// let limit = Duration::from_millis(50);
    /// let pool = ProcessPool::builder(functions).call_timeout(limit).build()?;
    /// match pool.call(NAP, 60_000).join() {
    ///     Err(JoinError::TimedOut(error)) => assert_eq!(error.limit(), limit),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.settings.call_timeout = Some(timeout);
        self
    }

    /// Replaces a child after so many calls, for functions that leak; never by
    /// default. 0 counts as 1. The counterpart of Python's `max_tasks_per_child`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const PID: Function<(), u32> = Function::new("pid", |()| std::process::id());
    ///
    /// let functions = Functions::new().with(PID);
    /// functions.init();
    /// let pool =
    ///     ProcessPool::builder(functions).max_workers(1).max_tasks_per_child(2).build()?;
    /// let pids: Vec<u32> = (0..3).map(|_| pool.call(PID, ()).join()).collect::<Result<_, _>>()?;
    /// assert_eq!(pids[0], pids[1]);
    /// assert_ne!(pids[1], pids[2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_tasks_per_child(mut self, calls: usize) -> Self {
        self.settings.max_tasks_per_child = Some(calls.max(1));
        self
    }

    /// Limits the address space of each child to so many bytes, by `RLIMIT_AS` of
    /// `setrlimit(2)`; no limit by default.
    ///
    /// An allocation past it fails, on which Rust aborts the process unless the code
    /// handles it: the one call resolves to
    /// [`JoinError::Died`](crate::JoinError::Died). The program itself and its threads'
    /// stacks count too. Not every system enforces it.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::JoinError;
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const FILL: Function<usize, u64> = Function::new("fill", |bytes| {
    ///     vec![1_u8; bytes].into_iter().map(u64::from).sum()
    /// });
    ///
    /// let functions = Functions::new().with(FILL);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).memory_limit(1 << 30).build()?;
    /// # if cfg!(target_os = "linux") {
    /// assert!(matches!(pool.call(FILL, 2 << 30).join(), Err(JoinError::Died(_))));
    /// # }
    /// assert_eq!(pool.call(FILL, 1000).join()?, 1000); // in another child
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.memory_limit = Some(bytes);
        self
    }

    /// Sets the program that the children run, this one by default. It must call
    /// [`Functions::init`] with the same functions, as this one does; a call of a function
    /// that it lacks resolves to [`CallError::Unknown`](crate::CallError::Unknown).
    ///
    /// A name without `/` is looked up in `PATH`, as by [`Command`](std::process::Command).
    /// A program that cannot be started fails each call, with
    /// [`CallError::Start`](crate::CallError::Start).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{CallError, JoinError};
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions.clone())
    ///     .program(std::env::current_exe()?) // as it is without this line
    ///     .build()?;
    /// assert_eq!(pool.call(SQUARE, 7).join()?, 49);
    ///
    /// let pool = ProcessPool::builder(functions).program("./no-such-program").build()?;
    /// match pool.call(SQUARE, 7).join() {
    ///     Err(JoinError::Call(error)) => assert!(matches!(*error, CallError::Start(_))),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.settings.program = Some(program.into());
        self
    }

    /// Adds arguments to the children's command line; it has none by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const FIRST: Function<(), Option<String>> =
    ///     Function::new("first", |()| std::env::args().nth(1));
    ///
    /// let functions = Functions::new().with(FIRST);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).args(["a child of the example"]).build()?;
    /// assert_eq!(pool.call(FIRST, ()).join()?.as_deref(), Some("a child of the example"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const LANGUAGE: Function<(), Option<String>> =
    ///     Function::new("language", |()| std::env::var("LANG").ok());
    ///
    /// let functions = Functions::new().with(LANGUAGE);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).env("LANG", "pt_BR.UTF-8").build()?;
    /// assert_eq!(pool.call(LANGUAGE, ()).join()?.as_deref(), Some("pt_BR.UTF-8"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.env.push((name.into(), value.into()));
        self
    }

    /// Sets the children's current directory, that of this process by default. If there
    /// is none, each call fails with [`CallError::Start`](crate::CallError::Start).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    /// use std::path::PathBuf;
    ///
    /// const DIRECTORY: Function<(), Option<PathBuf>> =
    ///     Function::new("directory", |()| std::env::current_dir().ok());
    ///
    /// let functions = Functions::new().with(DIRECTORY);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).current_dir("/").build()?;
    /// assert_eq!(pool.call(DIRECTORY, ()).join()?, Some(PathBuf::from("/")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// when needed. By default children stay until the pool ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    /// use std::time::Duration;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let short = Duration::from_millis(1);
    /// let pool = ProcessPool::builder(functions).keep_alive(short).build()?;
    /// assert_eq!(pool.call(SQUARE, 7).join()?, 49);
    /// while pool.worker_count() > 0 {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(pool.call(SQUARE, 8).join()?, 64);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Keeps the last 4 KiB that each child writes to its standard error, for
    /// [`Died::stderr`](crate::Died::stderr); false by default.
    ///
    /// All of it is still copied to the standard error of this process. It is
    /// then a pipe for the child, and not a terminal.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::JoinError;
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const DIE: Function<String, ()> = Function::new("die", |last_words| {
    ///     eprint!("{last_words}");
    ///     std::process::abort()
    /// });
    ///
    /// let functions = Functions::new().with(DIE);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).capture_stderr(true).build()?;
    /// match pool.call(DIE, "no such table".to_owned()).join() {
    ///     Err(JoinError::Died(died)) => assert_eq!(died.stderr(), Some("no such table")),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn capture_stderr(mut self, capture: bool) -> Self {
        self.settings.capture_stderr = capture;
        self
    }

    /// Sets how long a child that is no longer needed has to exit before it is
    /// killed; a second by default. It bounds what the end of a pool waits for once its
    /// calls are final.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    /// use std::time::Duration;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let builder = ProcessPool::builder(functions).stop_grace(Duration::from_secs(10));
    /// let pool = builder.build()?;
    /// assert_eq!(pool.call(SQUARE, 7).join()?, 49);
    /// drop(pool); // its child has ended by itself
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.settings.stop_grace = grace;
        self
    }

    /// Creates the pool. Starts no child yet.
    ///
    /// # Errors
    ///
    /// [`ProcessBuildError`] if [`Functions::init`] has not been called in this
    /// process, a setting makes no sense, or the initializer is not in the registry.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::{ProcessBuildError, ProcessPool};
    ///
    /// const LOAD: Function<(), Result<(), String>> = Function::new("load", |()| Ok(()));
    ///
    /// let functions = Functions::new(); // without LOAD
    /// functions.init();
    /// let error = ProcessPool::builder(functions).initializer(LOAD, ()).build().unwrap_err();
    /// assert!(matches!(error, ProcessBuildError::Initializer(_)));
    /// ```
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
