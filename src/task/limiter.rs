//! [`Limiter`]: how many tasks of a limit run at the same time.
//!
//! A limited task is in the queue of its pool like any other, so that it is
//! cancelled, claimed and shut down with it; but whoever is to run it asks the
//! limiter first. A worker that finds no room does not wait: it parks the task,
//! and one of those that run tasks of the limit goes on with it.
//!
//! A limit of a limit: the limiter has an *outer* one, in which its tasks are, too.
//! A task needs a permit of each, and takes all or none: so none is held by a task
//! that does not run, and tasks of one limit do not use up the outer one while they
//! wait for their own.
//!
//! # States
//!
//! ```text
//! guarded ─► running (a permit, or a lent one) ─► final
//!     └────► parked ─► running
//! ```
//!
//! # Invariants
//!
//! - `running` permits are out, at most `max`. A task runs only with a permit, or in
//!   the place of a task that waits for it on the same thread, which lends its own.
//! - `serving` of them are held by threads that go on with what is parked when their
//!   task has ended; they give the permit back only when nothing is parked, in
//!   the critical section in which they saw that. The others are held by workers
//!   that have claimed the one task they wait for, and must run no other.
//! - A task is parked only while all permits are held by those that serve. Where
//!   workers that have claimed hold permits, which is rare, a worker waits for one.
//! - While tasks are parked at a limiter, all its permits are out, or one of its tasks
//!   is parked at an outer one: whoever takes that one out runs it, and serves here
//!   when it has ended, or serves here at once if it was cancelled. So each parked task
//!   is run.
//! - Whoever needs several locks takes that of a limiter before that of its outer one.
//!   An outer one is older, so there is no circle.
//! - Workers that wait for a limited task without claiming it have a watcher in
//!   `waiters`, which is notified whenever room has come or gone.

use super::any_cell::AnyCell;
use super::hook::Hook;
use super::id::TaskId;
use super::watch::{Guard, Key, Watcher};
use crate::sync::{AtomicU32, Condvar, Mutex, MutexGuard, Ordering, thread_local};
use crate::unwind;
use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, Weak};

/// As many tasks are parked before those that were cancelled are looked for.
const SWEEP_AT: usize = 64;

pub(crate) struct Limiter {
    id: LimiterId,
    max: usize,
    /// The limiter in which all tasks of this one are, too. Known before the first
    /// of them is queued.
    outer: OnceLock<Arc<Limiter>>,
    state: Mutex<State>,
    /// Workers wait here for a permit that a claim holds.
    room: Condvar,
}

struct State {
    running: usize,
    serving: usize,
    parked: VecDeque<Ticket>,
    /// When as many are parked, those that are final are removed.
    sweep_at: usize,
    waiters: Vec<Watcher>,
}

/// A limited task on its way to a thread.
struct Ticket {
    task: Arc<dyn AnyCell>,
    /// The innermost limiter that it is in.
    limiter: Arc<Limiter>,
    /// Who is told what becomes of it.
    hook: Option<Arc<Hook>>,
}

impl Ticket {
    /// Runs the task, which may run now. Its guard stays until it is final: whoever
    /// else comes to run it asks, too, and finds that it has started.
    fn run(self) {
        let has_run = self.task.run_from_queue(self.hook.as_ref());
        if let (false, Some(hook)) = (has_run, &self.hook) {
            hook.withdraw(self.task.id());
        }
        // The handle may be gone, and the result with it: its drop is foreign.
        unwind::discard(self);
    }
}

thread_local! {
    /// The limiters in whose permits this thread runs, its own or lent ones.
    static HELD: RefCell<Vec<LimiterId>> = RefCell::default();
}

/// Tells limiters apart; greater than that of all older ones.
pub(super) type LimiterId = usize;

/// The permits of the current thread, for another that stands in for it.
pub(super) fn held() -> Vec<LimiterId> {
    HELD.with(|held| held.borrow().clone())
}

/// Lends permits to the current thread, which has just started.
pub(super) fn hold(permits: Vec<LimiterId>) {
    HELD.with(|held| *held.borrow_mut() = permits);
}

/// Runs `f` in permits of the limiters.
fn holding(limiters: &[Arc<Limiter>], f: impl FnOnce()) {
    let ids = limiters.iter().map(|limiter| limiter.id);
    HELD.with(|held| held.borrow_mut().extend(ids));
    f();
    HELD.with(|held| {
        let mut held = held.borrow_mut();
        let left = held.len() - limiters.len();
        held.truncate(left);
    });
}

