//! [`Map`] and [`MapUnordered`]: a function over many items, lazily and within
//! bounds.
//!
//! Items are read when there is room for them in flight, and handed to workers
//! in chunks, so that a tiny item does not pay for a task of its own.

use crate::as_completed::{AsCompleted, as_completed};
use crate::error::{JoinError, Panic, Unfinished};
use crate::handle::ScopedJoinHandle;
use crate::timed::{NextBefore, Timed};
use crate::unwind;
use std::collections::VecDeque;
use std::fmt;
use std::iter::{Fuse, FusedIterator};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks in flight unless [`Map::buffer`] says otherwise: enough for any pool
/// of blocking work, and bounded, for endless input.
const DEFAULT_BUFFER: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");

/// The results of one chunk.
type Results<R> = Vec<Result<R, JoinError>>;

/// The work on one chunk, as a closure that can be submitted.
pub(crate) type ChunkTask<'a, R> = Box<dyn FnOnce() -> Results<R> + Send + 'a>;

/// A chunk in flight, and how many items it holds.
type Chunk<'a, R> = (usize, ScopedJoinHandle<'a, Results<R>>);

/// Submits one chunk.
type Submit<'a, T, R> = Box<dyn Fn(Vec<T>) -> ScopedJoinHandle<'a, Results<R>> + Send + 'a>;

/// Cuts the input into chunks and submits them.
struct Chunks<'a, I: Iterator, R> {
    items: Fuse<I>,
    submit: Submit<'a, I::Item, R>,
    chunk_size: NonZeroUsize,
    buffer: NonZeroUsize,
    submitted: usize,
}

impl<'a, I: Iterator, R> Chunks<'a, I, R> {
    fn new<'task, F>(
        items: I,
        function: F,
        submit: impl Fn(ChunkTask<'task, R>) -> ScopedJoinHandle<'task, Results<R>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(I::Item) -> R + Send + Sync + 'task,
        R: Send + 'task,
    {
        let function = Arc::new(function);
        Self {
            items: items.fuse(),
            submit: Box::new(move |chunk| {
                let function = Arc::clone(&function);
                submit(Box::new(move || work(&*function, chunk)))
            }),
            chunk_size: NonZeroUsize::MIN,
            buffer: DEFAULT_BUFFER,
            submitted: 0,
        }
    }

    fn next(&mut self) -> Option<Chunk<'a, R>> {
        let chunk: Vec<_> = self.items.by_ref().take(self.chunk_size.get()).collect();
        if chunk.is_empty() {
            return None;
        }
        self.submitted += 1;
        Some((chunk.len(), (self.submit)(chunk)))
    }
}

/// Applies `function` to each item; a panic costs its own item only.
fn work<T, R>(function: impl Fn(T) -> R, chunk: Vec<T>) -> Results<R> {
    chunk
        .into_iter()
        .map(|item| {
            unwind::catch(|| function(item))
                .map_err(|payload| JoinError::Panicked(Panic::new(payload)))
        })
        .collect()
}

/// The results of a chunk that is final, in the order of its items.
struct Finished<R> {
    results: std::vec::IntoIter<Result<R, JoinError>>,
}

impl<R> Finished<R> {
    fn none() -> Self {
        Self {
            results: Vec::new().into_iter(),
        }
    }

    fn of((items, handle): Chunk<'_, R>) -> Self {
        let results = handle.join().unwrap_or_else(|error| spread(&error, items));
        Self {
            results: results.into_iter(),
        }
    }
}

/// A chunk that was not run gives each of its items the reason.
fn spread<R>(error: &JoinError, items: usize) -> Results<R> {
    std::iter::repeat_with(|| match error {
        JoinError::Rejected(reason) => Err(JoinError::Rejected(reason.clone())),
        // Panics of the function are caught item by item.
        _ => Err(JoinError::Cancelled),
    })
    .take(items)
    .collect()
}

macro_rules! settings {
    () => {
        /// Sets how many tasks are in flight at most, results not yet taken
        /// included; 1024 by default.
        ///
        /// Items are read from the input only when there is room, so memory
        /// stays bounded on endless input. The counterpart of `buffersize` in
        /// Python 3.14.
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
        /// let odd = pool.map_unordered(1_u64.., |n| n % 2).buffer(8).take(100);
        /// assert!(odd.map(Result::unwrap).sum::<u64>() > 0);
        /// ```
        pub fn buffer(mut self, tasks: usize) -> Self {
            self.chunks.buffer = NonZeroUsize::new(tasks).expect("buffer is at least one task");
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
            self.chunks.chunk_size =
                NonZeroUsize::new(items).expect("chunk_size is at least one item");
            self
        }

        /// Bounds the whole iteration: yields `Ok(result)` until `timeout` has
        /// passed since this call, then one `Err` and no more.
        ///
        /// Dropping it, as dropping the map, cancels what is pending. Waits
        /// without running tasks.
        ///
        /// # Examples
        ///
        /// ```
        /// use as_completed::{Inline, Unfinished};
        /// use std::time::Duration;
        ///
        /// let mut sum = 0;
        /// for result in Inline.map(1..=3, |n| n).timeout(Duration::MAX) {
        ///     sum += result?.unwrap();
        /// }
        /// assert_eq!(sum, 6);
        /// # Ok::<(), Unfinished>(())
        /// ```
        pub fn timeout(self, timeout: Duration) -> Timed<Self> {
            Timed::new(self, timeout)
        }
    };
}

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
    pub(crate) fn new<'task, F>(
        items: I,
        function: F,
        submit: impl Fn(ChunkTask<'task, R>) -> ScopedJoinHandle<'task, Results<R>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(I::Item) -> R + Send + Sync + 'task,
        R: Send + 'task,
    {
        Self {
            chunks: Chunks::new(items, function, submit),
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

/// The iterator of `map_unordered`: yields the results as they come.
///
/// As [`Map`] in all but the order: a slow item holds up none of the others.
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
    pub(crate) fn new<'task, F>(
        items: I,
        function: F,
        submit: impl Fn(ChunkTask<'task, R>) -> ScopedJoinHandle<'task, Results<R>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(I::Item) -> R + Send + Sync + 'task,
        R: Send + 'task,
    {
        Self {
            chunks: Chunks::new(items, function, submit),
            in_flight: as_completed([]),
            finished: Finished::none(),
        }
    }

    settings!();

    fn fill(&mut self) {
        while self.in_flight.len() < self.chunks.buffer.get() {
            let Some(chunk) = self.chunks.next() else {
                break;
            };
            self.in_flight.push(chunk);
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
            self.fill();
            self.finished = Finished::of(self.in_flight.next()?);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting: usize = self.in_flight.handles().map(|(items, _)| items).sum();
        bounds(
            self.finished.results.len() + waiting,
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
            self.fill();
            match self.in_flight.next_before(deadline)? {
                Some(chunk) => self.finished = Finished::of(chunk),
                None => return Ok(None),
            }
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

/// The bounds of what is here already and what the input still brings.
fn bounds(here: usize, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
    (
        input.0.saturating_add(here),
        input.1.and_then(|upper| upper.checked_add(here)),
    )
}
