//! [`Relay`]: events on their way to an observer that has a thread of its own, because
//! it borrows from the caller.

use super::happening::Happening;
use crate::download::job::Job;
use crate::download::report::Entry;
use crate::sync::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What the observer is to be told.
pub(crate) enum Message<K> {
    Happened {
        job: Arc<Job<K>>,
        number: u64,
        what: Happening,
    },
    Finished(Entry<K>),
}

/// Events on their way to an observer, in order.
///
/// Nobody waits for room. What waits is bounded all the same: bytes of a job are added to
/// those that wait, and the jobs that wait to be told of are in flight until they are.
pub(crate) struct Relay<K> {
    state: Mutex<State<K>>,
    /// Notified when something waits that did not, and when it is closed.
    changed: Condvar,
}

struct State<K> {
    waiting: VecDeque<Message<K>>,
    /// How many have been taken, so that the position of each can be told.
    taken: u64,
    /// By the number of a job, the position of its last message, if that is of bytes.
    bytes: HashMap<u64, u64>,
    is_closed: bool,
}

impl<K> Relay<K> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                taken: 0,
                bytes: HashMap::new(),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn happened(&self, job: &Arc<Job<K>>, number: u64, what: Happening) {
        let mut state = self.state.lock();
        if !state.add_to_waiting(number, &what) {
            let job = Arc::clone(job);
            state
                .waiting
                .push_back(Message::Happened { job, number, what });
            self.changed.notify_one();
        }
    }

    pub(crate) fn finished(&self, entry: Entry<K>) {
        let mut state = self.state.lock();
        state.bytes.remove(&entry.number());
        state.waiting.push_back(Message::Finished(entry));
        self.changed.notify_one();
    }

    /// Ends [`next`](Self::next) once nothing waits.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Blocks until there is something to tell, or never will be.
    pub(crate) fn next(&self) -> Option<Message<K>> {
        let mut state = self.state.lock();
        loop {
            if let Some(message) = state.take() {
                return Some(message);
            }
            if state.is_closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}

impl<K> State<K> {
    /// Adds bytes to those of the job that wait; returns whether there are such.
    fn add_to_waiting(&mut self, number: u64, what: &Happening) -> bool {
        let Happening::Bytes {
            received: more,
            total: now,
            ..
        } = what
        else {
            self.bytes.remove(&number);
            return false;
        };
        let end = self.taken + self.waiting.len() as u64;
        let position = *self.bytes.entry(number).or_insert(end);
        let waiting = usize::try_from(position - self.taken)
            .ok()
            .and_then(|place| self.waiting.get_mut(place));
        if let Some(Message::Happened {
            what: Happening::Bytes {
                received, total, ..
            },
            ..
        }) = waiting
        {
            *received += more;
            *total = *now;
            return true;
        }
        false
    }

    fn take(&mut self) -> Option<Message<K>> {
        let message = self.waiting.pop_front()?;
        self.taken += 1;
        if let Message::Happened {
            number,
            what: Happening::Bytes { .. },
            ..
        } = &message
        {
            if self.bytes.get(number) == Some(&(self.taken - 1)) {
                self.bytes.remove(number);
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(received: u64, total: u64) -> Happening {
        Happening::Bytes {
            received,
            total,
            expected: None,
        }
    }

    /// What waits: the number of the job, and for bytes how many of how many.
    fn waiting(relay: &Relay<()>) -> Vec<(u64, Option<(u64, u64)>)> {
        relay.close();
        std::iter::from_fn(|| relay.next())
            .map(|message| match message {
                Message::Happened { number, what, .. } => match what {
                    Happening::Bytes {
                        received, total, ..
                    } => (number, Some((received, total))),
                    _ => (number, None),
                },
                Message::Finished(entry) => (entry.number(), None),
            })
            .collect()
    }

    #[test]
    fn bytes_that_wait_are_one_message_for_each_job() {
        let (relay, job) = (Relay::new(), Arc::new(Job::new((), "", "")));
        relay.happened(&job, 0, Happening::Started);
        for count in 1..=10 {
            relay.happened(&job, 0, bytes(1, count));
            relay.happened(&job, 1, bytes(2, 2 * count));
        }
        let expected = [(0, None), (0, Some((10, 10))), (1, Some((20, 20)))];
        assert_eq!(waiting(&relay), expected);
    }

    #[test]
    fn bytes_are_not_told_before_what_came_before_them() {
        let (relay, job) = (Relay::new(), Arc::new(Job::new((), "", "")));
        relay.happened(&job, 0, bytes(3, 3));
        relay.happened(&job, 0, Happening::Started);
        relay.happened(&job, 0, bytes(1, 1));
        relay.happened(&job, 0, bytes(1, 2));
        let expected = [(0, Some((3, 3))), (0, None), (0, Some((2, 2)))];
        assert_eq!(waiting(&relay), expected);
    }

    #[test]
    fn bytes_that_come_after_others_were_told_are_told_too() {
        let (relay, job) = (Relay::new(), Arc::new(Job::new((), "", "")));
        relay.happened(&job, 7, bytes(1, 1));
        assert!(relay.next().is_some());
        relay.happened(&job, 7, bytes(1, 2));
        relay.happened(&job, 7, bytes(1, 3));
        assert_eq!(waiting(&relay), [(7, Some((2, 3)))]);
    }
}
