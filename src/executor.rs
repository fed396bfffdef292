//! [`Executor`]: what runs tasks.

use crate::cell::{Cell, Stop};
use crate::handle::ScopedJoinHandle;
use crate::rejected::{Rejected, SubmitError};
use crate::task::ErasedTask;
use crate::task_id::TaskId;
use std::fmt;
use std::sync::Arc;

/// A closure and the place for its result, on its way to a worker.
///
/// Dropping a task that has not run resolves its handle to
/// [`Rejected::Lost`], so that nobody waits for it in vain.
#[must_use = "a task that is dropped without being run is lost to its handle"]
pub struct Task(pub(crate) ErasedTask<'static>);

impl Task {
    /// Runs the task on the current thread and tells all who wait for it.
    ///
    /// Does nothing if it was cancelled meanwhile. Blocks for as long as the
    /// closure runs; a panic in it is caught and kept for the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, Rejected, Task};
    ///
    /// struct Here;
    ///
    /// impl Executor for Here {
    ///     fn execute(&self, task: Task) -> Result<(), Rejected> {
    ///         task.run();
    ///         Ok(())
    ///     }
    /// }
    ///
    /// assert_eq!(Here.submit(|| 4).join()?, 4);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn run(self) {
        self.0.run();
    }

    /// Returns the name of the task, the same as its handle's.
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

/// What runs tasks: a [`ThreadPool`](crate::ThreadPool),
/// [`Inline`](crate::Inline), or a pool of your own.
///
/// One method makes an executor. Closures are submitted by the methods of
/// [`ExecutorExt`](crate::ExecutorExt), which every executor has; `dyn Executor` and the executors
/// of this crate have the same methods of their own, with no import needed.
/// References, boxes and `Arc`s of executors are executors. The counterpart of
/// Python's abstract class `Executor`.
///
/// # Examples
///
/// ```
/// use as_completed::{Executor, ExecutorExt, Rejected, Task};
///
/// /// Starts a thread for each task.
/// struct Threads;
///
/// impl Executor for Threads {
///     fn execute(&self, task: Task) -> Result<(), Rejected> {
///         std::thread::spawn(|| task.run());
///         Ok(())
///     }
/// }
///
/// fn answer(executor: &dyn Executor) -> u32 {
///     executor.submit(|| 42).join().unwrap()
/// }
///
/// assert_eq!(answer(&Threads), 42);
/// assert_eq!(Threads.submit(|| 43).join()?, 43);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
pub trait Executor: Send + Sync {
    /// Takes a task, to [`run`](Task::run) it now or later; may block until
    /// there is room for it.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the executor will not run the task; it may have dropped
    /// it by then.
    fn execute(&self, task: Task) -> Result<(), Rejected>;

    /// Takes a task as [`execute`](Self::execute) does, but never waits for
    /// room. It is the same as `execute` unless an executor has a bound.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the executor will not run the task;
    /// [`Rejected::QueueFull`] if it would have to wait for room.
    fn try_execute(&self, task: Task) -> Result<(), Rejected> {
        self.execute(task)
    }
}

/// Makes a cell, hands it to `execute` and returns its handle.
pub(crate) fn launch<'scope, F, T, S>(
    closure: F,
    stop: S,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Rejected>,
) -> ScopedJoinHandle<'scope, T>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
    S: Stop + 'scope,
{
    let cell = Arc::new(Cell::new(closure, stop));
    if let Err(reason) = execute(ErasedTask::new(Arc::clone(&cell) as _)) {
        cell.declined(reason);
    }
    ScopedJoinHandle::new(cell)
}

/// As [`launch`], but a closure that is not taken comes back.
pub(crate) fn offer<'scope, F, T>(
    closure: F,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Rejected>,
) -> Result<ScopedJoinHandle<'scope, T>, SubmitError<F>>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    let cell = Arc::new(Cell::offered(closure, ()));
    match execute(ErasedTask::new(Arc::clone(&cell) as _)) {
        Ok(()) => cell.accepted(),
        Err(reason) => {
            if let Some(closure) = cell.take_back() {
                return Err(SubmitError::new(closure, reason));
            }
        }
    }
    Ok(ScopedJoinHandle::new(cell))
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<E: Executor + ?Sized> Executor for $pointer {
            fn execute(&self, task: Task) -> Result<(), Rejected> {
                (**self).execute(task)
            }

            fn try_execute(&self, task: Task) -> Result<(), Rejected> {
                (**self).try_execute(task)
            }
        }
    )+};
}

forward!(&E, Box<E>, Arc<E>);
