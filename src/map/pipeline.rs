//! [`Pipeline`]: what both kinds of map do, but for the order.
//!
//! The thread that takes the results reads the items and submits them, and so
//! has three things to wait for: an item, room in a queue, and a result. It
//! waits for the result only, wherever it can:
//!
//! - An item is read only while the next result is not there. One chunk more is
//!   read where results are taken, in the place of the chunk that went out, so that
//!   workers do not run dry while results are taken one after the other; that
//!   is left off for an input whose items are slow to come.
//! - A full queue is not waited for alone while there is a result to wait for: the
//!   chunk is kept, and offered again when the result or a place in the queue is there.
//! - An input in the background is never waited for alone: it sends an event,
//!   and so does each chunk.
//!
//! So there are never more than `buffer` chunks in flight, those that are final
//! included, and one that is being read.

use super::chunks::{Chunk, Chunks, Finished, Submitted};
use super::in_flight::InFlight;
use super::input::Read;
use crate::error::{JoinError, UnfinishedError};
use crate::task::{Claim, Claimer, FullQueues, Key, NUDGE, Room, Watcher};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A read that takes longer is slow: a finished result does not wait for another.
const SLOW: Duration = Duration::from_millis(1);

/// How many chunks are taken before a slow input is tried again.
const TRY_AGAIN: u32 = 64;

/// How long a full queue is left alone, at first and at most, where nobody tells of
/// room in it: the pools of this crate do, others cannot.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// What the taker of a result is ready to do for it.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    deadline: Option<Instant>,
    /// Whether it runs tasks where it is a worker and nobody else is free to.
    runs_tasks: bool,
}

impl Patience {
    /// Waits until the deadline, if there is one, and only waits.
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            runs_tasks: false,
        }
    }

    #[inline]
    fn is_over(self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// After `pause`, or at the deadline if that is sooner.
    fn within(self, pause: Duration) -> Instant {
        let pause = Instant::now() + pause;
        self.deadline.map_or(pause, |deadline| deadline.min(pause))
    }
}

pub(super) struct Pipeline<'a, I: Iterator, R: 'a, Q: InFlight<'a, R>> {
    pub(super) chunks: Chunks<'a, I, R>,
    in_flight: Q,
    /// The results of the chunk that was taken last.
    finished: Finished<R>,
    /// How many chunks are to be taken before the next is read ahead.
    skip: u32,
    /// The queues that had no room for the chunk that was offered last.
    full: FullQueues,
    /// How long they are left alone if they do not tell of room.
    pause: Duration,
}

/// Why no more is submitted now.
enum Filled<'a, R> {
    /// A chunk is final.
    Ready(Chunk<'a, R>),
    /// As much is in flight as may be, or the input has ended.
    ToTheBrim,
    /// The item is still being read in the background.
    NoItem,
    QueueFull,
    TooLate,
}

impl<'a, I: Iterator, R: 'a, Q: InFlight<'a, R>> Pipeline<'a, I, R, Q> {
    pub(super) fn new(chunks: Chunks<'a, I, R>, in_flight: Q) -> Self {
        Self {
            chunks,
            in_flight,
            finished: Finished::none(),
            skip: 0,
            full: FullQueues::default(),
            pause: FIRST_PAUSE,
        }
    }

