//! The cost of a task: tasks that do nothing.
//!
//! `cargo bench --bench overhead`; see `benches/README.md`.

use as_completed::{ThreadPool, as_completed};
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const TASKS: u64 = 10_000;
const WORKERS: [usize; 3] = [1, 2, 8];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    many_tasks(&mut criterion);
    round_trip(&mut criterion);
    maps(&mut criterion);
    nested_tree(&mut criterion);
    many_submitters(&mut criterion);
    criterion.final_summary();
}

/// Submits tasks and takes their results as they finish.
fn many_tasks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit_as_completed");
    group.throughput(Throughput::Elements(TASKS));
    for workers in WORKERS {
        let pool = ThreadPool::new(workers);
        group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
            bencher.iter(|| all(&pool, TASKS));
        });
    }
    group.finish();
}

fn all(pool: &ThreadPool, tasks: u64) -> u64 {
    let handles: Vec<_> = (0..tasks)
        .map(|n| pool.submit(move || black_box(n)))
        .collect();
    as_completed(handles)
        .map(|handle| handle.join().expect("the task returned"))
        .sum()
}

/// Submits one task and waits for it.
fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit_join");
    for workers in WORKERS {
        let pool = ThreadPool::new(workers);
        group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
            bencher.iter(|| pool.submit(|| black_box(1)).join());
        });
    }
    group.finish();
}

/// Applies a function that does nothing, with one or many items per task.
fn maps(criterion: &mut Criterion) {
    let pool = ThreadPool::new(2);
    for chunk_size in [1, 16, 1024] {
        let items = if chunk_size == 1 { TASKS } else { 100 * TASKS };
        let mut group = criterion.benchmark_group("map");
        group.throughput(Throughput::Elements(items));
        group.bench_function(BenchmarkId::new("chunk", chunk_size), |bencher| {
            bencher.iter(|| {
                pool.map(0..items, black_box)
                    .chunk_size(chunk_size)
                    .map(|result| result.expect("the function returned"))
                    .sum::<u64>()
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group("map_unordered");
        group.throughput(Throughput::Elements(items));
        group.bench_function(BenchmarkId::new("chunk", chunk_size), |bencher| {
            bencher.iter(|| {
                pool.map_unordered(0..items, black_box)
                    .chunk_size(chunk_size)
                    .map(|result| result.expect("the function returned"))
                    .sum::<u64>()
            });
        });
        group.finish();
    }
}

/// Tasks that submit two tasks each and wait for them, ten levels deep.
fn nested_tree(criterion: &mut Criterion) {
    const DEPTH: u32 = 10;
    let mut group = criterion.benchmark_group("nested_tree");
    group.throughput(Throughput::Elements((1 << DEPTH) - 1));
    for workers in WORKERS {
        let pool = Arc::new(ThreadPool::new(workers));
        group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
            bencher.iter(|| {
                let root = Arc::clone(&pool);
                pool.submit(move || count(&root, DEPTH)).join()
            });
        });
    }
    group.finish();
}

fn count(pool: &Arc<ThreadPool>, depth: u32) -> u64 {
    if depth == 1 {
        return 1;
    }
    let children = [(); 2].map(|()| {
        let inner = Arc::clone(pool);
        pool.submit(move || count(&inner, depth - 1))
    });
    let counts = children.map(|child| child.join().expect("the task returned"));
    1 + counts.iter().sum::<u64>()
}

/// Threads that submit to one pool at the same time.
fn many_submitters(criterion: &mut Criterion) {
    let pool = ThreadPool::new(2);
    let mut group = criterion.benchmark_group("submitters");
    group.throughput(Throughput::Elements(TASKS));
    for submitters in [1, 4, 16] {
        group.bench_function(BenchmarkId::from_parameter(submitters), |bencher| {
            bencher.iter(|| {
                thread::scope(|scope| {
                    for _ in 0..submitters {
                        scope.spawn(|| all(&pool, TASKS / submitters));
                    }
                });
            });
        });
    }
    group.finish();
}
