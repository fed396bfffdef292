//! A map submits as it goes, to an executor that must still be there.

use as_completed::ThreadPool;

fn main() {
    let results = {
        let pool = ThreadPool::new(1);
        pool.map(0..3, |number| number) //~ E0597
    };
    drop(results.count());
}