    /// Returns the next result, however long it takes; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Result<R, JoinError>> {
        // Most are taken from a chunk that is here.
        if let Some(result) = self.finished.next() {
            return Some(result);
        }
        let endless = Patience {
            deadline: None,
            runs_tasks: true,
        };
        self.next_within(endless)
            .expect("a wait without a deadline does not end before its time")
    }

    /// Returns the next result, `None` at the end.
    #[inline(never)]
    pub(super) fn next_within(
        &mut self,
        patience: Patience,
    ) -> Result<Option<Result<R, JoinError>>, UnfinishedError> {
        loop {
            if let Some(result) = self.finished.next() {
                return Ok(Some(result));
            }
            match self.next_chunk(patience)? {
                Some(chunk) => self.finished = Finished::of(chunk),
                // An input that could not be read has one result, which says why.
                None => return Ok(self.chunks.take_failure().map(Err)),
            }
        }
    }

    /// Takes the next chunk.
    fn next_chunk(&mut self, patience: Patience) -> Result<Option<Chunk<'a, R>>, UnfinishedError> {
        self.read_ahead(patience);
        loop {
            if let Some(background) = self.chunks.input.background() {
                background.forget_events();
            }
            let taken = match self.fill(patience) {
                Filled::Ready(chunk) => Some(chunk),
                Filled::ToTheBrim if self.in_flight.len() == 0 => return Ok(None),
                Filled::ToTheBrim if patience.runs_tasks => self.in_flight.next_to_join(),
                Filled::ToTheBrim => self.in_flight.next_before(patience.deadline),
                Filled::NoItem => self.wait_for_event(patience),
                Filled::QueueFull => self.wait_for_room(patience),
                Filled::TooLate if self.in_flight.len() == 0 && self.chunks.is_at_end() => {
                    return Ok(None);
                }
                Filled::TooLate => return Err(self.unfinished()),
            };
            match taken {
                Some(chunk) => return Ok(Some(chunk)),
                None if patience.is_over() => return Err(self.unfinished()),
                None => {}
            }
        }
    }

    /// Submits what there is room for, while the next chunk is not final.
    fn fill(&mut self, patience: Patience) -> Filled<'a, R> {
        loop {
            if let Some(chunk) = self.in_flight.next_ready() {
                return Filled::Ready(chunk);
            }
            if self.in_flight.len() >= self.chunks.settings.buffer.get() {
                return Filled::ToTheBrim;
            }
            if patience.is_over() {
                return Filled::TooLate;
            }
            // What a full queue has left over comes first.
            if !self.chunks.is_complete() {
                match self.chunks.read_item() {
                    Read::Item(()) if self.chunks.is_complete() => {}
                    Read::Item(()) => continue,
                    Read::End if self.chunks.unsubmitted() > 0 => {}
                    Read::End => return Filled::ToTheBrim,
                    // A part of a chunk is better than nothing to wait for.
                    Read::NotYet if self.chunks.unsubmitted() > 0 && self.in_flight.len() == 0 => {}
                    Read::NotYet => return Filled::NoItem,
                }
            }
            if !self.submit(patience) {
                return Filled::QueueFull;
            }
        }
    }

    /// Submits what has been read; says whether there was room for it.
    fn submit(&mut self, patience: Patience) -> bool {
        // Nothing can be kept back by waiting if there is nothing in flight.
        let room = if self.in_flight.len() == 0 && patience.deadline.is_none() {
            Room::Wait
        } else {
            Room::Now
        };
        match self.chunks.submit(room) {
            Submitted::Chunk(chunk) => {
                self.pause = FIRST_PAUSE;
                if let Some(background) = self.chunks.input.background() {
                    background.watch(&chunk.1);
                }
                self.in_flight.push(chunk);
                true
            }
            Submitted::QueueFull(full) => {
                self.full = full;
                false
            }
        }
    }

    /// Has a thread of its own read the input from now on.
    pub(super) fn read_in_background(mut self) -> Self
    where
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        self.chunks.read_in_background();
        if let Some(background) = self.chunks.input.background() {
            for (_, handle) in self.in_flight.iter() {
                background.watch(handle);
            }
        }
        self
    }

    /// Reads and submits one chunk in the place of the one that was taken
    /// before, unless the input was slow lately.
    fn read_ahead(&mut self, patience: Patience) {
        let in_flight = self.in_flight.len();
        if in_flight == 0 || in_flight >= self.chunks.settings.buffer.get() {
            return;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let may_block = self.chunks.input.background().is_none();
        let start = may_block.then(Instant::now);
        // Before each item, since the input may be slow.
        while !self.chunks.is_complete()
            && !patience.is_over()
            && matches!(self.chunks.read_item(), Read::Item(()))
        {}
        if start.is_some_and(|start| start.elapsed() > SLOW) {
            self.skip = TRY_AGAIN;
        }
        if self.chunks.is_complete() && !patience.is_over() {
            self.submit(patience);
        }
    }

    /// Waits, when a queue was found full, for a chunk or until there may be room.
    fn wait_for_room(&mut self, patience: Patience) -> Option<Chunk<'a, R>> {
        if patience.runs_tasks && self.in_flight.len() > 0 && Claimer::current().is_some() {
            return self.in_flight.next_to_join();
        }
        let full = std::mem::take(&mut self.full);
        let deadline = if full.tell() {
            patience.deadline
        } else {
            let until = patience.within(self.pause);
            self.pause = LONGEST_PAUSE.min(2 * self.pause);
            Some(until)
        };
        self.in_flight.next_or_room(&full, deadline)
    }

    /// Waits until an item or a chunk may be there.
    fn wait_for_event(&mut self, patience: Patience) -> Option<Chunk<'a, R>> {
        let background = self.chunks.input.background()?;
        let claimer = Claimer::current().filter(|_| patience.runs_tasks);
        let Some(claimer) = claimer else {
            background.wait(patience.deadline);
            return None;
        };
        let completions = background.completions();
        let mut has_run = false;
        let mut looked_at = 0;
        for (_, handle) in self.in_flight.iter() {
            let watcher = || Watcher::Completion(Arc::clone(completions), NUDGE);
            // Before the look, which finds a task of no pool not to be run here: an
            // executor may hand it on to this pool later.
            let _ = handle.cell().watch(watcher());
            looked_at += 1;
            match claimer.claim_or_watch(handle.cell(), watcher) {
                Claim::Never => {}
                // Others are free to, for this one and all others.
                Claim::Left => break,
                Claim::Ran => {
                    has_run = true;
                    break;
                }
            }
        }
        if !has_run {
            background.wait(patience.deadline);
        }
        let key = Key::Completion(completions);
        claimer.unwatch(&key);
        for (_, handle) in self.in_flight.iter().take(looked_at) {
            handle.cell().unwatch(&key);
        }
        None
    }

    fn unfinished(&self) -> UnfinishedError {
        let handles = self.in_flight.iter();
        UnfinishedError {
            pending: handles.filter(|(_, handle)| !handle.is_finished()).count(),
            total: self.chunks.submitted(),
        }
    }

    /// The bounds of what is here already and what the input still brings.
    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting: usize = self.in_flight.iter().map(|(items, _)| items).sum();
        let here = self.finished.len() + waiting + self.chunks.unsubmitted();
        let (lower, upper) = self.chunks.input.size_hint();
        (
            lower.saturating_add(here),
            upper.and_then(|upper| upper.checked_add(here)),
        )
    }

    pub(super) fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

