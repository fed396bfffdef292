//! [`RedirectError`]: why a redirect is not followed.

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
