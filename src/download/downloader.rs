//! [`Downloader`]: the settings and the connections that runs share.

use super::builder::{BuildError, DownloaderBuilder};
use super::connect::TcpConnector;
use super::error::DownloadError;
use super::event::Observer;
use super::job::Job;
use super::pace::RateLimit;
use super::report::Report;
use super::resolve::CachingResolver;
use super::retry::Pauses;
use super::run;
use super::settings::{Proxy, Settings};
use crate::executor::Executor;
use crate::sync::Mutex;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};

/// Large enough for the header of any answer that is accepted.
const INPUT_BUFFER: usize = 64 * 1024;
const MAX_HEADER: usize = 32 * 1024;
/// Large enough for a request.
const OUTPUT_BUFFER: usize = 16 * 1024;
const BODY_BUFFER: usize = 64 * 1024;

/// Downloads files into a folder, each whole or not at all.
///
/// A downloader owns one set of connections, which are used again by later
/// jobs and runs. Cloning is cheap, and clones share it. Drop closes them once
/// the last clone is gone.
///
/// # Examples
///
/// ```no_run
/// use as_completed::ThreadPool;
/// use as_completed::download::{DownloadStatus, Downloader, Job};
///
/// let pool = ThreadPool::new(30);
/// let downloader = Downloader::builder("downloaded").build()?;
/// let jobs = ["BR", "FR", "IN"].map(|cc| {
///     let low = cc.to_lowercase();
///     let url = format!("https://www.fluentpython.com/data/flags/{low}/{low}.gif");
///     Job::new(cc, url, format!("{cc}.gif"))
/// });
/// let report = downloader.download_many(&pool, jobs, ())?;
/// println!("{} flags downloaded", report.count(DownloadStatus::Ok));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Downloader(Arc<Shared>);

/// What all jobs of a downloader share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) agent: ureq::Agent,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) pauses: Pauses,
    /// Buffers for bodies that no job is using.
    buffers: Mutex<Vec<Box<[u8]>>>,
}

impl Downloader {
    /// Returns a builder for a downloader into `directory`, which is created if
    /// it is missing when a run starts.
    pub fn builder(directory: impl Into<PathBuf>) -> DownloaderBuilder {
        DownloaderBuilder::new(directory.into())
    }

    pub(super) fn from_settings(settings: Settings) -> Result<Self, BuildError> {
        let agent = build_agent(&settings)?;
        Ok(Self(Arc::new(Shared {
            agent,
            rate_limit: settings.bytes_per_second.map(RateLimit::new),
            pauses: Pauses::default(),
            buffers: Mutex::new(Vec::new()),
            settings,
        })))
    }

    /// Returns the folder into which files are downloaded.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.settings.directory
    }

    /// Downloads the files of all `jobs` on the executor, and returns what
    /// became of each.
    ///
    /// Blocks until all jobs are over, or the run is cancelled. Jobs are read
    /// lazily, on the calling thread, as earlier ones finish, so there may be
    /// any number of them; while reading blocks, finished ones are not told of.
    /// A job that fails does not stop the others. The `observer` is told what
    /// happens meanwhile; `()` stands for none.
    ///
    /// # Errors
    ///
    /// [`DownloadError`] if the folder cannot be created or written, before
    /// any request is made. The failures of jobs are in the report.
    ///
    /// # Panics
    ///
    /// If reading `jobs` panics.
    pub fn download_many<K, E, I, O>(
        &self,
        executor: &E,
        jobs: I,
        observer: O,
    ) -> Result<Report<K>, DownloadError>
    where
        K: Send + Sync + 'static,
        E: Executor + ?Sized,
        I: IntoIterator<Item = Job<K>>,
        O: Observer<K> + 'static,
    {
        run::run(executor, &self.0, jobs.into_iter(), Arc::new(observer))
    }
}

impl fmt::Debug for Downloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downloader")
            .field("directory", &self.directory())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Lends a buffer to `f`.
    pub(super) fn with_buffer<T>(&self, f: impl FnOnce(&mut [u8]) -> T) -> T {
        let kept = self.buffers.lock().pop();
        let mut buffer = kept.unwrap_or_else(|| vec![0; BODY_BUFFER].into_boxed_slice());
        let result = f(&mut buffer);
        self.buffers.lock().push(buffer);
        result
    }
}

/// Turns what stands for no limit into none: a clock cannot be set to the end
/// of time.
pub(super) fn finite(duration: Duration) -> Option<Duration> {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    (duration < YEARS).then_some(duration)
}

fn build_agent(settings: &Settings) -> Result<ureq::Agent, BuildError> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(settings.user_agent.as_str())
        .accept("*/*")
        // Another crate may have switched ureq's decompression on, which makes
        // nonsense of lengths and ranges.
        .accept_encoding("identity")
        .proxy(build_proxy(&settings.proxy)?)
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(OUTPUT_BUFFER)
        .max_response_header_size(MAX_HEADER)
        .max_idle_connections(settings.max_in_flight)
        .max_idle_connections_per_host(settings.max_in_flight)
        .timeout_resolve(finite(settings.connect_timeout))
        .timeout_connect(finite(settings.connect_timeout))
        .timeout_send_request(finite(settings.read_timeout))
        .timeout_recv_response(finite(settings.read_timeout))
        .timeout_per_read(finite(settings.read_timeout))
        .timeout_global(finite(settings.total_timeout));
    #[cfg(feature = "rustls")]
    let config = config.tls_config(build_tls(settings.root_certificates.as_deref())?);
    let config = config.build();

    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::new(settings.token.clone()));
    #[cfg(feature = "rustls")]
    let connector = connector.chain(ureq::unversioned::transport::RustlsConnector::default());
    let resolver = CachingResolver::new(settings.look_up_ttl, settings.token.clone());
    Ok(ureq::Agent::with_parts(config, connector, resolver))
}

fn build_proxy(proxy: &Proxy) -> Result<Option<ureq::Proxy>, BuildError> {
    let found = match proxy {
        Proxy::Direct => None,
        Proxy::Environment => ureq::Proxy::try_from_env(),
        Proxy::Url(url) => {
            Some(ureq::Proxy::new(url).map_err(|error| BuildError::Proxy(error.to_string()))?)
        }
    };
    match &found {
        Some(proxy)
            if !matches!(
                proxy.protocol(),
                ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https
            ) =>
        {
            Err(BuildError::Proxy(format!(
                "{:?} is not supported, only http and https are",
                proxy.protocol()
            )))
        }
        _ => Ok(found),
    }
}

#[cfg(feature = "rustls")]
fn build_tls(roots: Option<&[u8]>) -> Result<ureq::tls::TlsConfig, BuildError> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

    let builder = TlsConfig::builder();
    let Some(pem) = roots else {
        return Ok(builder.root_certs(RootCerts::WebPki).build());
    };
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(BuildError::RootCertificates(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(BuildError::RootCertificates(
            "no certificate in the text".to_owned(),
        ));
    }
    let roots = RootCerts::from(certificates.into_iter());
    Ok(builder.root_certs(roots).build())
}
