//! [`RetryPolicy`]: when to retry, how often, and after which delay.

use super::error::DownloadErrorKind;
use std::time::{Duration, SystemTime};

/// When a failed attempt is retried.
///
/// Only errors that are
/// [transient](super::DownloadError::is_transient) are retried. The delay
/// doubles from one retry of a job to the next, and half of it is random, so
/// that jobs which failed together are not retried together. A job that waits for its
/// retry occupies no worker. If the server sends `Retry-After` with such an error, all
/// jobs of this run wait that long before their next request to that host and port.
/// A job whose [total timeout](super::DownloaderBuilder::total_timeout) would end during
/// the delay fails at once.
///
/// # Examples
///
/// ```
/// use as_completed::download::{Downloader, RetryPolicy};
/// use std::time::Duration;
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let _ = serve(&[]);
/// let patient = RetryPolicy::default()
///     .max_retries(8)
///     .delay(Duration::from_secs(1), Duration::from_secs(60));
/// # let folder = std::env::temp_dir();
/// let downloader = Downloader::builder(folder).retry(patient).build()?;
/// # Ok::<(), as_completed::download::DownloaderBuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a policy does nothing until it is given to a downloader"]
pub struct RetryPolicy {
    max_retries: u32,
    first_delay: Duration,
    longest_delay: Duration,
    longest_retry_after: Duration,
    pub(super) budget: u32,
    also: Vec<u16>,
}

