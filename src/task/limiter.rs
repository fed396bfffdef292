//! [`Limiter`]: how many tasks of a limit run at the same time.
//!
//! A limited task is in the queue of its pool like any other, so that it is
//! cancelled, claimed and shut down with it; but whoever is to run it asks the
//! limiter first. A worker that finds no room does not wait: it parks the task,
//! and one of those that run tasks of the limit goes on with it.
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
//! - A task is parked only while all permits are held by those that serve. So each
//!   parked task is run, and a permit is never free while one is parked. Where
//!   workers that have claimed hold permits, which is rare, a worker waits for one.
//! - Workers that wait for a limited task without claiming it have a watcher in
//!   `waiters`, which is notified whenever room has come or gone.

use super::cell::AnyCell;
use super::hook::Hook;
use super::watch::{Guard, Key, Watcher};
use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, thread_local};
use crate::unwind;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// As many tasks are parked before those that were cancelled are looked for.
const SWEEP_AT: usize = 64;

pub(crate) struct Limiter {
    max: usize,
    state: Mutex<State>,
    /// Workers wait here for a permit that a claim holds.
    room: Condvar,
}

struct State {
    running: usize,
    serving: usize,
    parked: VecDeque<Arc<dyn AnyCell>>,
    /// When as many are parked, those that are final are removed.
    sweep_at: usize,
    waiters: Vec<Watcher>,
}

thread_local! {
    /// The limiters in whose permits this thread runs, innermost last.
    static HELD: RefCell<Vec<Held>> = RefCell::default();
}

/// A permit that the current thread has, or has been lent.
#[derive(Clone, Copy)]
pub(super) struct Held {
    limiter: usize,
    /// Whether it is to be given back.
    is_own: bool,
}

/// The permits of the current thread, for another that stands in for it.
pub(super) fn held() -> Vec<Held> {
    let lent = |held: &Held| Held {
        is_own: false,
        ..*held
    };
    HELD.with(|held| held.borrow().iter().map(lent).collect())
}

/// Lends permits to the current thread, which has just started.
pub(super) fn hold(permits: Vec<Held>) {
    HELD.with(|held| *held.borrow_mut() = permits);
}

impl Limiter {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
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

    /// The guard of a task that is to run within this limit.
    pub(super) fn guard(self: &Arc<Self>, task: Weak<dyn AnyCell>) -> Arc<dyn Guard> {
        Arc::new(Limited {
            limiter: Arc::clone(self),
            task,
            pool: AtomicU32::new(0),
        })
    }

    /// Tells limiters apart; it lives while a permit of it is held.
    fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self) as usize
    }

    fn is_held_here(self: &Arc<Self>) -> bool {
        let id = self.id();
        HELD.with(|held| held.borrow().iter().any(|held| held.limiter == id))
    }

    fn push_held(self: &Arc<Self>, is_own: bool) {
        let limiter = self.id();
        HELD.with(|held| held.borrow_mut().push(Held { limiter, is_own }));
    }

    /// Runs the task on the current thread, and then what is parked; or parks it.
    fn run(self: &Arc<Self>, task: Arc<dyn AnyCell>, hook: Option<&Hook>) {
        if self.is_held_here() {
            return pass(task, hook);
        }
        let mut state = self.state.lock();
        while state.running == self.max {
            if state.serving == self.max {
                let swept = state.park(task);
                drop(state);
                unwind::discard(swept);
                return;
            }
            self.room.wait(&mut state);
        }
        state.serving += 1;
        let to_nudge = state.take_permit(self.max);
        drop(state);
        nudge(to_nudge);
        self.push_held(false);
        let mut next = Some(task);
        while let Some(task) = next {
            pass(task, hook);
            let mut state = self.state.lock();
            next = state.parked.pop_front();
            if next.is_none() {
                state.serving -= 1;
                let to_nudge = state.give_back(self.max);
                drop(state);
                self.room.notify_one();
                nudge(to_nudge);
            }
        }
        HELD.with(|held| held.borrow_mut().pop());
    }
}

