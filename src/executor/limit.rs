//! [`Limit`]: an executor of which only so much is used at the same time.

use super::{Executor, hand_over, submit_without_import};
use crate::error::Rejected;
use crate::task::{JoinHandle, Limiter, RejectedTask, Task};
use std::fmt;
use std::sync::Arc;

/// A view of an executor that runs at most so many tasks at the same time.
///
/// For what can bear only so much: a host, a database, a disk. Made by
/// [`ExecutorExt::limit`](crate::ExecutorExt::limit), or by [`new`](Self::new) to
/// own the executor. Clones share the limit.
///
/// Tasks are queued, cancelled and shut down as on the executor itself. A worker
/// that finds the limit reached goes on with other tasks, and the limited one runs
/// when one of its limit ends. There is one exception: while a worker runs a limited
/// task because it waits for that very task, another worker that finds the limit
/// reached waits for its place, because the first runs no other task when it has ended.
///
/// A limit of a limit keeps to both: eight connections in all, two to a host. What waits
/// for a place at its host takes up none of the eight.
///
/// A task that waits for another of the same limit lends its place, so that such
/// waits end on the pools of this crate, at any size of the limit. But a
/// limited task keeps its place while it waits for one outside of the limit: if that one
/// waits for a place in turn, it may wait for ever.
///
/// Tasks that wait for the limit after they have left the queue of the executor are
/// not counted by its `queue_capacity`. To bound them, use
/// [`map`](Self::map) with a [`buffer`](crate::Map::buffer).
///
/// # Examples
///
/// ```
/// use as_completed::{Executor, Limit, ThreadPool, as_completed};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// static OPEN: AtomicUsize = AtomicUsize::new(0);
///
/// fn query(n: u32) -> u32 {
///     assert!(OPEN.fetch_add(1, Ordering::SeqCst) < 2); // the database allows two
///     OPEN.fetch_sub(1, Ordering::SeqCst);
///     n * n
/// }
///
/// let pool = ThreadPool::new(8);
/// let database = pool.limit(2);
/// let rows = as_completed((0..100).map(|n| database.submit(move || query(n))));
/// assert_eq!(rows.map(|row| row.join().unwrap()).sum::<u32>(), 328_350);
/// ```
#[derive(Clone)]
pub struct Limit<E> {
    executor: E,
    limiter: Arc<Limiter>,
}

impl<E: Executor> Limit<E> {
    /// Creates a view of `executor` that runs at most `tasks` at the same time.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0: nothing would ever run.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Limit, ThreadPool};
    /// use std::sync::Arc;
    ///
    /// let pool = Arc::new(ThreadPool::new(8));
    /// let per_host = ["a.example", "b.example"].map(|host| (host, Limit::new(Arc::clone(&pool), 2)));
    /// let lengths = per_host.map(|(host, limit)| limit.submit(move || host.len()));
    /// assert_eq!(lengths.map(|length| length.join().unwrap()), [9, 9]);
    /// ```
    #[must_use]
    pub fn new(executor: E, tasks: usize) -> Self {
        assert!(tasks > 0, "a limit is at least one task");
        Self {
            executor,
            limiter: Limiter::new(tasks),
        }
    }

    /// Returns how many tasks run at the same time at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// assert_eq!(ThreadPool::new(8).limit(2).max_tasks(), 2);
    /// ```
    #[must_use]
    pub fn max_tasks(&self) -> usize {
        self.limiter.max()
    }

    /// Returns the executor, to submit tasks that do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Limit, ThreadPool};
    ///
    /// let limit = Limit::new(ThreadPool::new(8), 2);
    /// assert_eq!(limit.executor().max_workers(), 8);
    /// ```
    pub fn executor(&self) -> &E {
        &self.executor
    }

    submit_without_import!(
        'static,
        JoinHandle<T>,
        hand_over,
        "use as_completed::ThreadPool;\n\nlet threads = ThreadPool::new(8);\nlet pool = threads.limit(2);",
        ""
    );

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn waiters(&self) -> usize {
        self.limiter.waiters()
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn parked(&self) -> usize {
        self.limiter.parked()
    }

    fn execute_limited(
        &self,
        task: Task,
        execute: impl FnOnce(&E, Task) -> Result<(), RejectedTask>,
    ) -> Result<(), RejectedTask> {
        let id = task.id();
        if !task.0.limit(&self.limiter) {
            return Err(RejectedTask::new(task, Rejected::Limited));
        }
        execute(&self.executor, task).inspect_err(|rejected| {
            if rejected.0.task().id() == id {
                rejected.0.task().unlimit(&self.limiter);
            }
        })
    }
}

impl<E: Executor> Executor for Limit<E> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.execute_limited(task, E::execute)
    }

    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.execute_limited(task, E::try_execute)
    }
}

impl<E> fmt::Debug for Limit<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("max_tasks", &self.limiter.max())
            .finish_non_exhaustive()
    }
}
