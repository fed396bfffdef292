//! A handle of a scoped task must not outlive the scope: it could hold a result
//! that borrows from there.

use as_completed::ThreadPool;

fn main() {
    let text = String::from("text");
    let handle = ThreadPool::scope(1, |pool| pool.submit(|| text.len())); //~ E
    drop(handle.join());
}
