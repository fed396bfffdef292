//! [`Capacity`]: the places of a pool's queue, and what has left the queue behind
//! the pool's back.
//!
//! A task leaves the queue when a worker takes it out. It also leaves when it is
//! cancelled, or run by a worker that waits for it; then its entry stays behind,
//! empty, until the pool sweeps the queue.
//!
//! # Invariants
//!
//! - A task in a bounded queue holds a place, from before it is pushed until its
//!   owner is swapped for none. Whoever swaps it frees the place, so each place is
//!   freed once: by the worker that takes the task out, by whoever cancels or
//!   claims it, or by the pool that drains or sweeps the queue.
//! - A submitter that waits for a place is counted, and a watcher left, under the
//!   lock under which places are freed, so no wake-up is lost. All watchers are
//!   notified of each place, for they may no longer want it.

use super::hook::Hook;
use super::id::TaskId;
use super::watch::{Key, Watcher};
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, thread_local, worker_of};
use crate::unwind;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// The places in the queue of a pool, which tasks know without its locks.
pub(crate) struct Capacity {
    /// The id of the pool.
    pool: u32,
    /// How many tasks may be in the queue; `usize::MAX` if it has no bound.
    most: usize,
    places: Mutex<Places>,
    /// Submitters wait here for a place.
    freed: Condvar,
    /// Who is told of tasks that are withdrawn.
    hook: Option<Arc<Hook>>,
    /// How many tasks have left their entries behind since the last sweep;
    /// too many by those that were just being taken out.
    left: AtomicUsize,
}

struct Places {
    /// Places that tasks hold.
    taken: usize,
    /// Submitters that wait for a place.
    waiting: usize,
    /// Those who do something else until there is a place.
    watchers: Vec<Watcher>,
    /// Nobody is to wait any more.
    is_closed: bool,
}

/// The capacities of all pools: a task knows the id of its pool only. A lock of std
/// in the models too: nothing that races happens under it.
static CAPACITIES: RwLock<BTreeMap<u32, Weak<Capacity>>> = RwLock::new(BTreeMap::new());

thread_local! {
    /// The capacity of the pool whose worker this thread is: spares most claims the
    /// look-up.
    static OWN: RefCell<Option<Arc<Capacity>>> = RefCell::default();
}

impl Capacity {
    /// Creates the capacity of that pool.
    pub(crate) fn new(pool: u32, most: usize, hook: Option<Arc<Hook>>) -> Arc<Self> {
        let capacity = Arc::new(Self {
            pool,
            most,
            places: Mutex::new(Places {
                taken: 0,
                waiting: 0,
                watchers: Vec::new(),
                is_closed: false,
            }),
            freed: Condvar::new(),
            hook,
            left: AtomicUsize::new(0),
        });
        let mut capacities = CAPACITIES.write().unwrap_or_else(PoisonError::into_inner);
        capacities.insert(pool, Arc::downgrade(&capacity));
        drop(capacities);
        capacity
    }

    /// Remembers the capacity on the current thread, a worker of its pool.
    pub(super) fn become_own(self: Arc<Self>) {
        OWN.with(|own| *own.borrow_mut() = Some(self));
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.most < usize::MAX
    }

    /// Takes a place if one is free.
    pub(crate) fn try_take(&self) -> bool {
        let mut places = self.places.lock();
        let is_free = places.taken < self.most;
        if is_free {
            places.taken += 1;
        }
        is_free
    }

    /// Takes a place, as soon as one is free; says whether it did before the
    /// queue was closed.
    pub(crate) fn take(&self) -> bool {
        let mut places = self.places.lock();
        while !places.is_closed {
            if places.taken < self.most {
                places.taken += 1;
                return true;
            }
            places.waiting += 1;
            self.freed.wait(&mut places);
            places.waiting -= 1;
        }
        false
    }

    /// Takes a place beyond the capacity.
    pub(crate) fn take_extra(&self) {
        self.places.lock().taken += 1;
    }

