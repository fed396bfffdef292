//! Settings of how many, how fast and how long.

use super::DownloaderBuilder;
use crate::download::retry::RetryPolicy;
use crate::download::settings::MinimumSpeed;
use std::time::Duration;

/// # Limits
impl DownloaderBuilder {
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
    /// [`TimeoutKind::LookUp`]: crate::download::TimeoutKind::LookUp
    /// [`TimeoutKind::Connect`]: crate::download::TimeoutKind::Connect
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
    /// second over 30 s by default. Zero bytes means no minimum; `over` may not be zero.
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
}
