//! What a downloader goes by, and the choices there are.

use super::report::Keep;
use super::retry::RetryPolicy;
use crate::task::CancelToken;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue};

/// What to do where a file of the job's name is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overwrite {
    /// Download the file, and replace the old one when the new one is whole.
    #[default]
    Always,
    /// Ask the server whether its file is newer than the one that is there, and
    /// replace it only then. Files are given the modification time that the
    /// server says, which is what is compared.
    IfChanged,
    /// Leave the old file, and make no request.
    Never,
}

/// What must be on the disk before a file counts as downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: after a crash of the machine a file may be empty. The fastest.
    #[default]
    None,
    /// The content of the file: after a crash of the machine it is whole, if it
    /// is there.
    File,
    /// The content and the folder's entry: after a crash of the machine it is
    /// there, and whole.
    FileAndDirectory,
}

/// Which proxy to use.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The one that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, with the
    /// exceptions of `NO_PROXY`, if any.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// The one at this URL of http or https, with a user name and a password in
    /// it if need be.
    Url(String),
}

/// Leaves out what may be a password.
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
