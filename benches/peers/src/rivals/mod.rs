//! The rivals, one file each, all doing the same work.

mod async_executor;
mod channel;
mod ours;
mod rayon;
mod rusty_pool;
mod threadpool;
mod threads;
mod tokio_blocking;
mod tokio_tasks;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A pool of threads of any kind.
///
/// Each rival is used as its own documentation recommends, in the fastest way
/// that does not need more code than ours.
trait Pool {
    fn start(workers: usize) -> Self;

    /// Submits `tasks` empty tasks from this thread, then takes every result;
    /// returns their sum.
    fn burst(&self, tasks: u64) -> u64;

    /// Submits one task and waits for its result.
    fn trip(&self, value: u64) -> u64;
}

/// The task: empty, except for an input and an output of one word.
fn task(value: u64) -> u64 {
    black_box(value)
}

/// What is measured about a pool.
pub struct Rival {
    pub name: &'static str,
    /// By which factor the number of tasks is reduced, if each costs far more.
    pub fewer: u64,
    /// The time of a burst, submit to last result.
    pub burst: fn(workers: usize, tasks: u64) -> Duration,
    /// The time of the given number of round trips, one at a time.
    pub trips: fn(workers: usize, trips: u64) -> Duration,
}

impl Rival {
    const fn new<P: Pool>(name: &'static str) -> Self {
        Self {
            name,
            fewer: 1,
            burst: burst::<P>,
            trips: trips::<P>,
        }
    }

    const fn fewer(mut self, times: u64) -> Self {
        self.fewer = times;
        self
    }
}

pub const OURS: Rival = Rival::new::<ours::Ours>("ours");

pub const RIVALS: [Rival; 8] = [
    Rival::new::<channel::Channel>("channel"),
    Rival::new::<threadpool::Threadpool>("threadpool"),
    Rival::new::<rayon::Rayon>("rayon"),
    Rival::new::<rusty_pool::RustyPool>("rusty_pool"),
    Rival::new::<async_executor::AsyncExecutor>("async-executor"),
    Rival::new::<tokio_tasks::TokioTasks>("tokio-tasks"),
    Rival::new::<tokio_blocking::TokioBlocking>("tokio-blocking"),
    Rival::new::<threads::Threads>("threads").fewer(50),
];

pub fn by_name(name: &str) -> Option<&'static Rival> {
    if name == OURS.name {
        return Some(&OURS);
    }
    RIVALS.iter().find(|rival| rival.name == name)
}

/// One burst to start the threads and to warm up the allocator, then the one
/// that counts. Starting and ending the pool do not count.
fn burst<P: Pool>(workers: usize, tasks: u64) -> Duration {
    let pool = P::start(workers);
    let sum = (0..tasks).sum();
    assert_eq!(pool.burst(tasks), sum);
    let start = Instant::now();
    let result = pool.burst(tasks);
    let elapsed = start.elapsed();
    assert_eq!(result, sum);
    elapsed
}

/// How long to warm up: a system may leave a new thread on the processor of the
/// thread that started it for tens of milliseconds, and during that time each trip
/// takes two context switches, for any candidate.
const SETTLING: Duration = Duration::from_millis(100);

fn trips<P: Pool>(workers: usize, trips: u64) -> Duration {
    let pool = P::start(workers);
    assert_eq!(pool.burst(1000), 499_500);
    let settled = Instant::now() + SETTLING;
    while Instant::now() < settled {
        assert_eq!(pool.trip(0), 0);
    }
    let start = Instant::now();
    for value in 0..trips {
        assert_eq!(pool.trip(value), value);
    }
    start.elapsed()
}
