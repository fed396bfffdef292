//! [`TimeoutKind`]: which timeout ended.

/// Which timeout ended; the example of
/// [`total_timeout`](crate::download::DownloaderBuilder::total_timeout) shows one.
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
