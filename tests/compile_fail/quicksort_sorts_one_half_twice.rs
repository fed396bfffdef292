//! The slip that makes a parallel quicksort race: both tasks get one half.

use as_completed::ThreadPool;

fn main() {
    let mut numbers = [3, 1, 2, 0];
    let (low, _high) = numbers.split_at_mut(2);
    ThreadPool::scope(2, |pool| {
        drop(pool.submit(|| low.sort_unstable()));
        drop(pool.submit(|| low.sort_unstable())); //~ E0499
    });
}
