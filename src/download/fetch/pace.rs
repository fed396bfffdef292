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
            return Err(self.too_slow(Duration::ZERO));
        }
        self.bytes = 0;
        self.spent = Duration::ZERO;
        Ok(())
    }

    /// Returns how long to wait for more: to the end of the window, or of the next one
    /// if enough has come in this one.
    pub(crate) fn patience(&self) -> Duration {
        let MinimumSpeed {
            bytes_per_second,
            over,
        } = self.minimum;
        let left = over.saturating_sub(self.spent);
        let wanted = u128::from(bytes_per_second) * over.as_millis() / 1000;
        if u128::from(self.bytes) < wanted {
            left
        } else {
            left.saturating_add(over)
        }
    }

    /// The error where nothing has come for so long.
    pub(crate) fn too_slow(&self, silent: Duration) -> DownloadErrorKind {
        DownloadErrorKind::TooSlow {
            bytes: self.bytes,
            over: self.spent.saturating_add(silent),
        }
    }
}

/// Watches the speed of several bodies that are read side by side.
///
/// The time that counts is that in which at least one of them is being read.
#[derive(Debug)]
pub(crate) struct SharedSpeedometer {
    speed: Speedometer,
    readers: usize,
    /// When the readers began, or something last came.
    since: Instant,
}

impl SharedSpeedometer {
    pub(crate) fn new(minimum: MinimumSpeed) -> Self {
        Self {
            speed: Speedometer::new(minimum),
            readers: 0,
            since: Instant::now(),
        }
    }

    /// Notes that a read begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.readers == 0 {
            self.since = now;
        }
        self.readers += 1;
    }

    /// Notes that a read has ended, and brought so many bytes.
    pub(crate) fn end(&mut self, bytes: usize, now: Instant) -> Result<(), DownloadErrorKind> {
        self.readers -= 1;
        let spent = now.saturating_duration_since(self.since);
        self.since = now;
        self.speed.note(bytes, spent)
    }

    /// Looks whether nothing has come for too long.
    pub(crate) fn check(&self, now: Instant) -> Result<(), DownloadErrorKind> {
        let silent = now.saturating_duration_since(self.since);
        if self.readers == 0 || silent < self.speed.patience() {
            return Ok(());
        }
        Err(self.speed.too_slow(silent))
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
    fn stall_is_too_slow_at_the_end_of_the_window_that_it_fills() {
        let mut speed = Speedometer::new(MinimumSpeed {
            bytes_per_second: 10,
            over: SECOND * 3,
        });
        assert_eq!(speed.patience(), SECOND * 3);
        assert!(speed.note(29, SECOND).is_ok());
        assert_eq!(speed.patience(), SECOND * 2);
        assert!(matches!(
            speed.too_slow(SECOND * 2),
            DownloadErrorKind::TooSlow { bytes: 29, over } if over == SECOND * 3
        ));
        assert!(speed.note(1, SECOND).is_ok());
        assert_eq!(speed.patience(), SECOND * 4);
    }

    #[test]
    fn readers_side_by_side_spend_their_time_together() {
        let mut speed = SharedSpeedometer::new(MinimumSpeed {
            bytes_per_second: 10,
            over: SECOND,
        });
        let start = Instant::now();
        speed.begin(start);
        speed.begin(start);
        assert!(speed.end(10, start + SECOND).is_ok());
        assert!(speed.check(start + SECOND * 3 / 2).is_ok());
        assert!(speed.check(start + SECOND * 2).is_err());
        // One stalls all the time, which does not matter as long as the others do not.
        speed.begin(start + SECOND * 3 / 2);
        assert!(speed.end(10, start + SECOND * 2).is_ok());
        // Nobody reads.
        assert!(speed.end(0, start + SECOND * 2).is_ok());
        assert!(speed.check(start + SECOND * 9).is_ok());
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
