//! Two tasks must not write to one local at a time.

use as_completed::ThreadPool;

fn main() {
    let mut counter = 0;
    ThreadPool::scope(2, |pool| {
        drop(pool.submit(|| counter += 1));
        drop(pool.submit(|| counter += 1)); //~ E0499
    });
}
