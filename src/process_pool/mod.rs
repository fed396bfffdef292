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

mod answers;

mod serve;

// A child is started by the settings, and a pool made of them.
// One machine: builder, child, workers.
mod builder;
mod child;
mod idle;
mod workers;

pub use self::builder::{ProcessBuildError, ProcessPoolBuilder};
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
/// calls for them; they die with this process, however it ends. Their standard
/// output and error are this process's, their standard input is empty.
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
    pub fn new(max_workers: usize, functions: Functions) -> Result<Self, ProcessBuildError> {
        Self::builder(functions).max_workers(max_workers).build()
    }

    /// Returns a builder, to set more than the number of children.
    pub fn builder(functions: Functions) -> ProcessPoolBuilder {
        ProcessPoolBuilder::new(functions)
    }

    call_without_import!();

    /// Lets no more calls in; those that are queued or run go on. Never blocks.
    pub fn shutdown(&self) {
        self.threads.shutdown();
    }

    /// Cancels all calls that have not started, and returns how many. Those that
    /// run go on. Never waits for a running call.
    pub fn cancel_pending(&self) -> usize {
        self.threads.cancel_pending()
    }

    /// Cancels all calls: those that have not started, whose number it returns,
    /// and those of [`call`](Self::call) that run, by killing their children.
    /// Those of [`call_map`](Self::call_map) that run go on. Never waits for a
    /// running call; the pool stays open.
    pub fn cancel_all(&self) -> usize {
        self.threads.cancel_all()
    }

    /// Shuts the pool down and blocks until all its calls are final and its
    /// children have ended. The counterpart of Python's `shutdown(wait=True)`.
    pub fn join(&self) {
        self.threads.join();
        self.workers.idle.end();
    }

    /// Shuts the pool down and blocks until all its calls are final, for
    /// `timeout` at most, and then until its children have ended.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] with what still runs and waits.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.threads.join_timeout(timeout)?;
        self.workers.idle.end();
        Ok(())
    }

    /// Shuts the pool down, cancels what is queued and kills all children:
    /// calls that run resolve as cancelled. Waits for nothing. The counterpart of
    /// Python's `kill_workers`.
    pub fn kill(&self) {
        self.threads.shutdown();
        self.threads.cancel_pending();
        self.workers.lives.kill_all();
    }

    /// Returns the ids of the children that live now, idle ones included.
    pub fn pids(&self) -> Vec<u32> {
        self.workers.lives.pids()
    }

    /// Returns how many children the pool has at most.
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.threads.max_workers()
    }

    /// Returns how many children there are now, idle ones included.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.lives.len()
    }

    /// Returns how many calls run now.
    #[must_use]
    pub fn active_count(&self) -> usize {
        self.threads.active_count()
    }

    /// Returns how many calls are in the queue now.
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
