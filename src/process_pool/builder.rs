//! [`ProcessPoolBuilder`]: what can be set about a process pool.

use super::{Children, ProcessPool, serve};
use crate::error::BuildError;
use crate::function::Functions;
use crate::sync::processors;
use crate::thread_pool::ThreadPool;
use std::collections::BTreeMap;
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
    settings: Settings,
}

impl ProcessPoolBuilder {
    pub(super) fn new(functions: Functions) -> Self {
        Self {
            functions,
            max_workers: processors(),
            queue_capacity: None,
            settings: Settings {
                program: None,
                args: Vec::new(),
                env: Vec::new(),
                current_dir: None,
                memory_limit: None,
                call_timeout: None,
                max_tasks_per_child: None,
                stop_grace: Duration::from_secs(1),
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
    /// While it is full, `call` waits for room. 0 makes [`build`](Self::build)
    /// fail.
    pub fn queue_capacity(mut self, calls: usize) -> Self {
        self.queue_capacity = Some(calls);
        self
    }

    /// Kills a call that runs for longer than this, child and all: it resolves
    /// to [`JoinError::TimedOut`](crate::JoinError::TimedOut). No limit by
    /// default. The start of the child counts as part of its first call.
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
        let mut threads = ThreadPool::builder()
            .max_workers(self.max_workers)
            .thread_name("process");
        if let Some(calls) = self.queue_capacity {
            threads = threads.queue_capacity(calls);
        }
        Ok(ProcessPool {
            threads: threads.build()?,
            children: Arc::new(Children {
                functions: self.functions,
                settings: self.settings,
                idle: crate::sync::Mutex::new(Vec::new()),
                alive: crate::sync::Mutex::new(BTreeMap::new()),
            }),
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
