//! [`DownloadErrorKind`]: what went wrong with a download.

use super::{DownloaderBuildError, NameError, RedirectError, TimeoutKind};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The boxed cause of an error, whose type is not part of the public interface.
type Cause = Box<dyn Error + Send + Sync + 'static>;

/// What went wrong with a download; see [`DownloadError::kind`](super::DownloadError::kind).
///
/// The message of each is its text in [`DownloadError`](super::DownloadError).
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
    #[error("too slow: {bytes} bytes in {over:.0?}")]
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
    /// [`Entry::to_json`](crate::download::Entry::to_json).
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
