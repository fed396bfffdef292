//! [`MapUnordered`]: results as they come.

use super::chunks::{Chunk, Chunks};
use super::pipeline::{Patience, Pipeline};
use crate::collect::{AsCompleted, NextBefore, Timed, as_completed};
use crate::error::{JoinError, UnfinishedError};
use crate::task::CancelToken;
use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// The iterator of `map_unordered`: yields the results as they come.
///
/// The same as [`Map`](crate::Map) in all but the order: a slow item delays none of
/// the others.
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
    pipeline: Pipeline<'a, I, R, AsCompleted<Chunk<'a, R>>>,
}

impl<'a, I: Iterator, R> MapUnordered<'a, I, R> {
    pub(crate) fn new(chunks: Chunks<'a, I, R>) -> Self {
        Self {
            pipeline: Pipeline::new(chunks, as_completed([])),
        }
    }

    /// Sets how many tasks are in flight at most, results not yet taken
    /// included; 1024 by default. See [`Map::buffer`](crate::Map::buffer).
    ///
    /// # Panics
    ///
    /// If `tasks` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(4);
    /// let odd = pool.map_unordered(1_u64.., |n| n % 2).buffer(8).take(100);
    /// assert!(odd.map(Result::unwrap).sum::<u64>() > 0);
    /// ```
    pub fn buffer(mut self, tasks: usize) -> Self {
        self.pipeline.chunks.settings.set_buffer(tasks);
        self
    }

    /// Sets how many items make a task; 1 by default. See
    /// [`Map::chunk_size`](crate::Map::chunk_size).
    ///
    /// # Panics
    ///
    /// If `items` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(4);
    /// let squares = pool.map_unordered(0..1000, |n| n * n).chunk_size(100);
    /// assert_eq!(squares.map(Result::unwrap).max(), Some(998_001));
    /// ```
    pub fn chunk_size(mut self, items: usize) -> Self {
        self.pipeline.chunks.settings.set_chunk_size(items);
        self
    }

    /// Reads the input on a thread of its own, which starts at the first `next`.
    /// See [`Map::read_in_background`](crate::Map::read_in_background).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(4);
    /// let (sender, numbers) = mpsc::channel();
    /// sender.send(8)?;
    /// let mut halves = pool.map_unordered(numbers, |n| n / 2).read_in_background();
    /// assert_eq!(halves.next().unwrap().unwrap(), 4); // though the channel blocks
    /// drop(sender);
    /// assert!(halves.next().is_none());
    /// # Ok::<(), mpsc::SendError<i32>>(())
    /// ```
    pub fn read_in_background(self) -> Self
    where
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        Self {
            pipeline: self.pipeline.read_in_background(),
        }
    }

    /// Cancels `token` when the map is dropped, after the pending tasks. See
    /// [`Map::cancel_on_drop`](crate::Map::cancel_on_drop).
    ///
    /// # Examples
    ///
    /// The first of several to succeed ends the others:
    ///
    /// ```
    /// use as_completed::{CancelToken, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(2);
    /// let token = CancelToken::new();
    /// let seen = token.clone();
    /// let mut naps = pool
    ///     .map_unordered([u64::MAX, 0], move |seconds| seen.sleep(Duration::from_secs(seconds)))
    ///     .cancel_on_drop(token);
    /// assert_eq!(naps.next().transpose()?, Some(true));
    /// drop(naps);
    /// pool.join(); // nobody sleeps on
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn cancel_on_drop(mut self, token: CancelToken) -> Self {
        self.pipeline.chunks.settings.token = Some(token);
        self
    }

    /// Bounds the whole iteration: yields `Ok(result)` until `timeout` has
    /// passed since this call, then one `Err` and no more. See
    /// [`Map::timeout`](crate::Map::timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Inline, UnfinishedError};
    /// use std::time::Duration;
    ///
    /// let squares = Inline.map_unordered(1..=3, |n| n * n).timeout(Duration::MAX);
    /// let squares: Result<Vec<_>, UnfinishedError> = squares.collect();
    /// assert_eq!(squares?.into_iter().map(Result::unwrap).sum::<i32>(), 14);
    /// # Ok::<(), UnfinishedError>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Timed<Self> {
        Timed::new(self, timeout)
    }
}

impl<I: Iterator, R> Iterator for MapUnordered<'_, I, R> {
    type Item = Result<R, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pipeline.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pipeline.size_hint()
    }
}

impl<I: Iterator, R> NextBefore for MapUnordered<'_, I, R> {
    fn next_before(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Self::Item>, UnfinishedError> {
        self.pipeline.next_within(Patience::until(deadline))
    }
}

impl<I: Iterator, R> FusedIterator for MapUnordered<'_, I, R> {}

impl<I: Iterator, R> fmt::Debug for MapUnordered<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pipeline.fmt("MapUnordered", f)
    }
}

impl<I: Iterator, R> Iterator for Timed<MapUnordered<'_, I, R>> {
    type Item = Result<Result<R, JoinError>, UnfinishedError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_in_time()
    }
}

impl<I: Iterator, R> FusedIterator for Timed<MapUnordered<'_, I, R>> {}
