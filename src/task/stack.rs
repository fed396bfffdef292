//! How much of its stack a worker has used.
//!
//! A worker that waits runs the awaited task on top of the waiting one, and that
//! one may wait in turn. Nothing but the stack bounds how deep this goes, so the
//! stack is looked at wherever a worker is about to nest a task.

use crate::sync::thread_local;
use std::cell::Cell;
use std::hint::black_box;
use std::ptr;

#[derive(Clone, Copy)]
struct Stack {
    /// The address at which it starts, about.
    start: usize,
    bytes: usize,
}

thread_local! {
    /// `None` on threads that are no workers.
    static STACK: Cell<Option<Stack>> = Cell::default();
}

/// Remembers that the stack of the current thread starts here and has so many
/// bytes.
pub(super) fn starts_here(bytes: usize) {
    let start = here();
    STACK.with(|stack| stack.set(Some(Stack { start, bytes })));
}

/// Whether the current thread is a worker that has used half of its stack.
pub(crate) fn is_half_used() -> bool {
    STACK
        .try_with(Cell::get)
        .ok()
        .flatten()
        .is_some_and(|stack| here().abs_diff(stack.start) >= stack.bytes / 2)
}

/// Where the stack has come to.
#[inline(never)]
fn here() -> usize {
    let mark = 0_u8;
    black_box(ptr::from_ref(&mark)).addr()
}
