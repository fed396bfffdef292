//! The body must not read what a task may be writing.

use as_completed::ThreadPool;

fn main() {
    let mut numbers = vec![1, 2, 3];
    ThreadPool::scope(1, |pool| {
        drop(pool.submit(|| numbers.push(4)));
        assert_eq!(numbers.len(), 3); //~ E0502
    });
}
