//! How many workers? Throughput against pool size, for tasks that wait, tasks
//! that compute, and downloads.
//!
//! `cargo bench --bench pool_size`; see `benches/README.md`, which also says
//! how to try a task of your own: put it in [`own`].

use as_completed::download::{DownloadStatus, Downloader, Job};
use as_completed::{ThreadPool, as_completed};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use flags::server::{FlagServer, Manner, Source};
use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::Duration;

const SIZES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(800))
        .sample_size(10)
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    tasks(&mut criterion, "wait 1 ms", 256, wait);
    tasks(&mut criterion, "compute", 256, compute);
    tasks(&mut criterion, "own", 256, own);
    files(&mut criterion);
    criterion.final_summary();
}

/// A task that waits: for a disk, a database, another program.
fn wait() {
    thread::sleep(Duration::from_millis(1));
}

/// A task that computes for about a tenth of a millisecond.
fn compute() {
    let hash = (0..50_000_u64).fold(0, |hash: u64, n| (hash ^ n).wrapping_mul(0x0100_0000_01b3));
    black_box(hash);
}

/// Put your own task here. This one computes a little and waits a little.
fn own() {
    compute();
    wait();
}

fn tasks(criterion: &mut Criterion, name: &str, count: u64, task: fn()) {
    let mut group = criterion.benchmark_group(format!("pool_size/{name}"));
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(count));
    for workers in SIZES {
        let pool = ThreadPool::new(workers);
        group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
            bencher.iter(|| {
                as_completed((0..count).map(|_| pool.submit(task)))
                    .map(|handle| handle.join().expect("the task returned"))
                    .count()
            });
        });
    }
    group.finish();
}

/// HTTP: 128 files from a server that waits 5 ms before each response.
fn files(criterion: &mut Criterion) {
    const FILES: u64 = 128;
    let delay = Duration::from_millis(5);
    let manner = Manner {
        delay: delay..=delay,
        ..Manner::PROMPT
    };
    let server = FlagServer::start(Source::BuiltIn, manner).expect("a port is free");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pool_size");
    let mut group = criterion.benchmark_group("pool_size/download");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(FILES));
    for workers in SIZES {
        let pool = ThreadPool::new(workers);
        let downloader = Downloader::builder(&folder)
            .max_in_flight(workers)
            .build()
            .expect("the settings are valid");
        group.bench_function(BenchmarkId::from_parameter(workers), |bencher| {
            bencher.iter(|| {
                let jobs = (0..FILES).map(|n| {
                    let url = format!("{}/br/br.gif", server.url());
                    Job::new(n, url, format!("{n}.gif"))
                });
                let report = downloader
                    .download_many(&pool, jobs, ())
                    .expect("the folder can be written");
                assert_eq!(report.count(DownloadStatus::Ok), FILES);
            });
        });
    }
    group.finish();
}
