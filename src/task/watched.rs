//! [`Watched`]: what keeps watchers under its lock until it is final.

use super::watch::{Key, Watcher, Watchers};
use crate::sync::MutexGuard;
use crate::unwind;
use std::task::Waker;

pub(super) trait Watched {
    type Slot: AsMut<Watchers>;

    /// The lock, if the state is not final.
    fn unless_final(&self) -> Option<MutexGuard<'_, Self::Slot>>;

    /// Adds a watcher, or gives it back if the state is final.
    fn add_watcher(&self, watcher: Watcher) -> Result<(), Watcher> {
        match self.unless_final() {
            Some(mut slot) => {
                slot.as_mut().add(watcher);
                Ok(())
            }
            None => Err(watcher),
        }
    }

    fn remove_watcher(&self, key: &Key<'_>) {
        // Kept alive until the lock is released: its drop may be foreign code.
        let watcher = self
            .unless_final()
            .and_then(|mut slot| slot.as_mut().remove(key));
        if watcher.is_some() {
            unwind::discard(watcher);
        }
    }

    /// Replaces the waker; says whether the state is not final.
    fn replace_waker(&self, waker: &Waker) -> bool {
        let slot = self.unless_final();
        match slot.map(|mut slot| slot.as_mut().will_wake(waker)) {
            Some(true) => return true,
            Some(false) => {}
            None => return false,
        }
        // Cloned outside of the lock: a waker's code is foreign.
        let waker = waker.clone();
        match self.unless_final() {
            Some(mut slot) => {
                let old = slot.as_mut().set_waker(waker);
                drop(slot);
                unwind::discard(old);
                true
            }
            None => false,
        }
    }
}
