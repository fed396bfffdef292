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

    /// Sets how many jobs are submitted to the executor at a time, queued or
    /// running; 64 by default, and at least 1. As many connections are kept open for
    /// reuse.
    ///
    /// The executor decides how many of them run at a time: a pool of 8 workers
    /// downloads 8 files at a time. With twice as many jobs as workers, no worker
    /// waits for its next job.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{DownloadStatus, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let pool = ThreadPool::new(4);
    /// let downloader = Downloader::builder(&folder).max_in_flight(8).build()?;
    /// // At most 8 of the 20 jobs are submitted at a time. The others are not even read.
    /// let jobs = (0..20).map(|n| Job::new(n, format!("{server}/"), format!("{n}.html")));
    /// let report = downloader.download_many(&pool, jobs, ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_in_flight(mut self, jobs: usize) -> Self {
        self.settings.max_in_flight = jobs;
        self
    }

    /// Sets how many of those may download from the same host and port; no separate
    /// limit by default, and at least 1.
    ///
    /// While a host is at its limit, later jobs of other hosts go first. For that,
    /// the input is read ahead by up to four times
    /// [`max_in_flight`](Self::max_in_flight) jobs.
    ///
    /// # Examples
    ///
    /// One connection to each host, however many hosts there are:
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{DownloadStatus, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let downloader = Downloader::builder(&folder).max_in_flight_per_host(1).build()?;
    /// let jobs = (0..4).map(|n| Job::new(n, format!("{server}/"), format!("{n}.html")));
    /// let report = downloader.download_many(&ThreadPool::new(4), jobs, ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 4);
    /// // So they finish in the order of the input.
    /// assert!(report.entries().iter().map(|entry| *entry.key()).eq(0..4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_in_flight_per_host(mut self, jobs: usize) -> Self {
        self.settings.max_in_flight_per_host = Some(jobs);
        self
    }

    /// Sets when a failed attempt is retried; [`RetryPolicy::default`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, RetryPolicy};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "503 Service Unavailable", "")]);
    /// let downloader = Downloader::builder(&folder).retry(RetryPolicy::never()).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// assert_eq!(report.entries()[0].http_status(), Some(503));
    /// assert_eq!(report.retries(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Sets the timeout of the DNS lookup, and of the connection after it,
    /// including TLS and proxy; 10 s each by default. It may not be zero.
    ///
    /// What takes longer fails with [`TimeoutKind::LookUp`] or
    /// [`TimeoutKind::Connect`], and is retried.
    ///
    /// [`TimeoutKind::LookUp`]: super::TimeoutKind::LookUp
    /// [`TimeoutKind::Connect`]: super::TimeoutKind::Connect
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::{Downloader, DownloaderBuildError};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let builder = Downloader::builder("downloaded");
    /// assert!(builder.connect_timeout(Duration::from_secs(3)).build().is_ok());
    ///
    /// let builder = Downloader::builder("downloaded");
    /// let error = builder.connect_timeout(Duration::ZERO).build().unwrap_err();
    /// assert!(matches!(error, DownloaderBuildError::Zero("connect_timeout")));
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets how long sending the request may take, how long to wait for the response,
    /// and then for each part of its body; 30 s each by default. It may not be zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Downloader, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let downloader = Downloader::builder(&folder)
    ///     .read_timeout(Duration::from_millis(10))
    ///     .retry(RetryPolicy::never())
    ///     .build()?;
    /// // This server accepts connections, and never responds.
    /// let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let url = format!("http://{}/", silent.local_addr()?);
    /// let report = downloader.download_many(&Inline, [Job::new((), url, "page.html")], ())?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Timeout(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.read_timeout = timeout;
        self
    }

    /// Sets the timeout of a whole job, from when a worker starts it, including its
    /// retries and the delays between them; one hour by default. It may not be zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Downloader, Job, TimeoutKind};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let downloader =
    ///     Downloader::builder(&folder).total_timeout(Duration::from_millis(10)).build()?;
    /// // This server accepts connections, and never responds.
    /// let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let url = format!("http://{}/", silent.local_addr()?);
    /// let report = downloader.download_many(&Inline, [Job::new((), url, "page.html")], ())?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Timeout(TimeoutKind::Total)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.settings.total_timeout = timeout;
        self
    }

    /// Sets the minimum speed of each download: an attempt that receives fewer bytes per
    /// second, on average over a time of `over`, fails and is retried; 10 bytes per
    /// second over 30 s by default. Zero bytes means no minimum.
    ///
    /// A body that stalls has a speed of zero: it fails so, if `over` is shorter than
    /// [`read_timeout`](Self::read_timeout).
    ///
    /// Time in which [`max_bytes_per_second`](Self::max_bytes_per_second) holds a
    /// download back does not count.
    ///
    /// # Examples
    ///
    /// At least 100 KiB per second, on average over 10 seconds, for a list whose jobs can
    /// be downloaded from another mirror instead:
    ///
    /// ```
    /// use as_completed::download::Downloader;
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let builder = Downloader::builder("downloaded");
    /// let downloader = builder.minimum_speed(100 * 1024, Duration::from_secs(10)).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn minimum_speed(mut self, bytes_per_second: u64, over: Duration) -> Self {
        self.settings.minimum_speed = (bytes_per_second > 0).then_some(MinimumSpeed {
            bytes_per_second,
            over,
        });
        self
    }

    /// Limits the bytes of bodies per second, of all downloads of this downloader and
    /// its clones together; unlimited by default. The limit may not be zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use as_completed::download::{Downloader, Job};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "0123456789")]);
    /// let downloader = Downloader::builder(&folder).max_bytes_per_second(1_000).build()?;
    /// // 5 files of 10 bytes each take 50 ms, side by side as well.
    /// let jobs = (0..5).map(|n| Job::new(n, format!("{server}/"), format!("{n}.txt")));
    /// let report = downloader.download_many(&ThreadPool::new(5), jobs, ())?;
    /// assert_eq!(report.bytes(), 50);
    /// assert!(report.elapsed() >= Duration::from_millis(50));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.settings.bytes_per_second = Some(bytes);
        self
    }

    /// Sets the maximum size of a file, in bytes; unlimited by default.
    ///
    /// If the server announces a larger file, its body is not read; if the body
    /// turns out to be larger, the download stops there.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "0123456789")]);
    /// let downloader = Downloader::builder(&folder).max_size(9).build()?;
    /// // The server announces 10 bytes.
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "digits.txt")], ())?;
    /// assert_eq!(report.bytes(), 0);
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::TooLarge { limit: 9 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.settings.max_size = Some(bytes);
        self
    }

    /// Sets what to do if the file already exists; [`Overwrite::Always`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job, Overwrite};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// std::fs::write(folder.join("BR.gif"), "an earlier one")?;
    /// let downloader = Downloader::builder(&folder).overwrite(Overwrite::Never).build()?;
    /// let job = Job::new("BR", "https://example.org/br.gif", "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], ())?;
    /// assert_eq!(report.count(DownloadStatus::Skipped), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.settings.overwrite = overwrite;
        self
    }

    /// Sets what is synced to disk before a file counts as downloaded;
    /// [`Durability::None`] by default. Syncing blocks the worker.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Durability, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let downloader = Downloader::builder(&folder).durability(Durability::FileAndDirectory).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// // From here on, no crash of the machine takes the file away.
    /// assert!(report.entries()[0].path().exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// A file that is complete is not downloaded again. It counts as complete if it has
    /// the checksum that its job requires; or, without one, if the server has a file of
    /// the same length and modification time.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, RetryPolicy};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[
    /// #     ("/", "200 OK\r\nETag: \"1\"\r\nContent-Length: 6", "GIF"),
    /// #     ("/", "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 3-5/6", "89a"),
    /// # ]);
    /// let downloader =
    ///     Downloader::builder(&folder).resume(true).retry(RetryPolicy::never()).build()?;
    /// let job = Job::new("BR", server, "BR.gif");
    ///
    /// // The connection breaks off after 3 of 6 bytes.
    /// let report = downloader.download_many(&Inline, [job.clone()], ())?;
    /// assert!(report.ok().is_err());
    /// assert!(folder.join("BR.gif.part").exists());
    ///
    /// // The next run, perhaps of another process, receives the other 3.
    /// let report = downloader.download_many(&Inline, [job], ())?;
    /// assert_eq!(report.bytes(), 3);
    /// assert_eq!(std::fs::read(folder.join("BR.gif"))?, b"GIF89a");
    /// assert!(!folder.join("BR.gif.part").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(mut self, resume: bool) -> Self {
        self.settings.resume = resume;
        self
    }

    /// Sets how many connections download one large file, each a segment of it; one
    /// by default, and at least one.
    ///
    /// Each connection has a thread of its own, beside the workers of the executor.
    /// Several are used for a file above
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
    ///
    /// # Examples
    ///
    /// Four connections for each file above 64 MiB, where a server limits the speed of each:
    ///
    /// ```
    /// use as_completed::download::Downloader;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let builder = Downloader::builder("downloaded");
    /// let downloader = builder.segments(4).segments_above(64 * 1024 * 1024).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn segments(mut self, connections: usize) -> Self {
        self.settings.segments = connections;
        self
    }

    /// Sets the size, in bytes, above which a file is downloaded in
    /// [`segments`](Self::segments); 16 MiB by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let downloader = Downloader::builder(&folder).segments(4).segments_above(0).build()?;
    /// // This server does not honour ranges, so one connection downloads the file.
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segments_above(mut self, bytes: u64) -> Self {
        self.settings.segments_above = bytes;
        self
    }

    /// Sets which entries the report keeps; all by default. [`Keep`] has an example.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.settings.keep = keep;
        self
    }

    /// Sets whether a file name is refused if any earlier job of the run has used it;
    /// on by default. This takes memory for all names.
    ///
    /// If off, a name is refused only while another job uses it, and a later job
    /// replaces the file of an earlier one. Names that differ only in case count as the
    /// same. Names that differ only in how accents are encoded (NFC, NFD) do not,
    /// although they are the same file on macOS.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/1", "200 OK", "one"), ("/2", "200 OK", "two")]);
    /// let jobs = [1, 2].map(|n| Job::new(n, format!("{server}/{n}"), "same name"));
    ///
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let report = downloader.download_many(&Inline, jobs.clone(), ())?;
    /// assert_eq!(report.count(DownloadStatus::Error), 1);
    ///
    /// let downloader = Downloader::builder(&folder).remember_names(false).build()?;
    /// let report = downloader.download_many(&Inline, jobs, ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 2);
    /// assert_eq!(std::fs::read(folder.join("same name"))?, b"two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remember_names(mut self, remember: bool) -> Self {
        self.settings.remember_names = remember;
        self
    }

    /// Sets whether the name of a file may be in a subdirectory, as in `flags/br.gif`;
    /// off by default.
    ///
    /// Missing folders are created once their first file arrives. A name never
    /// leads out of the downloader's folder: `..` and absolute names are refused, and it
    /// is an error if one of the folders is a symbolic link. There is no protection
    /// against programs that replace a folder by a link during a run. The folders must be
    /// on the file system of the downloader's folder, where the temporary files are.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "GIF89a")]);
    /// let downloader = Downloader::builder(&folder).allow_subdirectories(true).build()?;
    /// downloader.download_many(&Inline, [Job::new("BR", server, "flags/south/br.gif")], ())?.ok()?;
    /// assert!(folder.join("flags").join("south").join("br.gif").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_subdirectories(mut self, allow: bool) -> Self {
        self.settings.allow_subdirectories = allow;
        self
    }

    /// Adds a header to all requests, such as `Authorization`. A name that is added
    /// several times is sent with each of its values.
    ///
    /// It is sent to the server of the job's URL (the same scheme, host and port), and
    /// not to other servers that it redirects to. [`build`](Self::build) refuses a header
    /// that the downloader sets itself, such as `Host` or `Range`, and a name or value
    /// that no header may have.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "{request}")]);
    /// let downloader =
    ///     Downloader::builder(&folder).header("authorization", "Bearer secret").build()?;
    /// // This server sends the header of the request back.
    /// downloader.download_many(&Inline, [Job::new((), server, "echo.txt")], ())?.ok()?;
    /// let echo = std::fs::read_to_string(folder.join("echo.txt"))?;
    /// assert!(echo.contains("authorization: Bearer secret"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the `User-Agent`; the name and version of this crate by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "{request}")]);
    /// let agent = "flags/1.0 (+https://example.org/contact)";
    /// let downloader = Downloader::builder(&folder).user_agent(agent).build()?;
    /// // This server sends the header of the request back.
    /// downloader.download_many(&Inline, [Job::new((), server, "echo.txt")], ())?.ok()?;
    /// assert!(std::fs::read_to_string(folder.join("echo.txt"))?.contains(agent));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = user_agent.into();
        self
    }

    /// Sets how many redirects of one request are followed; 10 by default. With zero,
    /// any redirect fails the job.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Downloader, Job, RedirectError};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "302 Found\r\nLocation: /login", "")]);
    /// let downloader = Downloader::builder(&folder).max_redirects(0).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Redirect(RedirectError::TooMany(0))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.settings.redirects.max = redirects;
        self
    }

    /// Sets whether redirects from https to http are followed; off by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// // For a mirror that redirects to http, with checksums that come from elsewhere.
    /// let downloader = Downloader::builder("downloaded").allow_downgrade(true).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.settings.redirects.allow_downgrade = allow;
        self
    }

    /// Sets whether redirects from a public address to a private one are followed, as
    /// to `127.0.0.1`, `192.168.1.1` or a host that has such an address; off by
    /// default.
    ///
    /// The addresses are those at the time of the redirect. If a proxy makes the request,
    /// the address is the proxy's to look up: only addresses in the URL itself and the
    /// name `localhost` count as private then.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// // For a public address that leads into one's own network.
    /// let downloader = Downloader::builder("downloaded").allow_private_redirects(true).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn allow_private_redirects(mut self, allow: bool) -> Self {
        self.settings.redirects.allow_private = allow;
        self
    }

    /// Sets what to do with a body that the server has encoded although it was asked
    /// not to; by default only archives are saved. [`ContentEncoding`] has an example.
    pub fn content_encoding(mut self, encoding: ContentEncoding) -> Self {
        self.settings.content_encoding = encoding;
        self
    }

    /// Sets how long the addresses of a host are cached; one minute by
    /// default. With zero, each new connection looks them up.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// // For a service whose addresses change all the time.
    /// let downloader = Downloader::builder("downloaded").look_up_ttl(Duration::ZERO).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn look_up_ttl(mut self, ttl: Duration) -> Self {
        self.settings.look_up_ttl = ttl;
        self
    }

    /// Sets the proxy; by default the one of the environment. [`Proxy`] has an example.
    ///
    /// [`build`](Self::build) refuses a proxy that cannot be used.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = proxy;
        self
    }

    /// Sets the trusted root certificates, in PEM, instead of the default ones: those
    /// that Mozilla trusts, as the crate `webpki-roots` has them.
    ///
    /// [`build`](Self::build) refuses a text without a certificate.
    ///
    /// # Examples
    ///
    /// For a server whose certificate an authority of one's own has signed:
    ///
    /// ```no_run
    /// use as_completed::download::Downloader;
    ///
    /// let authority = std::fs::read("authority.pem")?;
    /// let downloader = Downloader::builder("downloaded").root_certificates(authority).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A text without a certificate is refused:
    ///
    /// ```
    /// use as_completed::download::{Downloader, DownloaderBuildError};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let error = Downloader::builder("downloaded").root_certificates("no PEM").build().unwrap_err();
    /// assert!(matches!(error, DownloaderBuildError::RootCertificates(_)));
    /// ```
    #[cfg(feature = "rustls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.root_certificates = Some(pem.into());
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
