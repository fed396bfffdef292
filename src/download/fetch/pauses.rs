//! [`Pauses`]: the hosts that have asked to be left alone for a while.

use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::task::CancelToken;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many hosts are kept before those are forgotten whose pause is over.
const MANY_HOSTS: usize = 1024;

/// The hosts that have asked to be left alone for a while.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    until: Mutex<HashMap<String, Instant>>,
    /// Spares the lock where no host has ever asked.
    any: AtomicBool,
}

impl Pauses {
    pub(crate) fn pause(&self, authority: &str, pause: Duration) {
        let Some(until) = Instant::now().checked_add(pause) else {
            return;
        };
        let mut all = self.until.lock();
        if all.len() >= MANY_HOSTS {
            let now = Instant::now();
            all.retain(|_, until| *until > now);
        }
        let entry = all.entry(authority.to_owned()).or_insert(until);
        *entry = until.max(*entry);
        self.any.store(true, Ordering::Release);
    }

    /// Returns how long it is until the host may be asked again.
    pub(crate) fn left(&self, authority: &str) -> Duration {
        if !self.any.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        let mut all = self.until.lock();
        let now = Instant::now();
        match all.get(authority) {
            Some(until) if *until > now => *until - now,
            Some(_) => {
                all.remove(authority);
                Duration::ZERO
            }
            None => Duration::ZERO,
        }
    }

    /// Sleeps until the host may be asked; says whether it did so in full.
    pub(crate) fn wait(
        &self,
        authority: &str,
        deadline: Option<Instant>,
        token: &CancelToken,
    ) -> bool {
        loop {
            let left = self.left(authority);
            if left.is_zero() {
                return true;
            }
            let until_deadline = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if until_deadline.is_zero() || !token.sleep(left.min(until_deadline)) {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_kept_by_host_and_end_when_cancelled() {
        let pauses = Pauses::default();
        assert!(pauses.left("a").is_zero());
        pauses.pause("a", Duration::from_secs(3600));
        pauses.pause("a", Duration::from_secs(1));
        assert!(pauses.left("a") > Duration::from_secs(3000));
        assert!(pauses.left("b").is_zero());
        let token = CancelToken::new();
        token.cancel();
        assert!(!pauses.wait("a", None, &token));
        assert!(pauses.wait("b", None, &token));
    }
}
