//! [`MapUnordered`]: results as they come.

use super::chunks::{Chunk, Chunks};
use super::methods::map_methods;
use super::pipeline::Pipeline;
use crate::collect::{AsCompleted, as_completed};

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
}

map_methods!(MapUnordered, "map_unordered");
