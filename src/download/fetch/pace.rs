//! How fast: the rate that a run must not exceed, and the speed below which a
//! download is given up.

use crate::download::error::DownloadErrorKind;
use crate::download::settings::MinimumSpeed;
use crate::sync::Mutex;
use std::time::{Duration, Instant};

/// Bytes per second that all downloads of a downloader share.
#[derive(Debug)]
pub(crate) struct RateLimit {
    bytes_per_second: u64,
    /// When all bytes taken so far have had their time.
    paid_until: Mutex<Instant>,
}

impl RateLimit {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            paid_until: Mutex::new(Instant::now()),
        }
    }

    /// How many bytes to read at most at a time, so that waits are short.
    pub(crate) fn chunk(&self) -> usize {
        usize::try_from(self.bytes_per_second / 8)
            .unwrap_or(usize::MAX)
            .max(512)
    }

    /// Takes `bytes`, and returns how long to wait before taking more.
    pub(crate) fn take(&self, bytes: u64, now: Instant) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a nanosecond in a hundred days does not matter"
        )]
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut paid_until = self.paid_until.lock();
        let end = (*paid_until).max(now) + cost;
        *paid_until = end;
        end - now
    }
}

/// Watches the speed of one body.
#[derive(Debug)]
pub(crate) struct Speedometer {
    minimum: MinimumSpeed,
    bytes: u64,
    spent: Duration,
}

impl Speedometer {
    pub(crate) fn new(minimum: MinimumSpeed) -> Self {
        Self {
            minimum,
            bytes: 0,
            spent: Duration::ZERO,
        }
    }

    /// Notes a read and the time that it took; time in which nothing was to be
    /// read, as under a rate limit, does not count.
    pub(crate) fn note(&mut self, bytes: usize, spent: Duration) -> Result<(), DownloadErrorKind> {
        self.bytes += bytes as u64;
        self.spent += spent;
        if self.spent < self.minimum.over {
            return Ok(());
        }
        let wanted = u128::from(self.minimum.bytes_per_second) * self.spent.as_millis() / 1000;
        if u128::from(self.bytes) < wanted {
            return Err(DownloadErrorKind::TooSlow {
                bytes: self.bytes,
                over: self.spent,
            });
        }
        self.bytes = 0;
        self.spent = Duration::ZERO;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn rate_is_shared_by_those_who_take() {
        let limit = RateLimit::new(1000);
        let now = Instant::now() + SECOND;
        assert_eq!(limit.take(500, now), SECOND / 2);
        assert_eq!(limit.take(500, now), SECOND);
        assert_eq!(limit.take(1000, now + SECOND * 9), SECOND);
    }

    #[test]
    fn drip_is_too_slow_once_the_window_is_over() {
        let mut speed = Speedometer::new(MinimumSpeed {
            bytes_per_second: 10,
            over: SECOND * 3,
        });
        assert!(speed.note(1, SECOND).is_ok());
        assert!(speed.note(1, SECOND).is_ok());
        assert!(matches!(
            speed.note(1, SECOND),
            Err(DownloadErrorKind::TooSlow { bytes: 3, .. })
        ));
    }

    #[test]
    fn burst_counts_for_its_own_window_only() {
        let mut speed = Speedometer::new(MinimumSpeed {
            bytes_per_second: 10,
            over: SECOND,
        });
        assert!(speed.note(1000, SECOND).is_ok());
        assert!(speed.note(9, SECOND).is_err());
    }
}
