//! Downloads of many files, each completely or not at all.
//!
//! A [`Job`] is a key of your own, a URL and a file name. A [`Downloader`] runs
//! any number of jobs on any [`Executor`], a bounded number at a time, and returns a
//! [`Report`] with the outcome of each. An [`Observer`] receives events meanwhile.
//!
//! ```no_run
//! use as_completed::ThreadPool;
//! use as_completed::download::{DownloadStatus, Job, download_many};
//!
//! let pool = ThreadPool::new(30);
//! let jobs = ["BR", "FR", "IN"].map(|cc| {
//!     let low = cc.to_lowercase();
//!     let url = format!("https://www.fluentpython.com/data/flags/{low}/{low}.gif");
//!     Job::new(cc, url, format!("{cc}.gif"))
//! });
//! let report = download_many(&pool, "downloaded", jobs)?;
//! for entry in report.entries() {
//!     match entry.error() {
//!         None => println!("{}: {} bytes", entry.key(), entry.bytes()),
//!         Some(error) => println!("{}: {error}", entry.key()),
//!     }
//! }
//! assert_eq!(report.count(DownloadStatus::Ok), 3);
//! # Ok::<(), as_completed::download::DownloadError>(())
//! ```
//!
//! # Complete files
//!
//! A body is written to a new temporary file in the downloader's folder. The temporary
//! file is renamed once it is complete and has passed the checks of its job. After an
//! error, the file is absent or unchanged, except where its folder cannot be synced
//! after the rename: then it is the new file. A symbolic link of that name is replaced,
//! not followed. No temporary file is left behind, unless
//! [`resume`](DownloaderBuilder::resume) is on or the process is killed; the next run
//! in that folder removes what a killed one has left.
//!
//! # Limits
//!
//! Every wait has a limit: [`DownloaderBuilder`] sets the timeouts, the minimum
//! speed, the retries and more. Memory does not grow with the number of jobs if
//! [`remember_names`](DownloaderBuilder::remember_names) is off and [`Keep`] is
//! [`Nothing`](Keep::Nothing); with [`Failures`](Keep::Failures), it grows with the
//! number of failures.
//!
//! # Features
//!
//! The feature `download` has http, and `rustls` adds https; both are on by default.
//! `progress` adds the observer `Progress`, which draws bars in the terminal, `gzip` adds
//! `ContentEncoding::Decode`, and `serde`
//! implements `Serialize` for [`Report`], [`Entry`] and [`DownloadStatus`].

// In floor order: a file uses only those above it, and a folder likewise.
mod text;

mod error;
mod sum;

mod job;
mod retry;

mod report;

mod event;
#[cfg(feature = "progress")]
mod progress;
mod settings;

mod net;

mod fetch;

mod run;

mod downloader;
mod sums;

mod builder;

pub use builder::DownloaderBuilder;
pub use downloader::Downloader;
pub use error::{
    DownloadError, DownloadErrorKind, DownloaderBuildError, NameError, RedirectError, TimeoutKind,
};
pub use event::{Event, Observer};
pub use job::Job;
#[cfg(feature = "progress")]
pub use progress::Progress;
pub use report::{DownloadStatus, Entry, Keep, Report};
pub use retry::RetryPolicy;
pub use settings::{ContentEncoding, Durability, Overwrite, Proxy};
pub use sums::{SumsError, jobs_of_sums};

use crate::executor::Executor;
use std::path::PathBuf;

/// Downloads the files of all `jobs` into `directory` on the executor, with the
/// default settings, and returns the outcome of each.
///
/// Blocks until all jobs have ended; a task of the same executor may call it, at any
/// number of workers. [`Downloader::download_many`] does the same with settings and an
/// observer.
///
/// # Errors
///
/// [`DownloadError`], before any request is made, of the kind
/// [`File`](DownloadErrorKind::File) if the folder cannot be created or written, or
/// [`Settings`](DownloadErrorKind::Settings) if the environment names a proxy that
/// cannot be used. A job that fails is not an error: its failure is in the report.
///
/// # Panics
///
/// If reading `jobs` panics: the downloads in flight are cancelled and end, and then
/// the panic goes on.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
/// use as_completed::download::{DownloadStatus, Job, download_many};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
/// // The server has the flag of Brazil, and not the one of Atlantis.
/// let jobs = ["br", "atlantis"].map(|name| {
///     Job::new(name, format!("{server}/{name}.gif"), format!("{name}.gif"))
/// });
/// let pool = ThreadPool::new(2);
/// let report = download_many(&pool, &folder, jobs)?;
/// assert_eq!(report.count(DownloadStatus::Ok), 1);
/// assert_eq!(report.count(DownloadStatus::NotFound), 1);
/// assert_eq!(std::fs::read(folder.join("br.gif"))?, b"GIF89a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn download_many<K, E>(
    executor: &E,
    directory: impl Into<PathBuf>,
    jobs: impl IntoIterator<Item = Job<K>>,
) -> Result<Report<K>, DownloadError>
where
    K: Send + Sync + 'static,
    E: Executor + ?Sized,
{
    let downloader = Downloader::builder(directory)
        .build()
        .map_err(|error| DownloadError::new(DownloadErrorKind::Settings(error)))?;
    downloader.download_many(executor, jobs, ())
}
