//! [`Timed`]: an iterator that stops waiting at a deadline.

use crate::error::UnfinishedError;
use std::time::{Duration, Instant};

/// An iterator that can stop waiting at a deadline.
pub(crate) trait NextBefore: Iterator {
    /// As `next`, until the deadline if there is one; runs no tasks meanwhile.
    fn next_before(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Self::Item>, UnfinishedError>;
}

/// An iterator whose waits end at a deadline: the one of
/// [`AsCompleted::timeout`](crate::AsCompleted::timeout) and of the maps' `timeout`.
///
/// Yields `Ok(item)`s and, if the deadline passes while work is unfinished,
/// one `Err` and no more. [`into_inner`](Self::into_inner) returns the iterator,
/// to continue or to collect what is pending. Waits without running tasks.
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, ThreadPool, UnfinishedError};
/// use std::time::Duration;
///
/// let pool = ThreadPool::new(2);
/// let squares = as_completed((1..=3).map(|n| pool.submit(move || n * n)));
/// let mut sum = 0;
/// for square in squares.timeout(Duration::from_secs(60)) {
///     sum += square?.join().unwrap();
/// }
/// assert_eq!(sum, 14);
/// # Ok::<(), UnfinishedError>(())
/// ```
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Timed<I> {
    inner: I,
    /// `None` if it is too far away to be told from never.
    deadline: Option<Instant>,
    over: bool,
}

impl<I> Timed<I> {
    pub(crate) fn new(inner: I, timeout: Duration) -> Self {
        Self {
            inner,
            deadline: Instant::now().checked_add(timeout),
            over: false,
        }
    }

    /// Returns the iterator without its deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let mut hurried = as_completed([pool.submit(|| 4)]).timeout(Duration::ZERO);
    /// let four = match hurried.next().unwrap() {
    ///     Ok(handle) => handle,
    ///     Err(_) => hurried.into_inner().next().unwrap(), // as long as it takes
    /// };
    /// assert_eq!(four.join()?, 4);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn into_inner(self) -> I {
        self.inner
    }
}

impl<I> Timed<I> {
    /// The `next` of each kind. Those stand beside the kinds: one for all would
    /// name a private trait in the documentation.
    pub(crate) fn next_in_time(&mut self) -> Option<Result<I::Item, UnfinishedError>>
    where
        I: NextBefore,
    {
        if self.over {
            return None;
        }
        let next = self.inner.next_before(self.deadline).transpose();
        self.over = matches!(next, None | Some(Err(_)));
        next
    }
}
