//! [`DownloadError`]: why a file is not there, and for which job.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The boxed cause of an error, of a type that is nobody's business but the
/// logs'.
type Cause = Box<dyn Error + Send + Sync + 'static>;

/// What an error knows of the job it is about, whatever the type of its key.
pub(crate) trait Subject: Send + Sync {
    fn url(&self) -> &str;
    fn file_name(&self) -> &str;
    fn key(&self) -> &dyn Any;
}

/// Why a file could not be downloaded, with the job it is about.
///
/// Its message is the cause alone; [`url`](Self::url) and [`key`](Self::key)
/// say whose. [`source`](Error::source) leads to what the network or the
/// operating system said, where they said anything.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadErrorKind, Downloader, Job};
///
/// let folder = std::env::temp_dir().join("as-completed-doc-error");
/// let downloader = Downloader::builder(&folder).build()?;
/// let jobs = [Job::new("BR", "http://127.0.0.1/br.gif", "../BR.gif")];
/// let report = downloader.download_many(&Inline, jobs, ())?;
/// let error = report.entries()[0].error().expect("no such name is taken");
/// assert!(matches!(error.kind(), DownloadErrorKind::Name(_)));
/// assert_eq!(error.key(), Some(&"BR"));
/// assert_eq!(error.url(), Some("http://127.0.0.1/br.gif"));
/// assert!(!error.is_transient());
/// # std::fs::remove_dir(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DownloadError(Box<Inner>);

struct Inner {
    kind: DownloadErrorKind,
    subject: Option<Arc<dyn Subject>>,
}

impl DownloadError {
    pub(crate) fn new(kind: DownloadErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            subject: None,
        }))
    }

    pub(crate) fn about<S: Subject + 'static>(kind: DownloadErrorKind, subject: &Arc<S>) -> Self {
        Self(Box::new(Inner {
            kind,
            subject: Some(Arc::clone(subject) as _),
        }))
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn kind(&self) -> &DownloadErrorKind {
        &self.0.kind
    }

    /// Returns the URL of the job, as it was given, if the error is about one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.0.subject.as_ref().map(|subject| subject.url())
    }

    /// Returns the file name of the job, if the error is about one.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.0.subject.as_ref().map(|subject| subject.file_name())
    }

    /// Returns the key of the job, if the error is about one whose key is a `K`.
    #[must_use]
    pub fn key<K: 'static>(&self) -> Option<&K> {
        self.0.subject.as_ref()?.key().downcast_ref()
    }

    /// Returns whether the same request may well succeed later.
    ///
    /// These are the errors that are retried: connections that fail, time-outs,
    /// bodies that break off, and the statuses 408, 425, 429, 500, 502, 503
    /// and 504.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }
}

impl fmt::Debug for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadError")
            .field("kind", &self.0.kind)
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.kind, f)
    }
}

impl Error for DownloadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.kind.source()
    }
}

