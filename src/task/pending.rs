//! A pending task and its handle, for unit tests.

use super::cell::Cell;
use super::handle::JoinHandle;
use std::sync::Arc;

pub(crate) type Pending = Arc<Cell<fn() -> i32, i32, ()>>;

pub(crate) fn pending() -> (Pending, JoinHandle<i32>) {
    let cell = Arc::new(Cell::new((|| 1) as fn() -> i32, ()));
    let handle = JoinHandle::new(Arc::clone(&cell) as _);
    (cell, handle)
}