    /// Frees places, and wakes submitters that wait for them.
    pub(crate) fn free(&self, count: usize) {
        if count == 0 {
            return;
        }
        let mut places = self.places.lock();
        places.taken -= count;
        self.notify(places, count);
    }

    /// Has `watcher` notified once, when a place becomes free or nobody is to wait any
    /// more; says whether that is still to come.
    pub(super) fn watch(&self, watcher: Watcher) -> bool {
        let mut places = self.places.lock();
        let is_to_come = places.taken >= self.most && !places.is_closed;
        if is_to_come {
            places.watchers.push(watcher);
        }
        is_to_come
    }

    pub(super) fn unwatch(&self, key: &Key<'_>) {
        let mut places = self.places.lock();
        let removed = key.take_from(&mut places.watchers);
        drop(places);
        // An iterator's end may hold a waker, whose drop is foreign.
        unwind::discard(removed);
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(crate) fn watchers(&self) -> usize {
        self.places.lock().watchers.len()
    }

    fn notify(&self, mut places: MutexGuard<'_, Places>, freed: usize) {
        let waiting = places.waiting;
        let watchers = std::mem::take(&mut places.watchers);
        drop(places);
        for watcher in watchers {
            watcher.nudge();
        }
        match waiting {
            0 => {}
            _ if freed == 1 => {
                self.freed.notify_one();
            }
            _ => {
                self.freed.notify_all();
            }
        }
    }

    /// Sends away all who wait for a place, now and later.
    pub(crate) fn close(&self) {
        let mut places = self.places.lock();
        places.is_closed = true;
        self.notify(places, usize::MAX);
    }

    /// How many tasks have left since the last sweep, or a few less.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Called before a sweep, under the locks of the queue.
    pub(crate) fn forget_left(&self) {
        self.left.store(0, Ordering::Relaxed);
    }

    fn leave(&self, withdrawn: Option<TaskId>) {
        self.left.fetch_add(1, Ordering::Relaxed);
        if self.is_bounded() {
            self.free(1);
        }
        if let (Some(hook), Some(task)) = (&self.hook, withdrawn) {
            hook.withdraw(task);
        }
    }
}

impl Drop for Capacity {
    fn drop(&mut self) {
        let mut capacities = CAPACITIES.write().unwrap_or_else(PoisonError::into_inner);
        capacities.remove(&self.pool);
    }
}

/// Notes that a task which was in the queue of that pool is no longer to be run
/// by the worker that will come across it; `withdrawn` if it will not run at all.
pub(super) fn leave(pool: u32, withdrawn: Option<TaskId>) {
    let own = if worker_of() == pool {
        OWN.try_with(|own| own.borrow().clone()).ok().flatten()
    } else {
        None
    };
    let capacity = own.or_else(|| {
        let capacities = CAPACITIES.read().unwrap_or_else(PoisonError::into_inner);
        capacities.get(&pool).and_then(Weak::upgrade)
    });
    // `None`: gone with its pool, and nobody waits.
    if let Some(capacity) = capacity {
        capacity.leave(withdrawn);
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::sync::Parker;

    #[test]
    fn a_watcher_stays_only_where_a_place_is_still_to_come() {
        let capacity = Capacity::new(u32::MAX - 1, 1, None);
        let parker = Parker::new();
        let watch = || capacity.watch(Watcher::Thread(parker.unparker()));
        assert!(!watch());
        assert!(capacity.try_take());
        assert!(watch() && watch());
        assert_eq!(capacity.watchers(), 2);
        capacity.free(1);
        assert_eq!(capacity.watchers(), 0);
        assert!(!watch());
        // As when a worker submits to its own full queue.
        capacity.take_extra();
        capacity.take_extra();
        assert!(watch());
        capacity.close();
        assert!(!watch());
        assert_eq!(capacity.watchers(), 0);
    }
}
