//! `std::thread::spawn` for each task, `workers` of them at a time.

use super::{Pool, task};
use std::thread;

pub(super) struct Threads {
    workers: u64,
}

impl Pool for Threads {
    fn start(workers: usize) -> Self {
        Self {
            workers: u64::try_from(workers).expect("few workers"),
        }
    }

    fn burst(&self, tasks: u64) -> u64 {
        let mut sum = 0;
        let mut start = 0;
        while start < tasks {
            let end = tasks.min(start + self.workers);
            let batch: Vec<_> = (start..end)
                .map(|n| thread::spawn(move || task(n)))
                .collect();
            sum += batch
                .into_iter()
                .map(|thread| thread.join().expect("the task returned"))
                .sum::<u64>();
            start = end;
        }
        sum
    }

    fn trip(&self, value: u64) -> u64 {
        thread::spawn(move || task(value))
            .join()
            .expect("the task returned")
    }
}
