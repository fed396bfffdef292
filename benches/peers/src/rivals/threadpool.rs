//! `threadpool` and a channel, as its documentation shows. No handles.

use super::{Pool, task};
use crossbeam_channel::{Receiver, Sender, unbounded};
use threadpool::ThreadPool;

pub(super) struct Threadpool {
    pool: ThreadPool,
    sender: Sender<u64>,
    results: Receiver<u64>,
}

impl Threadpool {
    fn execute(&self, value: u64) {
        let sender = self.sender.clone();
        self.pool.execute(move || {
            let _ = sender.send(task(value));
        });
    }

    fn receive(&self) -> u64 {
        self.results.recv().expect("the sender is kept")
    }
}

impl Pool for Threadpool {
    fn start(workers: usize) -> Self {
        let (sender, results) = unbounded();
        Self {
            pool: ThreadPool::new(workers),
            sender,
            results,
        }
    }

    fn burst(&self, tasks: u64) -> u64 {
        (0..tasks).for_each(|n| self.execute(n));
        (0..tasks).map(|_| self.receive()).sum()
    }

    fn trip(&self, value: u64) -> u64 {
        self.execute(value);
        self.receive()
    }
}
