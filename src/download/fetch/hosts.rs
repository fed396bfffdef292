//! [`Hosts`]: how many connections each host may have, where that is limited.

use crate::sync::Mutex;
use std::collections::HashMap;

/// How many connections each host may have.
///
/// The queue bounds the jobs of a host; these are their connections and those
/// that segments add.
#[derive(Debug)]
pub(crate) struct Hosts {
    limit: usize,
    open: Mutex<HashMap<String, usize>>,
}

/// A connection that counts. Drop takes it off.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    hosts: &'a Hosts,
    authority: String,
}

impl Hosts {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Mutex::new(HashMap::new()),
        }
    }

    /// Counts the connection of a job, which those of segments make room for.
    pub(crate) fn enter(&self, authority: &str) -> Slot<'_> {
        *self.open.lock().entry(authority.to_owned()).or_default() += 1;
        self.slot(authority)
    }

    /// Counts one more connection, if the host may have it.
    pub(crate) fn try_enter(&self, authority: &str) -> Option<Slot<'_>> {
        let mut all = self.open.lock();
        let open = all.entry(authority.to_owned()).or_default();
        if *open >= self.limit {
            return None;
        }
        *open += 1;
        drop(all);
        Some(self.slot(authority))
    }

    fn slot(&self, authority: &str) -> Slot<'_> {
        Slot {
            hosts: self,
            authority: authority.to_owned(),
        }
    }

    /// Whether segments have to make room for a job.
    pub(crate) fn is_over_limit(&self, authority: &str) -> bool {
        self.open
            .lock()
            .get(authority)
            .is_some_and(|open| *open > self.limit)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut all = self.hosts.open.lock();
        if let Some(open) = all.get_mut(&self.authority) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.authority);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_make_room_for_jobs() {
        let hosts = Hosts::new(2);
        let job = hosts.enter("a");
        let segment = hosts.try_enter("a");
        assert!(segment.is_some());
        assert!(hosts.try_enter("a").is_none());
        assert!(hosts.try_enter("b").is_some());
        assert!(!hosts.is_over_limit("a"));
        let other = hosts.enter("a");
        assert!(hosts.is_over_limit("a"));
        drop(segment);
        assert!(!hosts.is_over_limit("a"));
        drop((job, other));
        assert!(hosts.open.lock().is_empty());
    }
}
