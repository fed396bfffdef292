//! The same with a reference that is moved in.

use as_completed::ThreadPool;

fn main() {
    let pool = ThreadPool::new(1);
    let local = String::from("too short");
    let reference = &local; //~ E0597
    drop(pool.submit(move || reference.len()));
}
