//! [`Inline`]: the executor without threads.

use super::ext::submit_without_import;
use super::{Executor, hand_over};
use crate::task::{JoinHandle, RejectedTask, Task};

/// Runs each task at once, on the thread that submits it.
///
/// The sequential executor: what is written for a pool runs without one, one
/// task after the other, in the order of submission. Every handle is final
/// when `submit` returns, and a panic is in its handle, as with any executor.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
///
/// let handle = Inline.submit(std::thread::current);
/// assert_eq!(handle.join()?.id(), std::thread::current().id());
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Inline;

impl Inline {
    submit_without_import!(
        'static,
        JoinHandle<T>,
        hand_over,
        "use as_completed::Inline;\n\nlet pool = Inline;",
        ""
    );
}

impl Executor for Inline {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        task.run();
        Ok(())
    }
}
