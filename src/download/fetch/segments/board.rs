//! [`Board`]: the plan that the connections of one file share, and its end.

use super::plan::{Plan, Take};
use crate::download::error::DownloadErrorKind;
use crate::download::fetch::failure::Failure;
use crate::download::fetch::pace::SharedSpeedometer;
use crate::download::fetch::ranges::Ranges;
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How often a connection with nothing to do looks for others that are slow.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The plan that the connections of one file share.
pub(super) struct Board {
    state: Mutex<State>,
    /// Something may be open, or all is over.
    changed: Condvar,
    /// All is over.
    ended: Condvar,
}

struct State {
    plan: Plan,
    /// Of all connections together.
    speed: Option<SharedSpeedometer>,
    /// Connections that have not left.
    live: usize,
    /// Why the attempt fails, or why the last connection left that did.
    failure: Option<Failure>,
    failed: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.failed || self.live == 0 || self.plan.is_complete()
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.failed = true;
    }
}

/// What there is so far.
pub(super) struct Seen {
    pub(super) written: Ranges,
    pub(super) is_over: bool,
}

impl Board {
    pub(super) fn new(plan: Plan, speed: Option<SharedSpeedometer>, connections: usize) -> Self {
        Self {
            state: Mutex::new(State {
                plan,
                speed,
                live: connections,
                failure: None,
                failed: false,
            }),
            changed: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Claims a piece for a connection that can read on `at`. Blocks until there
    /// is one. Returns `None` once the connection is of no more use.
    pub(super) fn take(&self, who: usize, at: &Range<u64>) -> Option<Range<u64>> {
        let mut state = self.state.lock();
        loop {
            if state.is_over() {
                return None;
            }
            let now = Instant::now();
            match state.plan.take(who, at, now) {
                Take::Piece(piece) => return Some(piece),
                Take::Nothing => return None,
                Take::Wait => {
                    self.changed.wait_until(&mut state, now + LOOK_AGAIN);
                }
            }
        }
    }

    /// Waits for a moment, or until all is over; returns whether it is.
    pub(super) fn idle(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_over() {
            let until = Instant::now() + LOOK_AGAIN;
            self.changed.wait_until(&mut state, until);
        }
        state.is_over()
    }

    /// Notes that a connection begins to read.
    pub(super) fn begin_read(&self) {
        if let Some(speed) = &mut self.state.lock().speed {
            speed.begin(Instant::now());
        }
    }

    /// Notes that a connection has read so many bytes, none if the read has failed.
    pub(super) fn end_read(&self, bytes: usize) -> Result<(), DownloadErrorKind> {
        match &mut self.state.lock().speed {
            None => Ok(()),
            Some(speed) => speed.end(bytes, Instant::now()),
        }
    }

    /// Looks whether nothing has come for too long, over any connection.
    pub(super) fn check_speed(&self) -> Result<(), DownloadErrorKind> {
        match &self.state.lock().speed {
            None => Ok(()),
            Some(speed) => speed.check(Instant::now()),
        }
    }

    /// Reserves up to `length` bytes that have come; returns them, and where the claim
    /// ends now.
    pub(super) fn reserve(&self, who: usize, length: u64) -> (Range<u64>, u64) {
        let mut state = self.state.lock();
        let reserved = state.plan.reserve(who, length, Instant::now());
        (reserved, state.plan.end_of(who))
    }

    /// Notes that a connection is not to read before then.
    pub(super) fn hold_back(&self, who: usize, until: Instant) {
        self.state.lock().plan.hold_back(who, until);
    }

    /// Notes that reserved bytes are in the file.
    pub(super) fn wrote(&self, range: Range<u64>) {
        let mut state = self.state.lock();
        state.plan.wrote(range);
        if state.plan.is_complete() {
            self.tell_all(state);
        }
    }

    /// Opens what a connection has left, for all.
    pub(super) fn put_down(&self, who: usize) {
        self.state.lock().plan.put_down(who, Instant::now());
        self.changed.notify_all();
    }

    /// Notes that the server does not honour ranges.
    pub(super) fn refuse_ranges(&self) {
        self.state.lock().plan.refuse_ranges();
        self.changed.notify_all();
    }

    pub(super) fn has_no_ranges(&self) -> bool {
        self.state.lock().plan.has_no_ranges()
    }

    /// Whether other connections are at work.
    pub(super) fn has_others(&self) -> bool {
        self.state.lock().live > 1
    }

    /// Notes why a connection is about to leave.
    pub(super) fn note_failure(&self, failure: Failure) {
        let mut state = self.state.lock();
        if !state.failed {
            state.failure = Some(failure);
        }
    }

    /// Ends the attempt, unless all is over.
    pub(super) fn fail(&self, failure: Failure) {
        let mut state = self.state.lock();
        if !state.is_over() {
            state.fail(failure);
        }
        self.tell_all(state);
    }

    /// Ends the attempt, also where all bytes are written: the file is not checked yet.
    pub(super) fn give_up(&self, failure: Failure) {
        let mut state = self.state.lock();
        if !state.failed {
            state.fail(failure);
        }
        self.tell_all(state);
    }

    /// Takes a connection off.
    pub(super) fn leave(&self, who: usize) {
        let mut state = self.state.lock();
        state.plan.put_down(who, Instant::now());
        state.live -= 1;
        self.tell_all(state);
    }

    fn tell_all(&self, state: MutexGuard<'_, State>) {
        let is_over = state.is_over();
        drop(state);
        self.changed.notify_all();
        if is_over {
            self.ended.notify_all();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().is_over()
    }

    /// Waits until all is over, for `at_most`; returns what there is.
    pub(super) fn watch(&self, at_most: Duration) -> Seen {
        let until = Instant::now() + at_most;
        let mut state = self.state.lock();
        while !state.is_over() && Instant::now() < until {
            self.ended.wait_until(&mut state, until);
        }
        Seen {
            written: state.plan.written().clone(),
            is_over: state.is_over(),
        }
    }

    /// Whether the file is complete, or why it is not; `None` if the last
    /// connection left because the server does not honour ranges.
    pub(super) fn outcome(&self) -> Result<(), Option<Failure>> {
        let mut state = self.state.lock();
        if state.plan.is_complete() && !state.failed {
            return Ok(());
        }
        if state.plan.has_no_ranges() && !state.failed {
            return Err(None);
        }
        Err(state.failure.take())
    }
}