/// What went wrong with a download.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadErrorKind {
    /// The downloader could not be built.
    #[error(transparent)]
    Settings(DownloaderBuildError),
    /// The URL of the job, or one that it redirects to, cannot be used.
    #[error("invalid url: {0}")]
    Url(String),
    /// The file name of the job is not one that may be written.
    #[error("invalid file name: {0}")]
    Name(NameError),
    /// An earlier job has the same file name, or one that differs from it in
    /// case only.
    #[error("file name is taken by an earlier job")]
    NameTaken,
    /// The SHA-256 of the job is not 64 hexadecimal digits.
    #[error("expected sha-256 is not 64 hexadecimal digits")]
    InvalidSha256,
    /// The name of the host cannot be looked up.
    #[error("cannot look up {host}: {source}")]
    LookUp {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection to the host, or to the proxy, can be made.
    #[error("cannot connect: {0}")]
    Connect(#[source] Cause),
    /// The connection is not secure: an unknown authority, another name, an
    /// expired certificate, or no common protocol.
    #[error("cannot secure the connection: {0}")]
    Tls(#[source] Cause),
    /// The server let the time for something run out.
    #[error("timed out: {0}")]
    Timeout(TimeoutKind),
    /// The body came more slowly than the minimum speed.
    #[error("too slow: {bytes} bytes in {} seconds", over.as_secs())]
    TooSlow {
        /// Bytes that came in the last window.
        bytes: u64,
        /// Length of the window.
        over: Duration,
    },
    /// The server closed the connection before it answered.
    #[error("connection lost before the answer: {0}")]
    Disconnected(#[source] Cause),
    /// The answer is not HTTP.
    #[error("malformed answer: {0}")]
    Malformed(#[source] Cause),
    /// The header of the answer is larger than the limit.
    #[error("header of the answer is too large")]
    HeaderTooLarge,
    /// The server answered with a status that carries no file.
    #[error("HTTP error {code}{}", reason(*code))]
    Status {
        /// The status code.
        code: u16,
    },
    /// A redirect that is not followed.
    #[error("redirect not followed: {0}")]
    Redirect(RedirectError),
    /// The body broke off, or its framing broke.
    #[error("body broke off after {received} bytes: {source}")]
    Body {
        /// Bytes received before.
        received: u64,
        /// What the connection said.
        source: Cause,
    },
    /// The length of the file is not the one that the job requires.
    #[error("length is {actual}, not {expected}")]
    Length {
        /// What the job requires, in bytes.
        expected: u64,
        /// What the server announced or sent, in bytes.
        actual: u64,
    },
    /// The file is larger than the maximum size.
    #[error("larger than the maximum of {limit} bytes")]
    TooLarge {
        /// The maximum, in bytes.
        limit: u64,
    },
    /// The SHA-256 of the file is not the one that the job requires.
    #[error("sha-256 is {actual}, not {expected}")]
    Sha256 {
        /// What the job requires, in hexadecimal.
        expected: String,
        /// That of what was received, in hexadecimal.
        actual: String,
    },
    /// The content type is not the one that the job requires.
    #[error("content type is {}, not {expected}", actual.as_deref().unwrap_or("missing"))]
    ContentType {
        /// What the job requires.
        expected: String,
        /// What the server said.
        actual: Option<String>,
    },
    /// The body is encoded, though it was asked for as it is.
    #[error("body is encoded as {0:?}, though not asked to be")]
    ContentEncoding(String),
    /// The file, or the folder for it, cannot be written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What could not be done, as in "cannot create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The download was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The executor did not run the job.
    #[error("job was not run: {0}")]
    Rejected(String),
    /// The job panicked, which is an error of this crate or of the executor.
    #[error("job panicked: {0}")]
    Panicked(String),
}

impl DownloadErrorKind {
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::LookUp { .. }
            | Self::Connect(_)
            | Self::TooSlow { .. }
            | Self::Disconnected(_)
            | Self::Body { .. } => true,
            Self::Timeout(kind) => *kind != TimeoutKind::Total,
            Self::Status { code } => {
                matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }
}

/// The reason phrase of the standard, as ` - I'm a teapot`; ureq drops the
/// server's own.
fn reason(code: u16) -> String {
    ureq::http::StatusCode::from_u16(code)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map_or_else(String::new, |reason| format!(" - {reason}"))
}

/// Whose time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// The look-up of the host's name.
    #[error("looking up the host")]
    LookUp,
    /// Connecting, which includes what TLS and a proxy need.
    #[error("connecting")]
    Connect,
    /// Sending the request.
    #[error("sending the request")]
    Send,
    /// The wait for the header of the answer.
    #[error("waiting for the answer")]
    Response,
    /// The wait for the next bytes of the body.
    #[error("waiting for more of the body")]
    Read,
    /// The job as a whole.
    #[error("the job as a whole")]
    Total,
}

/// Why a file name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("empty")]
    Empty,
    /// The name is `.` or `..`.
    #[error("a relative folder")]
    Relative,
    /// The name has a `/`, a `\` or a `:` in it.
    #[error("contains a path separator")]
    Separator,
    /// The name has a control character in it, such as NUL.
    #[error("contains a control character")]
    Control,
    /// The name ends in a dot or a space, which Windows drops.
    #[error("ends in a dot or a space")]
    Trailing,
    /// The name is that of a device on Windows, such as `NUL` or `com1.txt`.
    #[error("reserved for a device")]
    Device,
    /// The name is one that this crate gives to its own temporary files.
    #[error("reserved for temporary files")]
    Temporary,
    /// The name is longer than 255 bytes.
    #[error("longer than 255 bytes")]
    TooLong,
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more than the limit.
    #[error("too many, the limit is {0}")]
    TooMany(u32),
    /// The answer does not say where to go.
    #[error("no location in the answer")]
    NoLocation,
    /// It leads from https to http.
    #[error("from https to {0}")]
    Downgrade(String),
    /// It leads to what is no URL, or not one of http or https.
    #[error("location {0:?} cannot be used")]
    Location(String),
}

/// Why a [`Downloader`](super::Downloader) could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloaderBuildError {
    /// A bound of zero, with which nothing would ever be downloaded.
    #[error("{0} is 0")]
    Zero(&'static str),
    /// The user agent cannot stand in a header.
    #[error("user agent contains a character that no header can")]
    UserAgent,
    /// The name or the value of a header cannot stand in one.
    #[error("header {0:?} has a name or value that cannot be sent")]
    Header(String),
    /// The header is one that the downloader sets itself.
    #[error("header {0:?} is set by the downloader")]
    ReservedHeader(String),
    /// The proxy cannot be used: no URL of http or https.
    #[error("proxy cannot be used: {0}")]
    Proxy(String),
    /// The PEM text has no certificate in it, or a broken one.
    #[error("root certificates cannot be read: {0}")]
    RootCertificates(String),
}
