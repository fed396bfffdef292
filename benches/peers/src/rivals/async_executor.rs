//! `async-executor` on threads started here, and `FuturesUnordered`.

use super::{Pool, task};
use async_executor::Executor;
use futures_lite::future::block_on;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

pub(super) struct AsyncExecutor {
    executor: Arc<Executor<'static>>,
    stop: Option<async_channel::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool for AsyncExecutor {
    fn start(workers: usize) -> Self {
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = async_channel::unbounded::<()>();
        let threads = (0..workers)
            .map(|_| {
                let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
                thread::spawn(move || {
                    let _ = block_on(executor.run(stopped.recv()));
                })
            })
            .collect();
        Self {
            executor,
            stop: Some(stop),
            threads,
        }
    }

    fn burst(&self, tasks: u64) -> u64 {
        let tasks: FuturesUnordered<_> = (0..tasks)
            .map(|n| self.executor.spawn(async move { task(n) }))
            .collect();
        block_on(tasks.fold(0, async |sum, n| sum + n))
    }

    fn trip(&self, value: u64) -> u64 {
        block_on(self.executor.spawn(async move { task(value) }))
    }
}

impl Drop for AsyncExecutor {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
