//! [`Manner`]: how quick and how reliable the server is.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How long the server waits before each response, and how often it fails.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The shortest and the longest wait.
    pub delay: RangeInclusive<Duration>,
    /// The fraction of requests that get 418, from 0 to 1.
    pub error_rate: f64,
}

impl Manner {
    /// Responds at once and never fails.
    pub const PROMPT: Self = Self {
        delay: Duration::ZERO..=Duration::ZERO,
        error_rate: 0.0,
    };

    /// Picks the wait for one request.
    pub(super) fn pick_delay(&self) -> Duration {
        let (shortest, longest) = (*self.delay.start(), *self.delay.end());
        if longest.is_zero() {
            return Duration::ZERO;
        }
        shortest + longest.saturating_sub(shortest).mul_f64(fastrand::f64())
    }

    /// Decides whether one request fails.
    pub(super) fn pick_failure(&self) -> bool {
        fastrand::f64() < self.error_rate
    }
}
