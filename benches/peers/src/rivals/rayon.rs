//! `rayon`'s `spawn` and a channel. No handles; a panic aborts the process.

use super::{Pool, task};
use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};

pub(super) struct Rayon {
    pool: ThreadPool,
    sender: Sender<u64>,
    results: Receiver<u64>,
}

impl Rayon {
    fn spawn(&self, value: u64) {
        let sender = self.sender.clone();
        self.pool.spawn(move || {
            let _ = sender.send(task(value));
        });
    }

    fn receive(&self) -> u64 {
        self.results.recv().expect("the sender is kept")
    }
}

impl Pool for Rayon {
    fn start(workers: usize) -> Self {
        let (sender, results) = unbounded();
        Self {
            pool: ThreadPoolBuilder::new()
                .num_threads(workers)
                .build()
                .expect("threads can be started"),
            sender,
            results,
        }
    }

    fn burst(&self, tasks: u64) -> u64 {
        (0..tasks).for_each(|n| self.spawn(n));
        (0..tasks).map(|_| self.receive()).sum()
    }

    fn trip(&self, value: u64) -> u64 {
        self.spawn(value);
        self.receive()
    }
}
