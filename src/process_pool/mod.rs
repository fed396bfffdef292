//! [`ProcessPool`]: the executor with child processes.
//!
//! A thread pool of the crate's own does the queueing, the cancelling of what is
//! queued, and the shutting down. Each of its threads takes an idle [`child`],
//! or starts one, and waits for its answer; so there are never more children at
//! work than threads. [`serve`] is the other end, [`frame`] what crosses.

mod frame;

mod serve;

// A child is started by the settings, and a pool made of them.
// One machine: builder, child.
mod builder;
mod child;

pub use self::builder::{ProcessBuildError, ProcessPoolBuilder};

use self::builder::Settings;
use self::child::{Cause, Child, Life};
use crate::error::{CallError, JoinError, JoinTimeoutError};
use crate::function::{Functions, Place, Places, Route, call_without_import};
use crate::sync::Mutex;
use crate::task::CancelToken;
use crate::thread_pool::ThreadPool;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Runs named functions in child processes of the same program.
///
/// A child that crashes, exits or is killed fails the one call it ran, with
/// [`JoinError::Died`], and is replaced. Cancelling a call that runs kills its
/// child, with all that the child has started, and resolves it as cancelled. A
/// panic fails its call, and the child goes on. Children start when there are
/// calls for them; they die with this process, however it ends. Their standard
/// output and error are this process's, their standard input is empty.
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
    children: Arc<Children>,
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

    /// Cancels all calls that have not started, and asks those of `call` that
    /// run to stop, which kills their children; returns how many had not
    /// started. Never waits for a running call.
    pub fn cancel_pending(&self) -> usize {
        self.threads.cancel_pending()
    }

    /// Shuts the pool down and blocks until all its calls are final and its
    /// children have ended. The counterpart of Python's `shutdown(wait=True)`.
    pub fn join(&self) {
        self.threads.join();
        self.children.retire_idle();
    }

    /// Shuts the pool down and blocks until all its calls are final, for
    /// `timeout` at most, and then until its children have ended.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] with what still runs and waits.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.threads.join_timeout(timeout)?;
        self.children.retire_idle();
        Ok(())
    }

    /// Shuts the pool down, cancels what is queued and kills all children:
    /// calls that run resolve as cancelled. The counterpart of Python's
    /// `kill_workers`.
    pub fn kill(&self) {
        self.threads.shutdown();
        self.threads.cancel_pending();
        for life in self.children.lives() {
            life.kill(None, Cause::Cancelled);
        }
    }

    /// Returns the ids of the children that live now, idle ones included.
    pub fn pids(&self) -> Vec<u32> {
        self.children.alive.lock().keys().copied().collect()
    }

    /// Returns how many children the pool has at most.
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.threads.max_workers()
    }

    /// Returns how many children there are now, idle ones included.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.children.alive.lock().len()
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

impl Places for ProcessPool {
    fn place(&self) -> Place<'_> {
        Place::There(&self.threads, Arc::clone(&self.children) as _)
    }
}

impl Drop for ProcessPool {
    fn drop(&mut self) {
        self.join();
    }
}

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

/// The children of a pool.
struct Children {
    functions: Functions,
    settings: Settings,
    /// The last one used is the next to be used.
    idle: Mutex<Vec<Child>>,
    /// By process id, those at work too.
    alive: Mutex<BTreeMap<u32, Arc<Life>>>,
}

impl Children {
    fn lives(&self) -> Vec<Arc<Life>> {
        self.alive.lock().values().cloned().collect()
    }

    /// An idle child that lives, or a new one.
    fn take(&self) -> Result<Child, JoinError> {
        loop {
            let Some(child) = self.idle.lock().pop() else {
                let child = Child::start(&self.settings)?;
                let life = Arc::clone(&child.life);
                self.alive.lock().insert(life.pid, life);
                return Ok(child);
            };
            if child.is_alive() {
                return Ok(child);
            }
            self.retire(child);
        }
    }

    /// Keeps the child for the next call, unless it is dead or worn out.
    fn give_back(&self, child: Child) {
        let most = self.settings.max_tasks_per_child;
        if child.is_alive() && most.is_none_or(|most| child.calls < most) {
            self.idle.lock().push(child);
        } else {
            self.retire(child);
        }
    }

    fn retire(&self, child: Child) {
        let life = Arc::clone(&child.life);
        child.retire(self.settings.stop_grace);
        let mut alive = self.alive.lock();
        // Its id may be that of a new child already.
        if alive
            .get(&life.pid)
            .is_some_and(|other| Arc::ptr_eq(other, &life))
        {
            alive.remove(&life.pid);
        }
    }

    fn retire_idle(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for child in idle {
            self.retire(child);
        }
    }
}

impl Route for Children {
    fn call(
        &self,
        function: &'static str,
        argument: &[u8],
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError> {
        // Before a child is started for it.
        if token.is_cancelled() {
            return Err(JoinError::Cancelled);
        }
        if self.functions.find(function).is_none() {
            return Err(JoinError::call(CallError::Unknown {
                function: function.to_owned(),
                program: serve::this_program(),
                known: self.functions.names().map(str::to_owned).collect(),
            }));
        }
        let mut child = self.take()?;
        let answer = child.call(function, argument, token, self.settings.call_timeout);
        self.give_back(child);
        answer
    }
}
