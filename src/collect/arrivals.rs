//! [`Arrivals`]: the places of handles whose tasks are final, in the order in
//! which they became so.
//!
//! A task that is pending when its handle is registered sends the place of the
//! handle through the channel. One that is final by then takes no such trip: its
//! place is kept here, with the number of those in the channel that came
//! before it.

use crate::sync::{Receiver, RecvTimeoutError};
use crate::task::NUDGE;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

pub(super) struct Arrivals {
    receiver: Receiver<u32>,
    /// How many messages were taken from the channel.
    received: usize,
    /// How many places are in the channel, or will be.
    expected: usize,
    /// Places of handles that were final when they were registered. Consecutive
    /// ones share a range: a million of them need no more room than one.
    ready: VecDeque<Ready>,
}

/// Places that are yielded after so many messages of the channel.
struct Ready {
    after: usize,
    places: Range<u32>,
}

/// What ends a wait on the channel.
pub(super) enum Arrival {
    /// The handle at that place is final.
    Place(u32),
    /// A worker is to look again at what it may run.
    Nudge,
}

const OPEN: &str = "the iterator holds a sender, so the channel is open";

impl From<u32> for Arrival {
    fn from(message: u32) -> Self {
        match message {
            NUDGE => Self::Nudge,
            place => Self::Place(place),
        }
    }
}

impl Arrivals {
    pub(super) fn new(receiver: Receiver<u32>) -> Self {
        Self {
            receiver,
            received: 0,
            expected: 0,
            ready: VecDeque::new(),
        }
    }

    /// Expects one more place through the channel.
    pub(super) fn expect(&mut self) {
        self.expected += 1;
    }

    /// Adds the place of a handle whose task was final when it was registered:
    /// behind all that is in the channel, since that may have ended before.
    #[inline]
    pub(super) fn push(&mut self, place: u32) {
        // Most often there are none, and the channel need not be looked at.
        let in_channel = match self.expected {
            0 => 0,
            _ => self.receiver.len(),
        };
        // Wraps after so many messages that no range is that old.
        let after = self.received.wrapping_add(in_channel);
        match self.ready.back_mut() {
            Some(last) if last.after == after && last.places.end == place => last.places.end += 1,
            _ => self.ready.push_back(Ready {
                after,
                places: place..place + 1,
            }),
        }
    }

    /// The next place, if there is one now.
    #[inline]
    pub(super) fn try_next(&mut self) -> Option<u32> {
        loop {
            if let Some(place) = self.next_ready() {
                return Some(place);
            }
            let message = self.receiver.try_recv().ok()?;
            if let Arrival::Place(place) = self.took(message) {
                return Some(place);
            }
        }
    }

    /// Blocks until a message comes; to be called when
    /// [`try_next`](Self::try_next) has found nothing.
    pub(super) fn recv(&mut self) -> Arrival {
        let message = self.receiver.recv().expect(OPEN);
        self.took(message)
    }

    /// As [`recv`](Self::recv), but `None` if nothing has come by `deadline`.
    pub(super) fn recv_before(&mut self, deadline: Option<Instant>) -> Option<Arrival> {
        let Some(deadline) = deadline else {
            return Some(self.recv());
        };
        match self.receiver.recv_deadline(deadline) {
            Ok(message) => Some(self.took(message)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("{OPEN}"),
        }
    }

    /// Blocks until a place comes; `None` if none has by `deadline`. To be
    /// called when [`try_next`](Self::try_next) has found nothing.
    pub(super) fn next_before(&mut self, deadline: Option<Instant>) -> Option<u32> {
        loop {
            // A nudge is left over from a wait of another kind.
            if let Arrival::Place(place) = self.recv_before(deadline)? {
                return Some(place);
            }
        }
    }

    #[inline]
    fn took(&mut self, message: u32) -> Arrival {
        self.received = self.received.wrapping_add(1);
        let arrival = message.into();
        if let Arrival::Place(_) = arrival {
            self.expected -= 1;
        }
        arrival
    }

    #[inline]
    fn next_ready(&mut self) -> Option<u32> {
        let first = self.ready.front_mut()?;
        if first.after != self.received {
            return None;
        }
        let place = first.places.next();
        if first.places.is_empty() {
            self.ready.pop_front();
        }
        place
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::sync::unbounded;

    #[test]
    fn a_place_pushed_comes_after_what_is_in_the_channel_and_before_what_follows() {
        let (sender, receiver) = unbounded();
        let mut arrivals = Arrivals::new(receiver);
        arrivals.push(0);
        (0..3).for_each(|_| arrivals.expect());
        for place in [1, NUDGE, 2] {
            sender.send(place).unwrap();
        }
        arrivals.push(3);
        arrivals.push(4);
        sender.send(5).unwrap();
        arrivals.push(6);
        let order: Vec<_> = std::iter::from_fn(|| arrivals.try_next()).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn neighbours_share_a_range() {
        let (_sender, receiver) = unbounded();
        let mut arrivals = Arrivals::new(receiver);
        (0..1000).for_each(|place| arrivals.push(place));
        assert_eq!(arrivals.ready.len(), 1);
        arrivals.push(7);
        assert_eq!(arrivals.ready.len(), 2);
        assert_eq!(std::iter::from_fn(|| arrivals.try_next()).count(), 1001);
    }

    #[test]
    fn neighbours_with_another_between_them_come_in_the_order_in_which_they_ended() {
        let (sender, receiver) = unbounded();
        let mut arrivals = Arrivals::new(receiver);
        arrivals.expect();
        arrivals.push(0);
        sender.send(7).unwrap();
        arrivals.push(1);
        let order: Vec<_> = std::iter::from_fn(|| arrivals.try_next()).collect();
        assert_eq!(order, [0, 7, 1]);
    }

    #[test]
    fn a_wait_for_a_place_goes_on_after_a_nudge() {
        let (sender, receiver) = unbounded();
        let mut arrivals = Arrivals::new(receiver);
        arrivals.expect();
        for message in [NUDGE, 3] {
            sender.send(message).unwrap();
        }
        assert_eq!(arrivals.next_before(None), Some(3));
    }
}