/// Runs the task, which may run now. Its guard stays until it is final: whoever else
/// comes to run it asks, too, and finds that it has started.
fn pass(task: Arc<dyn AnyCell>, hook: Option<&Hook>) {
    task.run_from_queue(hook);
    // The handle may be gone, and the result with it: its drop is foreign.
    unwind::discard(task);
}

fn nudge(waiters: Vec<Watcher>) {
    for waiter in waiters {
        waiter.nudge();
    }
}

impl State {
    fn take_permit(&mut self, max: usize) -> Vec<Watcher> {
        self.running += 1;
        if self.running == max {
            std::mem::take(&mut self.waiters)
        } else {
            Vec::new()
        }
    }

    fn give_back(&mut self, max: usize) -> Vec<Watcher> {
        self.running -= 1;
        if self.running + 1 == max {
            std::mem::take(&mut self.waiters)
        } else {
            Vec::new()
        }
    }

    /// Parks the task; returns those that were cancelled, to be dropped outside
    /// of the lock.
    fn park(&mut self, task: Arc<dyn AnyCell>) -> Vec<Arc<dyn AnyCell>> {
        self.parked.push_back(task);
        if self.parked.len() < self.sweep_at {
            return Vec::new();
        }
        let (kept, swept) = self.parked.drain(..).partition(|task| task.is_pending());
        self.parked = kept;
        // Twice what is left, so that the cost per task is constant.
        self.sweep_at = SWEEP_AT.max(2 * self.parked.len());
        Vec::from(swept)
    }
}

/// What stands between a task and whoever is to run it.
struct Limited {
    limiter: Arc<Limiter>,
    task: Weak<dyn AnyCell>,
    /// The pool whose workers may claim the task, also while it is parked.
    pool: AtomicU32,
}

impl Guard for Limited {
    fn limit(&self) -> usize {
        self.limiter.id()
    }

    fn pool(&self) -> u32 {
        self.pool.load(Ordering::Relaxed)
    }

    fn join_pool(&self, pool: u32) {
        self.pool.store(pool, Ordering::Relaxed);
    }

    fn run(&self, hook: Option<&Hook>) {
        if let Some(task) = self.task.upgrade() {
            self.limiter.run(task, hook);
        }
    }

    /// A thread that runs a task of the limit waits in it, and lends its permit,
    /// unless others are free to run the task and may.
    fn try_enter(&self, is_anyone_free: bool) -> bool {
        let limiter = &self.limiter;
        let lends = limiter.is_held_here();
        let mut state = limiter.state.lock();
        let has_room = state.running < limiter.max;
        let may_enter = if lends {
            !(is_anyone_free && has_room)
        } else {
            !is_anyone_free && has_room
        };
        if !may_enter {
            return false;
        }
        let to_nudge = if lends {
            Vec::new()
        } else {
            state.take_permit(limiter.max)
        };
        drop(state);
        nudge(to_nudge);
        limiter.push_held(!lends);
        true
    }

    fn leave(&self) {
        let held = HELD.with(|held| held.borrow_mut().pop());
        if held.is_some_and(|held| held.is_own) {
            let mut state = self.limiter.state.lock();
            let to_nudge = state.give_back(self.limiter.max);
            drop(state);
            self.limiter.room.notify_one();
            nudge(to_nudge);
        }
    }

    fn watch(&self, waiter: Watcher) {
        self.limiter.state.lock().waiters.push(waiter);
    }

    fn unwatch(&self, key: &Key<'_>) {
        let mut state = self.limiter.state.lock();
        let (removed, kept): (Vec<_>, _) = std::mem::take(&mut state.waiters)
            .into_iter()
            .partition(|watcher| key.names(watcher));
        state.waiters = kept;
        drop(state);
        // An iterator's end may hold a waker, whose drop is foreign.
        unwind::discard(removed);
    }
}
