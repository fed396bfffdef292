//! [`Report`]: what became of all the jobs of a run.

use super::error::{DownloadError, DownloadErrorKind};
use super::job::Job;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DownloadStatus {
    /// The file has been downloaded, and is whole.
    Ok,
    /// The server has no such file: it answered 404 or 410.
    NotFound,
    /// The download failed.
    Error,
    /// The file was there already, and nothing had to be downloaded.
    Skipped,
    /// The job was cancelled before it was over.
    Cancelled,
}

impl DownloadStatus {
    pub(super) const ALL: [Self; 5] = [
        Self::Ok,
        Self::NotFound,
        Self::Error,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// Returns the status that goes with an error.
    fn of(error: &DownloadError) -> Self {
        match error.kind() {
            DownloadErrorKind::Status { code: 404 | 410 } => Self::NotFound,
            DownloadErrorKind::Cancelled => Self::Cancelled,
            _ => Self::Error,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::NotFound => 1,
            Self::Error => 2,
            Self::Skipped => 3,
            Self::Cancelled => 4,
        }
    }
}

impl fmt::Display for DownloadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::NotFound => "not found",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        })
    }
}

/// Which entries a [`Report`] keeps.
///
/// Counts are kept of all jobs in any case, and the observer sees all entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Keep {
    /// Those of all jobs.
    #[default]
    All,
    /// Those of the jobs that have an error, for runs so long that the report
    /// would fill the memory.
    Failures,
    /// None.
    Nothing,
}

/// What became of one job.
pub struct Entry<K> {
    job: Arc<Job<K>>,
    directory: Arc<Path>,
    number: u64,
    status: DownloadStatus,
    bytes: u64,
    retries: u32,
    error: Option<DownloadError>,
}

impl<K> Entry<K> {
    /// Returns the key of the job.
    #[must_use]
    pub fn key(&self) -> &K {
        self.job.key()
    }

    /// Returns the URL of the job, as it was given.
    #[must_use]
    pub fn url(&self) -> &str {
        self.job.url()
    }

    /// Returns the file name of the job.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.job.file_name()
    }

    /// Returns where the file is, or would be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(self.job.file_name())
    }

    /// Returns the place of the job in the input, from 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns what became of the job.
    #[must_use]
    pub fn status(&self) -> DownloadStatus {
        self.status
    }

    /// Returns how many bytes of bodies were received for the job, in all
    /// attempts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how often the job was tried again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Returns why there is no file: an error unless the status is `Ok` or
    /// `Skipped`.
    #[must_use]
    pub fn error(&self) -> Option<&DownloadError> {
        self.error.as_ref()
    }
}

impl<K> fmt::Debug for Entry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("url", &self.url())
            .field("file_name", &self.file_name())
            .field("status", &self.status)
            .field("bytes", &self.bytes)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// What a worker has to say of a job.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether the file was there already.
    pub(super) skipped: bool,
    pub(super) bytes: u64,
    pub(super) retries: u32,
    pub(super) error: Option<DownloadError>,
}

impl Outcome {
    pub(super) fn failed(error: DownloadError) -> Self {
        Self {
            skipped: false,
            bytes: 0,
            retries: 0,
            error: Some(error),
        }
    }

    pub(super) fn into_entry<K>(
        self,
        number: u64,
        job: Arc<Job<K>>,
        directory: &Arc<Path>,
    ) -> Entry<K> {
        let status = match &self.error {
            Some(error) => DownloadStatus::of(error),
            None if self.skipped => DownloadStatus::Skipped,
            None => DownloadStatus::Ok,
        };
        Entry {
            job,
            directory: Arc::clone(directory),
            number,
            status,
            bytes: self.bytes,
            retries: self.retries,
            error: self.error,
        }
    }
}

/// What became of all the jobs of a run.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadStatus, Downloader, Job};
///
/// let folder = std::env::temp_dir().join("as-completed-doc-report");
/// let downloader = Downloader::builder(&folder).build()?;
/// let report = downloader.download_many(&Inline, [Job::new(1, "not a url", "one")], ())?;
/// assert_eq!(report.count(DownloadStatus::Error), 1);
/// assert_eq!(report.total(), 1);
/// assert_eq!(report.exit_code(), 1);
/// # std::fs::remove_dir(folder)?;
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
}

impl<K> Report<K> {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            entries: Vec::new(),
            keep,
            counts: [0; DownloadStatus::ALL.len()],
            bytes: 0,
            retries: 0,
            elapsed: Duration::ZERO,
            observer_panics: 0,
            cancelled: false,
        }
    }

    pub(super) fn add(&mut self, entry: Entry<K>) {
        self.counts[entry.status.index()] += 1;
        self.bytes += entry.bytes;
        self.retries += u64::from(entry.retries);
        let kept = match self.keep {
            Keep::All => true,
            Keep::Failures => entry.error.is_some(),
            Keep::Nothing => false,
        };
        if kept {
            self.entries.push(entry);
        }
    }

    pub(super) fn close(&mut self, elapsed: Duration, cancelled: bool, observer_panics: u64) {
        self.elapsed = elapsed;
        self.cancelled = cancelled;
        self.observer_panics = observer_panics;
    }

    /// Returns the entries that were to be kept (see [`Keep`]), in the order in
    /// which the jobs finished.
    #[must_use]
    pub fn entries(&self) -> &[Entry<K>] {
        &self.entries
    }

    /// Returns how many jobs ended with that status.
    #[must_use]
    pub fn count(&self, status: DownloadStatus) -> u64 {
        self.counts[status.index()]
    }

    /// Returns how many jobs there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns how many bytes of bodies were received, those of failed attempts
    /// included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many retries there were.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Returns how long the run took.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns whether the run was cancelled; jobs that had not been read from
    /// the input by then are in no count.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Returns how often the observer panicked.
    #[must_use]
    pub fn observer_panics(&self) -> u64 {
        self.observer_panics
    }

    /// Returns the exit code for a program that did nothing but this run: 0 if
    /// every file is there, 130 if it was cancelled, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.cancelled {
            130
        } else {
            let failed = self.count(DownloadStatus::NotFound) + self.count(DownloadStatus::Error);
            u8::from(failed > 0)
        }
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
