//! The cell: one allocation that holds a task's closure, then its result, its
//! state and its watchers.
//!
//! # States
//!
//! ```text
//! PENDING ──► RUNNING ──► RETURNED | PANICKED
//!    ├──────► CANCELLING ► CANCELLED
//!    └──────► REJECTING ─► REJECTED
//! ```
//!
//! # Invariants
//!
//! - The state changes under the cell's lock only. It is read without, and a
//!   reader that sees a final state sees all that led to it (`Release` on the
//!   store, `Acquire` on the load).
//! - The closure is in the cell if and only if the state is `PENDING`. Whoever
//!   takes it out decides the task's fate, so it runs at most once, and never
//!   after it was cancelled.
//! - The closure is gone, run or dropped, before the state is final; no
//!   foreign code runs under the lock.
//! - Watchers are added while the state is not final, and taken out in the
//!   same critical section that makes it final: each is told exactly once.

use super::any_cell::{AnyCell, JoinCell, Member, Ran};
use super::cancel::CancelToken;
use super::capacity;
use super::hook::Hook;
use super::id::TaskId;
use super::watch::{Around, Guard, Key, Watcher, Watchers};
use super::watched::Watched;
use crate::error::{JoinError, Panic, Rejected};
use crate::sync::{AtomicU8, AtomicU32, Mutex, MutexGuard, Ordering};
use crate::unwind::{self, Payload};
use std::sync::Arc;
use std::task::Waker;

const PENDING: u8 = 0;
const RUNNING: u8 = 1;
/// The closure is being dropped; the task will at once be cancelled.
const CANCELLING: u8 = 2;
/// The closure is being dropped, or given back.
const REJECTING: u8 = 3;
const RETURNED: u8 = 4;
const PANICKED: u8 = 5;
const CANCELLED: u8 = 6;
const REJECTED: u8 = 7;

/// The first final state; all after it are final too.
const FINAL: u8 = RETURNED;

/// The work ended without a result for a reason of its own, such as the death
/// of the process that did it.
const FAILED: u8 = 10;

/// What a cell runs: a closure, or one that may itself say why it has no result.
pub(crate) trait Work<T>: Sized {
    fn work(self) -> Result<T, JoinError>;

    /// As [`work`](Self::work); a panic is one of the reasons.
    fn catch(self) -> Result<T, JoinError> {
        unwind::catch(|| self.work()).unwrap_or_else(|payload| Err(panicked(payload)))
    }
}

impl<F: FnOnce() -> T, T> Work<T> for F {
    fn work(self) -> Result<T, JoinError> {
        Ok(self())
    }

    // One look at what came of it, not two: a closure has no other reason.
    #[inline]
    fn catch(self) -> Result<T, JoinError> {
        unwind::catch(self).map_err(panicked)
    }
}

/// A closure that may say itself why it has no result.
pub(crate) struct Fallible<F>(pub(crate) F);

impl<F: FnOnce() -> Result<T, JoinError>, T> Work<T> for Fallible<F> {
    fn work(self) -> Result<T, JoinError> {
        (self.0)()
    }
}

#[cold]
fn panicked(payload: Payload) -> JoinError {
    JoinError::Panicked(Panic::new(payload))
}

pub(super) struct Slot<F, T> {
    stage: Stage<F, T>,
    watchers: Watchers,
}

enum Stage<F, T> {
    Closure(F),
    /// The closure runs or is dropped, or the result has been joined.
    Empty,
    Outcome(Result<T, JoinError>),
}

/// Whether a task can be asked to stop while it runs: costs nothing where not.
pub(crate) trait Stop: Send + Sync {
    fn token(&self) -> Option<&CancelToken>;
}

impl Stop for () {
    fn token(&self) -> Option<&CancelToken> {
        None
    }
}

impl Stop for CancelToken {
    fn token(&self) -> Option<&CancelToken> {
        Some(self)
    }
}

/// One task, with its closure's and its result's type.
pub(crate) struct Cell<F, T, S> {
    id: TaskId,
    state: AtomicU8,
    /// The pool in whose queue the task is and whose workers may claim it when
    /// they wait for it; 0 for none. Set before the task is queued.
    owner: AtomicU32,
    /// What stands among the watchers for whoever runs the task: set before the
    /// task is handed to its executor.
    marks: AtomicU8,
    stop: S,
    slot: Mutex<Slot<F, T>>,
}

