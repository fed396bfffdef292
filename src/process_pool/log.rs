//! [`Log`]: bytes that one thread adds and another reads, without a lock for each
//! addition.
//!
//! One atomic number says how long it is, and whether it is open. So each change of
//! these is before or after each other change, for both threads.
//!
//! - *Open*: its owner writes bytes behind the end, then makes it longer. It is the
//!   only one that does.
//! - *Closed* by the reader: the owner can add nothing, and is told so when it tries. So
//!   while it is closed, nothing has been added.
//! - The owner *clears* it, closed or not: it is open then, and of length 0. Each clear
//!   and each read has a lock of the user's, so that no bytes are written over while they
//!   are read.

#![cfg_attr(
    not(as_completed_loom),
    expect(unreachable_pub, reason = "public for the models")
)]

use crate::sync::{AtomicU8, AtomicUsize, Ordering};

/// The lowest bit of the state; the others are the length.
const CLOSED: usize = 1;

/// Bytes for two threads.
#[derive(Debug)]
pub struct Log {
    bytes: Box<[AtomicU8]>,
    state: AtomicUsize,
}

impl Log {
    /// An empty one, with room for so many bytes.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            bytes: (0..room).map(|_| AtomicU8::new(0)).collect(),
            state: AtomicUsize::new(0),
        }
    }

    /// Makes it as long as `all`, of which it has the bytes up to `start`; unless it is
    /// closed or has no room for them. For the owner.
    #[inline]
    pub fn add(&self, all: &[u8], start: usize) -> bool {
        let Some(room) = self.bytes.get(start..all.len()) else {
            return false;
        };
        for (place, byte) in room.iter().zip(&all[start..]) {
            place.store(*byte, Ordering::Relaxed);
        }
        // The reader that sees the length sees the bytes.
        let (open, longer) = (start << 1, all.len() << 1);
        self.state
            .compare_exchange(open, longer, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Forgets all bytes, and opens it. For the owner, under the lock.
    pub fn clear(&self) {
        self.state.store(0, Ordering::Relaxed);
    }

    /// Lets nothing be added until it is cleared; says whether it was open. For the
    /// reader, under the lock.
    pub fn close(&self) -> bool {
        self.state.fetch_or(CLOSED, Ordering::Acquire) & CLOSED == 0
    }

    /// Under the lock.
    pub fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The bytes from there to the end. For the reader, under the lock, and of a closed
    /// one.
    pub fn read(&self, start: usize) -> Vec<u8> {
        let end = self.state.load(Ordering::Acquire) >> 1;
        let bytes = self.bytes[start..end].iter();
        bytes.map(|byte| byte.load(Ordering::Relaxed)).collect()
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_once_it_is_closed_and_no_more() {
        let log = Log::new(6);
        assert!(log.add(b"ab", 0));
        assert!(log.add(b"abcd", 2));
        assert!(log.close());
        assert!(!log.add(b"abcde", 4));
        assert!(!log.close());
        assert_eq!(log.read(0), b"abcd");
        assert_eq!(log.read(3), b"d");
        log.clear();
        assert!(!log.is_closed());
        assert!(log.add(b"e", 0));
        log.close();
        assert_eq!(log.read(0), b"e");
    }

    #[test]
    fn what_it_has_no_room_for_is_not_added() {
        let log = Log::new(3);
        assert!(log.add(b"abc", 0));
        assert!(!log.add(b"abcd", 3));
        log.clear();
        assert!(!log.add(b"abcd", 0));
        assert!(log.add(b"def", 0));
        log.close();
        assert_eq!(log.read(0), b"def");
    }
}
