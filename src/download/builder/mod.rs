//! [`DownloaderBuilder`]: sets up a downloader.

mod files;
mod limits;
mod requests;

use super::downloader::Downloader;
use super::error::DownloaderBuildError;
use super::report::Keep;
use super::retry::RetryPolicy;
use super::settings::{
    ContentEncoding, Durability, MinimumSpeed, Overwrite, Proxy, Redirects, Settings,
};
use crate::task::CancelToken;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::HeaderValue;

/// Sets up a [`Downloader`]; made by [`Downloader::builder`].
///
/// Every timeout has a finite default; `Duration::MAX` means no limit.
///
/// # Examples
///
/// ```
/// use as_completed::download::{Downloader, Durability, Overwrite, RetryPolicy};
/// use std::time::Duration;
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let _ = serve(&[]);
/// let downloader = Downloader::builder("downloaded")
///     .max_in_flight(32)
///     .read_timeout(Duration::from_secs(10))
///     .retry(RetryPolicy::default().max_retries(5))
///     .max_size(100 * 1024 * 1024)
///     .overwrite(Overwrite::Never)
///     .durability(Durability::File)
///     .build()?;
/// # assert!(downloader.directory().ends_with("downloaded"));
/// # Ok::<(), as_completed::download::DownloaderBuildError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct DownloaderBuilder {
    settings: Settings,
    headers: Vec<(String, String)>,
}

impl DownloaderBuilder {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            settings: Settings {
                directory: directory.into(),
                max_in_flight: 64,
                max_in_flight_per_host: None,
                retry: RetryPolicy::default(),
                connect_timeout: Duration::from_secs(10),
                read_timeout: Duration::from_secs(30),
                total_timeout: Duration::from_secs(60 * 60),
                minimum_speed: Some(MinimumSpeed {
                    bytes_per_second: 10,
                    over: Duration::from_secs(30),
                }),
                bytes_per_second: None,
                max_size: None,
                overwrite: Overwrite::default(),
                durability: Durability::default(),
                resume: false,
                segments: 1,
                segments_above: 16 * 1024 * 1024,
                keep: Keep::default(),
                remember_names: true,
                allow_subdirectories: false,
                headers: Vec::new(),
                user_agent: concat!("as-completed/", env!("CARGO_PKG_VERSION")).to_owned(),
                redirects: Redirects {
                    max: 10,
                    allow_downgrade: false,
                    allow_private: false,
                },
                content_encoding: ContentEncoding::default(),
                look_up_ttl: Duration::from_secs(60),
                proxy: Proxy::default(),
                #[cfg(feature = "rustls")]
                root_certificates: None,
                token: CancelToken::new(),
            },
            headers: Vec::new(),
        }
    }

    /// Sets which entries the report keeps; all by default. [`Keep`] has an example.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.settings.keep = keep;
        self
    }

    /// Sets the token that cancels all downloads of this downloader and its clones.
    ///
    /// Once it is cancelled, waiting jobs end at once and running jobs within a second,
    /// all with [`DownloadErrorKind::Cancelled`](super::DownloadErrorKind::Cancelled), and
    /// no more jobs are read. A token stays cancelled: later runs download nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::{DownloadStatus, Downloader, Event, Job};
    /// use as_completed::{CancelToken, Inline};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/1", "200 OK", "one")]);
    /// let token = CancelToken::new();
    /// let downloader = Downloader::builder(&folder).cancel_token(token.clone()).build()?;
    /// // One file is enough here; others cancel in a handler of Ctrl-C.
    /// let stop_after_first = move |event: &Event<'_, u32>| {
    ///     if let Event::Finished { .. } = event {
    ///         token.cancel();
    ///     }
    /// };
    /// let jobs = (1..).map(|n| Job::new(n, format!("{server}/{n}"), format!("{n}.txt")));
    /// let report = downloader.download_many(&Inline, jobs, stop_after_first)?;
    /// assert!(report.is_cancelled());
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_token(mut self, token: CancelToken) -> Self {
        self.settings.token = token;
        self
    }

    /// Builds the downloader. Makes no request and opens no file.
    ///
    /// # Errors
    ///
    /// [`DownloaderBuildError`] if a setting cannot be used: a limit or a timeout of zero,
    /// a header, a user agent, a proxy (also one that the environment names) or root
    /// certificates.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::{Downloader, DownloaderBuildError};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let error = Downloader::builder("downloaded").max_in_flight(0).build().unwrap_err();
    /// assert!(matches!(error, DownloaderBuildError::Zero("max_in_flight")));
    /// ```
    pub fn build(mut self) -> Result<Downloader, DownloaderBuildError> {
        let settings = &self.settings;
        for (name, is_zero) in [
            ("max_in_flight", settings.max_in_flight == 0),
            (
                "max_in_flight_per_host",
                settings.max_in_flight_per_host == Some(0),
            ),
            ("segments", settings.segments == 0),
            ("connect_timeout", settings.connect_timeout.is_zero()),
            ("read_timeout", settings.read_timeout.is_zero()),
            ("total_timeout", settings.total_timeout.is_zero()),
            (
                "over of minimum_speed",
                settings
                    .minimum_speed
                    .is_some_and(|speed| speed.over.is_zero()),
            ),
            ("max_bytes_per_second", settings.bytes_per_second == Some(0)),
        ] {
            if is_zero {
                return Err(DownloaderBuildError::Zero(name));
            }
        }
        if HeaderValue::from_str(&settings.user_agent).is_err() {
            return Err(DownloaderBuildError::UserAgent);
        }
        for (name, value) in self.headers {
            let header = requests::parse_header(&name, &value)?;
            self.settings.headers.push(header);
        }
        Downloader::from_settings(self.settings)
    }
}

impl Downloader {
    /// Returns a builder for a downloader into `directory`.
    ///
    /// The folder is created when a run starts, with its parents, if it is missing.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    /// use std::path::Path;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let downloader = Downloader::builder("downloaded").max_in_flight(8).build()?;
    /// assert_eq!(downloader.directory(), Path::new("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn builder(directory: impl Into<PathBuf>) -> DownloaderBuilder {
        DownloaderBuilder::new(directory.into())
    }
}

/// Omits the headers, which may be secret.
impl fmt::Debug for DownloaderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloaderBuilder")
            .field("directory", &self.settings.directory)
            .field("max_in_flight", &self.settings.max_in_flight)
            .field("retry", &self.settings.retry)
            .field("proxy", &self.settings.proxy)
            .finish_non_exhaustive()
    }
}
