//! Borrowing does not make it safe to share.

use as_completed::ThreadPool;
use std::cell::Cell;

fn main() {
    let counter = Cell::new(0);
    ThreadPool::scope(1, |pool| {
        drop(pool.submit(|| counter.set(1))); //~ E0277
    });
}
