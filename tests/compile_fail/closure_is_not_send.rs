//! What a closure captures goes to another thread.

use as_completed::ThreadPool;
use std::rc::Rc;

fn main() {
    let pool = ThreadPool::new(1);
    let shared = Rc::new(1);
    drop(pool.submit(move || *shared)); //~ E0277
}