impl Limiter {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            max,
            outer: OnceLock::new(),
            state: Mutex::new(State {
                running: 0,
                serving: 0,
                parked: VecDeque::new(),
                sweep_at: SWEEP_AT,
                waiters: Vec::new(),
            }),
            room: Condvar::new(),
        })
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn waiters(&self) -> usize {
        self.state.lock().waiters.len()
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn parked(&self) -> usize {
        self.state.lock().parked.len()
    }

    /// The guard of a task that is to run within this limit.
    pub(super) fn guard(self: &Arc<Self>, task: Weak<dyn AnyCell>) -> Arc<dyn Guard> {
        Arc::new(Limited {
            limiter: Arc::clone(self),
            outermost: Mutex::new(Arc::clone(self)),
            task,
            pool: AtomicU32::new(0),
            hook: Mutex::new(None),
        })
    }

    /// Has the task of a guard, which is in other limits already, be in this one, too;
    /// says whether it can be: the tasks of one limit go to the same outer one.
    pub(super) fn contain(self: &Arc<Self>, guard: &dyn Guard) -> bool {
        let Some(limited) = guard.as_any().downcast_ref::<Limited>() else {
            return false;
        };
        let mut outermost = limited.outermost.lock();
        if outermost.id == self.id {
            return true;
        }
        let is_contained = outermost.id > self.id
            && outermost.outer.get_or_init(|| Arc::clone(self)).id == self.id;
        if is_contained {
            *outermost = Arc::clone(self);
        }
        is_contained
    }

    /// Whether the guard's task came to this limiter first.
    pub(super) fn is_innermost(&self, guard: &dyn Guard) -> bool {
        let limited = guard.as_any().downcast_ref::<Limited>();
        limited.is_some_and(|limited| limited.limiter.id == self.id)
    }

    /// This limiter and all in which its tasks are, too.
    fn all(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |limiter| limiter.outer.get())
    }

    /// Those of them in whose permits the current thread does not run.
    fn wanted(self: &Arc<Self>) -> Vec<Arc<Self>> {
        HELD.with(|held| {
            let held = held.borrow();
            self.all()
                .filter(|limiter| !held.contains(&limiter.id))
                .cloned()
                .collect()
        })
    }

    fn has_room(&self) -> bool {
        self.state.lock().running < self.max
    }

    /// Gives a permit back, and tells all who wait for one.
    fn give_back(&self, mut state: MutexGuard<'_, State>) {
        state.running -= 1;
        let to_nudge = if state.running + 1 == self.max {
            std::mem::take(&mut state.waiters)
        } else {
            Vec::new()
        };
        drop(state);
        // All: one of them may wait elsewhere then, and leave this permit.
        self.room.notify_all();
        nudge(to_nudge);
    }
}

/// Takes a permit of each, or none; `Err` with the first that has none.
fn try_take(
    limiters: &[Arc<Limiter>],
    serves: bool,
) -> Result<(), (&Limiter, MutexGuard<'_, State>)> {
    let mut to_nudge = Vec::new();
    take_all(limiters, serves, &mut to_nudge)?;
    nudge(to_nudge);
    Ok(())
}

/// The locks of all are held when the last is looked at.
fn take_all<'a>(
    limiters: &'a [Arc<Limiter>],
    serves: bool,
    to_nudge: &mut Vec<Watcher>,
) -> Result<(), (&'a Limiter, MutexGuard<'a, State>)> {
    let Some((limiter, outer)) = limiters.split_first() else {
        return Ok(());
    };
    let mut state = limiter.state.lock();
    if state.running == limiter.max {
        return Err((limiter, state));
    }
    take_all(outer, serves, to_nudge)?;
    state.running += 1;
    state.serving += usize::from(serves);
    if state.running == limiter.max {
        to_nudge.append(&mut state.waiters);
    }
    Ok(())
}

/// Takes a permit of each for the ticket, for a thread that serves; or parks it.
fn take_or_park(limiters: &[Arc<Limiter>], ticket: Ticket) -> Option<Ticket> {
    loop {
        let Err((limiter, mut state)) = try_take(limiters, true) else {
            return Some(ticket);
        };
        if state.serving == limiter.max {
            let swept = state.park(limiter, ticket);
            drop(state);
            unwind::discard(swept);
            return None;
        }
        limiter.room.wait(&mut state);
    }
}

/// Runs the ticket on the current thread, and then what is parked; or parks it.
fn run(ticket: Ticket) {
    if !ticket.task.is_pending() {
        // Run by a worker that waited for it, or cancelled: it needs no permit.
        return ticket.run();
    }
    let mut limiters = ticket.limiter.wanted();
    let mut next = take_or_park(&limiters, ticket);
    while let Some(ticket) = next {
        holding(&limiters, || ticket.run());
        next = hand_on(&mut limiters);
    }
}

