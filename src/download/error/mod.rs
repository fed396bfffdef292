//! [`DownloadError`]: why a download failed, and for which job.

mod build;
mod name;
mod redirect;
mod timeout;

mod kind;

pub use build::DownloaderBuildError;
pub use kind::DownloadErrorKind;
pub use name::NameError;
pub use redirect::RedirectError;
pub use timeout::TimeoutKind;

use super::text::{Plain, without_password};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The job that an error is about, with any type of key.
pub(crate) trait Subject: Send + Sync {
    fn url(&self) -> &str;
    fn file_name(&self) -> &str;
    fn key(&self) -> &dyn Any;
}

/// Why a file could not be downloaded, with the job it is about.
///
/// The message contains only the cause; [`url`](Self::url), [`file_name`](Self::file_name)
/// and [`key`](Self::key) identify the job. The error of the network or the operating
/// system, if there is one, is in [`kind`](Self::kind). Its text is part of the message,
/// so [`source`](Error::source) is `None`: error reports would print it twice.
///
/// Cloning is cheap.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadErrorKind, Downloader, Job};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (_, folder) = serve(&[]);
/// let downloader = Downloader::builder(&folder).build()?;
/// let jobs = [Job::new("BR", "http://127.0.0.1/br.gif", "../BR.gif")];
/// let report = downloader.download_many(&Inline, jobs, ())?;
/// let error = report.entries()[0].error().expect("the name is refused");
/// assert!(matches!(error.kind(), DownloadErrorKind::Name(_)));
/// assert_eq!(error.key(), Some(&"BR"));
/// assert_eq!(error.url(), Some("http://127.0.0.1/br.gif"));
/// assert!(!error.is_transient());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DownloadError(Arc<Inner>);

struct Inner {
    kind: DownloadErrorKind,
    subject: Option<Arc<dyn Subject>>,
}

impl DownloadError {
    pub(crate) fn new(kind: DownloadErrorKind) -> Self {
        Self(Arc::new(Inner {
            kind,
            subject: None,
        }))
    }

    pub(crate) fn about<S: Subject + 'static>(kind: DownloadErrorKind, subject: &Arc<S>) -> Self {
        Self(Arc::new(Inner {
            kind,
            subject: Some(Arc::clone(subject) as _),
        }))
    }

    /// Returns what went wrong.
    ///
    /// The example of [`DownloadError`] uses it.
    #[must_use]
    pub fn kind(&self) -> &DownloadErrorKind {
        &self.0.kind
    }

    /// Returns the URL of the job, as it was given, if the error is about one.
    ///
    /// The example of [`DownloadError`] uses it.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.0.subject.as_ref().map(|subject| subject.url())
    }

    /// Returns the file name of the job, if the error is about one.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let job = Job::new("BR", "no url", "BR.gif");
    /// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
    /// assert_eq!(error.file_name(), Some("BR.gif"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.0.subject.as_ref().map(|subject| subject.file_name())
    }

    /// Returns the key of the job, if the error is about one whose key is a `K`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let job = Job::new(7_u32, "no url", "7.gif");
    /// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
    /// assert_eq!(error.key::<u32>(), Some(&7));
    /// assert_eq!(error.key::<u64>(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key<K: 'static>(&self) -> Option<&K> {
        self.0.subject.as_ref()?.key().downcast_ref()
    }

    /// Returns whether the same request may succeed later.
    ///
    /// These errors are retried: hosts that cannot be looked up, connections that fail or
    /// are lost, timeouts other than that of the whole job, bodies that break off or
    /// arrive too slowly, files that change meanwhile, and the statuses 408, 425, 429,
    /// 500, 502, 503 and 504 of a server or a proxy. A status of
    /// [`RetryPolicy::also_status`](super::RetryPolicy::also_status) is retried too, and
    /// does not count here.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, RetryPolicy};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[
    /// #     ("/busy", "503 Service Unavailable", ""),
    /// #     ("/gone", "410 Gone", ""),
    /// # ]);
    /// let downloader = Downloader::builder(&folder).retry(RetryPolicy::never()).build()?;
    /// let jobs = ["busy", "gone"].map(|name| Job::new(name, format!("{server}/{name}"), name));
    /// let report = downloader.download_many(&Inline, jobs, ())?;
    /// let again: Vec<_> = report
    ///     .entries()
    ///     .iter()
    ///     .filter(|entry| entry.error().is_some_and(|error| error.is_transient()))
    ///     .map(|entry| *entry.key())
    ///     .collect();
    /// assert_eq!(again, ["busy"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }
}

impl fmt::Debug for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadError")
            .field("kind", &self.0.kind)
            .field("url", &self.url().map(without_password))
            .finish_non_exhaustive()
    }
}

/// One line of at most 1000 characters. Control characters, which a server or a URL may
/// contain, are escaped.
impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Plain(&self.0.kind).fmt(f)
    }
}

impl Error for DownloadError {}
