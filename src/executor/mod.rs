//! [`Executor`]: what runs tasks.

// One machine: ext, limit.
mod ext;
mod limit;

mod inline;

pub use self::ext::ExecutorExt;
pub(crate) use self::ext::{limit_without_import, submit_without_import};
pub use self::inline::Inline;
pub use self::limit::Limit;

use crate::task::{ErasedTask, Refused, RejectedTask, Room, Task};
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
/// An executor may keep a task, and hand it on to another executor later. A worker of
/// a [`ThreadPool`](crate::ThreadPool) that waits for the task by then runs it itself,
/// as any other task of its pool, if no other worker is free to.
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
    ///
    /// # Examples
    ///
    /// An executor around another has both methods, so that what never waits for room
    /// does not wait here either.
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, Inline, RejectedTask, Task};
    ///
    /// struct Logged<E>(E);
    ///
    /// impl<E: Executor> Executor for Logged<E> {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         println!("task {:?}", task.id());
    ///         self.0.execute(task)
    ///     }
    ///
    ///     fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         println!("task {:?}, if there is room", task.id());
    ///         self.0.try_execute(task)
    ///     }
    /// }
    ///
    /// let handle = Logged(Inline).try_submit(|| 42).unwrap();
    /// assert_eq!(handle.join()?, 42);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.execute(task)
    }
}

/// Hands a task to an executor, which waits for room or not.
pub(crate) fn hand_over<E: Executor + ?Sized>(
    executor: &E,
    task: ErasedTask<'static>,
    room: Room,
) -> Result<(), Refused<'static>> {
    task.may_be_kept();
    let taken = match room {
        Room::Wait => executor.execute(Task(task)),
        Room::Now => executor.try_execute(Task(task)),
    };
    taken.map_err(|rejected| rejected.0)
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
