//! [`Gauge`]: whether anybody else is free to run a task that a worker waits
//! for, and how the worker learns that nobody is any more.
//!
//! A worker that waits for a pending task of its own pool runs it itself, so
//! that nested waits end at any pool size; but only where no other worker is
//! free to. Else the task would keep the waiting worker from what others finish
//! meanwhile, and from what the task itself may wait for.
//!
//! The pool owns the gauge and hands it to each of its workers. It sets it, under
//! the lock of its counts, whenever their answer changes: a worker is free while
//! it searches for tasks or sleeps, or while it can still be started.
//!
//! # Invariants
//!
//! - A worker waits for a task in the queue without claiming it only while
//!   [`FREE`] is set, and with its watcher in `waiters`. Both flags are in one
//!   atomic: either the worker sees that nobody is free, or the pool, when it
//!   clears `FREE`, sees that there are waiters. So no wake-up is lost.
//! - A task that a worker has taken from the queue cannot be claimed any more:
//!   that worker runs it next.
//! - A worker that waits for a task of no pool has a watcher in the task since before
//!   it looked. A pool that takes a task whose handle may have been given out names
//!   itself as the owner, and then nudges the watchers under the task's lock: either
//!   the worker sees the owner, or the pool sees the watcher. So an executor may keep a
//!   task and hand it on later.

use super::any_cell::AnyCell;
use super::capacity::Capacity;
use super::hook::Hook;
use super::limiter::{held, hold};
use super::stack;
use super::watch::{Guard, Key, Watcher};
use crate::error::{InitializerError, Panic, Rejected, SpawnError};
use crate::sync::{
    AtomicU8, Mutex, Ordering, become_thread_of, become_worker_of, run_on_thread, thread_local,
    worker_of,
};
use crate::unwind;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Weak};

/// Another worker is free, or can be started.
const FREE: u8 = 1;
/// There may be watchers to notify when nobody is free any more.
const WAITERS: u8 = 2;

/// What the workers of a pool know of each other.
pub(crate) struct Gauge {
    flags: AtomicU8,
    waiters: Mutex<Vec<Watcher>>,
}

impl Gauge {
    /// Somebody is free: no worker has been started yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            flags: AtomicU8::new(FREE),
            waiters: Mutex::new(Vec::new()),
        })
    }

    /// Called by the pool, under the lock of its counts, when the answer has
    /// changed; notifies those who wait when nobody is free any more.
    pub(crate) fn set(&self, is_anyone_free: bool) {
        if is_anyone_free {
            self.flags.fetch_or(FREE, Ordering::AcqRel);
        } else if self.flags.swap(0, Ordering::AcqRel) & WAITERS != 0 {
            let waiters = std::mem::take(&mut *self.waiters.lock());
            for waiter in waiters {
                waiter.nudge();
            }
        }
    }

    fn is_anyone_free(&self) -> bool {
        self.flags.load(Ordering::Acquire) & FREE != 0
    }

    /// Whether somebody is free; `waiter` is notified when that ends.
    fn watch(&self, waiter: Watcher) -> bool {
        self.waiters.lock().push(waiter);
        self.flags.fetch_or(WAITERS, Ordering::AcqRel) & FREE != 0
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn waiters(&self) -> usize {
        self.waiters.lock().len()
    }

    fn unwatch(&self, key: &Key<'_>) {
        let mut waiters = self.waiters.lock();
        let removed = key.take_from(&mut waiters);
        drop(waiters);
        // An iterator's end may hold a waker, whose drop is foreign.
        unwind::discard(removed);
    }
}

/// What a pool runs on each of its threads before the first task.
pub(crate) type Initializer = dyn Fn() -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync;

/// A worker, as its own thread knows it.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) pool: u32,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) capacity: Arc<Capacity>,
    /// The pool holds it: its drop is foreign code, and not for this thread.
    pub(crate) initializer: Option<Weak<Initializer>>,
    /// The size of its stack in bytes.
    pub(crate) stack_size: usize,
    pub(crate) hook: Option<Arc<Hook>>,
    /// Unique among the workers that the pool has at the same time.
    pub(crate) index: usize,
}

thread_local! {
    /// The worker that this thread is.
    static WORKER: RefCell<Option<Rc<Worker>>> = RefCell::default();
    /// Its index, also while it is initialized.
    static INDEX: Cell<Option<usize>> = Cell::default();
}

/// The index of the worker that this thread is, or that is initialized here.
pub(crate) fn worker_index() -> Option<usize> {
    INDEX.with(Cell::get)
}

/// Makes the current thread, which has just started, that worker, for good; not
/// if its initializer fails.
pub(crate) fn become_worker(worker: Worker) -> Result<(), InitializerError> {
    become_thread_of(worker.pool);
    stack::starts_here(worker.stack_size);
    INDEX.with(|index| index.set(Some(worker.index)));
    let initializer = worker.initializer.as_ref().and_then(Weak::upgrade);
    if let Some(initializer) = initializer {
        let cause = match unwind::catch(&*initializer) {
            Ok(result) => result.err(),
            Err(payload) => Some(Box::new(Panic::new(payload)) as _),
        };
        if let Some(cause) = cause {
            return Err(InitializerError::new(cause));
        }
    }
    // From here on it runs tasks, also those it waits for.
    become_worker_of(worker.pool);
    Arc::clone(&worker.capacity).become_own();
    WORKER.with(|own| *own.borrow_mut() = Some(Rc::new(worker)));
    Ok(())
}

