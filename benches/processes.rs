//! The cost of a call in a process: functions that do nothing.
//!
//! `cargo bench --features process --bench processes`; see `benches/README.md`.

use as_completed::as_completed;
use as_completed::function::{Function, Functions};
use as_completed::process::ProcessPool;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use serde_bytes::ByteBuf;
use std::hint::black_box;
use std::time::Duration;

const SAME: Function<u64, u64> = Function::new("same", black_box);
const SAME_BYTES: Function<ByteBuf, ByteBuf> = Function::new("same_bytes", black_box);

fn pool(workers: usize) -> ProcessPool {
    let functions = Functions::new().with(SAME).with(SAME_BYTES);
    functions.init();
    ProcessPool::new(workers, functions).expect("init was reached")
}

fn main() {
    // A child of a pool serves here, and never returns.
    drop(pool(1));
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    round_trip(&mut criterion);
    burst(&mut criterion);
    chunks(&mut criterion);
    start(&mut criterion);
    payloads(&mut criterion);
    criterion.final_summary();
}

/// Calls one function and waits for it.
fn round_trip(criterion: &mut Criterion) {
    let pool = pool(1);
    criterion.bench_function("call_join", |bencher| {
        bencher.iter(|| pool.call(SAME, 1).join());
    });
}

/// Calls many and takes their results as they finish.
fn burst(criterion: &mut Criterion) {
    const CALLS: u64 = 1_000;
    let mut group = criterion.benchmark_group("call_as_completed");
    group.throughput(Throughput::Elements(CALLS));
    for workers in [1, 2, 8] {
        let pool = pool(workers);
        group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
            bencher.iter(|| {
                let calls: Vec<_> = (0..CALLS).map(|n| pool.call(SAME, n)).collect();
                as_completed(calls)
                    .map(|call| call.join().expect("the function returned"))
                    .sum::<u64>()
            });
        });
    }
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let pool = pool(2);
    let mut group = criterion.benchmark_group("call_map");
    for chunk_size in [1, 16, 1_000] {
        let items = if chunk_size == 1 { 1_000 } else { 100_000 };
        group.throughput(Throughput::Elements(items));
        group.bench_function(BenchmarkId::new("chunk", chunk_size), |bencher| {
            bencher.iter(|| {
                pool.call_map(SAME, 0..items)
                    .chunk_size(chunk_size)
                    .map(|result| result.expect("the function returned"))
                    .sum::<u64>()
            });
        });
    }
    group.finish();
}

/// A pool, its first call, and its end.
fn start(criterion: &mut Criterion) {
    criterion.bench_function("start_call_end", |bencher| {
        bencher.iter(|| pool(1).call(SAME, 1).join());
    });
}

/// Bytes there and back.
fn payloads(criterion: &mut Criterion) {
    let pool = pool(1);
    let mut group = criterion.benchmark_group("there_and_back");
    for mebibytes in [1, 64] {
        let payload = ByteBuf::from(vec![1; mebibytes << 20]);
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(BenchmarkId::new("MiB", mebibytes), |bencher| {
            bencher.iter_batched(
                || payload.clone(),
                |payload| pool.call(SAME_BYTES, payload).join(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}
