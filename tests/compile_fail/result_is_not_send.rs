//! What a closure returns comes from another thread.

use as_completed::ThreadPool;
use std::rc::Rc;

fn main() {
    let pool = ThreadPool::new(1);
    drop(pool.submit(|| Rc::new(1))); //~ E0277
}
