//! [`Entry`]: the outcome of one job.

use crate::download::error::{DownloadError, DownloadErrorKind};
use crate::download::job::Job;
use crate::download::text::without_password;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The outcome of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DownloadStatus {
    /// The file was downloaded completely.
    Ok,
    /// The server has no such file: it responded with 404 or 410.
    NotFound,
    /// The download failed.
    Error,
    /// The file existed already, and nothing had to be downloaded.
    Skipped,
    /// The job was cancelled before it ended.
    Cancelled,
}

impl DownloadStatus {
    pub(crate) const ALL: [Self; 5] = [
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

    /// The name of the status in JSON, where a name has no space.
    pub(crate) fn in_json(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn index(self) -> usize {
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

/// The outcome of one job, in a [`Report`](super::Report).
pub struct Entry<K> {
    job: Arc<Job<K>>,
    directory: Arc<Path>,
    number: u64,
    status: DownloadStatus,
    outcome: Outcome,
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

    /// Returns the path of the file, whether it exists or not.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(self.job.file_name())
    }

    /// Returns the position of the job in the input, from 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the status of the job.
    #[must_use]
    pub fn status(&self) -> DownloadStatus {
        self.status
    }

    /// Returns the URL of the last response, after redirects, if there was one.
    #[must_use]
    pub fn final_url(&self) -> Option<&str> {
        self.outcome.answered.as_ref().map(|last| last.url.as_str())
    }

    /// Returns the HTTP status of the last response, if there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.outcome.answered.as_ref().map(|last| last.code)
    }

    /// Returns the number of body bytes received for the job, in all attempts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.outcome.bytes
    }

    /// Returns the number of retries of the job.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.outcome.retries
    }

    /// Returns how long the job took, including its retries and the delays between
    /// them, from when a worker started it; zero if none has.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.outcome.elapsed
    }

    /// Returns the error, unless the status is `Ok` or `Skipped`.
    #[must_use]
    pub fn error(&self) -> Option<&DownloadError> {
        self.outcome.error.as_ref()
    }

    /// Returns the name of the checksum of the file and the checksum, if it was
    /// computed: since the job requires it.
    pub(super) fn digest(&self) -> Option<(&'static str, String)> {
        let computed = match self.error().map(DownloadError::kind) {
            None => self.job.wanted().required_digest()?,
            Some(DownloadErrorKind::Sha256 { actual, .. }) => ("sha256", &**actual),
            Some(DownloadErrorKind::Sha512 { actual, .. }) => ("sha512", &**actual),
            Some(_) => return None,
        };
        Some((computed.0, computed.1.to_ascii_lowercase()))
    }

    /// Returns the error by value, unless the status is `Ok` or `Skipped`.
    #[must_use]
    pub fn into_error(self) -> Option<DownloadError> {
        self.outcome.error
    }
}

impl<K> fmt::Debug for Entry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("url", &without_password(self.url()))
            .field("file_name", &self.file_name())
            .field("status", &self.status)
            .field("bytes", &self.bytes())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}

/// What a worker has to say of a job.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Whether the file was there already.
    pub(crate) skipped: bool,
    pub(crate) bytes: u64,
    pub(crate) retries: u32,
    pub(crate) elapsed: Duration,
    /// The last response.
    pub(crate) answered: Option<Answered>,
    pub(crate) error: Option<DownloadError>,
}

/// What a response says of itself.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) url: String,
    pub(crate) code: u16,
}

impl Outcome {
    /// The same, but with an error.
    pub(crate) fn but(self, error: DownloadError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    pub(crate) fn into_entry<K>(
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
            outcome: self,
        }
    }
}
