//! [`FullQueues`]: the queues that had no room for a task, so that whoever offered it
//! hears when one has.
//!
//! An executor says that a queue is full, and not which: it may hand its tasks on to a
//! pool, or to one pool after the other. So the queues note themselves, on the thread
//! that offers the task.

use super::capacity::Capacity;
use super::watch::{Key, Watcher};
use crate::sync::thread_local;
use std::cell::RefCell;
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct FullQueues {
    of_pools: Vec<Arc<Capacity>>,
    /// An executor has said it of a queue of its own, and tells nobody of room.
    has_others: bool,
}

thread_local! {
    /// What the offer that goes on here has come across; `None` while none does.
    static NOTED: RefCell<Option<FullQueues>> = RefCell::default();
}

/// Nothing is noted while the thread-locals of an ending thread are destroyed.
fn replace(noted: Option<FullQueues>) -> Option<FullQueues> {
    NOTED.try_with(|own| own.replace(noted)).ok().flatten()
}

fn note(add: impl FnOnce(&mut FullQueues)) {
    // An error as above.
    let _ = NOTED.try_with(|noted| noted.borrow_mut().as_mut().map(add));
}

/// Puts back what an offer around this one has come across, also if this one panics.
struct Outer(Option<FullQueues>);

impl Drop for Outer {
    fn drop(&mut self) {
        replace(self.0.take());
    }
}

impl FullQueues {
    /// Calls `offer`, and returns also the queues that were full meanwhile.
    pub(crate) fn of<T>(offer: impl FnOnce() -> T) -> (T, Self) {
        let outer = Outer(replace(Some(Self::default())));
        let offered = offer();
        let noted = replace(None);
        drop(outer);
        (offered, noted.unwrap_or_default())
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
