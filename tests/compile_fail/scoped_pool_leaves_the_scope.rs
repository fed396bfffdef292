//! A pool of a scope must not be used after it: nobody would join its tasks.

use as_completed::ThreadPool;

fn main() {
    let mut smuggled = None;
    ThreadPool::scope(1, |pool| {
        smuggled = Some(pool); //~ E0521
    });
    drop(smuggled.map(|pool| pool.submit(|| 1)));
}