/// There is a guard.
const GUARDED: u8 = 1;
/// There is something around the closure.
const WRAPPED: u8 = 2;
/// The handle may be given out before a pool has the task.
const MAY_BE_KEPT: u8 = 4;

impl<F, T, S> Cell<F, T, S> {
    pub(crate) fn new(closure: F, stop: S) -> Self {
        Self {
            id: TaskId::next(),
            state: AtomicU8::new(PENDING),
            owner: AtomicU32::new(0),
            marks: AtomicU8::new(0),
            stop,
            slot: Mutex::new(Slot {
                stage: Stage::Closure(closure),
                watchers: Watchers::None,
            }),
        }
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// Takes the closure out if it is still there, and says in the same
    /// critical section what becomes of the task.
    fn take_closure(&self, next: u8) -> Option<F> {
        if self.state() != PENDING {
            return None;
        }
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut slot.stage, Stage::Empty) {
            Stage::Closure(closure) => {
                self.state.store(next, Ordering::Release);
                Some(closure)
            }
            other => {
                slot.stage = other;
                None
            }
        }
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn is_locked(&self) -> bool {
        self.slot.try_lock().is_none()
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn watchers(&self) -> usize {
        self.slot.lock().watchers.as_slice().len()
    }

    /// Makes the state final; the watchers are still to be notified.
    fn finish(&self, state: u8, outcome: Result<T, JoinError>) -> Option<Watchers> {
        let mut slot = self.slot.lock();
        // The closure was taken out, so there is nothing to drop.
        std::mem::forget(std::mem::replace(&mut slot.stage, Stage::Outcome(outcome)));
        // Most tasks have none when they end.
        let watchers = if matches!(slot.watchers, Watchers::None) {
            None
        } else {
            let watchers = std::mem::take(&mut slot.watchers);
            // Before anybody can see the state: whoever does, and looks at an
            // iterator then, finds the task there, and before those that end later.
            watchers.announce();
            Some(watchers)
        };
        self.state.store(state, Ordering::Release);
        watchers
    }

    /// Makes the state final and notifies the watchers.
    fn settle(&self, state: u8, outcome: Result<T, JoinError>) {
        if let Some(watchers) = self.finish(state, outcome) {
            watchers.notify(self.id);
        }
    }

    /// Tells the queue that the task is in, if it is in one, that no worker needs
    /// to take it out any more; `withdrawn` if it will not run at all. Called after
    /// the closure was taken.
    fn leave_queue(&self, withdrawn: Option<TaskId>) {
        // Most often it is in none: then this costs no write.
        if self.owner.load(Ordering::Relaxed) != 0 {
            match self.owner.swap(0, Ordering::Relaxed) {
                0 => {}
                pool => capacity::leave(pool, withdrawn),
            }
        }
    }

    /// Tells the queue, and the guard, that the task will not run. Called after the
    /// closure was taken.
    fn withdraw_from_queue(&self)
    where
        Self: AnyCell,
    {
        self.leave_queue(Some(self.id));
        if let Some(guard) = self.guard() {
            guard.withdraw(self.id);
        }
    }

    /// Runs the closure that was taken out, which nothing is around and nobody is
    /// told of.
    fn run_closure(&self, closure: F)
    where
        F: Work<T>,
    {
        let outcome = closure.catch();
        self.settle(state_of(&outcome), outcome);
    }

    /// Runs the closure that was taken out within what was put around it.
    #[cold]
    fn run_within(&self, closure: F, hook: Option<&Arc<Hook>>)
    where
        F: Work<T>,
    {
        let running = hook.map(|hook| hook.start(self.id));
        let outcome = if self.marks.load(Ordering::Relaxed) & WRAPPED == 0 {
            closure.catch()
        } else {
            let arounds = self.slot.lock().watchers.take_arounds();
            run_wrapped(closure, arounds)
        };
        drop(running);
        self.settle(state_of(&outcome), outcome);
    }

    /// Takes the closure out of a task that its executor refused and for which
    /// no handle is given out; `None` if it was cancelled meanwhile.
    pub(crate) fn take_back(&self) -> Option<F> {
        self.take_closure(REJECTING)
    }
}

impl<F, T> AsMut<Watchers> for Slot<F, T> {
    fn as_mut(&mut self) -> &mut Watchers {
        &mut self.watchers
    }
}

impl<F, T, S> Watched for Cell<F, T, S> {
    type Slot = Slot<F, T>;

    fn unless_final(&self) -> Option<MutexGuard<'_, Self::Slot>> {
        if self.state() >= FINAL {
            return None;
        }
        let slot = self.slot.lock();
        (self.state() < FINAL).then_some(slot)
    }
}

impl<F, T, S> AnyCell for Cell<F, T, S>
where
    F: Work<T> + Send,
    T: Send,
    S: Stop,
{
    fn id(&self) -> TaskId {
        self.id
    }

    fn is_final(&self) -> bool {
        self.state() >= FINAL
    }

    fn is_cancelled(&self) -> bool {
        matches!(self.state(), CANCELLING | CANCELLED)
    }

    fn is_running(&self) -> bool {
        self.state() == RUNNING
    }

    fn is_pending(&self) -> bool {
        self.state() == PENDING
    }

    fn settled(&self) {
        let slot = self.unless_final();
        debug_assert!(slot.is_none(), "the state is final when the lock is free");
    }

    fn state_name(&self) -> &'static str {
        match self.state() {
            RUNNING => "running",
            RETURNED => "returned",
            PANICKED => "panicked",
            CANCELLING | CANCELLED => "cancelled",
            REJECTING | REJECTED => "rejected",
            FAILED => "failed",
            _ => "pending",
        }
    }

