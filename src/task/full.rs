//! [`FullQueues`]: the queues that had no room for a task, so that whoever offered it
//! hears when one has.
//!
//! An executor says that a queue is full, and not which: it may hand its tasks on to a
//! pool, or to one pool after the other. So the queues note themselves, on the thread
//! that offers the task.

use super::capacity::Capacity;
use super::watch::{Key, Watcher};
use crate::sync::thread_local;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct FullQueues {
    of_pools: Vec<Arc<Capacity>>,
    /// An executor has said it of a queue of its own, and tells nobody of room.
    has_others: bool,
}

/// An offer on the current thread.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Offer {
    #[default]
    None,
    GoesOn,
    MetFullQueues,
}

thread_local! {
    /// The innermost offer. Apart from what it has come across: most come across nothing,
    /// and look at this alone.
    static OFFER: Cell<Offer> = Cell::default();
    static NOTED: RefCell<FullQueues> = RefCell::default();
}

fn note(add: impl FnOnce(&mut FullQueues)) {
    if OFFER.with(Cell::get) == Offer::None {
        return;
    }
    // Nothing is noted while the thread-locals of an ending thread are destroyed.
    let noted = NOTED.try_with(|noted| add(&mut noted.borrow_mut()));
    if noted.is_ok() {
        OFFER.with(|offer| offer.set(Offer::MetFullQueues));
    }
}

/// Goes back to the offer around the innermost, also if that panics.
struct Outer(Offer);

impl Drop for Outer {
    fn drop(&mut self) {
        OFFER.with(|offer| offer.set(self.0));
    }
}

impl FullQueues {
    /// Calls `offer`, and returns also the queues that were full meanwhile.
    pub(crate) fn of<T>(offer: impl FnOnce() -> T) -> (T, Self) {
        let outer = Outer(OFFER.with(|own| own.replace(Offer::GoesOn)));
        let offered = offer();
        let offer = OFFER.with(Cell::get);
        drop(outer);
        let full = match offer {
            // An offer around this one loses what it has noted: it tells of no queue then.
            Offer::MetFullQueues => NOTED.try_with(RefCell::take).unwrap_or_default(),
            Offer::None | Offer::GoesOn => Self::default(),
        };
        (offered, full)
    }

    /// Called where a pool has no room in that queue.
    pub(crate) fn note(queue: &Arc<Capacity>) {
        note(|noted| {
            if !noted.of_pools.iter().any(|other| Arc::ptr_eq(other, queue)) {
                noted.of_pools.push(Arc::clone(queue));
            }
        });
    }

    /// Called where an executor of others says that it has no room.
    pub(super) fn note_other() {
        note(|noted| noted.has_others = true);
    }

    /// Whether whoever waits for room in one of them is told of it.
    pub(crate) fn tell(&self) -> bool {
        !self.of_pools.is_empty() && !self.has_others
    }

    /// Has a watcher notified when one of them has room; says whether there is none
    /// now. [`unwatch`](Self::unwatch) follows in any case.
    pub(crate) fn watch(&self, watcher: impl Fn() -> Watcher) -> bool {
        self.of_pools.iter().all(|queue| queue.watch(watcher()))
    }

    pub(crate) fn unwatch(&self, key: &Key<'_>) {
        for queue in &self.of_pools {
            queue.unwatch(key);
        }
    }
}
