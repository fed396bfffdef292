//! A task: a closure and the place for its result, and everything that is said
//! of one.
//!
//! [`cell`] is the task itself, and [`any_cell`] what all see of it. It is shared by
//! its two ends: [`erased`] is the end of the executor, [`refused`] is that end given
//! back by an executor that does not take it, [`handle`] that of the caller,
//! [`block`] how a thread waits there, and [`future`] how a task of a runtime does.
//! [`watch`] is how the task tells that it is final, [`cancel`] how it is asked to stop
//! while it runs.

mod id;

mod callback;
mod hook;

mod stack;

mod watch;

mod watched;

mod capacity;

mod full;

mod cancel;

mod any_cell;

mod cell;

mod cancel_all;
mod limiter;

mod claim;

mod block;

mod erased;
mod handle;
mod refused;

mod future;

#[cfg(all(test, not(as_completed_loom)))]
pub(crate) mod pending;

mod launch;
mod timer;

mod timeout;

mod promise;

pub(crate) use self::any_cell::{AnyCell, Member};
pub use self::cancel::{CancelToken, OnCancel};
pub(crate) use self::cancel_all::cancel_all;
pub(crate) use self::capacity::Capacity;
#[cfg(all(test, not(as_completed_loom)))]
pub(crate) use self::cell::Cell;
pub(crate) use self::cell::Work;
pub(crate) use self::claim::{
    Claim, Claimer, Gauge, Initializer, Worker, become_worker, worker_index,
};
pub(crate) use self::erased::{ErasedTask, WeakTask};
pub(crate) use self::full::FullQueues;
pub use self::handle::{JoinHandle, ScopedJoinHandle};
pub use self::hook::TaskEvent;
pub(crate) use self::hook::{Hook, HookBuilder};
pub use self::id::TaskId;
pub(crate) use self::launch::{Room, launch, offer};
pub(crate) use self::limiter::Limiter;
pub use self::promise::{Promise, promise};
pub(crate) use self::promise::{Rest, unattended};
pub(crate) use self::refused::Refused;
pub use self::refused::RejectedTask;
pub(crate) use self::stack::is_half_used;
pub(crate) use self::timeout::launch_with_timeout;
pub(crate) use self::watch::{Completions, Key, NUDGE, Watcher};

use std::fmt;

/// A closure and the place for its result, on its way to a worker.
///
/// Dropping a task that has not run resolves its handle to
/// [`Rejected::Lost`](crate::Rejected::Lost), so that nobody waits for it for
/// ever.
///
/// # Examples
///
/// ```
/// use as_completed::{Executor, ExecutorExt, RejectedTask, Task};
/// use std::sync::Mutex;
///
/// /// Keeps its tasks until somebody runs them.
/// #[derive(Default)]
/// struct Later(Mutex<Vec<Task>>);
///
/// impl Executor for Later {
///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
///         self.0.lock().unwrap().push(task);
///         Ok(())
///     }
/// }
///
/// let later = Later::default();
/// let (four, lost) = (later.submit(|| 4), later.submit(|| 5));
/// let mut tasks = later.0.into_inner().unwrap();
/// drop(tasks.pop());
/// tasks.pop().unwrap().run();
/// assert_eq!(four.join()?, 4);
/// assert!(lost.join().unwrap_err().is_rejected());
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[must_use = "a task that is dropped without being run is lost to its handle"]
pub struct Task(pub(crate) ErasedTask<'static>);

impl Task {
    /// Runs the task on the current thread and notifies everyone who waits for it.
    ///
    /// Does nothing if it was cancelled meanwhile. Blocks for as long as the
    /// closure runs; a panic in it is caught and kept for the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, RejectedTask, Task};
    ///
    /// struct Here;
    ///
    /// impl Executor for Here {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         task.run();
    ///         Ok(())
    ///     }
    /// }
    ///
    /// assert_eq!(Here.submit(|| 4).join()?, 4);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn run(self) {
        self.0.run(None);
    }

    /// Has the task run within `around`, wherever it runs; it stays the same task.
    ///
    /// For executors that hand tasks on and put something around them: a span, a
    /// measurement, a setting of the thread. Unlike a closure that runs the task, which
    /// would be another task, this keeps the id, cancelling, the token and nested
    /// waits: also a worker that waits for the task and runs it itself runs it
    /// within `around`. What was put around a task last is outermost.
    ///
    /// `around` calls its argument once, on the same thread. If it does not, the task
    /// is not run and its handle resolves to
    /// [`Rejected::Lost`](crate::Rejected::Lost); if it panics before, the task has
    /// panicked. It runs before anyone is notified, and is dropped without being run if
    /// the task is cancelled.
    ///
    /// # Examples
    ///
    /// An executor that counts how many of its tasks run:
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, RejectedTask, Task, ThreadPool};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// struct Counted(ThreadPool, Arc<AtomicU32>);
    ///
    /// impl Executor for Counted {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         let running = Arc::clone(&self.1);
    ///         self.0.execute(task.wrap(move |run| {
    ///             running.fetch_add(1, Ordering::Relaxed);
    ///             run();
    ///             running.fetch_sub(1, Ordering::Relaxed);
    ///         }))
    ///     }
    /// }
    ///
    /// let running = Arc::new(AtomicU32::new(0));
    /// let pool = Counted(ThreadPool::new(2), Arc::clone(&running));
    /// let seen = Arc::clone(&running);
    /// assert!(pool.submit(move || seen.load(Ordering::Relaxed)).join()? > 0);
    /// assert_eq!(running.load(Ordering::Relaxed), 0);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn wrap(self, around: impl FnOnce(&mut dyn FnMut()) + Send + 'static) -> Self {
        self.0.wrap(Box::new(around));
        self
    }

    /// Returns the id of the task, the same as its handle's.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, RejectedTask, Task, TaskId};
    /// use std::sync::mpsc::{Sender, channel};
    ///
    /// struct Logs(Sender<TaskId>);
    ///
    /// impl Executor for Logs {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         self.0.send(task.id()).unwrap();
    ///         task.run();
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let (sender, log) = channel();
    /// let handle = Logs(sender).submit(|| 4);
    /// assert_eq!(log.recv(), Ok(handle.id()));
    /// ```
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.0.id()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
