//! The settings of a downloader and their types.

use super::report::Keep;
use super::retry::RetryPolicy;
use crate::task::CancelToken;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue};

/// What to do if the file of a job already exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overwrite {
    /// Download the file, and replace the old one once the new one is complete. The
    /// new file gets the permissions of the old one; a read-only file is an error.
    #[default]
    Always,
    /// Replace the old file only if the server's file is newer, or if the old one is
    /// not what the job requires. Downloaded files get the modification time that the
    /// server sends, and that time is compared.
    IfChanged,
    /// Keep the old file, and make no request. It is an error if it is not what the
    /// job requires, or not a file.
    Never,
}

/// What is synced to disk before a file counts as downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: after a crash of the machine, a file may be empty. The fastest.
    #[default]
    None,
    /// The content of the file: after a crash of the machine, the file is complete
    /// if it exists.
    File,
    /// The content and the folder's entry: after a crash of the machine, the file
    /// exists and is complete.
    FileAndDirectory,
}

/// Which proxy to use.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The proxy of `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY`, if any, with the
    /// exceptions of `NO_PROXY`.
    #[default]
    Environment,
    /// No proxy, regardless of the environment.
    Direct,
    /// The proxy at this http or https URL, which may contain a user name and a
    /// password.
    Url(String),
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url(..)",
        })
    }
}

/// What a downloader goes by.
pub(super) struct Settings {
    pub(super) directory: Arc<Path>,
    pub(super) max_in_flight: usize,
    pub(super) max_in_flight_per_host: Option<usize>,
    pub(super) retry: RetryPolicy,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) total_timeout: Duration,
    pub(super) minimum_speed: Option<MinimumSpeed>,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) max_size: Option<u64>,
    pub(super) overwrite: Overwrite,
    pub(super) durability: Durability,
    pub(super) resume: bool,
    /// Connections per large file.
    pub(super) segments: usize,
    /// From how many bytes on a file is large.
    pub(super) segments_above: u64,
    pub(super) keep: Keep,
    pub(super) remember_names: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) user_agent: String,
    pub(super) max_redirects: u32,
    pub(super) allow_downgrade: bool,
    pub(super) look_up_ttl: Duration,
    pub(super) proxy: Proxy,
    #[cfg(feature = "rustls")]
    pub(super) root_certificates: Option<Vec<u8>>,
    pub(super) token: CancelToken,
}

/// The speed below which a download is given up, and for how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MinimumSpeed {
    pub(super) bytes_per_second: u64,
    pub(super) over: Duration,
}

/// Turns what stands for no limit into none: a clock cannot be set to the end
/// of time.
pub(super) fn finite(duration: Duration) -> Option<Duration> {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    (duration < YEARS).then_some(duration)
}
