//! Measurements of this crate's pool alone, or against std.

use anyhow::{Context, Result};
use as_completed::{ThreadPool, as_completed};
use std::fs;
use std::hint::black_box;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Nanoseconds per item of a chunked `map_unordered`.
pub fn map_unordered(workers: usize, items: u64) -> f64 {
    let pool = ThreadPool::new(workers);
    let run = |items: u64| {
        pool.map_unordered(0..items, black_box)
            .chunk_size(1024)
            .map(|result| result.expect("the function returned"))
            .sum::<u64>()
    };
    run(items / 10);
    per(items, || run(items))
}

/// Nanoseconds per handle, from submit to result, of `handles` at a time;
/// repeated so that the total number of tasks does not depend on `handles`.
pub fn as_completed_of(workers: usize, handles: u64, total: u64) -> f64 {
    let pool = ThreadPool::new(workers);
    let run = || {
        let handles: Vec<_> = (0..handles)
            .map(|n| pool.submit(move || black_box(n)))
            .collect();
        as_completed(handles)
            .map(|handle| handle.join().expect("the task returned"))
            .sum::<u64>()
    };
    run();
    per(total, || (0..total / handles).map(|_| run()).sum())
}

/// Nanoseconds for `tasks` tasks that take `nap` each, starting the pool
/// included.
pub fn naps(workers: usize, tasks: usize, nap: Duration) -> f64 {
    let start = Instant::now();
    let pool = ThreadPool::new(workers);
    let handles: Vec<_> = (0..tasks)
        .map(|_| pool.submit(move || thread::sleep(nap)))
        .collect();
    for handle in as_completed(handles) {
        handle.join().expect("the task returned");
    }
    nanoseconds(start.elapsed())
}

/// Nanoseconds for the same naps on plain threads, starting them included: what
/// the machine allows.
pub fn naps_of_threads(threads: usize, tasks: usize, nap: Duration) -> f64 {
    let each = tasks / threads;
    let start = Instant::now();
    let threads: Vec<_> = (0..threads)
        .map(|_| thread::spawn(move || (0..each).for_each(|_| thread::sleep(nap))))
        .collect();
    for thread in threads {
        thread.join().expect("sleeping does not panic");
    }
    nanoseconds(start.elapsed())
}

const EIGHT: u64 = 8;

/// Nanoseconds for eight tasks on a new pool of eight, which is then dropped.
pub fn fresh_pool(rounds: u64) -> f64 {
    let run = |n| {
        let pool = ThreadPool::new(8);
        for task in 0..EIGHT {
            drop(pool.submit(move || black_box(n + task)));
        }
    };
    (0..rounds / 10).for_each(run);
    per(rounds, || {
        (0..rounds).for_each(run);
        0
    })
}

/// The same eight on `std::thread::scope`.
pub fn fresh_threads(rounds: u64) -> f64 {
    let run = |n| {
        thread::scope(|scope| {
            for task in 0..EIGHT {
                scope.spawn(move || black_box(n + task));
            }
        });
    };
    (0..rounds / 10).for_each(run);
    per(rounds, || {
        (0..rounds).for_each(run);
        0
    })
}

/// Bytes of memory for each pending task with its handle: how much the
/// process has grown by, what the allocator and the queue keep for themselves
/// included.
pub fn memory(tasks: u64) -> Result<f64> {
    let pool = ThreadPool::new(1);
    let (open, gate) = mpsc::channel::<()>();
    let closed = pool.submit(move || gate.recv());
    let mut handles = Vec::with_capacity(usize::try_from(tasks)?);
    let before = resident()?;
    handles.extend((0..tasks).map(|n| pool.submit(move || black_box(n))));
    let after = resident()?;
    drop(open);
    let _ = closed.join();
    Ok(to_float(after.saturating_sub(before)) / to_float(tasks))
}

fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("needs Linux")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS in /proc/self/status")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// Nanoseconds of processor time used by idle workers, all of them started.
pub fn idle(workers: usize, time: Duration) -> Result<f64> {
    let pool = ThreadPool::new(workers);
    let barrier = Arc::new(Barrier::new(workers));
    let handles: Vec<_> = (0..workers)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            pool.submit(move || {
                barrier.wait();
            })
        })
        .collect();
    for handle in handles {
        handle.join().context("the task returned")?;
    }
    // They spin for some microseconds before they sleep.
    thread::sleep(Duration::from_millis(100));
    let before = processor_time()?;
    thread::sleep(time);
    Ok(to_float(processor_time()? - before))
}

/// Nanoseconds that all threads of this process have run.
fn processor_time() -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task").context("needs Linux")? {
        let thread = thread?.path();
        if thread.file_name().and_then(|name| name.to_str())
            == Some(&std::process::id().to_string())
        {
            // The main thread only does the looking.
            continue;
        }
        let times = fs::read_to_string(thread.join("schedstat"))?;
        let running = times.split(' ').next().context("empty schedstat")?;
        sum += running.parse::<u64>()?;
    }
    Ok(sum)
}

pub fn per(count: u64, run: impl FnOnce() -> u64) -> f64 {
    let start = Instant::now();
    black_box(run());
    nanoseconds(start.elapsed()) / to_float(count)
}

pub fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// Counts here stay far below 2⁵³.
#[expect(clippy::cast_precision_loss)]
pub fn to_float(count: u64) -> f64 {
    count as f64
}
