//! Load tests; they do nothing unless asked for by name.
//!
//! ```sh
//! cargo test --release --test stress -- tasks pools shutdowns soak=600
//! ```
//!
//! `tasks` runs 10⁷ empty tasks on each of several pools, `pools` creates and drops
//! 10⁵ pools, `shutdowns` shuts 10⁵ pools down at random moments, and `soak` mixes
//! everything for the given number of seconds and checks that memory, threads and
//! open files do not grow. `tasks=1000` and so on do less. The program panics at
//! the first task that is lost, run twice or never final.
#![allow(clippy::unwrap_used, reason = "what fails here ends the run")]

use as_completed::{JoinError, ThreadPool, as_completed};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let mut idle = true;
    for argument in std::env::args().skip(1) {
        let (name, number) = match argument.split_once('=') {
            Some((name, number)) => (name, number.parse().ok()),
            None => (argument.as_str(), None),
        };
        match name {
            "tasks" => tasks(number.unwrap_or(10_000_000)),
            "pools" => pools(number.unwrap_or(100_000)),
            "shutdowns" => shutdowns(number.unwrap_or(100_000)),
            "soak" => soak(Duration::from_secs(number.unwrap_or(600) as u64)),
            // What `cargo test` passes to all its tests.
            _ => continue,
        }
        idle = false;
    }
    if idle {
        println!("stress: ask for tasks, pools, shutdowns or soak=600");
    }
}

/// What the process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    kibibytes: usize,
    threads: usize,
    files: usize,
}

impl Held {
    /// Zeros where there is no `/proc`.
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Self {
            kibibytes: number("VmRSS:"),
            threads: number("Threads:"),
            files: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }
}

fn report(what: &str, count: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let nanoseconds = seconds * 1e9 / count as f64;
    let held = Held::now();
    println!(
        "{what}: {count} in {seconds:.1} s, {nanoseconds:.0} ns each; {} MiB, {} threads, {} files",
        held.kibibytes / 1024,
        held.threads,
        held.files
    );
}

/// Empty tasks, from one and from many threads.
fn tasks(count: usize) {
    /// So many at a time, that memory stays out of it.
    const BATCH: usize = 16_384;

    for workers in [1, 2, 8, 64] {
        for submitters in [1, 8] {
            let (pool, ran) = (ThreadPool::new(workers), Arc::new(AtomicUsize::new(0)));
            let start = Instant::now();
            thread::scope(|scope| {
                for _ in 0..submitters {
                    scope.spawn(|| {
                        let mut left = count / submitters;
                        while left > 0 {
                            let batch = left.min(BATCH);
                            let mut last = None;
                            for _ in 0..batch {
                                let ran = Arc::clone(&ran);
                                last = Some(pool.submit(move || {
                                    ran.fetch_add(1, Ordering::Relaxed);
                                }));
                            }
                            left -= batch;
                            last.unwrap().join().unwrap();
                        }
                    });
                }
            });
            drop(pool);
            assert_eq!(ran.load(Ordering::Relaxed), count / submitters * submitters);
            let what = format!("tasks, {workers} workers, {submitters} submitters");
            report(&what, count, start);
        }
    }
}

/// Pools that live for a task or two, or for none.
fn pools(count: usize) {
    let start = Instant::now();
    for n in 0..count {
        let pool = ThreadPool::new(1 + n % 4);
        let handles: Vec<_> = (0..n % 3).map(|n| pool.submit(move || n)).collect();
        drop(pool);
        for (n, handle) in handles.into_iter().enumerate() {
            assert!(handle.is_finished());
            assert_eq!(handle.join().unwrap(), n);
        }
    }
    report("pools", count, start);
}

