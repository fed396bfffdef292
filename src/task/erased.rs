//! A task as its executor holds it, and as a pool remembers it.

use super::any_cell::{AnyCell, Member, Ran};
use super::hook::Hook;
use super::id::TaskId;
use super::limiter::Limiter;
use super::watch::{Around, Watchers};
use crate::error::Rejected;
use crate::unwind;
use std::sync::{Arc, Weak};

/// The executor's end of a task.
///
/// Dropped before the task has started, it resolves the handle to
/// [`Rejected::Lost`].
pub(crate) struct ErasedTask<'scope>(
    /// `None` once the task was run, rejected or cancelled.
    Option<Arc<dyn AnyCell + 'scope>>,
);

/// The methods that empty an [`ErasedTask`] take it by value.
const THERE: &str = "a task that can be named has its cell";

impl<'scope> ErasedTask<'scope> {
    pub(crate) fn new(cell: Arc<dyn AnyCell + 'scope>) -> Self {
        Self(Some(cell))
    }

    fn there(&self) -> &Arc<dyn AnyCell + 'scope> {
        self.0.as_ref().expect(THERE)
    }

    pub(crate) fn id(&self) -> TaskId {
        self.there().id()
    }

    /// Makes the task one of a pool, whose workers may claim it from now on.
    pub(crate) fn join_pool(&self, pool: u32) -> Member {
        self.there().join_pool(pool)
    }

    /// Makes the task one that a worker of that pool runs at once, in no queue. If its
    /// guard keeps it, workers of the pool may claim it.
    pub(crate) fn bypass_queue(&self, pool: u32) -> Member {
        let cell = self.there();
        let member = cell.join_pool(0);
        if let Some(guard) = cell.guard() {
            guard.join_pool(pool);
            if member.may_be_awaited {
                cell.nudge_waiters();
            }
        }
        member
    }

    /// Has all who wait for the task look again at whether they may run it.
    pub(crate) fn nudge_waiters(&self) {
        self.there().nudge_waiters();
    }

    /// Makes the task one of no pool, so that workers that wait for it cannot
    /// claim it any more; says whether it was one of a pool, whose queue it has
    /// left now.
    pub(crate) fn leave_pool(&self) -> bool {
        self.there().leave_pool()
    }

    /// Whether the task has not started.
    pub(crate) fn is_pending(&self) -> bool {
        self.there().is_pending()
    }

    /// A way to reach the task that keeps it from nothing.
    pub(crate) fn downgrade(&self) -> WeakTask<'scope> {
        WeakTask::new(self.there())
    }

    /// Runs the task, if it has not started, and lets go of it.
    pub(crate) fn run(self, hook: Option<&Arc<Hook>>) {
        self.end(|cell| match cell.run(hook) {
            Ran::Yes => {}
            Ran::No => not_run(cell, hook),
            Ran::Guarded => run_guarded(cell, hook),
        });
    }

    /// Resolves the task without running it, and lets go of it.
    pub(crate) fn reject(self, reason: Rejected) {
        self.end(|cell| cell.reject(reason));
    }

    /// Cancels the tasks, or rejects them for that reason, and lets go of
    /// them; returns how many had not started.
    ///
    /// All are final before `then` and the callbacks run: these may wait for any.
    pub(crate) fn withdraw_all(
        tasks: impl IntoIterator<Item = Self>,
        reason: Option<&Rejected>,
        hook: Option<&Hook>,
        then: impl FnOnce(),
    ) -> usize {
        let mut withdrawn = 0;
        let mut to_notify = Vec::new();
        for task in tasks {
            let id = task.id();
            let watchers = task.end(|cell| cell.withdraw(reason.cloned()));
            if watchers.is_some() {
                withdrawn += 1;
                if let Some(hook) = hook {
                    hook.withdraw(id);
                }
            }
            to_notify.extend(
                watchers
                    .filter(|watchers| !matches!(watchers, Watchers::None))
                    .map(|watchers| (id, watchers)),
            );
        }
        then();
        for (id, watchers) in to_notify {
            watchers.notify(id);
        }
        withdrawn
    }

    fn end<R>(mut self, end: impl FnOnce(&(dyn AnyCell + 'scope)) -> R) -> R {
        let cell = self.0.take().expect(THERE);
        let ended = end(&*cell);
        // The handle may be gone, and the result with it: its drop is foreign.
        unwind::discard(cell);
        ended
    }
}

#[cold]
fn run_guarded(cell: &(dyn AnyCell + '_), hook: Option<&Arc<Hook>>) {
    match cell.guard() {
        Some(guard) => guard.run(hook),
        // The task is final.
        None => not_run(cell, hook),
    }
}

/// Whoever cancelled it did not know of the hook, if the task was on its way from
/// the queue to here.
#[cold]
fn not_run(cell: &(dyn AnyCell + '_), hook: Option<&Arc<Hook>>) {
    if let Some(hook) = hook {
        hook.withdraw(cell.id());
    }
}

impl ErasedTask<'static> {
    /// Notes that it goes to an executor which may keep it.
    pub(crate) fn may_be_kept(&self) {
        self.there().may_be_kept();
    }

    /// Has the task run within that limit, too; says whether it can.
    pub(crate) fn limit(&self, limiter: &Arc<Limiter>) -> bool {
        let cell = self.there();
        if let Some(guard) = cell.guard() {
            return limiter.contain(&*guard);
        }
        cell.set_guard(limiter.guard(Arc::downgrade(cell)));
        true
    }

    /// Has the task run without a limit, if that is the first that it was in.
    pub(crate) fn unlimit(&self, limiter: &Limiter) {
        let cell = self.there();
        if cell
            .guard()
            .is_some_and(|guard| limiter.is_innermost(&*guard))
        {
            cell.unguard();
        }
    }

    /// Has the task run within `around`.
    pub(crate) fn wrap(&self, around: Around) {
        self.there().wrap(around);
    }
}

impl Drop for ErasedTask<'_> {
    // Inlined: whoever has just emptied it sees that there is nothing to do.
    #[inline]
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            lose(cell);
        }
    }
}

#[cold]
fn lose(cell: Arc<dyn AnyCell + '_>) {
    cell.reject(Rejected::Lost);
    unwind::discard(cell);
}

/// A task that may be gone.
#[derive(Clone)]
pub(crate) struct WeakTask<'scope>(Weak<dyn AnyCell + 'scope>);

impl<'scope> WeakTask<'scope> {
    pub(crate) fn new(cell: &Arc<dyn AnyCell + 'scope>) -> Self {
        Self(Arc::downgrade(cell))
    }

    /// Has another thread finish the task, if nobody has taken that on.
    pub(crate) fn hand_over(&self) {
        if let Some(cell) = self.0.upgrade() {
            cell.hand_over();
            unwind::discard(cell);
        }
    }

    /// Whether anybody holds the task. Does not touch it: to be the last to
    /// let go of it would be to run foreign code.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Asks the task to stop, if it runs.
    pub(crate) fn stop(&self) {
        if let Some(cell) = self.0.upgrade() {
            cell.cancel();
            unwind::discard(cell);
        }
    }
}

impl<'scope> WeakTask<'scope> {
    /// The task, if it has not started: to be withdrawn, in the place of whoever
    /// else would run it.
    pub(crate) fn upgrade_pending(&self) -> Option<ErasedTask<'scope>> {
        let cell = self.0.upgrade()?;
        if cell.is_pending() {
            return Some(ErasedTask::new(cell));
        }
        unwind::discard(cell);
        None
    }
}
