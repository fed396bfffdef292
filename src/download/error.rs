//! [`DownloadError`]: why a download failed, and for which job.

use super::text::{Plain, without_password};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The boxed cause of an error, whose type is not part of the public interface.
type Cause = Box<dyn Error + Send + Sync + 'static>;

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

/// What went wrong with a download; see [`DownloadError::kind`].
///
/// The message of each is its text in [`DownloadError`].
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadErrorKind, Job, download_many};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[]);
/// // The server has no such file.
/// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
/// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
/// let advice = match error.kind() {
///     DownloadErrorKind::Status { code: 404 | 410 } => "check the list",
///     DownloadErrorKind::Sha256 { .. } | DownloadErrorKind::Sha512 { .. } => "check the mirror",
///     _ if error.is_transient() => "try again later",
///     _ => "ask someone",
/// };
/// assert_eq!(advice, "check the list");
/// assert_eq!(error.to_string(), "HTTP error 404 - Not Found");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadErrorKind {
    /// The downloader could not be built.
    #[error(transparent)]
    Settings(DownloaderBuildError),
    /// The URL of the job, or one that it redirects to, cannot be used.
    #[error("invalid url: {0}")]
    Url(String),
    /// The file name of the job is not allowed.
    #[error("invalid file name: {0}")]
    Name(NameError),
    /// An earlier job has the same file name, or one that differs from it in
    /// case only.
    #[error("file name is taken by an earlier job")]
    NameTaken,
    /// The SHA-256 of the job is not 64 hexadecimal digits.
    #[error("expected sha-256 is not 64 hexadecimal digits")]
    InvalidSha256,
    /// The SHA-512 of the job is not 128 hexadecimal digits.
    #[error("expected sha-512 is not 128 hexadecimal digits")]
    InvalidSha512,
    /// The name of the host cannot be looked up.
    #[error("cannot look up {host}: {cause}")]
    LookUp {
        /// The name that was looked up.
        host: String,
        /// The resolver's error.
        cause: io::Error,
    },
    /// No connection to the host, or to the proxy, can be made.
    #[error("cannot connect: {0}")]
    Connect(Cause),
    /// The proxy does not make the connection, for example because it requires another
    /// user name and password (407).
    #[error("proxy {proxy} refused the connection: HTTP error {code}{}", reason(*code))]
    Proxy {
        /// The host and port of the proxy.
        proxy: String,
        /// The status code of its response.
        code: u16,
    },
    /// No secure connection can be made: the certificate is of an unknown authority, of
    /// another host or expired, or there is no common protocol.
    #[error("cannot secure the connection: {0}")]
    Tls(Cause),
    /// A timeout ended.
    #[error("timed out: {0}")]
    Timeout(TimeoutKind),
    /// The body arrived more slowly than the minimum speed.
    #[error("too slow: {bytes} bytes in {} seconds", over.as_secs())]
    TooSlow {
        /// Bytes received in the last window.
        bytes: u64,
        /// Length of the window.
        over: Duration,
    },
    /// The server closed the connection before it responded.
    #[error("connection lost before the response: {0}")]
    Disconnected(Cause),
    /// The response is not HTTP.
    #[error("malformed response: {0}")]
    Malformed(Cause),
    /// The header of the response is larger than the limit.
    #[error("response header is too large")]
    HeaderTooLarge,
    /// The server responded with an error status, or with another that does not go with
    /// the request.
    #[error("HTTP error {code}{}", reason(*code))]
    Status {
        /// The status code.
        code: u16,
    },
    /// A redirect that is not followed.
    #[error("redirect not followed: {0}")]
    Redirect(RedirectError),
    /// The body broke off, or its framing is malformed.
    #[error("body broke off after {received} bytes: {cause}")]
    Body {
        /// Bytes received before.
        received: u64,
        /// The connection's error.
        cause: Cause,
    },
    /// The file changed on the server while it was downloaded.
    #[error("file changed on the server while it was downloaded")]
    Changed,
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
    /// The SHA-512 of the file is not the one that the job requires.
    #[error("sha-512 is {actual}, not {expected}")]
    Sha512 {
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
    /// The body is encoded although no encoding was requested.
    #[error("body has the content encoding {0:?}, which was not requested")]
    ContentEncoding(String),
    /// The file, or the folder for it, cannot be written.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// The failed action, as in "cannot create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        cause: io::Error,
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
    /// Returns the name of the kind in snake case, as in
    /// [`Entry::to_json`](super::Entry::to_json).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::DownloadErrorKind;
    ///
    /// assert_eq!(DownloadErrorKind::NameTaken.as_str(), "name_taken");
    /// assert_eq!(DownloadErrorKind::Status { code: 404 }.as_str(), "status");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Url(_) => "url",
            Self::Name(_) => "name",
            Self::NameTaken => "name_taken",
            Self::InvalidSha256 => "invalid_sha256",
            Self::InvalidSha512 => "invalid_sha512",
            Self::LookUp { .. } => "look_up",
            Self::Connect(_) => "connect",
            Self::Proxy { .. } => "proxy",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::TooSlow { .. } => "too_slow",
            Self::Disconnected(_) => "disconnected",
            Self::Malformed(_) => "malformed",
            Self::HeaderTooLarge => "header_too_large",
            Self::Status { .. } => "status",
            Self::Redirect(_) => "redirect",
            Self::Body { .. } => "body",
            Self::Changed => "changed",
            Self::Length { .. } => "length",
            Self::TooLarge { .. } => "too_large",
            Self::Sha256 { .. } => "sha256",
            Self::Sha512 { .. } => "sha512",
            Self::ContentType { .. } => "content_type",
            Self::ContentEncoding(_) => "content_encoding",
            Self::File { .. } => "file",
            Self::Cancelled => "cancelled",
            Self::Rejected(_) => "rejected",
            Self::Panicked(_) => "panicked",
        }
    }

    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::LookUp { .. }
            | Self::Connect(_)
            | Self::TooSlow { .. }
            | Self::Disconnected(_)
            | Self::Changed
            | Self::Body { .. } => true,
            Self::Timeout(kind) => *kind != TimeoutKind::Total,
            Self::Status { code } | Self::Proxy { code, .. } => {
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

/// Which timeout ended; the example of
/// [`total_timeout`](super::DownloaderBuilder::total_timeout) shows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// The DNS lookup of the host.
    #[error("looking up the host")]
    LookUp,
    /// Connecting, including TLS and a proxy.
    #[error("connecting")]
    Connect,
    /// Sending the request.
    #[error("sending the request")]
    Send,
    /// Waiting for the header of the response.
    #[error("waiting for the response")]
    Response,
    /// Waiting for the next bytes of the body.
    #[error("waiting for more of the body")]
    Read,
    /// The whole job.
    #[error("the whole job")]
    Total,
}

