//! [`Failure`]: why an attempt failed, translated from ureq's terms.

use crate::download::error::{DownloadErrorKind, TimeoutKind};
use crate::download::net::resolve::LookUpFailed;
use crate::download::net::shortage::is_shortage;
use crate::download::net::transport::Fault;
use std::io::{self, ErrorKind};
use std::time::Duration;
use ureq::Timeout;

/// Why an attempt failed, and what that means for the next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: DownloadErrorKind,
    /// Which host wants to be left alone, and for how long.
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) again: Again,
}

/// What a server said that answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RetryAfter {
    /// The host that answered, which a redirect may have led to.
    pub(crate) authority: String,
    pub(crate) delay: Duration,
}

/// Whether there is to be another attempt, whatever the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// As the policy says.
    AsAllowed,
    /// At once: the connection had been closed while it was in the pool, and
    /// the server has not seen the request.
    Stale,
    /// At once: what was there of the file was no good, and is gone.
    Anew,
    /// At once, as a whole: the server does not honour ranges.
    InOneStream,
}

impl Failure {
    /// Whether a file descriptor was lacking.
    pub(crate) fn is_shortage(&self) -> bool {
        is_for_want_of_descriptors(&self.kind)
    }
}

/// Whether a file descriptor was lacking.
pub(crate) fn is_for_want_of_descriptors(kind: &DownloadErrorKind) -> bool {
    let cause = match kind {
        DownloadErrorKind::File { cause, .. } | DownloadErrorKind::LookUp { cause, .. } => {
            Some(cause)
        }
        DownloadErrorKind::Connect(cause) => cause.downcast_ref::<io::Error>(),
        _ => None,
    };
    cause.is_some_and(is_shortage)
}

impl From<DownloadErrorKind> for Failure {
    fn from(kind: DownloadErrorKind) -> Self {
        Self {
            kind,
            retry_after: None,
            again: Again::AsAllowed,
        }
    }
}

/// Translates an error that came before the header of the answer was there.
pub(crate) fn before_answer(error: ureq::Error) -> Failure {
    use DownloadErrorKind as Kind;

    let kind = match error {
        ureq::Error::Io(error) => return before_answer_io(error),
        ureq::Error::Timeout(timeout) => Kind::Timeout(match timeout {
            Timeout::Global | Timeout::PerCall => TimeoutKind::Total,
            Timeout::Resolve => TimeoutKind::LookUp,
            Timeout::Connect => TimeoutKind::Connect,
            Timeout::SendRequest | Timeout::PerWrite => TimeoutKind::Send,
            _ => TimeoutKind::Response,
        }),
        ureq::Error::HostNotFound => Kind::LookUp {
            host: String::new(),
            cause: ErrorKind::NotFound.into(),
        },
        error @ (ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_)) => {
            Kind::Connect(error.into())
        }
        error @ (ureq::Error::Tls(_) | ureq::Error::TlsRequired) => Kind::Tls(error.into()),
        #[cfg(feature = "rustls")]
        error @ (ureq::Error::Rustls(_) | ureq::Error::Pem(_)) => Kind::Tls(error.into()),
        ureq::Error::LargeResponseHeader(..) => Kind::HeaderTooLarge,
        error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_)) => Kind::Url(error.to_string()),
        error => Kind::Malformed(error.into()),
    };
    kind.into()
}

fn before_answer_io(error: io::Error) -> Failure {
    use DownloadErrorKind as Kind;

    match Fault::of(&error) {
        Some(Fault::Cancelled) => return Kind::Cancelled.into(),
        Some(Fault::Stale(_)) => {
            return Failure {
                again: Again::Stale,
                ..Kind::Disconnected(error.into()).into()
            };
        }
        Some(Fault::Reset(_) | Fault::TooSlow) => return Kind::Disconnected(error.into()).into(),
        Some(Fault::Malformed(_)) => return Kind::Malformed(error.into()).into(),
        Some(Fault::Refused { proxy, code }) => {
            return Kind::Proxy {
                proxy: proxy.clone(),
                code: *code,
            }
            .into();
        }
        None => {}
    }
    if let Some(failed) = inner::<LookUpFailed>(&error) {
        return Kind::LookUp {
            host: failed.host.clone(),
            cause: failed.to_error(),
        }
        .into();
    }
    match error.kind() {
        // What rustls says of certificates and versions.
        ErrorKind::InvalidData => Kind::Tls(error.into()),
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => Kind::Disconnected(error.into()),
        _ => match ureq::Error::from(error) {
            ureq::Error::Io(error) => Kind::Connect(error.into()),
            wrapped => return before_answer(wrapped),
        },
    }
    .into()
}

/// Translates an error that came in the middle of a body.
pub(crate) fn within_body(error: io::Error, received: u64) -> Failure {
    use DownloadErrorKind as Kind;

    if matches!(Fault::of(&error), Some(Fault::Cancelled)) {
        return Kind::Cancelled.into();
    }
    match ureq::Error::from(error) {
        ureq::Error::Timeout(Timeout::Global | Timeout::PerCall) => {
            Kind::Timeout(TimeoutKind::Total)
        }
        ureq::Error::Timeout(_) => Kind::Timeout(TimeoutKind::Read),
        ureq::Error::Io(error) => Kind::Body {
            received,
            cause: error.into(),
        },
        error => Kind::Body {
            received,
            cause: error.into(),
        },
    }
    .into()
}

/// Whether a read of a body was given up because too little came.
pub(crate) fn is_too_slow(error: &io::Error) -> bool {
    matches!(Fault::of(error), Some(Fault::TooSlow))
}

fn inner<E: std::error::Error + 'static>(error: &io::Error) -> Option<&E> {
    error.get_ref()?.downcast_ref()
}
