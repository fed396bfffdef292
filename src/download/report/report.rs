//! [`Report`]: the outcomes of all jobs of a run.

use super::entry::{DownloadStatus, Entry};
use crate::download::error::{DownloadError, DownloadErrorKind};
use std::fmt;
use std::time::Duration;

/// Which entries a [`Report`] keeps.
///
/// In every case, all jobs are counted and the observer receives all entries.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadStatus, Downloader, Job, Keep};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[("/0", "200 OK", "zero")]);
/// let downloader = Downloader::builder(&folder).keep(Keep::Failures).build()?;
/// // The server has the first file only.
/// let jobs = [0, 1].map(|row| Job::new(row, format!("{server}/{row}"), format!("{row}")));
/// let report = downloader.download_many(&Inline, jobs, ())?;
/// assert_eq!(report.total(), 2);
/// assert_eq!(report.count(DownloadStatus::Ok), 1);
/// assert_eq!(report.entries().len(), 1);
/// assert_eq!(*report.entries()[0].key(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Keep {
    /// The entries of all jobs.
    #[default]
    All,
    /// The entries with an error, for runs so long that all entries would take too
    /// much memory.
    Failures,
    /// No entries.
    Nothing,
}

/// The outcomes of all jobs of a run.
///
/// It counts all jobs, and holds the [entries](Self::entries) of those that [`Keep`]
/// names.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadStatus, Downloader, Job};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (_, folder) = serve(&[]);
/// let downloader = Downloader::builder(&folder).build()?;
/// let report = downloader.download_many(&Inline, [Job::new(1, "not a url", "one")], ())?;
/// assert_eq!(report.count(DownloadStatus::Error), 1);
/// assert_eq!(report.total(), 1);
/// assert_eq!((report.bytes(), report.retries()), (0, 0));
/// assert!(report.is_complete());
/// assert_eq!(report.exit_code(), 1);
/// println!("{:.1} s", report.elapsed().as_secs_f64());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a report says which downloads failed"]
pub struct Report<K> {
    entries: Vec<Entry<K>>,
    keep: Keep,
    counts: [u64; DownloadStatus::ALL.len()],
    bytes: u64,
    retries: u64,
    elapsed: Duration,
    observer_panics: u64,
    cancelled: bool,
    complete: bool,
    first_error: Option<DownloadError>,
}

