//! [`Map`]: results in the order of the items.

use super::chunks::{Chunk, Chunks, Finished, Read, bounds, has_passed};
use crate::collect::{NextBefore, Timed};
use crate::error::{JoinError, Unfinished};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// The iterator of `map`: yields the results in the order of the items.
///
/// Each is a `Result`: an item whose function panicked gives
/// [`JoinError::Panicked`], and the iteration goes on. Reads its input and
/// submits as it goes, with [`buffer`](Self::buffer) tasks in flight at most. A
/// result that is there is given out before more input is read. Reading ahead
/// blocks for as long as the input does: with an input that waits for results,
/// set `buffer(1)`. Nothing happens before the first `next`, which blocks until its result is
/// there and, on a worker of the same pool, runs the task itself if it has not
/// started. Dropping it cancels the tasks that are pending; those that run go
/// on. The counterpart of Python's `Executor.map`, which submits all at once.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
///
/// let pool = ThreadPool::new(4);
/// let doubled: Vec<u64> = pool
///     .map(0.., |n| n * 2)
///     .buffer(16)
///     .take(3)
///     .collect::<Result<_, _>>()?;
/// assert_eq!(doubled, [0, 2, 4]);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Map<'a, I: Iterator, R> {
    chunks: Chunks<'a, I, R>,
    in_flight: VecDeque<Chunk<'a, R>>,
    finished: Finished<R>,
}

impl<'a, I: Iterator, R> Map<'a, I, R> {
    pub(crate) fn new(chunks: Chunks<'a, I, R>) -> Self {
        Self {
            chunks,
            in_flight: VecDeque::new(),
            finished: Finished::none(),
        }
    }

    settings!();

    /// Submits what there is room for, until the deadline and only while the
    /// next result is not there: it is given out before more input is read.
    fn fill(&mut self, deadline: Option<Instant>) {
        while self.in_flight.len() < self.chunks.buffer.get() {
            let first = self.in_flight.front();
            if first.is_some_and(|(_, handle)| handle.is_finished()) || has_passed(deadline) {
                break;
            }
            match self.chunks.read_one() {
                Read::Item => {}
                Read::Chunk(chunk) => self.in_flight.push_back(chunk),
                Read::End => break,
            }
        }
    }

    fn unfinished(&self) -> Unfinished {
        let is_pending = |(_, handle): &&Chunk<'_, R>| !handle.is_finished();
        Unfinished {
            pending: self.in_flight.iter().filter(is_pending).count(),
            total: self.chunks.submitted,
        }
    }
}

impl<I: Iterator, R> Iterator for Map<'_, I, R> {
    type Item = Result<R, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(result) = self.finished.results.next() {
                return Some(result);
            }
            self.fill(None);
            self.finished = Finished::of(self.in_flight.pop_front()?);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting: usize = self.in_flight.iter().map(|(items, _)| items).sum();
        bounds(
            self.finished.results.len() + waiting + self.chunks.read.len(),
            self.chunks.items.size_hint(),
        )
    }
}

impl<I: Iterator, R> NextBefore for Map<'_, I, R> {
    fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, Unfinished> {
        if let Some(result) = self.finished.results.next() {
            return Ok(Some(result));
        }
        self.fill(deadline);
        let Some((_, first)) = self.in_flight.front() else {
            return if has_passed(deadline) && !self.chunks.is_at_end() {
                Err(self.unfinished())
            } else {
                Ok(None)
            };
        };
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if first.wait_timeout(left).is_err() {
            return Err(self.unfinished());
        }
        // It is final, so `next` neither reads nor waits.
        Ok(self.next())
    }
}

impl<I: Iterator, R> FusedIterator for Map<'_, I, R> {}

impl<I: Iterator, R> Drop for Map<'_, I, R> {
    fn drop(&mut self) {
        for (_, handle) in &self.in_flight {
            handle.cancel();
        }
    }
}

impl<I: Iterator, R> fmt::Debug for Map<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

impl<I: Iterator, R> Iterator for Timed<Map<'_, I, R>> {
    type Item = Result<Result<R, JoinError>, Unfinished>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_in_time()
    }
}

impl<I: Iterator, R> FusedIterator for Timed<Map<'_, I, R>> {}
