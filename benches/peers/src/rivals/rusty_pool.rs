//! `rusty_pool`: handles, awaited in the order of submission.

use super::{Pool, task};
use rusty_pool::ThreadPool;

pub(super) struct RustyPool(ThreadPool);

impl Pool for RustyPool {
    fn start(workers: usize) -> Self {
        Self(
            rusty_pool::Builder::new()
                .core_size(workers)
                .max_size(workers)
                .build(),
        )
    }

    fn burst(&self, tasks: u64) -> u64 {
        let handles: Vec<_> = (0..tasks)
            .map(|n| self.0.evaluate(move || task(n)))
            .collect();
        handles
            .into_iter()
            .map(rusty_pool::JoinHandle::await_complete)
            .sum()
    }

    fn trip(&self, value: u64) -> u64 {
        self.0.evaluate(move || task(value)).await_complete()
    }
}

impl Drop for RustyPool {
    fn drop(&mut self) {
        self.0.clone().shutdown_join();
    }
}
