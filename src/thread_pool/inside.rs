//! [`Inside`]: tasks that a worker runs inside of others, because the queue of its
//! pool is full.
//!
//! A job that submits itself again to a queue which others keep full would run
//! inside of itself without end. So this is bounded; further tasks are queued.

use crate::sync::thread_local;
use crate::task::is_half_used;
use std::cell::Cell;

/// How many tasks a worker runs so, inside of each other.
const MOST: u32 = 16;

thread_local! {
    /// How many tasks this thread runs so now.
    static INSIDE: Cell<u32> = Cell::default();
}

/// A task runs inside of another. Drop says that it has ended.
pub(super) struct Inside(());

impl Inside {
    /// `None` if too many do already.
    pub(super) fn enter() -> Option<Self> {
        let inside = INSIDE.with(Cell::get);
        if inside >= MOST || is_half_used() {
            return None;
        }
        INSIDE.with(|count| count.set(inside + 1));
        Some(Self(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|count| count.set(count.get() - 1));
    }
}
