//! [`Map`]: results in the order of the items.

use super::chunks::{Chunk, Chunks};
use super::pipeline::{Patience, Pipeline};
use crate::collect::{NextBefore, Timed};
use crate::error::{JoinError, UnfinishedError};
use crate::task::CancelToken;
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

/// The iterator of `map`: yields the results in the order of the items.
///
/// Each is a `Result`: an item whose function panicked gives
/// [`JoinError::Panicked`], and the iteration goes on. Nothing happens before the
/// first `next`. Dropping the map cancels the tasks that are pending; those that
/// run go on, unless [`cancel_on_drop`](Self::cancel_on_drop) tells them to stop.
/// The counterpart of Python's `Executor.map`, which submits everything at once.
///
/// # Reading and waiting
///
/// `next` reads the input on the thread that calls it, submits what it reads, and
/// blocks until the next result is ready. On a worker of the same pool it runs that
/// task itself if no other worker is free to.
///
/// - At most [`buffer`](Self::buffer) tasks are in flight, finished ones
///   included, so memory stays bounded on endless input.
/// - A result that is ready is given out before the input is read, but for one task's
///   items, which are read in the place of those taken last. Input that was slow,
///   more than a millisecond for these items, is not read then.
/// - No result waits for room in a full queue.
/// - While no result is ready, a read blocks for as long as the input does. For
///   input that is slow, such as a channel, and for input that waits for results
///   itself, use [`read_in_background`](Self::read_in_background): then a result
///   is given out as soon as it is ready.
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
    pipeline: Pipeline<'a, I, R, VecDeque<Chunk<'a, R>>>,
}

impl<'a, I: Iterator, R> Map<'a, I, R> {
    pub(crate) fn new(chunks: Chunks<'a, I, R>) -> Self {
        Self {
            pipeline: Pipeline::new(chunks, VecDeque::new()),
        }
    }

    /// Sets how many tasks are in flight at most, results not yet taken
    /// included; 1024 by default.
    ///
    /// The counterpart of `buffersize` in Python 3.14.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0: nothing would ever be read.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(4);
    /// let mut odd = pool.map(1_u64.., |n| n % 2).buffer(8);
    /// assert_eq!(odd.next().transpose()?, Some(1)); // 8 numbers are read at most
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn buffer(mut self, tasks: usize) -> Self {
        self.pipeline.chunks.settings.set_buffer(tasks);
        self
    }

    /// Sets how many items make a task; 1 by default.
    ///
    /// Large chunks make tiny items cheap; small ones spread the work more
    /// evenly and give the first results sooner.
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
    /// let sum: u64 = pool.map(0..1000, |n| n).chunk_size(100).map(Result::unwrap).sum();
    /// assert_eq!(sum, 499_500);
    /// ```
    pub fn chunk_size(mut self, items: usize) -> Self {
        self.pipeline.chunks.settings.set_chunk_size(items);
        self
    }

    /// Reads the input on a thread of its own, which starts at the first `next`.
    ///
    /// Then no result waits for a read, and the input may wait for results that
    /// it is to be made of. The thread reads one item at a time, when there is room for
    /// it. It ends with the input, or after the map is dropped, with the read that
    /// is going on. A chunk that is not complete is submitted if nothing else
    /// is in flight. If the thread cannot be started, the only result is
    /// [`JoinError::Rejected`].
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(4);
    /// let (sender, numbers) = mpsc::channel();
    /// sender.send(1)?;
    /// let mut doubled = pool.map(numbers, |n| 2 * n).read_in_background();
    /// assert_eq!(doubled.next().unwrap().unwrap(), 2); // though the channel blocks
    /// sender.send(2)?;
    /// assert_eq!(doubled.next().unwrap().unwrap(), 4);
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

    /// Cancels `token` when the map is dropped, after the pending tasks.
    ///
    /// Give the function a clone of it, to have running items stop early.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{CancelToken, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(2);
    /// let token = CancelToken::new();
    /// let seen = token.clone();
    /// let mut naps = pool
    ///     .map([0, u64::MAX], move |seconds| seen.sleep(Duration::from_secs(seconds)))
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
    /// passed since this call, then one `Err` and no more.
    ///
    /// After the deadline nothing is read or submitted; results that are
    /// ready are still yielded. A read of the input that blocks is not cut
    /// short, unless it is [in the background](Self::read_in_background). Waits
    /// without running tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Inline, UnfinishedError};
    /// use std::time::Duration;
    ///
    /// let mut sum = 0;
    /// for result in Inline.map(1..=3, |n| n).timeout(Duration::MAX) {
    ///     sum += result?.unwrap();
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), UnfinishedError>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Timed<Self> {
        Timed::new(self, timeout)
    }
}

impl<I: Iterator, R> Iterator for Map<'_, I, R> {
    type Item = Result<R, JoinError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pipeline.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pipeline.size_hint()
    }
}

impl<I: Iterator, R> NextBefore for Map<'_, I, R> {
    fn next_before(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Self::Item>, UnfinishedError> {
        self.pipeline.next_within(Patience::until(deadline))
    }
}

impl<I: Iterator, R> FusedIterator for Map<'_, I, R> {}

impl<I: Iterator, R> fmt::Debug for Map<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pipeline.fmt("Map", f)
    }
}

impl<I: Iterator, R> Iterator for Timed<Map<'_, I, R>> {
    type Item = Result<Result<R, JoinError>, UnfinishedError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_in_time()
    }
}

impl<I: Iterator, R> FusedIterator for Timed<Map<'_, I, R>> {}
