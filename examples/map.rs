//! Applies a function to many items, with results in order or as they finish.

use as_completed::{JoinError, ThreadPool};

/// Counts the Collatz steps from `number` to 1.
fn steps(number: u64) -> usize {
    let next = |n: &u64| match n {
        1 => None,
        even if even % 2 == 0 => Some(even / 2),
        odd => Some(3 * odd + 1),
    };
    std::iter::successors(Some(number), next).count() - 1
}

fn main() -> Result<(), JoinError> {
    let pool = ThreadPool::default();
    let first: Vec<usize> = pool.map(1..=9, steps).collect::<Result<_, _>>()?;
    assert_eq!(first, [0, 1, 7, 2, 5, 8, 16, 3, 19]);

    // Endless input is fine: no more than 64 tasks are in flight.
    let long = pool
        .map_unordered(1.., |number| (steps(number), number))
        .chunk_size(1_000)
        .buffer(64)
        .find(|result| result.as_ref().map_or(true, |&(steps, _)| steps > 300));
    println!("more than 300 steps: {:?}", long.transpose()?);
    Ok(())
}