/// A shutdown while two threads submit, at a random moment.
fn shutdowns(count: usize) {
    let start = Instant::now();
    let (mut ran, mut cancelled, mut refused) = (0, 0, 0);
    for n in 0..count {
        let pool = Arc::new(ThreadPool::new(1 + n % 3));
        let runs = Arc::new(AtomicUsize::new(0));
        let submitters = [(); 2].map(|()| {
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            thread::spawn(move || {
                let submit = |_| {
                    let runs = Arc::clone(&runs);
                    pool.submit(move || {
                        runs.fetch_add(1, Ordering::Relaxed);
                    })
                };
                (0..16).map(submit).collect::<Vec<_>>()
            })
        });
        for _ in 0..fastrand::usize(..20_000) {
            std::hint::spin_loop();
        }
        pool.shutdown();
        let counted = if fastrand::bool() {
            pool.cancel_pending()
        } else {
            0
        };
        let (mut ran_here, mut cancelled_here) = (0, 0);
        for submitter in submitters {
            for handle in as_completed(submitter.join().unwrap()) {
                match handle.join() {
                    Ok(()) => ran_here += 1,
                    Err(JoinError::Cancelled) => cancelled_here += 1,
                    Err(JoinError::Rejected(_)) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        assert_eq!(runs.load(Ordering::Relaxed), ran_here);
        assert_eq!(counted, cancelled_here);
        ran += ran_here;
        cancelled += cancelled_here;
    }
    report("shutdowns", count, start);
    println!("    {ran} tasks ran, {cancelled} were cancelled, {refused} refused");
}

/// Everything at once, for long.
fn soak(length: Duration) {
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let (shared, mut rounds) = (Arc::new(ThreadPool::new(4)), 0_usize);
    let mut settled: Option<Held> = None;
    let mut most = Held::now();
    while start.elapsed() < length {
        round(&shared);
        rounds += 1;
        if rounds % 64 == 0 {
            let now = Held::now();
            if settled.is_none() && start.elapsed() > length / 10 {
                settled = Some(now);
                most = now;
                println!("soak, after a tenth: {now:?}");
            }
            most.kibibytes = most.kibibytes.max(now.kibibytes);
            most.threads = most.threads.max(now.threads);
            most.files = most.files.max(now.files);
        }
    }
    println!("soak, at most since: {most:?}");
    report("soak, rounds", rounds, start);
    drop(shared);
    if let Some(settled) = settled {
        let (before, after) = (settled, Held::now());
        println!("soak, at the end: {after:?}");
        assert!(after.threads <= before.threads && after.files <= before.files);
        // Allocators breathe; a leak of one task in a round would be more.
        assert!(most.kibibytes < before.kibibytes + before.kibibytes / 4 + 4096);
    }
}

fn round(shared: &Arc<ThreadPool>) {
    let own = ThreadPool::builder()
        .max_workers(1 + fastrand::usize(..4))
        .queue_capacity(8)
        .keep_alive(Duration::from_micros(fastrand::u64(..200)))
        .build()
        .unwrap();
    let mut handles = Vec::new();
    for n in 0..64_usize {
        let inside = Arc::clone(shared);
        let handle = match n % 8 {
            0 => own.submit(|| panic!("meant")),
            1 => shared.submit(move || inside.submit(move || n).join().unwrap()),
            2 => shared.submit_cancellable(move |token| {
                let _ = token.sleep(Duration::from_micros(50));
                n
            }),
            3 => own.submit_cancellable(move |token| {
                let _ = token.sleep(Duration::MAX);
                n
            }),
            4 => shared.submit(move || n),
            _ => own.submit(move || n),
        };
        handle.on_done(|_| ());
        if n % 8 == 3 || fastrand::u8(..) < 32 {
            handle.cancel();
        }
        if n % 8 != 7 {
            handles.push(handle);
        }
    }
    let mut all = as_completed(handles);
    for _ in 0..40 {
        drop(all.next().unwrap().join());
    }
    let _ = all.next_timeout(Duration::ZERO);
    drop(all);
    let doubled = shared.map(0..100_u64, |n| 2 * n).buffer(4).chunk_size(8);
    assert_eq!(doubled.map(Result::unwrap).sum::<u64>(), 9900);
    ThreadPool::scope(2, |pool| {
        let numbers = [1, 2, 3];
        let sums = numbers.map(|n| pool.submit(move || n));
        assert_eq!(sums.map(|sum| sum.join().unwrap()), numbers);
    });
}
