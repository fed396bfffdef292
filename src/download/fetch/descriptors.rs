//! [`Descriptors`]: how many attempts go on at a time where file descriptors are
//! lacking.
//!
//! An attempt needs several, for its connection and its file. If those that lack one
//! waited with the others in hand, all might wait for each other. So an attempt gives
//! up what it has, one fewer may go on from then, and it begins again in its turn.

use crate::download::error::{DownloadErrorKind, TimeoutKind};
use crate::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How often one that waits looks whether it is to stop.
const SLICE: Duration = Duration::from_millis(100);
/// How long no attempt must have lacked a descriptor before more go on.
const RECOVERY: Duration = Duration::from_secs(1);

/// How many attempts go on at a time.
#[derive(Debug)]
pub(crate) struct Descriptors {
    state: Mutex<State>,
    /// An attempt has ended.
    changed: Condvar,
    recovery: Duration,
}

#[derive(Debug)]
struct State {
    active: usize,
    limit: Option<Limit>,
}

/// There is one since an attempt has lacked a descriptor.
#[derive(Debug)]
struct Limit {
    most: usize,
    since: Instant,
}

impl State {
    fn has_room(&self) -> bool {
        let limit = self.limit.as_ref();
        limit.is_none_or(|limit| self.active < limit.most)
    }
}

/// An attempt that goes on. Drop ends it.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Descriptors);

impl Descriptors {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                active: 0,
                limit: None,
            }),
            changed: Condvar::new(),
            recovery: RECOVERY,
        }
    }

    /// Begins an attempt. Blocks while there are too many, until the deadline or
    /// until `is_stopped`.
    pub(crate) fn begin(
        &self,
        deadline: Option<Instant>,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Turn<'_>, DownloadErrorKind> {
        let mut state = self.state.lock();
        while !state.has_room() {
            if is_stopped() {
                return Err(DownloadErrorKind::Cancelled);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(DownloadErrorKind::Timeout(TimeoutKind::Total));
            }
            let until = deadline.map_or(now + SLICE, |deadline| deadline.min(now + SLICE));
            self.changed.wait_until(&mut state, until);
        }
        state.active += 1;
        Ok(Turn(self))
    }
}

impl Turn<'_> {
    /// Notes that the attempt has lacked a descriptor; returns whether others go on,
    /// whose ends will bring some.
    pub(crate) fn lacks_one(&self) -> bool {
        let mut state = self.0.state.lock();
        let most = state
            .limit
            .as_ref()
            .map_or(state.active, |limit| limit.most);
        let has_others = state.active > 1;
        state.limit = Some(Limit {
            most: (most.min(state.active) - 1).max(1),
            since: Instant::now(),
        });
        has_others
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.active -= 1;
        if let Some(limit) = &mut state.limit {
            let now = Instant::now();
            if now.saturating_duration_since(limit.since) >= self.0.recovery {
                limit.most += (limit.most / 8).max(1);
                limit.since = now;
            }
            drop(state);
            // More than one if the limit has grown.
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> bool {
        false
    }

    fn that_recover_after(recovery: Duration) -> Descriptors {
        Descriptors {
            recovery,
            ..Descriptors::new()
        }
    }

    #[test]
    fn one_fewer_goes_on_for_each_that_lacks_a_descriptor() {
        let descriptors = that_recover_after(Duration::MAX);
        let begin = || descriptors.begin(Some(Instant::now()), never).ok();
        let mut turns: Vec<_> = (0..5).filter_map(|_| begin()).collect();
        assert_eq!(turns.len(), 5);
        assert!(turns.pop().is_some_and(|turn| turn.lacks_one()));
        assert!(turns.pop().is_some_and(|turn| turn.lacks_one()));
        assert!(begin().is_none(), "three go on, and no more may");
        turns.pop();
        let last = begin();
        assert!(last.is_some());
        drop((turns, last));
        let alone = begin();
        assert!(alone.is_some_and(|turn| !turn.lacks_one()));
        assert!(begin().is_some(), "one always may");
    }

    #[test]
    fn more_go_on_once_none_has_been_lacking_for_a_while() {
        let descriptors = that_recover_after(Duration::ZERO);
        let begin = || descriptors.begin(Some(Instant::now()), never).ok();
        let first = begin();
        assert!(begin().is_some_and(|turn| turn.lacks_one()));
        let second = begin();
        assert!(first.is_some() && second.is_some());
    }

    #[test]
    fn wait_ends_with_the_time_of_the_job_and_when_it_is_cancelled() {
        let descriptors = that_recover_after(Duration::MAX);
        let (first, second) = (
            descriptors.begin(None, never),
            descriptors.begin(None, never),
        );
        assert!(second.is_ok_and(|turn| turn.lacks_one()));
        let outcome = descriptors.begin(Some(Instant::now()), never);
        assert!(matches!(
            outcome,
            Err(DownloadErrorKind::Timeout(TimeoutKind::Total))
        ));
        let outcome = descriptors.begin(None, || true);
        assert!(matches!(outcome, Err(DownloadErrorKind::Cancelled)));
        drop(first);
    }
}
