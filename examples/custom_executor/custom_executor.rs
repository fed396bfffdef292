//! Implements an executor on a rayon pool. One method is enough.

use as_completed::{
    CancelToken, Executor, ExecutorExt, JoinError, RejectedTask, Task, as_completed,
};
use std::{error::Error, time::Duration};

struct Rayon(rayon::ThreadPool);

impl Executor for Rayon {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.spawn(|| task.run());
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Rayon(rayon::ThreadPoolBuilder::new().num_threads(1).build()?);

    let mut sum = 0;
    for square in as_completed((1..=10).map(|n| pool.submit(move || n * n))) {
        sum += square.join()?;
    }
    assert_eq!(sum, 385);

    let doubled: Result<Vec<_>, _> = pool.map([1, 2, 3], |n| 2 * n).collect();
    assert_eq!(doubled?, [2, 4, 6]);

    let broken = pool.submit(|| panic!("caught"));
    assert!(matches!(broken.join(), Err(JoinError::Panicked(_))));

    let token = CancelToken::new();
    let sleeping = token.clone();
    let running = pool.submit(move || sleeping.sleep(Duration::MAX));
    let pending = pool.submit(|| unreachable!("the only thread sleeps"));
    assert!(pending.cancel());
    token.cancel();
    assert!(!running.join()?);
    println!("rayon ran it all");
    Ok(())
}
