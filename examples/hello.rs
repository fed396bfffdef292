//! Submits closures to a pool and waits for what they return.

use as_completed::{JoinError, ThreadPool};
use std::thread;

fn main() -> Result<(), JoinError> {
    let pool = ThreadPool::new(2);
    let hello = pool.submit(|| format!("hello from {:?}", thread::current().name()));
    let sum = pool.submit(|| (1..=1_000_u64).sum::<u64>());
    let broken = pool.submit(|| "12a".parse::<u32>().expect("a number"));

    println!("{}", hello.join()?);
    assert_eq!(sum.join()?, 500_500);
    // A panic is an error of its own task only.
    let error = broken.join().expect_err("12a is not a number");
    println!("as expected: {error}");
    Ok(())
}
