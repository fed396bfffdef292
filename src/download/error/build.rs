//! [`DownloaderBuildError`]: why a downloader could not be built.

/// Why a [`Downloader`](crate::download::Downloader) could not be built.
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
    /// A limit or a timeout of zero, with which nothing could be downloaded.
    #[error("{0} may not be 0")]
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
