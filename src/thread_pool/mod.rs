//! [`ThreadPool`]: the executor with threads.
//!
//! [`state`] holds the counts and decides who is woken or started;
//! [`core`] is the queue, and what submitting, shutting down and
//! joining do; [`worker`] is the life of a thread, and [`pace`] how it takes tasks
//! over; [`builder`] and [`scope`]
//! are the two ways to a pool.

mod inside;
mod pace;
mod state;

// One machine: core, worker.
mod core;
mod worker;

mod builder;

#[cfg_attr(
    not(feature = "process"),
    allow(dead_code, reason = "work is done elsewhere in other processes only")
)]
mod reserve;
mod scope;
mod stateful;

#[cfg(all(test, not(as_completed_loom)))]
mod tests;

pub use self::builder::ThreadPoolBuilder;
pub use self::scope::ScopedPool;
pub use self::stateful::StatefulPool;

use self::core::Core;
use crate::error::JoinTimeoutError;
use crate::executor::{Executor, limit_without_import, submit_without_import};
use crate::sync::processors;
use crate::task::{ErasedTask, JoinHandle, Refused, RejectedTask, Room, Task, worker_index};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most workers that [`ThreadPool::default`] has, as in Python.
const DEFAULT_MOST: usize = 32;

/// Runs tasks on a bounded number of threads.
///
/// Tasks start in the order in which they were submitted. A thread, a worker of
/// the pool, is started when there is work and no idle worker for it. Share a pool
/// by reference or in an [`Arc`]. The counterpart of Python's
/// `ThreadPoolExecutor`.
///
/// Dropping a pool accepts no more tasks, runs those that are queued, and blocks
/// until its workers have ended. Dropped on one of its own workers, it does not
/// wait. A pool in a static is never dropped: the tasks of a `LazyLock<ThreadPool>`
/// that are pending or running when `main` returns are lost. Join their handles, or
/// the pool, before that.
///
/// # Tasks that wait for tasks
///
/// A task may wait for other tasks of its pool: a worker that waits runs the
/// awaited task itself if that has not started and no other worker is free to,
/// so nested waits end at any pool size. It does so for its own pool only: if
/// tasks of two pools wait for each other, each pool needs as many workers as may
/// wait.
///
/// Waits may be nested at any depth: a worker that has used half of its
/// stack has the awaited task run on a further thread, which is initialized as a
/// worker is and ends with the task. It is not counted as a worker, because the one
/// that waits stands still. If that thread cannot be started or initialized, the
/// task resolves to [`Rejected`](crate::Rejected).
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, ThreadPool};
///
/// let pool = ThreadPool::new(8);
/// let handles: Vec<_> = (1..=4).map(|n| pool.submit(move || n * n)).collect();
/// let sum: i32 = as_completed(handles).map(|handle| handle.join().unwrap()).sum();
/// assert_eq!(sum, 30);
/// ```
#[doc(alias = "ThreadPoolExecutor")]
pub struct ThreadPool {
    core: Arc<Core<'static>>,
}

impl ThreadPool {
    /// Creates a pool of at most `max_workers` threads. Starts none yet.
    ///
    /// # Panics
    ///
    /// If `max_workers` is 0; [`builder`](Self::builder) returns an error
    /// instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(8);
    /// assert_eq!((pool.max_workers(), pool.worker_count()), (8, 0));
    /// ```
    #[must_use]
    pub fn new(max_workers: usize) -> Self {
        Self::builder()
            .max_workers(max_workers)
            .build()
            .expect("a pool has at least one worker")
    }

