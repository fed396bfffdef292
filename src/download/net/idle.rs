//! [`Idle`]: open connections that no request uses.
//!
//! ureq's own pool walks over all of them for each request, once per host. This
//! one finds, adds and closes a connection in a time that hardly grows with their
//! number, and closes some when descriptors are lacking.

use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Servers close a connection that has been idle for longer, or nearly.
const MAX_AGE: Duration = Duration::from_secs(15);

/// Open connections that no request uses.
#[derive(Debug)]
pub(crate) struct Idle<C> {
    /// How many are kept.
    most: usize,
    state: Mutex<State<C>>,
}

/// Each connection has a number, which grows with time, and is in both maps.
#[derive(Debug)]
struct State<C> {
    by_origin: BTreeMap<(Arc<str>, u64), C>,
    by_age: BTreeMap<u64, (Arc<str>, Instant)>,
    next_number: u64,
}

impl<C> State<C> {
    fn remove_oldest(&mut self) -> Option<C> {
        let (number, (origin, _)) = self.by_age.pop_first()?;
        self.by_origin.remove(&(origin, number))
    }

    fn oldest_is_too_old(&self, now: Instant) -> bool {
        let oldest = self.by_age.first_key_value();
        oldest.is_some_and(|(_, (_, since))| now.saturating_duration_since(*since) >= MAX_AGE)
    }
}

impl<C> Idle<C> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::new(State {
                by_origin: BTreeMap::new(),
                by_age: BTreeMap::new(),
                next_number: 0,
            }),
        }
    }

    /// Keeps a connection for another request to that origin; closes those that
    /// are too many or too old.
    pub(crate) fn keep(&self, origin: Arc<str>, connection: C, now: Instant) {
        let mut closed = Vec::new();
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.by_age.insert(number, (Arc::clone(&origin), now));
        state.by_origin.insert((origin, number), connection);
        while state.by_age.len() > self.most || state.oldest_is_too_old(now) {
            closed.extend(state.remove_oldest());
        }
        drop(state);
        // Closing is a system call.
        drop(closed);
    }

    /// Takes the connection to that origin that was used last: the server has
    /// most likely not closed it.
    pub(crate) fn take(&self, origin: &Arc<str>, now: Instant) -> Option<C> {
        let mut state = self.state.lock();
        let all = (Arc::clone(origin), 0)..=(Arc::clone(origin), u64::MAX);
        let (key, _) = state.by_origin.range(all).next_back()?;
        let key = key.clone();
        let (_, since) = state.by_age.remove(&key.1)?;
        let connection = state.by_origin.remove(&key)?;
        drop(state);
        (now.saturating_duration_since(since) < MAX_AGE).then_some(connection)
    }

    /// Closes the connection that has been idle for longest; returns whether there
    /// was one.
    pub(crate) fn close_oldest(&self) -> bool {
        let oldest = self.state.lock().remove_oldest();
        oldest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: u64) -> Arc<str> {
        format!("http://host-{number}:80").into()
    }

    #[test]
    fn connection_used_last_is_taken_first_and_once() {
        let (idle, now) = (Idle::new(10), Instant::now());
        for number in 0..3 {
            idle.keep(origin(0), number, now);
        }
        idle.keep(origin(1), 3, now);
        for expected in [Some(2), Some(1), Some(0), None] {
            assert_eq!(idle.take(&origin(0), now), expected);
        }
        assert_eq!(idle.take(&origin(2), now), None);
        assert_eq!(idle.take(&origin(1), now), Some(3));
        assert!(!idle.close_oldest());
    }

    #[test]
    fn oldest_are_closed_where_there_are_too_many() {
        let (idle, now) = (Idle::new(100), Instant::now());
        let connection = Arc::new(());
        for number in 0..1000 {
            idle.keep(origin(number), Arc::clone(&connection), now);
        }
        assert_eq!(Arc::strong_count(&connection), 101);
        assert!(idle.take(&origin(899), now).is_none());
        assert!(idle.take(&origin(900), now).is_some());
        assert!(idle.close_oldest());
        assert!(idle.take(&origin(901), now).is_none());
        assert!(idle.take(&origin(902), now).is_some());
        drop(idle);
        assert_eq!(Arc::strong_count(&connection), 1);
    }

    #[test]
    fn connections_that_are_too_old_are_closed_and_not_taken() {
        let (idle, now) = (Idle::new(10), Instant::now());
        let connection = Arc::new(());
        for number in 0..3 {
            idle.keep(origin(number), Arc::clone(&connection), now);
        }
        let later = now + MAX_AGE;
        assert!(idle.take(&origin(0), later).is_none());
        idle.keep(origin(3), Arc::clone(&connection), later);
        assert_eq!(Arc::strong_count(&connection), 2);
        assert!(idle.take(&origin(3), later).is_some());
    }
}
