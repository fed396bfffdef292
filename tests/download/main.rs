//! Downloads: the ordinary ones, and those from servers that throttle, drop,
//! lie and stall. `README.md` in this folder lists the cases.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on is to fail its test"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers here are small"
)]

#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../it/support.rs"]
mod support;

#[cfg(unix)]
mod child;
mod folder;
mod server;
#[cfg(feature = "rustls")]
mod tls_server;

mod answers;
mod basics;
mod bounds;
mod cancel;
mod connect;
#[cfg(feature = "gzip")]
mod decode;
#[cfg(target_os = "linux")]
mod descriptors;
mod existing;
mod files;
mod fuzz;
#[cfg(unix)]
mod killed;
#[cfg(target_os = "linux")]
mod nginx;
mod observer;
mod proxies;
mod redirects;
mod report;
mod resume;
mod retries;
mod run;
#[cfg(feature = "rustls")]
mod secure;
mod segments;
mod subdirectories;
mod sums;

use as_completed::ThreadPool;
use as_completed::download::{
    DownloadErrorKind, DownloadStatus, Downloader, DownloaderBuilder, Job, Proxy, Report,
    RetryPolicy,
};
use folder::Folder;
use std::path::Path;
use std::time::{Duration, Instant};
use support::Patience;

/// A time in which everything that ends ends, on however loaded a machine.
const LONG: Duration = Duration::from_secs(60);
/// A timeout that is to run out.
const SHORT: Duration = Duration::from_millis(300);

/// A downloader that tries once, uses no proxy, and waits for slow machines.
fn builder(folder: &Folder) -> DownloaderBuilder {
    patient(folder.path()).retry(RetryPolicy::never())
}

/// A downloader that uses no proxy, and whose timeouts run out on no machine, however
/// loaded: a test that is about one of them sets it.
fn patient(folder: &Path) -> DownloaderBuilder {
    Downloader::builder(folder)
        .proxy(Proxy::Direct)
        .connect_timeout(LONG)
        .read_timeout(LONG)
        .minimum_speed(0, LONG)
}

/// Downloads one file, called `file`, and looks that it does not take for ever.
fn download_one(downloader: &Downloader, url: impl Into<String>) -> Report<&'static str> {
    download(downloader, [Job::new("key", url, "file")])
}

fn download<K: Send + Sync + 'static>(
    downloader: &Downloader,
    jobs: impl IntoIterator<Item = Job<K>>,
) -> Report<K> {
    let pool = ThreadPool::new(4);
    let patience = Patience::new();
    let report = downloader.download_many(&pool, jobs, ()).unwrap();
    assert!(!patience.is_over(LONG), "it took too long: {report:?}");
    report
}

/// Why the one download of a report failed.
fn failure<K>(report: &Report<K>) -> &DownloadErrorKind {
    assert_eq!(report.total(), 1, "{report:?}");
    let error = report.entries()[0].error();
    error.expect("the download is to fail").kind()
}

fn assert_ok<K>(report: &Report<K>) {
    let failed = report.entries().iter().find_map(|entry| entry.error());
    assert_eq!(
        report.count(DownloadStatus::Ok),
        report.total(),
        "{failed:?}"
    );
}
