//! Runs code that others gave, and of which nobody waits for an answer.
//!
//! A callback that cancels or settles another task runs the callbacks of that one
//! inside of it, and so on. A long chain would need more stack than there is, so a
//! chain that is [`MOST`] deep goes on where its first callback was called.

use crate::error::Panic;
use crate::sync::thread_local;
use crate::unwind;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// How many callbacks run inside of each other on one thread at most.
const MOST: u32 = 32;

thread_local! {
    /// How many callbacks run on this thread.
    static NESTED: Cell<u32> = Cell::default();
    /// Those that would be nested too deep.
    static LATER: RefCell<VecDeque<Box<dyn FnOnce()>>> = RefCell::default();
}

/// Runs foreign code that nobody waits for: the panic hook has reported its
/// panic, which goes no further.
pub(crate) fn report(f: impl FnOnce()) {
    if let Err(payload) = unwind::catch(f) {
        unwind::discard(Panic::new(payload));
    }
}

/// Runs a callback and [`report`]s its panic: now or, if too many run inside of
/// each other, before the outermost on this thread returns to its caller.
pub(super) fn call(callback: impl FnOnce() + 'static) {
    let nested = NESTED.with(Cell::get);
    if nested >= MOST {
        later(Box::new(callback));
        return;
    }
    run(callback, nested);
    if nested == 0 {
        while let Some(callback) = next() {
            run(callback, 0);
        }
    }
}

fn run(callback: impl FnOnce(), nested: u32) {
    NESTED.with(|count| count.set(nested + 1));
    report(callback);
    NESTED.with(|count| count.set(nested));
}

fn later(callback: Box<dyn FnOnce()>) {
    let mut callback = Some(callback);
    let _ = LATER.try_with(|later| later.borrow_mut().extend(callback.take()));
    // The thread's own data is being destroyed.
    if let Some(callback) = callback {
        report(callback);
    }
}

fn next() -> Option<Box<dyn FnOnce()>> {
    LATER
        .try_with(|later| later.borrow_mut().pop_front())
        .ok()
        .flatten()
}
