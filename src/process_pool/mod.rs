//! [`ProcessPool`]: the executor with child processes.
//!
//! The inside of the public module `process`. A thread pool of the crate's own does the
//! queueing, the cancelling of what is queued, and the shutting down. A call takes its
//! way by [`workers`]:
//!
//! - A thread of the pool takes an [`idle`] [`child`], or starts one, sends it the call,
//!   waits for the answer, and gives the child back. So there are never more children
//!   than threads.
//! - Where a child is idle and the call is short, the thread that makes the call sends
//!   it, and the thread that joins the handle receives the answer: two wake-ups, of the
//!   child and of that thread, in the place of four. Meanwhile the call holds a thread of
//!   the pool, asleep, as if that ran it, which receives the answer if anything else is
//!   done with the handle.
//!
//! [`life`] is how a child ends, [`serve`] its own side, [`frame`] what crosses.

mod frame;
mod stream;

mod stderr;

mod life;

mod log;

mod answers;

mod serve;

// A child is started by the settings, and a pool made of them.
// One machine: builder, child, workers.
mod builder;
mod child;
mod idle;
mod workers;

pub use self::builder::{ProcessBuildError, ProcessPoolBuilder};
#[cfg(as_completed_loom)]
pub use self::log::Log;
#[cfg(feature = "cluster")]
pub(crate) use self::serve::check_known;

use self::workers::Workers;
use crate::error::JoinTimeoutError;
use crate::function::{Functions, Place, Places, call_without_import, place_behind_pointers};
use crate::thread_pool::ThreadPool;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Runs named functions in child processes of the same program.
///
/// A child that crashes, exits or is killed fails the one call it ran, with
/// [`JoinError::Died`](crate::JoinError::Died), and is replaced. Cancelling a call that runs kills its
/// child, with all that the child has started, and resolves it as cancelled. A
/// panic fails its call, and the child goes on. Children start when there are
/// calls for them; they die with this process, however it ends, unless a function has
/// replaced its child's program (`exec`). Their standard output and error are this
/// process's, their standard input is empty.
///
/// With the feature `tracing`, a child runs each call in a span `call` with the field
/// `function`; `caller.span` and `caller.id` are the name and the id of the span in
/// which the call was made, as this process's subscriber has them.
///
/// Dropping the pool blocks: it lets no more calls in, runs those that are
/// queued, and ends its children. Unix only. The counterpart of Python's
/// `ProcessPoolExecutor`.
///
/// # Examples
///
/// ```
/// use as_completed::function::{Function, Functions};
/// use as_completed::process::ProcessPool;
/// use as_completed::{JoinError, as_completed};
///
/// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
/// const CRASH: Function<(), ()> = Function::new("crash", |()| std::process::abort());
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let functions = Functions::new().with(SQUARE).with(CRASH);
///     functions.init(); // a child process serves here, and never returns
///     let pool = ProcessPool::new(2, functions)?;
///     let crash = pool.call(CRASH, ());
///     let squares = as_completed([1, 2, 3].map(|n| (n, pool.call(SQUARE, n))));
///     for (n, square) in squares {
///         assert_eq!(square.join()?, n * n);
///     }
///     assert!(matches!(crash.join(), Err(JoinError::Died(_))));
///     Ok(())
/// }
/// ```
#[doc(alias = "ProcessPoolExecutor")]
pub struct ProcessPool {
    threads: ThreadPool,
    workers: Arc<Workers>,
}