impl Default for RetryPolicy {
    /// Three retries per job, the first after at most 250 ms.
    fn default() -> Self {
        Self {
            max_retries: 3,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(60),
            budget: 100,
            also: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// Creates a policy that never retries.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::never(), RetryPolicy::default().max_retries(0));
    /// ```
    pub fn never() -> Self {
        Self::default().max_retries(0)
    }

    /// Sets the maximum number of retries per job; 3 by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "503 Service Unavailable", "")]);
    /// let millisecond = Duration::from_millis(1);
    /// let twice = RetryPolicy::default().max_retries(2).delay(millisecond, millisecond);
    /// let downloader = Downloader::builder(&folder).retry(twice).build()?;
    /// // This server always responds with 503.
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// assert_eq!(report.entries()[0].retries(), 2);
    /// assert_eq!(report.exit_code(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets the delay before the first retry of a job, and the maximum delay; 250 ms
    /// and 10 s by default. If `longest` is shorter than `first`, it counts as `first`.
    ///
    /// The delay doubles with each retry. Each is random, between half of that and all
    /// of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Event, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "503 Service Unavailable", "")]);
    /// let [first, longest] = [4, 6].map(Duration::from_millis);
    /// let policy = RetryPolicy::default().delay(first, longest);
    /// let downloader = Downloader::builder(&folder).retry(policy).build()?;
    /// // This server always responds with 503.
    /// let check = move |event: &Event<'_, ()>| {
    ///     if let Event::Retrying { retry, delay, .. } = event {
    ///         let doubled = first * 2_u32.pow(retry - 1);
    ///         let whole = doubled.min(longest);
    ///         assert!(*delay >= whole / 2 && *delay <= whole);
    ///     }
    /// };
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], check)?;
    /// assert_eq!((report.retries(), report.observer_panics()), (3, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delay(mut self, first: Duration, longest: Duration) -> Self {
        self.first_delay = first;
        self.longest_delay = longest.max(first);
        self
    }

    /// Sets the maximum delay for `Retry-After`, in which a server says when to try again
    /// ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)).
    /// Longer delays are shortened to it; 60 s by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[
    /// #     ("/", "429 Too Many Requests\r\nRetry-After: 3600", ""),
    /// #     ("/", "200 OK", "a page"),
    /// # ]);
    /// let millisecond = Duration::from_millis(1);
    /// let policy =
    ///     RetryPolicy::default().longest_retry_after(millisecond).delay(millisecond, millisecond);
    /// let downloader = Downloader::builder(&folder).retry(policy).build()?;
    /// // This server wants to be left alone for an hour.
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn longest_retry_after(mut self, longest: Duration) -> Self {
        self.longest_retry_after = longest;
        self
    }

    /// Sets the budget of retries of each run; 100 by default.
    ///
    /// Each retry takes one from the budget, and each downloaded file returns one, up to
    /// this number. A job that would retry when none is left fails. So a server that is
    /// down costs no more retries than this for any number of jobs, while a server that
    /// fails now and then is retried without limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "503 Service Unavailable", "")]);
    /// let millisecond = Duration::from_millis(1);
    /// let policy = RetryPolicy::default().budget(2).delay(millisecond, millisecond);
    /// let downloader = Downloader::builder(&folder).retry(policy).build()?;
    /// // This server is down: without a budget, its 10 files would take 30 retries.
    /// let jobs = (0..10).map(|n| Job::new(n, format!("{server}/"), format!("{n}.html")));
    /// let report = downloader.download_many(&Inline, jobs, ())?;
    /// assert_eq!(report.count(DownloadStatus::Error), 10);
    /// assert_eq!(report.retries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn budget(mut self, retries: u32) -> Self {
        self.budget = retries;
        self
    }

    /// Also retries this HTTP status, for servers that use it for temporary errors. May
    /// be called for several.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job, RetryPolicy};
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "403 Forbidden", ""), ("/", "200 OK", "a page")]);
    /// let millisecond = Duration::from_millis(1);
    /// let policy = RetryPolicy::default().also_status(403).delay(millisecond, millisecond);
    /// let downloader = Downloader::builder(&folder).retry(policy).build()?;
    /// // This server responds with 403 where others respond with 429.
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn also_status(mut self, code: u16) -> Self {
        self.also.push(code);
        self
    }

    pub(super) fn allows(&self, kind: &DownloadErrorKind, retries: u32) -> bool {
        let transient = match kind {
            DownloadErrorKind::Status { code } if self.also.contains(code) => true,
            other => other.is_transient(),
        };
        transient && retries < self.max_retries
    }

    /// The delay before the retry of that number, from 1.
    pub(super) fn delay_before(&self, retry: u32) -> Duration {
        let doubled = 2_u32
            .checked_pow(retry - 1)
            .and_then(|factor| self.first_delay.checked_mul(factor))
            .unwrap_or(self.longest_delay)
            .min(self.longest_delay);
        doubled.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub(super) fn capped(&self, retry_after: Duration) -> Duration {
        retry_after.min(self.longest_retry_after)
    }
}

/// Reads the value of `Retry-After`: seconds, or a date.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number are a long time all the same.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_are_half_random() {
        let policy = RetryPolicy::default().delay(Duration::from_secs(1), Duration::from_secs(5));
        for (retry, most) in [(1, 1), (2, 2), (3, 4), (4, 5), (40, 5), (u32::MAX, 5)] {
            let delay = policy.delay_before(retry);
            let most = Duration::from_secs(most);
            assert!(delay >= most / 2 && delay <= most, "{retry}: {delay:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let after = |value| parse_retry_after(value, now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after(" 0 "), Some(Duration::ZERO));
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:57 GMT"),
            Some(Duration::from_secs(20))
        );
        assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(
            after("99999999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
        assert_eq!(after(""), None);
    }

    #[test]
    fn only_transient_errors_are_retried_and_only_so_often() {
        let policy = RetryPolicy::default().max_retries(2).also_status(418);
        let status = |code| DownloadErrorKind::Status { code };
        assert!(policy.allows(&status(503), 1));
        assert!(policy.allows(&status(418), 0));
        assert!(!policy.allows(&status(503), 2));
        for code in [400, 401, 403, 404, 410, 451, 501, 505] {
            assert!(!policy.allows(&status(code), 0), "{code}");
        }
        assert!(!policy.allows(&DownloadErrorKind::Cancelled, 0));
    }
}