/// Gives the permits back, or on to the next ticket, and the limiters of which it
/// has them now.
fn hand_on(limiters: &mut Vec<Arc<Limiter>>) -> Option<Ticket> {
    // Its permit is kept until nobody wants it.
    let last = limiters.pop()?;
    let mut moved = vacate(limiters, true);
    loop {
        let mut state = last.state.lock();
        // Behind all others that wait for the outer limit.
        state.parked.extend(moved.take());
        let Some(ticket) = state.parked.pop_front() else {
            state.serving -= 1;
            last.give_back(state);
            return None;
        };
        drop(state);
        *limiters = ticket.limiter.wanted();
        limiters.retain(|limiter| limiter.id != last.id);
        if !ticket.task.is_pending() {
            limiters.retain(|limiter| limiter.id > last.id);
            moved = vacate(limiters, false);
            unwind::discard(ticket);
        } else if let Some(ticket) = take_or_park(limiters, ticket) {
            let place = limiters.partition_point(|limiter| limiter.id > last.id);
            limiters.insert(place, last);
            return Some(ticket);
        }
    }
}

/// Goes on with what is parked at each limiter because of a ticket that was in all of
/// them and has ended, or was cancelled before it had `permits`: it moves on to the
/// next, outer one. Returns what is to be parked behind the last.
fn vacate(limiters: &[Arc<Limiter>], permits: bool) -> Option<Ticket> {
    let mut moved = None;
    for limiter in limiters {
        let mut state = limiter.state.lock();
        state.parked.extend(moved.take());
        moved = state.parked.pop_front();
        if permits {
            state.serving -= 1;
            limiter.give_back(state);
        }
    }
    moved
}

fn nudge(waiters: Vec<Watcher>) {
    for waiter in waiters {
        waiter.nudge();
    }
}

impl State {
    /// Parks the ticket; returns those that were cancelled, to be dropped outside
    /// of the lock.
    fn park(&mut self, limiter: &Limiter, ticket: Ticket) -> Vec<Ticket> {
        self.parked.push_back(ticket);
        if self.parked.len() < self.sweep_at {
            return Vec::new();
        }
        // Those of inner limiters stay: what is parked there relies on them.
        let (kept, swept) = self
            .parked
            .drain(..)
            .partition(|ticket| ticket.task.is_pending() || ticket.limiter.id != limiter.id);
        self.parked = kept;
        // Twice what is left, so that the cost per task is constant.
        self.sweep_at = SWEEP_AT.max(2 * self.parked.len());
        Vec::from(swept)
    }
}

/// What stands between a task and whoever is to run it.
struct Limited {
    /// The innermost limiter that the task is in, the first that it came to.
    limiter: Arc<Limiter>,
    /// The last limiter that it came to.
    outermost: Mutex<Arc<Limiter>>,
    task: Weak<dyn AnyCell>,
    /// The pool whose workers may claim the task, also while it is parked.
    pool: AtomicU32,
    /// Who is told what becomes of the task, once it has left the queue.
    hook: Mutex<Option<Arc<Hook>>>,
}

impl Guard for Limited {
    fn limit(&self) -> usize {
        // All tasks of it are in the same outer ones.
        self.limiter.id
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn pool(&self) -> u32 {
        self.pool.load(Ordering::Relaxed)
    }

    fn join_pool(&self, pool: u32) {
        self.pool.store(pool, Ordering::Relaxed);
    }

    fn run(&self, hook: Option<&Arc<Hook>>) {
        if let Some(task) = self.task.upgrade() {
            // From here on no queue knows of it.
            *self.hook.lock() = hook.cloned();
            task.leave_pool();
            run(Ticket {
                task,
                limiter: Arc::clone(&self.limiter),
                hook: hook.cloned(),
            });
        }
    }

    fn withdraw(&self, task: TaskId) {
        let hook = self.hook.lock().clone();
        if let Some(hook) = hook {
            hook.withdraw(task);
        }
    }

    /// A thread that runs a task of a limit waits in it, and lends its permit,
    /// unless others are free to run the task and may.
    fn try_within(&self, is_anyone_free: bool, run: &mut dyn FnMut()) -> bool {
        let limiters = self.limiter.wanted();
        if is_anyone_free && self.limiter.all().all(|limiter| limiter.has_room()) {
            return false;
        }
        if try_take(&limiters, false).is_err() {
            return false;
        }
        holding(&limiters, run);
        for limiter in &limiters {
            limiter.give_back(limiter.state.lock());
        }
        true
    }

    fn watch(&self, waiter: &dyn Fn() -> Watcher) {
        for limiter in self.limiter.all() {
            limiter.state.lock().waiters.push(waiter());
        }
    }

    fn unwatch(&self, key: &Key<'_>) {
        for limiter in self.limiter.all() {
            let mut state = limiter.state.lock();
            let removed = key.take_from(&mut state.waiters);
            drop(state);
            // An iterator's end may hold a waker, whose drop is foreign.
            unwind::discard(removed);
        }
    }
}
