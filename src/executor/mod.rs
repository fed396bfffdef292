//! [`Executor`]: what runs tasks.

mod ext;
mod inline;

pub use self::ext::ExecutorExt;
pub(crate) use self::ext::submit_without_import;
pub use self::inline::Inline;

use crate::error::SubmitError;
use crate::task::{
    AnyCell, Cell, ErasedTask, Refused, RejectedTask, ScopedJoinHandle, Stop, Task, Work,
};
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
/// use as_completed::{Executor, ExecutorExt, RejectedTask, Task};
///
/// /// Starts a thread for each task.
/// struct Threads;
///
/// impl Executor for Threads {
///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
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
    /// [`RejectedTask`], which gives the task back with the reason, if the
    /// executor will not run it. A task that the executor drops instead
    /// resolves to [`Rejected::Lost`](crate::Rejected::Lost).
    fn execute(&self, task: Task) -> Result<(), RejectedTask>;

    /// Takes a task as [`execute`](Self::execute) does, but never waits for
    /// room. It is the same as `execute` unless an executor has a bound.
    ///
    /// # Errors
    ///
    /// [`RejectedTask`], which gives the task back with the reason, if the
    /// executor will not run it:
    /// [`Rejected::QueueFull`](crate::Rejected::QueueFull) if it would have to
    /// wait for room.
    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.execute(task)
    }
}

/// Makes a cell, hands it to `execute` and returns its handle.
pub(crate) fn launch<'scope, F, T, S>(
    closure: F,
    stop: S,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Refused<'scope>>,
) -> ScopedJoinHandle<'scope, T>
where
    F: Work<T> + Send + 'scope,
    T: Send + 'scope,
    S: Stop + 'scope,
{
    let cell = Arc::new(Cell::new(closure, stop));
    // The drop of a refused task resolves its handle.
    drop(execute(ErasedTask::new(Arc::clone(&cell) as _)));
    ScopedJoinHandle::new(cell)
}

/// As [`launch`], but a closure that is not taken comes back.
pub(crate) fn offer<'scope, F, T>(
    closure: F,
    execute: impl FnOnce(ErasedTask<'scope>) -> Result<(), Refused<'scope>>,
) -> Result<ScopedJoinHandle<'scope, T>, SubmitError<F>>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    let cell = Arc::new(Cell::new(closure, ()));
    if let Err(refused) = execute(ErasedTask::new(Arc::clone(&cell) as _)) {
        // An executor may refuse another task in place of this one, which it
        // then still holds; that other one learns of it as it is dropped.
        if refused.task().id() == cell.id() {
            if let Some(closure) = cell.take_back() {
                return Err(SubmitError::new(closure, refused.reason().clone()));
            }
        }
    }
    Ok(ScopedJoinHandle::new(cell))
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<E: Executor + ?Sized> Executor for $pointer {
            fn execute(&self, task: Task) -> Result<(), RejectedTask> {
                (**self).execute(task)
            }

            fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
                (**self).try_execute(task)
            }
        }
    )+};
}

forward!(&E, Box<E>, Arc<E>);
