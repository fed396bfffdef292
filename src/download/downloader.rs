//! [`Downloader`]: the settings and connections that runs share.

use super::error::{DownloadError, DownloaderBuildError};
use super::event::Observer;
use super::fetch::shared::Shared;
use super::job::Job;
use super::report::Report;
use super::run;
use super::settings::Settings;
use crate::executor::Executor;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Downloads files into a folder, each completely or not at all.
///
/// A downloader owns a pool of connections, which later jobs and runs reuse.
/// Cloning is cheap, and clones share the connections. Dropping the last clone
/// closes them.
///
/// # Examples
///
/// ```no_run
/// use as_completed::ThreadPool;
/// use as_completed::download::{DownloadStatus, Downloader, Job};
///
/// let pool = ThreadPool::new(30);
/// let downloader = Downloader::builder("downloaded").build()?;
/// let jobs = ["BR", "FR", "IN"].map(|cc| {
///     let low = cc.to_lowercase();
///     let url = format!("https://www.fluentpython.com/data/flags/{low}/{low}.gif");
///     Job::new(cc, url, format!("{cc}.gif"))
/// });
/// let report = downloader.download_many(&pool, jobs, ())?;
/// println!("{} flags downloaded", report.count(DownloadStatus::Ok));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Downloader(Arc<Shared>);

impl Downloader {
    pub(super) fn from_settings(settings: Settings) -> Result<Self, DownloaderBuildError> {
        Ok(Self(Arc::new(Shared::new(settings)?)))
    }

    /// Returns the folder into which files are downloaded.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.settings.directory
    }

    /// Downloads the files of all `jobs` on the executor, and returns the outcome
    /// of each.
    ///
    /// Blocks until all jobs have ended or the run is cancelled. Jobs are read
    /// lazily, on the calling thread, as earlier ones finish, so there may be
    /// any number of them, and reading may block: a finished file is told of, and
    /// a failed attempt retried, meanwhile. A job that fails does not stop the
    /// others. The `observer` receives the events of the run; `()` ignores them.
    ///
    /// # Errors
    ///
    /// [`DownloadError`] if the folder cannot be created or written, before
    /// any request is made. The failures of jobs are in the report.
    ///
    /// # Panics
    ///
    /// If reading `jobs` panics: after the downloads in flight have been cancelled
    /// and have ended.
    pub fn download_many<K, E, I, O>(
        &self,
        executor: &E,
        jobs: I,
        observer: O,
    ) -> Result<Report<K>, DownloadError>
    where
        K: Send + Sync + 'static,
        E: Executor + ?Sized,
        I: IntoIterator<Item = Job<K>>,
        O: Observer<K> + 'static,
    {
        run::run(executor, &self.0, jobs.into_iter(), Arc::new(observer))
    }
}

impl fmt::Debug for Downloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloader")
            .field("directory", &self.directory())
            .finish_non_exhaustive()
    }
}