/// Why a file name is refused: on every system, what any of them does not allow.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadErrorKind, Job, NameError, download_many};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (_, folder) = serve(&[]);
/// // No such file can be written on Windows, so none is written anywhere.
/// let job = Job::new((), "https://example.org/aux.txt", "aux.txt");
/// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
/// assert!(matches!(error.kind(), DownloadErrorKind::Name(NameError::Device)));
/// assert_eq!(error.to_string(), "invalid file name: reserved for a device");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("empty")]
    Empty,
    /// The name is `.` or `..`.
    #[error("a relative folder")]
    Relative,
    /// The name contains a `/`, a `\` or a `:`, or is absolute where
    /// [subdirectories](super::DownloaderBuilder::allow_subdirectories) are allowed.
    #[error("contains a path separator")]
    Separator,
    /// The name contains one of the characters `? * < > | "`, which Windows does not
    /// allow.
    #[error("contains one of ? * < > | \"")]
    Character,
    /// The name contains a control character, such as NUL.
    #[error("contains a control character")]
    Control,
    /// The name ends in a dot or a space, which Windows drops.
    #[error("ends in a dot or a space")]
    Trailing,
    /// The name is reserved for a device on Windows, such as `NUL` or `com1.txt`.
    #[error("reserved for a device")]
    Device,
    /// The name is reserved for the temporary files of this crate: it begins with
    /// `.as-completed-`, or with [`resume`](super::DownloaderBuilder::resume), ends in
    /// `.part` or `.part.from`.
    #[error("reserved for temporary files")]
    Temporary,
    /// The name, or one of its folders' names, is longer than 255 bytes; or with
    /// [`resume`](super::DownloaderBuilder::resume), than 245, because the note of a part
    /// has a longer name.
    #[error("longer than 255 bytes, or 245 with resume")]
    TooLong,
}

