//! What the children of the tests' pools run: this one test of this binary.

use crate::functions;
use as_completed::process::{ProcessPool, ProcessPoolBuilder};

#[test]
fn serve() {
    functions::all().init();
}

pub(crate) fn builder(max_workers: usize) -> ProcessPoolBuilder {
    let functions = functions::all();
    functions.init();
    ProcessPool::builder(functions)
        .max_workers(max_workers)
        .env("RUST_BACKTRACE", "0")
        .args(["worker::serve", "--exact", "--nocapture", "--quiet"])
}

pub(crate) fn pool(max_workers: usize) -> ProcessPool {
    builder(max_workers).build().unwrap()
}

const PATH: &str = "AS_COMPLETED_TEST_PATH";

/// A program with a pool, for [`command_of_parent`]; passes at once as a test.
#[test]
fn parent() {
    if let Ok(path) = std::env::var(PATH) {
        let pool = pool(2);
        let call = pool.call(functions::GRANDCHILD, path);
        let _ = call.join();
    }
}

/// Starts a program whose pool runs a call that starts a process of its own.
pub(crate) fn command_of_parent(path: &std::path::Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["worker::parent", "--exact", "--nocapture", "--quiet"])
        .env(PATH, path);
    command
}
