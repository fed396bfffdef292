//! A local of the scope's body is gone before the scope's tasks are.

use as_completed::ThreadPool;

fn main() {
    ThreadPool::scope(1, |pool| {
        let local = String::from("too short");
        drop(pool.submit(|| local.len())); //~ E0373
    });
}