/// Why a redirect is not followed.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadErrorKind, Job, RedirectError, download_many};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[("/", "302 Found\r\nLocation: ftp://example.org/", "")]);
/// // The server redirects to another protocol.
/// let job = Job::new((), server, "page.html");
/// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
/// assert!(matches!(error.kind(), DownloadErrorKind::Redirect(RedirectError::Location(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more redirects than the limit.
    #[error("too many, the limit is {0}")]
    TooMany(u32),
    /// The response has no `Location`.
    #[error("no location in the response")]
    NoLocation,
    /// The redirect leads from https to http.
    #[error("from https to {0}")]
    Downgrade(String),
    /// The redirect leads from a public address to a private one.
    #[error("from a public address to the private one of {0}")]
    Private(String),
    /// The redirect leads to something other than an http or https URL.
    #[error("location {0:?} cannot be used")]
    Location(String),
}

/// Why a [`Downloader`](super::Downloader) could not be built.
///
/// # Examples
///
/// ```
/// use as_completed::download::{Downloader, DownloaderBuildError};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let _ = serve(&[]);
/// let error = Downloader::builder("downloaded").header("host", "example.org").build().unwrap_err();
/// assert!(matches!(error, DownloaderBuildError::ReservedHeader(_)));
/// assert_eq!(error.to_string(), "header \"host\" is set by the downloader");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloaderBuildError {
    /// A limit of zero, with which nothing could be downloaded.
    #[error("{0} is 0")]
    Zero(&'static str),
    /// The user agent contains a character that is not allowed in a header.
    #[error("user agent contains a character that is not allowed in a header")]
    UserAgent,
    /// The name or the value of a header contains a character that is not allowed.
    #[error("header {0:?} has a name or value that is not allowed")]
    Header(String),
    /// The header is one that the downloader sets itself.
    #[error("header {0:?} is set by the downloader")]
    ReservedHeader(String),
    /// The proxy is not an http or https URL.
    #[error("proxy cannot be used: {0}")]
    Proxy(String),
    /// The PEM text contains no certificate, or an invalid one.
    #[error("root certificates cannot be read: {0}")]
    RootCertificates(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reports that follow the sources print each text once.
    #[test]
    fn no_message_repeats_its_source() {
        let text = "connection refused";
        let error = || io::Error::other(text);
        let cause = || Cause::from(text);
        for kind in [
            DownloadErrorKind::LookUp {
                host: "localhost".to_owned(),
                cause: error(),
            },
            DownloadErrorKind::Connect(cause()),
            DownloadErrorKind::Tls(cause()),
            DownloadErrorKind::Disconnected(cause()),
            DownloadErrorKind::Malformed(cause()),
            DownloadErrorKind::Body {
                received: 0,
                cause: cause(),
            },
            DownloadErrorKind::File {
                action: "create",
                path: PathBuf::new(),
                cause: error(),
            },
        ] {
            assert!(kind.to_string().ends_with(text), "{kind}");
            assert!(kind.source().is_none(), "{kind}");
        }
    }
}