    fn is_failed(&self) -> bool {
        matches!(self.state(), PANICKED | REJECTED | FAILED)
    }

    fn owner(&self) -> u32 {
        // Relaxed: the pool writes it before the handle exists, or before it nudges
        // those who wait, and resets it when a worker takes the task, which the gauge
        // tells of.
        self.owner.load(Ordering::Relaxed)
    }

    fn join_pool(&self, pool: u32) -> Member {
        self.owner.store(pool, Ordering::Relaxed);
        let marks = self.marks.load(Ordering::Relaxed);
        let is_guarded = marks & GUARDED != 0;
        if is_guarded {
            if let Some(guard) = self.guard() {
                guard.join_pool(pool);
            }
        }
        Member {
            id: self.id,
            // The pool loses sight of a task that its guard keeps, too.
            listens: is_guarded || self.stop.token().is_some(),
            may_be_awaited: marks & MAY_BE_KEPT != 0,
        }
    }

    fn may_be_kept(&self) {
        self.marks.fetch_or(MAY_BE_KEPT, Ordering::Relaxed);
    }

    fn nudge_waiters(&self) {
        if let Some(slot) = self.unless_final() {
            slot.watchers.nudge();
        }
    }

    fn leave_pool(&self) -> bool {
        self.owner.swap(0, Ordering::Relaxed) != 0
    }

    fn run(&self, hook: Option<&Arc<Hook>>) -> Ran {
        let marks = self.marks.load(Ordering::Relaxed);
        if marks & GUARDED != 0 {
            return Ran::Guarded;
        }
        let Some(closure) = self.take_closure(RUNNING) else {
            return Ran::No;
        };
        if marks & WRAPPED == 0 && hook.is_none() {
            self.run_closure(closure);
        } else {
            self.run_within(closure, hook);
        }
        Ran::Yes
    }

    fn run_from_queue(&self, hook: Option<&Arc<Hook>>) -> bool {
        let Some(closure) = self.take_closure(RUNNING) else {
            return false;
        };
        self.leave_queue(None);
        self.run_within(closure, hook);
        true
    }

    fn set_guard(&self, guard: Arc<dyn Guard>) {
        if self.watch(Watcher::Guard(Box::new(guard))).is_ok() {
            self.marks.fetch_or(GUARDED, Ordering::Relaxed);
        }
    }

    fn guard(&self) -> Option<Arc<dyn Guard>> {
        if self.marks.load(Ordering::Relaxed) & GUARDED == 0 {
            return None;
        }
        self.unless_final()?.watchers.guard()
    }

