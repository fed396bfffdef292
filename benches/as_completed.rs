//! The cost of a handle in `as_completed`, from a thousand handles to a million:
//! the cost of each must not grow with their number.
//!
//! `cargo bench --bench as_completed`; see `benches/README.md`.

use as_completed::{JoinHandle, ThreadPool, as_completed};
use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use std::hint::black_box;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

const COUNTS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    let pool = ThreadPool::new(1);

    let mut group = criterion.benchmark_group("as_completed/finished");
    group.sampling_mode(SamplingMode::Flat);
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(|| finished(&pool, count), take_all, BatchSize::PerIteration);
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("as_completed/pending");
    group.sampling_mode(SamplingMode::Flat);
    for count in COUNTS {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(
                || pending(&pool, count),
                |(gate, handles)| {
                    let all = as_completed(handles);
                    drop(gate);
                    all.map(|handle| handle.join().expect("the task returned"))
                        .sum::<u64>()
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    criterion.final_summary();
}

fn take_all(handles: Vec<JoinHandle<u64>>) -> u64 {
    as_completed(handles)
        .map(|handle| handle.join().expect("the task returned"))
        .sum()
}

/// Handles of tasks that have run.
fn finished(pool: &ThreadPool, count: u64) -> Vec<JoinHandle<u64>> {
    let handles = submit(pool, count);
    handles.iter().for_each(JoinHandle::wait);
    handles
}

/// Handles of tasks that run when the gate is dropped.
fn pending(pool: &ThreadPool, count: u64) -> (Sender<()>, Vec<JoinHandle<u64>>) {
    let (gate, closed) = mpsc::channel::<()>();
    drop(pool.submit(move || closed.recv()));
    (gate, submit(pool, count))
}

fn submit(pool: &ThreadPool, count: u64) -> Vec<JoinHandle<u64>> {
    (0..count)
        .map(|n| pool.submit(move || black_box(n)))
        .collect()
}
