//! [`Map`]: results in the order of the items.

use super::chunks::{Chunk, Chunks};
use super::methods::map_methods;
use super::pipeline::Pipeline;
use std::collections::VecDeque;

/// The iterator of `map`: yields the results in the order of the items.
///
/// Each is a `Result`: an item whose function panicked gives
/// [`JoinError::Panicked`](crate::JoinError::Panicked), and the iteration goes on. Nothing happens before the
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
}

map_methods!(Map, "map");
