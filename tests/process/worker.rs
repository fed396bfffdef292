//! What the children of the tests' pools run: this one test of this binary.

use crate::functions;
use as_completed::function::Functions;
use as_completed::process::{ProcessPool, ProcessPoolBuilder};

#[test]
fn serve() {
    functions::all().init();
}

pub(crate) fn builder(max_workers: usize) -> ProcessPoolBuilder {
    builder_of(functions::all(), max_workers)
}

/// A pool that believes in those functions.
pub(crate) fn builder_of(functions: Functions, max_workers: usize) -> ProcessPoolBuilder {
    functions.init();
    ProcessPool::builder(functions)
        .max_workers(max_workers)
        .env("RUST_BACKTRACE", "0")
        .args(["worker::serve", "--exact", "--nocapture", "--quiet"])
}

pub(crate) fn pool(max_workers: usize) -> ProcessPool {
    builder(max_workers).build().unwrap()
}
