//! [`TaskId`]: the id of a task.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The id of a task: unique among all tasks of the process, and never reused.
///
/// It is `Copy`, `Eq`, `Ord` and `Hash`, so it is the key for a map from handles
/// to whatever belongs to them, as Python programs use the future itself. The
/// order is arbitrary: ids of tasks submitted from several threads do not tell
/// which came first.
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, Inline, TaskId};
/// use std::collections::HashMap;
///
/// let handles = ["a", "bb"].map(|word| (word, Inline.submit(|| word.len())));
/// let words: HashMap<TaskId, &str> =
///     handles.iter().map(|(word, handle)| (handle.id(), *word)).collect();
/// for handle in as_completed(handles.map(|(_, handle)| handle)) {
///     assert_eq!(words[&handle.id()].len(), handle.join()?);
/// }
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

impl TaskId {
    /// Numbers that a thread takes at a time, so that many submitters do not
    /// contend for each.
    const BLOCK: u64 = 256;

    pub(crate) fn next() -> Self {
        static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            // Constant and without a destructor, to be there while the
            // thread's other thread-locals are destroyed.
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        let mut next = NEXT.get();
        if next % Self::BLOCK == 0 {
            // Relaxed: only that no block is given twice matters.
            next = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * Self::BLOCK;
        }
        NEXT.set(next + 1);
        Self(next)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
