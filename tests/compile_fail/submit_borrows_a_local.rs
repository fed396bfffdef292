//! A pool outlives the function that submits to it, a local does not.

use as_completed::ThreadPool;

fn main() {
    let pool = ThreadPool::new(1);
    let local = String::from("too short");
    drop(pool.submit(|| local.len())); //~ E0373
}