impl<'a, I: Iterator, R: 'a, Q: InFlight<'a, R>> Drop for Pipeline<'a, I, R, Q> {
    fn drop(&mut self) {
        for (_, handle) in self.in_flight.iter() {
            handle.cancel();
        }
        // After what is pending, which then does not start to hear of it.
        if let Some(token) = &self.chunks.settings.token {
            token.cancel();
        }
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::collect::{AsCompleted, as_completed};
    use crate::error::Rejected;
    use std::collections::VecDeque;

    fn reads_in_vain<Q: InFlight<'static, i32>>(in_flight: Q) {
        let chunks = Chunks::new(0..3, |n| n, |_, _| unreachable!("nothing is read"));
        let mut pipeline = Pipeline::new(chunks, in_flight);
        pipeline.chunks.input.read_in_vain();
        let failure = pipeline.next();
        assert!(matches!(
            failure,
            Some(Err(JoinError::Rejected(Rejected::Thread(_))))
        ));
        assert!(pipeline.next().is_none());
    }

    #[test]
    fn an_input_whose_thread_cannot_be_started_is_one_result_that_says_so() {
        reads_in_vain(VecDeque::new());
        let none: [Chunk<'static, i32>; 0] = [];
        let none: AsCompleted<Chunk<'static, i32>> = as_completed(none);
        reads_in_vain(none);
    }
}
