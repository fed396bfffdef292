//! [`DownloaderBuilder`]: the settings of a downloader.

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
use ureq::http::{HeaderName, HeaderValue};

/// Sets up a [`Downloader`]; made by [`Downloader::builder`].
///
/// All times and limits are finite unless set otherwise. `Duration::MAX` means
/// no limit.
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

    /// Sets how many jobs are submitted to the executor at a time, queued or
    /// running; 64 by default. As many connections are kept open for reuse.
    ///
    /// The executor decides how many of them run at a time: a pool of 8 workers
    /// downloads 8 files at a time. With twice as many jobs as workers, no worker
    /// waits for its next job.
    pub fn max_in_flight(mut self, jobs: usize) -> Self {
        self.settings.max_in_flight = jobs;
        self
    }

    /// Sets how many of those may download from the same host; no separate limit by
    /// default.
    ///
    /// While a host is at its limit, later jobs of other hosts go first. For that,
    /// the input is read ahead by up to four times
    /// [`max_in_flight`](Self::max_in_flight) jobs.
    pub fn max_in_flight_per_host(mut self, jobs: usize) -> Self {
        self.settings.max_in_flight_per_host = Some(jobs);
        self
    }

    /// Sets when a failed attempt is retried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Sets the timeout of the DNS lookup, and of the connection after it,
    /// including TLS and proxy; 10 s each by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets how long to wait for the response, and then for each part of its body;
    /// 30 s by default.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.read_timeout = timeout;
        self
    }

    /// Sets the timeout of a whole job, including its retries and the delays between
    /// them; one hour by default.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.settings.total_timeout = timeout;
        self
    }

    /// Sets the minimum speed: a download that is slower for the duration of `over`
    /// fails; 10 bytes per second over 30 s by default. Zero bytes means no minimum.
    pub fn minimum_speed(mut self, bytes_per_second: u64, over: Duration) -> Self {
        self.settings.minimum_speed = (bytes_per_second > 0).then_some(MinimumSpeed {
            bytes_per_second,
            over,
        });
        self
    }

    /// Limits the bytes per second of all downloads together; unlimited by
    /// default.
    pub fn max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.settings.bytes_per_second = Some(bytes);
        self
    }

    /// Sets the maximum size of a file, in bytes; unlimited by default.
    ///
    /// If the server announces a larger file, its body is not read; if the body
    /// turns out to be larger, the download stops there.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.settings.max_size = Some(bytes);
        self
    }

    /// Sets what to do if the file already exists.
    pub fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.settings.overwrite = overwrite;
        self
    }

    /// Sets what is synced to disk before a file counts as downloaded.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Sets whether to keep the received part of a file when a download breaks off,
    /// as `NAME.part` beside it, and to resume from it, in the same run or in a
    /// later one; off by default.
    ///
    /// This requires that the server identifies the version of the file (by a strong
    /// `ETag` or a date), which is stored in `NAME.part.from`. Otherwise the download
    /// starts over. The part is locked while it is written: a run that finds it
    /// locked by another run downloads the file without it. A file `NAME.part` that
    /// this crate did not write is left unchanged.
    ///
    /// A file that is complete is not downloaded again: if it has the SHA-256 that its
    /// job requires, or else if the server says that there is nothing beyond its length
    /// in the file of its modification time.
    pub fn resume(mut self, resume: bool) -> Self {
        self.settings.resume = resume;
        self
    }

    /// Sets how many connections download one large file, each a segment of it; one
    /// by default.
    ///
    /// The connections are threads of the job's own. They are used for a file above
    /// [`segments_above`](Self::segments_above) if the server says that it honours
    /// ranges (`Accept-Ranges`) and identifies the version of the file (by a strong
    /// `ETag` or a date); otherwise one connection downloads the file. A connection
    /// that fails is retried alone, as the [retry policy](Self::retry) says, while
    /// others take over its segment; one that is done takes a share of the slowest
    /// one's. All other settings hold for the job as a whole. While
    /// [`max_in_flight_per_host`](Self::max_in_flight_per_host) is reached, no
    /// connection is added to those of the jobs.
    ///
    /// With [`resume`](Self::resume), the part has its full length from the start, and
    /// `NAME.part.from` lists what has been received of it.
    pub fn segments(mut self, connections: usize) -> Self {
        self.settings.segments = connections;
        self
    }

    /// Sets the size, in bytes, above which a file is downloaded in
    /// [`segments`](Self::segments); 16 MiB by default.
    pub fn segments_above(mut self, bytes: u64) -> Self {
        self.settings.segments_above = bytes;
        self
    }

    /// Sets which entries the report keeps; all by default.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.settings.keep = keep;
        self
    }

    /// Sets whether a file name is refused if any earlier job of the run has used it;
    /// on by default. This takes memory for all names. If off, a name is refused only
    /// while another job uses it. Names that differ only in case count as the same;
    /// names that differ only in how accents are encoded (NFC, NFD), which are one on
    /// macOS, do not.
    pub fn remember_names(mut self, remember: bool) -> Self {
        self.settings.remember_names = remember;
        self
    }

    /// Sets whether the name of a file may be in a subdirectory, as in `flags/br.gif`;
    /// off by default.
    ///
    /// Folders that are missing are created once their first file arrives. A name never
    /// leads out of the downloader's folder: `..` and absolute names are refused, and it
    /// is an error if one of the folders is a symbolic link. The folders are to be on the
    /// file system of the downloader's folder, where temporary files are. Programs that
    /// replace a folder by a link during a run are not guarded against.
    pub fn allow_subdirectories(mut self, allow: bool) -> Self {
        self.settings.allow_subdirectories = allow;
        self
    }

    /// Adds a header to all requests, such as `Authorization`.
    ///
    /// It is sent to the server of the job's URL, and not to other servers that it
    /// redirects to.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the `User-Agent`; the name and version of this crate by default.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = user_agent.into();
        self
    }

    /// Sets how many redirects of one job are followed; 10 by default.
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.settings.redirects.max = redirects;
        self
    }

    /// Sets whether redirects from https to http are followed; off by default.
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.settings.redirects.allow_downgrade = allow;
        self
    }

    /// Sets whether redirects from a public address to a private one are followed, as
    /// to `127.0.0.1`, `192.168.1.1` or a host that has such an address; off by
    /// default.
    ///
    /// The addresses are those at the time of the redirect. Of a host that is asked
    /// through a proxy only the name is known.
    pub fn allow_private_redirects(mut self, allow: bool) -> Self {
        self.settings.redirects.allow_private = allow;
        self
    }

    /// Sets what to do with a body that the server has encoded although it was asked
    /// not to; by default only archives are saved.
    pub fn content_encoding(mut self, encoding: ContentEncoding) -> Self {
        self.settings.content_encoding = encoding;
        self
    }

    /// Sets how long the addresses of a host are cached; one minute by
    /// default.
    pub fn look_up_ttl(mut self, ttl: Duration) -> Self {
        self.settings.look_up_ttl = ttl;
        self
    }

    /// Sets the proxy; by default the one of the environment.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = proxy;
        self
    }

    /// Sets the trusted root certificates, in PEM; by default those that Mozilla
    /// trusts.
    #[cfg(feature = "rustls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.root_certificates = Some(pem.into());
        self
    }

    /// Sets the token that cancels all downloads.
    ///
    /// Waiting jobs end at once, and running jobs within a second.
    pub fn cancel_token(mut self, token: CancelToken) -> Self {
        self.settings.token = token;
        self
    }

    /// Builds the downloader. Makes no request and opens no file.
    ///
    /// # Errors
    ///
    /// [`DownloaderBuildError`] if a setting is one that nothing can be done with.
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
            let header = parse_header(&name, &value)?;
            self.settings.headers.push(header);
        }
        Downloader::from_settings(self.settings)
    }
}

impl Downloader {
    /// Returns a builder for a downloader into `directory`, which is created if
    /// it is missing when a run starts.
    pub fn builder(directory: impl Into<PathBuf>) -> DownloaderBuilder {
        DownloaderBuilder::new(directory.into())
    }
}

/// Leaves out the headers, which may be secret.
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

fn parse_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), DownloaderBuildError> {
    const OWN: [&str; 9] = [
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "if-modified-since",
        "if-range",
        "range",
        "transfer-encoding",
        "user-agent",
    ];
    if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(DownloaderBuildError::ReservedHeader(name.to_owned()));
    }
    let refused = || DownloaderBuildError::Header(name.to_owned());
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
    value.set_sensitive(true);
    Ok((parsed, value))
}
