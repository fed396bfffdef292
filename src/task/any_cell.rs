//! [`AnyCell`]: what a task is to all who know neither its closure nor its result.

use super::hook::Hook;
use super::id::TaskId;
use super::watch::{Around, Guard, Key, Watcher, Watchers};
use crate::error::{JoinError, Rejected};
use std::sync::Arc;
use std::task::Waker;

/// What came of an attempt to run a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    Yes,
    /// It had started, or was cancelled.
    No,
    /// Its guard is to be asked.
    Guarded,
}

/// All that a pool wants to know of a task, in one virtual call.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) id: TaskId,
    /// Whether the task can be asked to stop while it runs.
    pub(crate) listens: bool,
    /// Whether its handle may have been given out before, so that workers may wait
    /// for the task already.
    pub(crate) may_be_awaited: bool,
}

/// A task, whatever its closure and result are.
pub(crate) trait AnyCell: Send + Sync {
    fn id(&self) -> TaskId;
    fn is_final(&self) -> bool;
    /// Whether the task was cancelled: from the moment in which that is decided,
    /// before the state is final.
    fn is_cancelled(&self) -> bool;
    fn is_running(&self) -> bool;
    fn is_pending(&self) -> bool;
    /// Waits out the critical section that makes the state final, for those who
    /// have heard of it from there.
    fn settled(&self);
    /// The state in one word, for `Debug`.
    fn state_name(&self) -> &'static str;
    /// Whether the task ended without a result for another reason than being
    /// cancelled.
    fn is_failed(&self) -> bool;
    fn owner(&self) -> u32;
    /// Lets workers of `pool` claim the task; called before it is queued.
    fn join_pool(&self, pool: u32) -> Member;
    /// Notes that the task goes to an executor which may keep it, and hand it on to a
    /// pool when the handle is given out.
    fn may_be_kept(&self);
    /// Has all who wait for the task look again at whether they may run it; called
    /// when it has joined a pool.
    fn nudge_waiters(&self);
    /// Makes the task one of no pool; says whether it was one of a pool, whose
    /// queue it has left now.
    fn leave_pool(&self) -> bool;
    /// Runs the task on the current thread, if it has not started and has no
    /// guard.
    fn run(&self, hook: Option<&Arc<Hook>>) -> Ran;
    /// Runs the task on the current thread, if it has not started, whether or not
    /// it is in a queue; its guard was asked before. Says whether it ran.
    fn run_from_queue(&self, hook: Option<&Arc<Hook>>) -> bool;
    /// Puts a guard before the task, which has none. Called before the task is handed
    /// to its executor.
    fn set_guard(&self, guard: Arc<dyn Guard>);
    fn guard(&self) -> Option<Arc<dyn Guard>>;
    fn unguard(&self);
    /// Puts something around the closure; called before the task is handed on.
    fn wrap(&self, around: Around);
    /// Cancels the task, if it has not started; says whether it did.
    fn cancel_pending(&self) -> bool;
    /// Cancels the task, if it has not started; says whether it is cancelled,
    /// by this call or another. A running task that listens is asked to stop.
    fn cancel(&self) -> bool;
    /// Resolves a task that its executor will not run.
    fn reject(&self, reason: Rejected);
    /// Cancels the task, or rejects it for that reason, if it has not started,
    /// and wakes those who wait for it. Returns the watchers whose code is
    /// foreign, for the caller to notify; `None` if the task has started.
    fn withdraw(&self, reason: Option<Rejected>) -> Option<Watchers>;
    /// Adds a watcher, or gives it back if the task is final.
    fn watch(&self, watcher: Watcher) -> Result<(), Watcher>;
    fn unwatch(&self, key: &Key<'_>);
    /// Replaces the waker; says whether the task is not final.
    fn watch_by_waker(&self, waker: &Waker) -> bool;

    // Of tasks whose work is done elsewhere, and which somebody has to finish here.

    /// Finishes the task on the current thread, if nobody has taken that on; says
    /// whether it did.
    fn finish_here(&self) -> bool {
        false
    }

    /// Has another thread finish the task, if nobody has taken that on.
    fn hand_over(&self) {}

    /// The handle is dropped: a waker that it has left is forgotten.
    fn released(&self) {
        self.unwatch(&Key::Waker);
    }
}

/// A task seen by its handle.
pub(crate) trait JoinCell<T>: AnyCell {
    /// Takes the result out, once the task is final.
    fn take_outcome(&self) -> Option<Result<T, JoinError>>;
}
