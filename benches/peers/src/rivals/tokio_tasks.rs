//! `tokio`'s tasks, in a `JoinSet`: results in completion order.

use super::{Pool, task};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

pub(super) struct TokioTasks(Runtime);

impl Pool for TokioTasks {
    fn start(workers: usize) -> Self {
        Self(
            Builder::new_multi_thread()
                .worker_threads(workers)
                .build()
                .expect("threads can be started"),
        )
    }

    fn burst(&self, tasks: u64) -> u64 {
        self.0.block_on(async {
            let mut set = JoinSet::new();
            for n in 0..tasks {
                set.spawn(async move { task(n) });
            }
            let mut sum = 0;
            while let Some(result) = set.join_next().await {
                sum += result.expect("the task returned");
            }
            sum
        })
    }

    fn trip(&self, value: u64) -> u64 {
        let handle = self.0.spawn(async move { task(value) });
        self.0.block_on(handle).expect("the task returned")
    }
}
