//! The function of a map is shared by the workers of a pool.

use as_completed::ThreadPool;

fn main() {
    let pool = ThreadPool::new(1);
    let factor = 2;
    drop(pool.map(0..3, |number| number * factor)); //~ E0373
}
