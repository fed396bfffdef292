//! [`Supply`]: the requests for calls that a worker has at the server.

use bytes::Bytes;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a pull waits at the server for a call: a lease, but in these bounds. A
/// server that leads a group and dies forgets it, and nobody says so.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Where calls come from: one pull at a time.
pub(super) struct Supply {
    pull: Option<Pull>,
    pulls: u64,
    queue: Queue,
    /// How long a pull waits at the server.
    wait: Duration,
}

/// A request for calls that is at the server.
struct Pull {
    number: u64,
    /// Calls that are still to come.
    left: usize,
    waits: bool,
    since: Instant,
}

/// What the last pull has shown of the queue.
#[derive(Clone, Copy, PartialEq)]
enum Queue {
    /// There may be calls.
    Unknown,
    /// There is none at the moment.
    Drained,
    /// It cannot be reached: no pull before the next tick.
    Away,
}

impl Supply {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            wait: lease.clamp(SHORTEST, LONGEST),
            pull: None,
            pulls: 0,
            queue: Queue::Unknown,
        }
    }

    /// Returns the next pull, its number and its message, if it is time for one.
    ///
    /// `free` slots are idle, and `room` calls may come of the `capacity` that may
    /// be here.
    pub(super) fn next(
        &mut self,
        free: usize,
        room: usize,
        capacity: usize,
    ) -> Option<(u64, Bytes)> {
        if self.queue == Queue::Away || self.pull.is_some() {
            return None;
        }
        // Only idle slots wait for calls to come: whoever waits gets the next.
        let waits = self.queue == Queue::Drained;
        let batch = if waits { free } else { room };
        if batch == 0 || (free == 0 && room < capacity / 2) {
            return None;
        }
        let expires = u64::try_from(self.wait.as_nanos()).unwrap_or(u64::MAX);
        let request = if waits {
            json!({ "batch": batch, "expires": expires })
        } else {
            json!({ "batch": batch, "no_wait": true })
        };
        self.pulls += 1;
        self.pull = Some(Pull {
            number: self.pulls,
            left: batch,
            waits,
            since: Instant::now(),
        });
        Some((self.pulls, request.to_string().into_bytes().into()))
    }

    /// A call has come.
    pub(super) fn delivered(&mut self) {
        if let Some(pull) = &mut self.pull {
            pull.left -= 1;
            if pull.left == 0 {
                self.pull = None;
                self.queue = Queue::Unknown;
            }
        }
    }

    /// The server says that a pull is over, and why. Says whether the queue may be
    /// gone.
    pub(super) fn ended(&mut self, number: u64, status: u16) -> bool {
        let is_current = |pull: &mut Pull| pull.number == number;
        if self.pull.take_if(is_current).is_none() {
            return false;
        }
        // No calls, or no more of them; otherwise the consumer is gone, or its
        // server is.
        let is_there = matches!(status, 404 | 408);
        self.queue = if is_there {
            Queue::Drained
        } else {
            Queue::Away
        };
        !is_there
    }

    /// The server does not know of a pull any more.
    pub(super) fn reset(&mut self) {
        self.pull = None;
        self.queue = Queue::Unknown;
    }

    /// Tries again what cannot be reached, and gives up a pull without an end;
    /// called once in each period.
    pub(super) fn renew(&mut self, period: Duration) {
        if self.queue == Queue::Away {
            self.queue = Queue::Unknown;
        }
        let wait = self.wait;
        self.pull.take_if(|pull| {
            let patience = if pull.waits { wait } else { Duration::ZERO };
            pull.since.elapsed() > patience + 3 * period
        });
    }
}
