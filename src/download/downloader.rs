//! [`Downloader`]: the settings and connections that runs share.

use super::error::{DownloadError, DownloaderBuildError};
use super::event::{Event, Observer};
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
/// Cloning is cheap; clones share the connections, and the limit of
/// [bytes per second](super::DownloaderBuilder::max_bytes_per_second). Dropping the
/// last clone closes the connections.
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
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    /// use std::path::Path;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let downloader = Downloader::builder("downloaded").build()?;
    /// assert_eq!(downloader.directory(), Path::new("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.settings.directory
    }

    /// Downloads the files of all `jobs` on the executor, and returns the outcome
    /// of each.
    ///
    /// Blocks until all jobs have ended, or have been cancelled by the
    /// [token](super::DownloaderBuilder::cancel_token); a task of the same executor may
    /// call it, at any number of workers. Jobs are read lazily, on the calling thread,
    /// as earlier ones finish, so there may be any number of them. Reading may block:
    /// meanwhile, finished files are reported to the observer, and failed attempts are
    /// retried, if the executor has threads of its own. A job that fails does not stop
    /// the others. The `observer` receives the events of the run; `()` ignores them. One
    /// that borrows from the caller needs
    /// [`download_many_scoped`](Self::download_many_scoped).
    ///
    /// # Errors
    ///
    /// [`DownloadError`] of the kind [`File`](super::DownloadErrorKind::File) if the
    /// folder cannot be created or written, before any request is made. A job that
    /// fails is not an error: its failure is in the report.
    ///
    /// # Panics
    ///
    /// If reading `jobs` panics: the downloads in flight are cancelled and end, and
    /// then the panic goes on. A panic of the observer is caught and counted.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{DownloadStatus, Downloader, Event, Job, Overwrite};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let pool = ThreadPool::new(2);
    /// let downloader = Downloader::builder(&folder).overwrite(Overwrite::Never).build()?;
    /// let flag = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    ///
    /// let finished = Arc::new(AtomicUsize::new(0));
    /// let counter = Arc::clone(&finished);
    /// let report = downloader.download_many(&pool, [flag.clone()], move |event: &Event<'_, &str>| {
    ///     if let Event::Finished { .. } = event {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// })?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// assert_eq!(finished.load(Ordering::Relaxed), 1);
    ///
    /// // The second run has nothing to do.
    /// let report = downloader.download_many(&pool, [flag], ())?;
    /// assert_eq!(report.count(DownloadStatus::Skipped), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Downloads the files of all `jobs` as [`download_many`](Self::download_many) does,
    /// with an observer that may borrow and change what the caller has.
    ///
    /// It runs on a thread of its own, which ends before this returns, and receives the
    /// events of each job in order, and the ends of all in the order of the report. No
    /// download waits while it handles an event: bytes that arrive for a job meanwhile
    /// are one event, and no more jobs are read while
    /// [`max_in_flight`](super::DownloaderBuilder::max_in_flight) have ended that it has
    /// not been told of.
    ///
    /// # Errors
    ///
    /// As [`download_many`](Self::download_many), and one of the kind
    /// [`Rejected`](super::DownloadErrorKind::Rejected) if the thread of the observer
    /// cannot be started.
    ///
    /// # Panics
    ///
    /// If reading `jobs` panics, as [`download_many`](Self::download_many).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{Downloader, Event, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a"), ("/fr.gif", "200 OK", "GIF89a")]);
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let jobs = ["br", "fr"].map(|cc| {
    ///     Job::new(cc, format!("{server}/{cc}.gif"), format!("{cc}.gif"))
    /// });
    ///
    /// let (mut bytes, mut finished) = (0, Vec::new());
    /// downloader.download_many_scoped(&ThreadPool::new(2), jobs, |event| match event {
    ///     Event::Bytes { received, .. } => bytes += received,
    ///     Event::Finished { key, .. } => finished.push(**key),
    ///     _ => {}
    /// })?;
    /// assert_eq!(bytes, 12);
    /// assert_eq!(finished.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn download_many_scoped<K, E, I>(
        &self,
        executor: &E,
        jobs: I,
        observe: impl FnMut(&Event<'_, K>) + Send,
    ) -> Result<Report<K>, DownloadError>
    where
        K: Send + Sync + 'static,
        E: Executor + ?Sized,
        I: IntoIterator<Item = Job<K>>,
    {
        run::run_scoped(executor, &self.0, jobs.into_iter(), observe)
    }
}

impl fmt::Debug for Downloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloader")
            .field("directory", &self.directory())
            .finish_non_exhaustive()
    }
}
