//! [`RejectedTask`]: a task that its executor gives back, and why.

use super::Task;
use super::erased::ErasedTask;
use super::full::FullQueues;
use crate::error::Rejected;
use std::error::Error;
use std::fmt;

/// A task that was not taken, whatever it may borrow, with the reason.
///
/// Dropping it resolves the task's handle to the reason. Behind a pointer,
/// since every task that is taken makes room for one.
pub(crate) struct Refused<'scope>(Box<Parts<'scope>>);

struct Parts<'scope> {
    /// `None` once the task was taken out.
    task: Option<ErasedTask<'scope>>,
    reason: Rejected,
}

impl<'scope> Refused<'scope> {
    pub(crate) fn new(task: ErasedTask<'scope>, reason: Rejected) -> Self {
        Self(Box::new(Parts {
            task: Some(task),
            reason,
        }))
    }

    pub(crate) fn reason(&self) -> &Rejected {
        &self.0.reason
    }

    pub(crate) fn task(&self) -> &ErasedTask<'scope> {
        self.0.task.as_ref().expect(THERE)
    }

    pub(crate) fn into_task(mut self) -> ErasedTask<'scope> {
        self.0.task.take().expect(THERE)
    }
}

/// The method that takes the task out takes its owner by value.
const THERE: &str = "a refused task that can be named has its task";

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.reject(self.reason.clone());
        }
    }
}

/// A task that an executor does not take, with the reason.
///
/// The error of [`Executor::execute`](crate::Executor::execute): it gives the
/// task back, as the error of a channel gives back the message. Dropping it
/// resolves the task's handle to
/// [`JoinError::Rejected`](crate::JoinError::Rejected) with the reason.
///
/// # Examples
///
/// An executor that hands on to a second one what the first does not take:
///
/// ```
/// use as_completed::{Executor, ExecutorExt, Inline, RejectedTask, Task, ThreadPool};
///
/// struct Fallback(ThreadPool);
///
/// impl Executor for Fallback {
///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
///         self.0
///             .try_execute(task)
///             .or_else(|rejected| Inline.execute(rejected.into_task()))
///     }
/// }
///
/// let executor = Fallback(ThreadPool::new(1));
/// executor.0.shutdown();
/// assert_eq!(executor.submit(|| 4).join()?, 4);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
pub struct RejectedTask(pub(crate) Refused<'static>);

impl RejectedTask {
    /// Creates the error with which an executor gives `task` back.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, Rejected, RejectedTask, Task};
    /// use std::sync::mpsc::Sender;
    /// use std::sync::Mutex;
    ///
    /// /// Sends each task to a thread that runs it.
    /// struct Single(Mutex<Sender<Task>>);
    ///
    /// impl Executor for Single {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         let sent = self.0.lock().unwrap().send(task);
    ///         sent.map_err(|unsent| RejectedTask::new(unsent.0, Rejected::ShutDown))
    ///     }
    /// }
    ///
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let single = Single(Mutex::new(sender));
    /// drop(receiver);
    /// let error = single.try_submit(|| 4).unwrap_err();
    /// assert_eq!(error.into_closure()(), 4);
    /// ```
    #[must_use]
    pub fn new(task: Task, reason: Rejected) -> Self {
        if let Rejected::QueueFull = reason {
            FullQueues::note_other();
        }
        Self(Refused::new(task.0, reason))
    }

    /// Returns why the task was not taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, Inline, Rejected, RejectedTask, Task, ThreadPool};
    ///
    /// /// Runs on the caller what its pool has no room for.
    /// struct CallerRuns(ThreadPool);
    ///
    /// impl Executor for CallerRuns {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         match self.0.try_execute(task) {
    ///             Err(full) if matches!(full.reason(), Rejected::QueueFull) => {
    ///                 Inline.execute(full.into_task())
    ///             }
    ///             other => other,
    ///         }
    ///     }
    /// }
    ///
    /// let executor = CallerRuns(ThreadPool::new(1));
    /// executor.0.shutdown();
    /// assert!(executor.submit(|| 4).join().unwrap_err().is_rejected());
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Rejected {
        self.0.reason()
    }

    /// Gives the task back, to run it or to hand it to another executor.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ExecutorExt, RejectedTask, Task, ThreadPool};
    ///
    /// /// Runs on the caller what its pool does not take.
    /// struct AtAnyRate(ThreadPool);
    ///
    /// impl Executor for AtAnyRate {
    ///     fn execute(&self, task: Task) -> Result<(), RejectedTask> {
    ///         if let Err(rejected) = self.0.try_execute(task) {
    ///             rejected.into_task().run();
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let executor = AtAnyRate(ThreadPool::new(1));
    /// executor.0.shutdown();
    /// assert_eq!(executor.submit(|| 4).join()?, 4);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn into_task(self) -> Task {
        Task(self.0.into_task())
    }
}

impl fmt::Debug for RejectedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedTask")
            .field("id", &self.0.task().id())
            .field("reason", self.reason())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RejectedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.reason(), f)
    }
}

/// Its message and source are those of the reason.
impl Error for RejectedTask {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason().source()
    }
}
