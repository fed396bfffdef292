//! `tokio`'s `spawn_blocking`, in a `JoinSet`: what a program on tokio uses
//! for work that blocks.

use super::{Pool, task};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

pub(super) struct TokioBlocking(Runtime);

impl Pool for TokioBlocking {
    fn start(workers: usize) -> Self {
        Self(
            Builder::new_multi_thread()
                .worker_threads(1)
                .max_blocking_threads(workers)
                .build()
                .expect("threads can be started"),
        )
    }

    fn burst(&self, tasks: u64) -> u64 {
        self.0.block_on(async {
            let mut set = JoinSet::new();
            for n in 0..tasks {
                set.spawn_blocking(move || task(n));
            }
            let mut sum = 0;
            while let Some(result) = set.join_next().await {
                sum += result.expect("the task returned");
            }
            sum
        })
    }

    fn trip(&self, value: u64) -> u64 {
        let handle = self.0.spawn_blocking(move || task(value));
        self.0.block_on(handle).expect("the task returned")
    }
}
