//! This crate: handles, panics caught, `as_completed`.

use super::{Pool, task};
use as_completed::{ThreadPool, as_completed};

pub(super) struct Ours(ThreadPool);

impl Pool for Ours {
    fn start(workers: usize) -> Self {
        Self(ThreadPool::new(workers))
    }

    fn burst(&self, tasks: u64) -> u64 {
        let handles: Vec<_> = (0..tasks).map(|n| self.0.submit(move || task(n))).collect();
        as_completed(handles)
            .map(|handle| handle.join().expect("the task returned"))
            .sum()
    }

    fn trip(&self, value: u64) -> u64 {
        let handle = self.0.submit(move || task(value));
        handle.join().expect("the task returned")
    }
}
