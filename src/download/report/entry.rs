//! [`Entry`]: the outcome of one job.

use crate::download::error::{DownloadError, DownloadErrorKind};
use crate::download::job::Job;
use crate::download::text::without_password;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The outcome of a job.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadStatus, Job, download_many};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[
/// #     ("/br.gif", "200 OK", "GIF89a"),
/// #     ("/fr.gif", "403 Forbidden", ""),
/// # ]);
/// // The server has `br.gif`, refuses `fr.gif`, and knows no `in.gif`.
/// let jobs = ["br", "fr", "in"]
///     .map(|cc| Job::new(cc, format!("{server}/{cc}.gif"), format!("{cc}.gif")));
/// let report = download_many(&Inline, &folder, jobs)?;
/// for entry in report.entries() {
///     let status = match *entry.key() {
///         "br" => DownloadStatus::Ok,
///         "fr" => DownloadStatus::Error,
///         _ => DownloadStatus::NotFound,
///     };
///     assert_eq!(entry.status(), status);
/// }
/// assert_eq!(DownloadStatus::NotFound.to_string(), "not found");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

/// The outcome of one job, in a [`Report`](super::Report) and in
/// [`Event::Finished`](crate::download::Event::Finished).
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadStatus, Job, download_many};
/// use std::time::Duration;
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
/// let url = format!("{server}/br.gif");
/// let report = download_many(&Inline, &folder, [Job::new("BR", &url, "BR.gif")])?;
/// let entry = &report.entries()[0];
///
/// // What the job says:
/// assert_eq!(*entry.key(), "BR");
/// assert_eq!(entry.url(), url);
/// assert_eq!(entry.file_name(), "BR.gif");
/// assert_eq!(entry.number(), 0);
///
/// // What became of it:
/// assert_eq!(entry.status(), DownloadStatus::Ok);
/// assert_eq!(entry.http_status(), Some(200));
/// assert_eq!(entry.bytes(), 6);
/// assert_eq!(entry.retries(), 0);
/// assert!(entry.elapsed() > Duration::ZERO);
/// assert!(entry.error().is_none());
/// assert_eq!(std::fs::read(entry.path())?, b"GIF89a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Entry<K> {
    job: Arc<Job<K>>,
    directory: Arc<Path>,
    number: u64,
    status: DownloadStatus,
    outcome: Outcome,
}

impl<K> Entry<K> {
    /// Returns the key of the job.
    ///
    /// The example of [`Entry`] uses it.
    #[must_use]
    pub fn key(&self) -> &K {
        self.job.key()
    }

    /// Returns the URL of the job, as it was given.
    ///
    /// The example of [`Entry`] uses it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.job.url()
    }

    /// Returns the file name of the job.
    ///
    /// The example of [`Entry`] uses it.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.job.file_name()
    }

    /// Returns the path of the file: the downloader's folder and the file name. The file
    /// may not exist.
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
    /// assert_eq!(report.entries()[0].path(), folder.join("BR.gif"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(self.job.file_name())
    }

    /// Returns the position of the job in the input, from 0.
    ///
    /// # Examples
    ///
    /// Entries are in the order in which jobs finished. Sort them by number to have them in
    /// the order of the jobs:
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[]);
    /// let jobs = ["br", "fr", "in"].map(|cc| Job::new(cc, format!("{server}/{cc}"), cc));
    /// let mut entries = download_many(&ThreadPool::new(3), &folder, jobs)?.into_entries();
    /// entries.sort_unstable_by_key(|entry| entry.number());
    /// assert!(entries.iter().map(|entry| *entry.key()).eq(["br", "fr", "in"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the status of the job.
    ///
    /// The example of [`Entry`] uses it.
    #[must_use]
    pub fn status(&self) -> DownloadStatus {
        self.status
    }

    /// Returns the URL of the last response, after redirects, if there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[
    /// #     ("/latest", "302 Found\r\nLocation: /v2", ""),
    /// #     ("/v2", "200 OK", "version 2"),
    /// # ]);
    /// // The server redirects `/latest` to `/v2`.
    /// let job = Job::new("tool", format!("{server}/latest"), "tool");
    /// let report = download_many(&Inline, &folder, [job])?;
    /// assert_eq!(report.entries()[0].final_url(), Some(&*format!("{server}/v2")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn final_url(&self) -> Option<&str> {
        self.outcome.answered.as_ref().map(|last| last.url.as_str())
    }

    /// Returns the HTTP status of the last response, if there was one.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/gone", "410 Gone", "")]);
    /// let jobs = [
    ///     Job::new(1, format!("{server}/gone"), "1.gif"),
    ///     Job::new(2, "no url", "2.gif"),
    /// ];
    /// let [gone, refused] = &download_many(&Inline, &folder, jobs)?.into_entries()[..] else {
    ///     panic!("there is an entry for each job");
    /// };
    /// assert_eq!(gone.http_status(), Some(410));
    /// assert_eq!(refused.http_status(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.outcome.answered.as_ref().map(|last| last.code)
    }

    /// Returns the number of body bytes received for the job, in all attempts; without
    /// those that a [resumed](crate::download::DownloaderBuilder::resume) file had from
    /// earlier runs.
    ///
    /// The example of [`Entry`] uses it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.outcome.bytes
    }

    /// Returns the number of retries of the job.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[
    /// #     ("/br.gif", "503 Service Unavailable", "not yet"),
    /// #     ("/br.gif", "200 OK", "GIF89a"),
    /// # ]);
    /// let soon = Duration::from_millis(10);
    /// let downloader =
    ///     Downloader::builder(&folder).retry(RetryPolicy::default().delay(soon, soon)).build()?;
    /// // The server responds with 503 to the first request.
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], ())?;
    /// let entry = &report.entries()[0];
    /// assert_eq!(entry.retries(), 1);
    /// assert!(entry.elapsed() >= soon / 2);
    /// assert!(entry.error().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.outcome.retries
    }

    /// Returns how long the job took, including its retries and the delays between
    /// them, from when a worker started it; zero if none has.
    ///
    /// The example of [`Entry`] uses it.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.outcome.elapsed
    }

    /// Returns the error, unless the status is `Ok` or `Skipped`.
    ///
    /// The example of [`Entry`] uses it.
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
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let jobs = [1, 2].map(|row| Job::new(row, "no url", format!("{row}.gif")));
    /// let report = download_many(&Inline, &folder, jobs)?;
    /// let errors: Vec<_> =
    ///     report.into_entries().into_iter().filter_map(|entry| entry.into_error()).collect();
    /// assert_eq!(errors.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