impl Worker {
    /// Runs the task on another thread, which stands in for this one: for the
    /// task, the stack of this one is too short. Says whether the task is final.
    fn run_on_stand_in(&self, cell: &(dyn AnyCell + '_)) -> bool {
        let (stand_in, permits) = (self.clone(), held());
        let ran = run_on_thread(self.stack_size, move || match become_worker(stand_in) {
            Ok(()) => {
                hold(permits);
                cell.run_from_queue(self.hook.as_ref());
            }
            Err(cause) => cell.reject(Rejected::Initializer(cause)),
        });
        if let Err(error) = ran {
            cell.reject(Rejected::Thread(SpawnError::new(error)));
        }
        cell.is_final()
    }
}

/// The current thread as a worker that may claim what it waits for.
pub(crate) struct Claimer {
    pool: u32,
    /// `None` while the thread-locals of an ending worker are destroyed.
    worker: Option<Rc<Worker>>,
    /// Whether it may have left watchers at the gauge.
    watches: Cell<bool>,
    /// Guards at which it may have left watchers.
    guards: RefCell<Vec<Arc<dyn Guard>>>,
}

/// What became of an attempt to claim a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The task has run here.
    Ran,
    /// Somebody else is free to run the task, and no longer when the worker is
    /// notified.
    Left,
    /// The task is not for this worker to run, unless it joins the pool later, which
    /// its watchers hear of.
    Never,
}

impl Claimer {
    /// `None` outside of all pools.
    pub(crate) fn current() -> Option<Self> {
        let pool = worker_of();
        if pool == 0 {
            return None;
        }
        let worker = WORKER.try_with(|own| own.borrow().clone()).ok().flatten();
        Some(Self {
            pool,
            worker,
            watches: Cell::new(false),
            guards: RefCell::default(),
        })
    }

    pub(crate) fn pool(&self) -> u32 {
        self.pool
    }

    fn gauge(&self) -> Option<&Gauge> {
        self.worker.as_ref().map(|worker| &*worker.gauge)
    }

    fn may_ever(&self, cell: &(dyn AnyCell + '_)) -> bool {
        cell.owner() == self.pool && cell.is_pending()
    }

    /// Runs the task if it is one of this pool, has not started, and nobody
    /// else is free to run it.
    ///
    /// That task and no other: running whatever is queued, as a work-stealing
    /// pool does, would enter code that the waiting task may hold locks of.
    pub(crate) fn try_claim(&self, cell: &(dyn AnyCell + '_)) -> Claim {
        if let Some(guard) = cell.guard() {
            return self.try_claim_guarded(cell, &*guard);
        }
        if !self.may_ever(cell) {
            return Claim::Never;
        }
        if self.is_anyone_free() {
            return Claim::Left;
        }
        self.claim(cell)
    }

    fn is_anyone_free(&self) -> bool {
        self.gauge().is_some_and(Gauge::is_anyone_free)
    }

    /// As [`try_claim`](Self::try_claim), of a task that may have left the queue and
    /// still not run.
    fn try_claim_guarded(&self, cell: &(dyn AnyCell + '_), guard: &dyn Guard) -> Claim {
        if guard.pool() != self.pool || !cell.is_pending() {
            return Claim::Never;
        }
        let mut claim = Claim::Left;
        guard.try_within(self.is_anyone_free(), &mut || claim = self.run(cell));
        claim
    }

    /// As [`try_claim`](Self::try_claim); where it leaves the task to others,
    /// `waiter` is notified when none of them is free any more.
    pub(crate) fn claim_or_watch(
        &self,
        cell: &(dyn AnyCell + '_),
        waiter: impl Fn() -> Watcher,
    ) -> Claim {
        let claim = self.try_claim(cell);
        let (Claim::Left, Some(gauge)) = (claim, self.gauge()) else {
            return claim;
        };
        self.watches.set(true);
        if let Some(guard) = cell.guard() {
            guard.watch(&waiter);
            self.guards.borrow_mut().push(guard);
            gauge.watch(waiter());
            // Whatever changes from here on notifies one of the two.
            return self.try_claim(cell);
        }
        if gauge.watch(waiter()) {
            return Claim::Left;
        }
        self.claim(cell)
    }

    /// Called when nobody was free a moment ago.
    fn claim(&self, cell: &(dyn AnyCell + '_)) -> Claim {
        // Read once more: the worker that was the last one free may be the one
        // that has taken this very task from the queue.
        if !self.may_ever(cell) {
            return Claim::Never;
        }
        self.run(cell)
    }

    fn run(&self, cell: &(dyn AnyCell + '_)) -> Claim {
        let ran = match &self.worker {
            Some(worker) if stack::is_half_used() => worker.run_on_stand_in(cell),
            Some(worker) => cell.run_from_queue(worker.hook.as_ref()),
            None => cell.run_from_queue(None),
        };
        if ran { Claim::Ran } else { Claim::Never }
    }

    /// Takes back what `claim_or_watch` has left behind.
    pub(crate) fn unwatch(&self, key: &Key<'_>) {
        if let (Some(gauge), true) = (self.gauge(), self.watches.take()) {
            gauge.unwatch(key);
            for guard in self.guards.take() {
                guard.unwatch(key);
            }
        }
    }
}