    fn unguard(&self) {
        if self.marks.fetch_and(!GUARDED, Ordering::Relaxed) & GUARDED != 0 {
            self.unwatch(&Key::Guard);
        }
    }

    fn wrap(&self, around: Around) {
        match self.watch(Watcher::Around(Box::new(around))) {
            Ok(()) => drop(self.marks.fetch_or(WRAPPED, Ordering::Relaxed)),
            Err(around) => unwind::discard(around),
        }
    }

    fn cancel_pending(&self) -> bool {
        let Some(closure) = self.take_closure(CANCELLING) else {
            return false;
        };
        self.withdraw_from_queue();
        unwind::discard(closure);
        self.settle(CANCELLED, Err(JoinError::Cancelled));
        true
    }

    fn cancel(&self) -> bool {
        if self.cancel_pending() {
            return true;
        }
        match self.state() {
            RUNNING => {
                if let Some(token) = self.stop.token() {
                    token.cancel();
                }
                false
            }
            CANCELLING | CANCELLED => true,
            _ => false,
        }
    }

    fn withdraw(&self, reason: Option<Rejected>) -> Option<Watchers> {
        let (meanwhile, state, error) = match reason {
            None => (CANCELLING, CANCELLED, JoinError::Cancelled),
            Some(reason) => (REJECTING, REJECTED, JoinError::Rejected(reason)),
        };
        let closure = self.take_closure(meanwhile)?;
        self.withdraw_from_queue();
        unwind::discard(closure);
        let watchers = self.finish(state, Err(error)).unwrap_or_default();
        Some(watchers.notify_waiting(self.id))
    }

    fn reject(&self, reason: Rejected) {
        if let Some(closure) = self.take_closure(REJECTING) {
            self.withdraw_from_queue();
            unwind::discard(closure);
            self.settle(REJECTED, Err(JoinError::Rejected(reason)));
        }
    }

    fn watch(&self, watcher: Watcher) -> Result<(), Watcher> {
        self.add_watcher(watcher)
    }

    fn unwatch(&self, key: &Key<'_>) {
        self.remove_watcher(key);
    }

    fn watch_by_waker(&self, waker: &Waker) -> bool {
        self.replace_waker(waker)
    }
}

/// The final state of a task that has ended so.
#[inline]
fn state_of<T>(outcome: &Result<T, JoinError>) -> u8 {
    match outcome {
        Ok(_) => RETURNED,
        Err(JoinError::Panicked(_)) => PANICKED,
        Err(JoinError::Cancelled) => CANCELLED,
        Err(JoinError::Rejected(_)) => REJECTED,
        Err(_) => FAILED,
    }
}

fn run_wrapped<T>(closure: impl Work<T>, mut arounds: Vec<Around>) -> Result<T, JoinError> {
    let (mut closure, mut outcome) = (Some(closure), None);
    let mut run = || {
        if let Some(closure) = closure.take() {
            outcome = Some(closure.catch());
        }
    };
    let wrapped = unwind::catch(|| within(&mut arounds, &mut run));
    unwind::discard((closure, arounds));
    match (outcome, wrapped) {
        // What it panics with after the closure has been reported.
        (Some(outcome), wrapped) => {
            unwind::discard(wrapped);
            outcome
        }
        (None, Ok(())) => Err(JoinError::Rejected(Rejected::Lost)),
        (None, Err(payload)) => Err(panicked(payload)),
    }
}

/// Runs what is around the closure, last put first, and in the end the closure.
fn within(arounds: &mut Vec<Around>, run: &mut dyn FnMut()) {
    match arounds.pop() {
        Some(around) => around(&mut || within(arounds, run)),
        None => run(),
    }
}

impl<F, T, S> JoinCell<T> for Cell<F, T, S>
where
    F: Work<T> + Send,
    T: Send,
    S: Stop,
{
    fn take_outcome(&self) -> Option<Result<T, JoinError>> {
        if !self.is_final() {
            return None;
        }
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut slot.stage, Stage::Empty) {
            Stage::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_small_task_is_smaller_than_a_cache_line() {
        let number = 4_u64;
        let cell = Cell::<_, u64, _>::new(move || number, ());
        assert!(size_of_val(&cell) <= 56, "{}", size_of_val(&cell));
    }
}