impl<K> Report<K> {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            entries: Vec::new(),
            keep,
            counts: [0; DownloadStatus::ALL.len()],
            bytes: 0,
            retries: 0,
            elapsed: Duration::ZERO,
            observer_panics: 0,
            cancelled: false,
            complete: false,
            first_error: None,
        }
    }

    /// Counts an entry, and gives it back if it is not to be kept.
    pub(crate) fn add(&mut self, entry: Entry<K>) -> Option<Entry<K>> {
        self.counts[entry.status().index()] += 1;
        self.bytes += entry.bytes();
        self.retries += u64::from(entry.retries());
        if self.first_error.is_none() {
            self.first_error = entry.error().cloned();
        }
        let kept = match self.keep {
            Keep::All => true,
            Keep::Failures => entry.error().is_some(),
            Keep::Nothing => false,
        };
        if !kept {
            return Some(entry);
        }
        self.entries.push(entry);
        None
    }

    pub(crate) fn close(
        &mut self,
        elapsed: Duration,
        cancelled: bool,
        complete: bool,
        observer_panics: u64,
    ) {
        self.elapsed = elapsed;
        self.cancelled = cancelled;
        self.complete = complete;
        self.observer_panics = observer_panics;
    }

    /// Returns the kept entries (see [`Keep`]), in the order in which the jobs
    /// finished.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// for entry in download_many(&Inline, &folder, [job])?.entries() {
    ///     assert_eq!((*entry.key(), entry.bytes()), ("BR", 6));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn entries(&self) -> &[Entry<K>] {
        &self.entries
    }

    /// Returns the kept entries by value, in the same order.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// let report = download_many(&Inline, &folder, [job])?;
    /// let (downloaded, failed): (Vec<_>, Vec<_>) =
    ///     report.into_entries().into_iter().partition(|entry| entry.error().is_none());
    /// assert_eq!((downloaded.len(), failed.len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry<K>> {
        self.entries
    }

    /// Returns the report if every job was read and every file was downloaded or
    /// existed already.
    ///
    /// # Errors
    ///
    /// The failure of the first job that failed, whether its entry is kept or not. If no
    /// job failed but jobs were left unread:
    /// [`Cancelled`](DownloadErrorKind::Cancelled) or
    /// [`Rejected`](DownloadErrorKind::Rejected).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new(1, "not a url", "one")], ())?;
    /// let error = report.ok().unwrap_err();
    /// assert_eq!(error.key(), Some(&1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ok(self) -> Result<Self, DownloadError> {
        if let Some(error) = self.first_error {
            return Err(error);
        }
        if self.cancelled || !self.complete {
            return Err(DownloadError::new(if self.cancelled {
                DownloadErrorKind::Cancelled
            } else {
                DownloadErrorKind::Rejected("the executor takes no more jobs".to_owned())
            }));
        }
        Ok(self)
    }

    /// Returns the number of jobs with this status.
    ///
    /// The example of [`Report`] uses it.
    #[must_use]
    pub fn count(&self, status: DownloadStatus) -> u64 {
        self.counts[status.index()]
    }

    /// Returns the number of jobs that were read.
    ///
    /// The example of [`Report`] uses it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the number of body bytes received, including those of failed
    /// attempts.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let jobs = [1, 2].map(|n| Job::new(n, format!("{server}/br.gif"), format!("{n}.gif")));
    /// assert_eq!(download_many(&Inline, &folder, jobs)?.bytes(), 12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of retries of all jobs.
    ///
    /// The example of [`Report`] uses it.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Returns how long the run took, from the first read of the input until all jobs
    /// had ended.
    ///
    /// The example of [`Report`] uses it.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns whether the run was cancelled before its end.
    ///
    /// It is false if the token was cancelled too late to stop any job.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::{Downloader, Job};
    /// use as_completed::{CancelToken, Inline};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let token = CancelToken::new();
    /// let downloader = Downloader::builder(&folder).cancel_token(token.clone()).build()?;
    /// // Elsewhere, as in a handler of Ctrl-C:
    /// token.cancel();
    /// let job = Job::new("BR", "https://example.org/br.gif", "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], ())?;
    /// assert!(report.is_cancelled());
    /// assert_eq!(report.exit_code(), 130);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Returns whether all jobs of the input were read, so that each is counted.
    ///
    /// It is false if the run was cancelled before, or if the executor took no more
    /// jobs, as a pool that is shut down does.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{DownloadStatus, Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[]);
    /// let pool = ThreadPool::new(2);
    /// pool.shutdown();
    /// let jobs = (0..10).map(|n| Job::new(n, format!("{server}/{n}"), format!("{n}")));
    /// let report = download_many(&pool, &folder, jobs)?;
    /// assert!(!report.is_complete());
    /// assert_eq!(report.count(DownloadStatus::Ok), 0);
    /// assert_eq!(report.exit_code(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns how often the observer panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Event, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], |event: &Event<'_, &str>| {
    ///     assert!(!matches!(event, Event::Finished { .. }), "a mistake in the observer");
    /// })?;
    /// assert_eq!(report.observer_panics(), 1);
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn observer_panics(&self) -> u64 {
        self.observer_panics
    }

    /// Returns an exit code for a program that does only this run: 0 if every file
    /// was downloaded or existed already, 130 if the run was cancelled, otherwise 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadError, Job, download_many};
    /// use std::process::ExitCode;
    ///
    /// fn run(folder: &str) -> Result<ExitCode, DownloadError> {
    ///     let job = Job::new("BR", "no url", "BR.gif");
    ///     let report = download_many(&Inline, folder, [job])?;
    ///     Ok(ExitCode::from(report.exit_code()))
    /// }
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// # let code = run(folder.to_str().expect("a temporary folder has such a name"))?;
    /// # assert_eq!(code, ExitCode::FAILURE);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.cancelled {
            return 130;
        }
        let is_whole = |status| matches!(status, DownloadStatus::Ok | DownloadStatus::Skipped);
        let failed = DownloadStatus::ALL
            .into_iter()
            .any(|status| !is_whole(status) && self.count(status) > 0);
        u8::from(failed || !self.complete)
    }
}

impl<K> fmt::Debug for Report<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut report = f.debug_struct("Report");
        for status in DownloadStatus::ALL {
            report.field(&status.to_string(), &self.count(status));
        }
        report
            .field("bytes", &self.bytes)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}