impl ProcessPool {
    /// Creates a pool of at most `max_workers` children. Starts none yet.
    ///
    /// # Errors
    ///
    /// [`ProcessBuildError`] if [`Functions::init`] has not been called in this
    /// process, or `max_workers` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let pool = ProcessPool::new(4, functions)?;
    /// assert_eq!(pool.worker_count(), 0);
    /// assert_eq!(pool.call(SQUARE, 7).join()?, 49);
    /// assert_eq!(pool.worker_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(max_workers: usize, functions: Functions) -> Result<Self, ProcessBuildError> {
        Self::builder(functions).max_workers(max_workers).build()
    }

    /// Returns a builder, to set more than the number of children: limits of time, of
    /// memory and of calls, an initializer, and the children's program.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let builder = ProcessPool::builder(functions).max_workers(2).memory_limit(1 << 30);
    /// let pool = builder.build()?;
    /// assert_eq!(pool.call(SQUARE, 7).join()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(functions: Functions) -> ProcessPoolBuilder {
        ProcessPoolBuilder::new(functions)
    }

    call_without_import!(
        "",
        "use as_completed::function::{Function, Functions};
use as_completed::process::ProcessPool;

const LENGTH: Function<String, usize> = Function::new(\"length\", |text| text.len());

let functions = Functions::new().with(LENGTH);
functions.init();
let executor = ProcessPool::new(1, functions)?;"
    );

    /// Lets no more calls in; those that are queued or run go on. Never blocks.
    ///
    /// Later calls resolve to [`Rejected::ShutDown`](crate::Rejected::ShutDown).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let pool = ProcessPool::new(1, functions)?;
    /// let before = pool.call(SQUARE, 7);
    /// pool.shutdown();
    /// assert!(pool.call(SQUARE, 8).join().unwrap_err().is_rejected());
    /// assert_eq!(before.join()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) {
        self.threads.shutdown();
    }

    /// Cancels all calls that have not started, and returns how many. Those that
    /// run go on. Never waits for a running call; the pool stays open.
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
    /// let pool = ProcessPool::new(1, functions)?;
    /// let first = pool.call(NAP, 60_000);
    /// while !first.is_running() {
    ///     std::thread::yield_now();
    /// }
    /// let others = [1, 2, 3].map(|millis| pool.call(NAP, millis));
    /// assert_eq!(pool.cancel_pending(), 3);
    /// assert!(others.iter().all(|other| other.is_cancelled()));
    /// first.cancel(); // kills its child
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn cancel_pending(&self) -> usize {
        self.threads.cancel_pending()
    }

    /// Cancels all calls: those that have not started, whose number it returns,
    /// and those of [`call`](Self::call) that run, by killing their children.
    /// Those of [`call_map`](Self::call_map) that run go on. Never waits for a
    /// running call; the pool stays open.
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
    /// let pool = ProcessPool::new(1, functions)?;
    /// let naps = [60_000, 60_001].map(|millis| pool.call(NAP, millis));
    /// pool.cancel_all();
    /// for nap in naps {
    ///     assert!(nap.join().unwrap_err().is_cancelled());
    /// }
    /// assert!(pool.call(NAP, 1).join().is_ok()); // in another child
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn cancel_all(&self) -> usize {
        self.threads.cancel_all()
    }

    /// Shuts the pool down and blocks until all its calls are final and its
    /// children have ended. The counterpart of Python's `shutdown(wait=True)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let pool = ProcessPool::new(2, functions)?;
    /// let squares = [1, 2, 3].map(|n| pool.call(SQUARE, n));
    /// pool.join();
    /// assert!(squares.iter().all(|square| square.is_finished()));
    /// assert_eq!(pool.worker_count(), 0);
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn join(&self) {
        self.threads.join();
        self.workers.idle.end();
    }

    /// Shuts the pool down and blocks until all its calls are final, for
    /// `timeout` at most, and then until its children have ended, which takes the
    /// [`stop_grace`](ProcessPoolBuilder::stop_grace) at most.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] with the number of the calls that still run and of those
    /// that wait. They go on; to end them, call [`kill`](Self::kill).
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
    /// let pool = ProcessPool::new(1, functions)?;
    /// let nap = pool.call(NAP, 60_000);
    /// let error = pool.join_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.running + error.queued, 1);
    /// pool.kill();
    /// assert!(nap.join().unwrap_err().is_cancelled());
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.threads.join_timeout(timeout)?;
        self.workers.idle.end();
        Ok(())
    }

    /// Shuts the pool down, cancels what is queued and kills all children with what
    /// they have started: calls that run resolve as cancelled, those of
    /// [`call_map`](Self::call_map) too. Waits for nothing. The counterpart of Python's
    /// `kill_workers`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const HANG: Function<(), ()> = Function::new("hang", |()| loop {
    ///     std::thread::park();
    /// });
    ///
    /// let functions = Functions::new().with(HANG);
    /// functions.init();
    /// let pool = ProcessPool::new(1, functions)?;
    /// let calls = [(), ()].map(|()| pool.call(HANG, ()));
    /// pool.kill();
    /// for call in calls {
    ///     assert!(call.join().unwrap_err().is_cancelled());
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    pub fn kill(&self) {
        self.threads.shutdown();
        self.threads.cancel_pending();
        self.workers.lives.kill_all();
    }

    /// Returns the ids of the child processes that live now, idle ones included: for
    /// looking in with other tools.
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
    /// let pool = ProcessPool::new(2, functions)?;
    /// let pid = pool.call(PID, ()).join()?;
    /// assert_eq!(pool.pids(), [pid]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pids(&self) -> Vec<u32> {
        self.workers.lives.pids()
    }

    /// Returns how many children the pool has at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::Functions;
    /// use as_completed::process::ProcessPool;
    ///
    /// let functions = Functions::new();
    /// functions.init();
    /// assert_eq!(ProcessPool::new(4, functions)?.max_workers(), 4);
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.threads.max_workers()
    }

    /// Returns how many children there are now, idle ones included.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::process::ProcessPool;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// functions.init();
    /// let pool = ProcessPool::new(4, functions)?;
    /// for n in 0..3 {
    ///     assert_eq!(pool.call(SQUARE, n).join()?, n * n);
    /// }
    /// assert_eq!(pool.worker_count(), 1); // one was enough
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.lives.len()
    }

    /// Returns how many calls run now; a chunk of [`call_map`](Self::call_map) counts as
    /// one.
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
    /// let pool = ProcessPool::new(4, functions)?;
    /// let nap = pool.call(NAP, 60_000);
    /// while !nap.is_running() {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(pool.active_count(), 1);
    /// pool.kill();
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn active_count(&self) -> usize {
        self.threads.active_count()
    }

    /// Returns how many calls are in the queue now: those that have not started. A chunk
    /// of [`call_map`](Self::call_map) counts as one.
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
    /// let pool = ProcessPool::new(1, functions)?;
    /// let first = pool.call(NAP, 60_000);
    /// while !first.is_running() {
    ///     std::thread::yield_now();
    /// }
    /// let queued = [1, 2].map(|millis| pool.call(NAP, millis));
    /// assert_eq!(pool.queued_count(), 2);
    /// queued[0].cancel();
    /// assert_eq!(pool.queued_count(), 1);
    /// pool.kill();
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn queued_count(&self) -> usize {
        self.threads.queued_count()
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        self.join();
    }
}

impl Places for ProcessPool {
    fn place(&self) -> Place<'_> {
        Place::There(&self.threads, Arc::clone(&self.workers) as _)
    }
}

place_behind_pointers!(ProcessPool);

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool")
            .field("max_workers", &self.max_workers())
            .field("pids", &self.pids())
            .field("active_count", &self.active_count())
            .field("queued_count", &self.queued_count())
            .finish_non_exhaustive()
    }
}
