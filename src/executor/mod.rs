//! [`Executor`]: what runs tasks.

mod ext;
mod inline;

pub use self::ext::ExecutorExt;
pub(crate) use self::ext::submit_without_import;
pub use self::inline::Inline;

use crate::error::{Rejected, SubmitError};
use crate::task::{Cell, ErasedTask, ScopedJoinHandle, Stop, Task};
use std::sync::Arc;

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
