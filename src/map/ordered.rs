//! [`Map`]: results in the order of the items.

use super::chunks::{Chunk, Chunks, Finished, bounds};
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
/// submits as it goes, with [`buffer`](Self::buffer) tasks in flight at most;
/// nothing happens before the first `next`, which blocks until its result is
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

    fn fill(&mut self) {
        while self.in_flight.len() < self.chunks.buffer.get() {
            let Some(chunk) = self.chunks.next() else {
                break;
            };
            self.in_flight.push_back(chunk);
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
            self.fill();
            self.finished = Finished::of(self.in_flight.pop_front()?);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting: usize = self.in_flight.iter().map(|(items, _)| items).sum();
        bounds(
            self.finished.results.len() + waiting,
            self.chunks.items.size_hint(),
        )
    }
}

impl<I: Iterator, R> NextBefore for Map<'_, I, R> {
    fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, Unfinished> {
        if let Some(result) = self.finished.results.next() {
            return Ok(Some(result));
        }
        self.fill();
        let Some((_, first)) = self.in_flight.front() else {
            return Ok(None);
        };
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if first.wait_timeout(left).is_err() {
            let is_pending = |(_, handle): &&Chunk<'_, R>| !handle.is_finished();
            return Err(Unfinished {
                pending: self.in_flight.iter().filter(is_pending).count(),
                total: self.chunks.submitted,
            });
        }
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