    /// Returns a builder, to set more than the number of workers.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().thread_name("fetch").queue_capacity(100).build()?;
    /// assert!(pool.max_workers() > 0);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn builder() -> ThreadPoolBuilder {
        ThreadPoolBuilder::new()
    }

    limit_without_import!();
    submit_without_import!(
        'static,
        JoinHandle<T>,
        hand_over,
        "use as_completed::ThreadPool;\n\nlet pool = ThreadPool::new(2);",
        ""
    );

    /// Accepts no more tasks; those that are queued or running go on.
    ///
    /// Never blocks. Later submits resolve to
    /// [`Rejected::ShutDown`](crate::Rejected::ShutDown). Further calls do nothing;
    /// safe from a worker and from a callback. The
    /// counterpart of Python's `shutdown(wait=False)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let before = pool.submit(|| 1);
    /// pool.shutdown();
    /// assert!(pool.submit(|| 2).join().unwrap_err().is_rejected());
    /// assert_eq!(before.join()?, 1);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn shutdown(&self) {
        self.core.shut_down();
    }

    /// Cancels all tasks that have not started, and returns how many.
    ///
    /// Everyone who waits for them is notified before this returns; all of them
    /// are cancelled before the first callback runs, so a callback may wait for
    /// another of them. Running tasks are left alone; see
    /// [`cancel_all`](Self::cancel_all). Never waits for a running task. The
    /// pool stays open. The counterpart of Python's
    /// `shutdown(cancel_futures=True)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel::<()>();
    /// let (started, start) = mpsc::channel();
    /// pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     receiver.recv()
    /// }).detach();
    /// start.recv().unwrap();
    /// let queued = [pool.submit(|| 1), pool.submit(|| 2)];
    /// assert_eq!(pool.cancel_pending(), 2);
    /// assert!(queued.iter().all(|handle| handle.is_cancelled()));
    /// drop(sender);
    /// ```
    pub fn cancel_pending(&self) -> usize {
        self.core.cancel_pending()
    }

    /// Cancels all tasks that have not started, asks the running ones to stop,
    /// and returns how many it cancelled.
    ///
    /// Does what [`cancel_pending`](Self::cancel_pending) does, and sets the
    /// token of each running task that was submitted by `submit_cancellable`;
    /// other running tasks go on. Never waits for a running task. The pool
    /// stays open.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let sleeper = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
    /// let queued = pool.submit(|| 1);
    /// pool.cancel_all();
    /// assert!(queued.is_cancelled());
    /// sleeper.wait(); // it does not sleep on
    /// ```
    pub fn cancel_all(&self) -> usize {
        self.core.cancel_all()
    }

    /// Shuts the pool down and blocks until all its tasks are finished and the
    /// threads of its workers have ended.
    ///
    /// Called on one of the pool's own workers, it shuts down and returns,
    /// because it would wait for itself. Destructors of the workers'
    /// thread-locals are waited for. The counterpart of Python's
    /// `shutdown(wait=True)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(2);
    /// let handles = [pool.submit(|| 1), pool.submit(|| 2)];
    /// pool.join();
    /// assert!(handles.iter().all(|handle| handle.is_finished()));
    /// assert_eq!(pool.worker_count(), 0);
    /// ```
    pub fn join(&self) {
        self.shutdown();
        // Without a deadline there is no timeout to report.
        let _ = self.core.join(None);
    }

    /// Shuts the pool down and blocks until all its tasks are finished and its
    /// workers have ended, for `timeout` at most.
    ///
    /// `Duration::MAX` has no end. Called on one of the pool's own workers, it
    /// does not wait. The timeout bounds the wait for tasks; the destructors of
    /// the workers' thread-locals, which run after the last task, are waited
    /// for without a limit.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] with what still runs and waits; a later call goes
    /// on waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.submit_cancellable(|token| token.sleep(Duration::MAX)).detach();
    /// assert!(pool.join_timeout(Duration::from_millis(1)).is_err());
    /// pool.cancel_all();
    /// assert_eq!(pool.join_timeout(Duration::MAX), Ok(()));
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.shutdown();
        self.core.join(Some(timeout))
    }

    /// Returns how many workers the pool has at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// assert_eq!(ThreadPool::new(4).max_workers(), 4);
    /// ```
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.core.max_workers()
    }

    /// Returns the index of the worker that the current thread is, of whatever pool;
    /// `None` on threads that are no workers.
    ///
    /// The workers that a pool has at the same time have different indices, from 0
    /// to `max_workers - 1`; one that ends leaves its index to the next. Known from
    /// the [`initializer`](ThreadPoolBuilder::initializer) on: it can pin the thread
    /// to a processor, for example.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// assert_eq!(pool.submit(ThreadPool::worker_index).join()?, Some(0));
    /// assert_eq!(ThreadPool::worker_index(), None);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[must_use]
    pub fn worker_index() -> Option<usize> {
        worker_index()
    }

    /// Returns how many workers there are now, idle ones included.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(4);
    /// pool.submit(|| ()).wait();
    /// assert_eq!(pool.worker_count(), 1);
    /// ```
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.core.counts().workers
    }

    /// Returns how many workers are running a task now.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::{Arc, Barrier};
    ///
    /// let pool = ThreadPool::new(4);
    /// let (started, looked) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    /// let (starts, looks) = (Arc::clone(&started), Arc::clone(&looked));
    /// pool.submit(move || {
    ///     starts.wait();
    ///     looks.wait();
    /// }).detach();
    /// started.wait();
    /// assert_eq!(pool.active_count(), 1);
    /// looked.wait();
    /// ```
    #[must_use]
    pub fn active_count(&self) -> usize {
        self.core.counts().running
    }

    /// Returns how many tasks are in the queue now: those that have not started.
    ///
    /// A task leaves the queue when it is cancelled or starts, whoever runs it.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel::<()>();
    /// let (started, start) = mpsc::channel();
    /// pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     receiver.recv()
    /// }).detach();
    /// start.recv().unwrap();
    /// let queued = [pool.submit(|| 1), pool.submit(|| 2)];
    /// assert_eq!(pool.queued_count(), 2);
    /// queued[0].cancel();
    /// assert_eq!(pool.queued_count(), 1);
    /// drop(sender);
    /// ```
    #[must_use]
    pub fn queued_count(&self) -> usize {
        self.core.counts().queued
    }
}

/// Creates a pool of `min(32, cpus + 4)` workers, as Python does: enough for
/// tasks that wait for the network or a disk on a small machine, and not too
/// many on a large one.
impl Default for ThreadPool {
    fn default() -> Self {
        Self::new(DEFAULT_MOST.min(processors() + 4))
    }
}

/// Hands a task over for which nobody can wait yet: unlike what comes through
/// [`Executor`], which another executor may have kept.
fn hand_over(
    pool: &ThreadPool,
    task: ErasedTask<'static>,
    room: Room,
) -> Result<(), Refused<'static>> {
    match room {
        Room::Wait => pool.core.submit(task),
        Room::Now => pool.core.try_submit(task),
    }
}

impl Executor for ThreadPool {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.core.submit(task.0).map_err(RejectedTask)
    }

    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.core.try_submit(task.0).map_err(RejectedTask)
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.join();
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.core.counts();
        f.debug_struct("ThreadPool")
            .field("max_workers", &self.max_workers())
            .field("worker_count", &counts.workers)
            .field("active_count", &counts.running)
            .field("queued_count", &counts.queued)
            .finish_non_exhaustive()
    }
}
