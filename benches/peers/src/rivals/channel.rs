//! A pool written by hand in twenty lines: a channel of boxed closures, and a
//! channel for the results. No handles; a panic ends its worker.

use super::{Pool, task};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::thread::{self, JoinHandle};

type Job = Box<dyn FnOnce() -> u64 + Send>;

pub(super) struct Channel {
    jobs: Option<Sender<Job>>,
    results: Receiver<u64>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool for Channel {
    fn start(workers: usize) -> Self {
        let (jobs, inbox) = unbounded::<Job>();
        let (outbox, results) = unbounded();
        let threads = (0..workers)
            .map(|_| {
                let (inbox, outbox) = (inbox.clone(), outbox.clone());
                thread::spawn(move || {
                    for job in inbox {
                        if outbox.send(job()).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        Self {
            jobs: Some(jobs),
            results,
            threads,
        }
    }

    fn burst(&self, tasks: u64) -> u64 {
        for n in 0..tasks {
            self.send(n);
        }
        (0..tasks).map(|_| self.receive()).sum()
    }

    fn trip(&self, value: u64) -> u64 {
        self.send(value);
        self.receive()
    }
}

impl Channel {
    fn send(&self, value: u64) {
        let jobs = self.jobs.as_ref().expect("taken by drop only");
        jobs.send(Box::new(move || task(value)))
            .expect("the workers are alive");
    }

    fn receive(&self) -> u64 {
        self.results.recv().expect("the workers are alive")
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
