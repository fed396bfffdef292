//! Downloads from the embedded server, which responds at once: the time that the
//! crate and the machine need per file.
//!
//! `cargo bench --bench download`; see `benches/README.md`.

use as_completed::download::{DownloadStatus, Downloader, Job};
use as_completed::{Executor, Inline, ThreadPool};
use criterion::{Criterion, SamplingMode, Throughput};
use flags::server::{FlagServer, Manner, Source};
use std::path::Path;
use std::time::Duration;

const FILES: u64 = 200;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    let server = FlagServer::start(Source::BuiltIn, Manner::PROMPT).expect("a port is free");
    let executors: [(&str, Box<dyn Executor>); 3] = [
        ("one at a time", Box::new(Inline)),
        ("2 workers", Box::new(ThreadPool::new(2))),
        ("30 workers", Box::new(ThreadPool::new(30))),
    ];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("download");
    let downloader = Downloader::builder(&folder)
        .build()
        .expect("the settings are valid");

    let mut group = criterion.benchmark_group("download");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(FILES));
    for (name, executor) in &executors {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let jobs = (0..FILES).map(|n| {
                    let url = format!("{}/br/br.gif", server.url());
                    Job::new(n, url, format!("{n}.gif"))
                });
                let report = downloader
                    .download_many(executor, jobs, ())
                    .expect("the folder can be written");
                assert_eq!(report.count(DownloadStatus::Ok), FILES);
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
