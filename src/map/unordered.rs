//! [`MapUnordered`]: results as they come.

use super::chunks::{Chunk, Chunks, Finished, Read, bounds, has_passed};
use crate::collect::{AsCompleted, NextBefore, Timed, as_completed};
use crate::error::{JoinError, Unfinished};
use std::fmt;
use std::iter::FusedIterator;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// The iterator of `map_unordered`: yields the results as they come.
///
/// As [`Map`](crate::Map) in all but the order: a slow item holds up none of the others.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
///
/// let pool = ThreadPool::new(4);
/// let mut lengths: Vec<usize> = pool
///     .map_unordered(["a", "bb", "ccc"], str::len)
///     .collect::<Result<_, _>>()?;
/// lengths.sort_unstable();
/// assert_eq!(lengths, [1, 2, 3]);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct MapUnordered<'a, I: Iterator, R> {
    chunks: Chunks<'a, I, R>,
    in_flight: AsCompleted<Chunk<'a, R>>,
    finished: Finished<R>,
}

impl<'a, I: Iterator, R> MapUnordered<'a, I, R> {
    pub(crate) fn new(chunks: Chunks<'a, I, R>) -> Self {
        Self {
            chunks,
            in_flight: as_completed([]),
            finished: Finished::none(),
        }
    }

    settings!();

    /// Submits what there is room for, until the deadline and only while no
    /// result is there, which is given out before more input is read. Returns
    /// the chunk that is.
    fn fill(&mut self, deadline: Option<Instant>) -> Option<Chunk<'a, R>> {
        loop {
            if let Some(chunk) = self.in_flight.next_ready() {
                return Some(chunk);
            }
            if self.in_flight.len() >= self.chunks.buffer.get() || has_passed(deadline) {
                return None;
            }
            match self.chunks.read_one() {
                Read::Item => {}
                Read::Chunk(chunk) => self.in_flight.push(chunk),
                Read::End => return None,
            }
        }
    }
}

impl<I: Iterator, R> Iterator for MapUnordered<'_, I, R> {
    type Item = Result<R, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(result) = self.finished.results.next() {
                return Some(result);
            }
            let chunk = match self.fill(None) {
                Some(chunk) => chunk,
                None => self.in_flight.next()?,
            };
            self.finished = Finished::of(chunk);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting: usize = self.in_flight.handles().map(|(items, _)| items).sum();
        bounds(
            self.finished.results.len() + waiting + self.chunks.read.len(),
            self.chunks.items.size_hint(),
        )
    }
}

impl<I: Iterator, R> NextBefore for MapUnordered<'_, I, R> {
    fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Self::Item>, Unfinished> {
        loop {
            if let Some(result) = self.finished.results.next() {
                return Ok(Some(result));
            }
            let chunk = match self.fill(deadline) {
                Some(chunk) => Some(chunk),
                None => self.in_flight.next_before(deadline)?,
            };
            let Some(chunk) = chunk else {
                return if has_passed(deadline) && !self.chunks.is_at_end() {
                    Err(Unfinished {
                        pending: 0,
                        total: self.chunks.submitted,
                    })
                } else {
                    Ok(None)
                };
            };
            self.finished = Finished::of(chunk);
        }
    }
}

impl<I: Iterator, R> FusedIterator for MapUnordered<'_, I, R> {}

impl<I: Iterator, R> Drop for MapUnordered<'_, I, R> {
    fn drop(&mut self) {
        for (_, handle) in self.in_flight.handles() {
            handle.cancel();
        }
    }
}

impl<I: Iterator, R> fmt::Debug for MapUnordered<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapUnordered")
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

impl<I: Iterator, R> Iterator for Timed<MapUnordered<'_, I, R>> {
    type Item = Result<Result<R, JoinError>, Unfinished>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_in_time()
    }
}

impl<I: Iterator, R> FusedIterator for Timed<MapUnordered<'_, I, R>> {}
