//! [`AsCompletedStream`]: results as they are ready, for async code.

use super::as_completed::AsCompleted;
use super::awaited::Awaited;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The stream of [`AsCompleted::into_stream`]: yields each handle once, when its
/// task is final.
///
/// Polling runs no tasks and never blocks; only the last waker is woken. It is a
/// type of its own because `next` of a type that is an iterator and a stream
/// would be ambiguous. Dropping it does what dropping the iterator does.
///
/// # Examples
///
/// ```
/// # mod futures {
/// #     // What the crate `futures` has, in little.
/// #     use futures_core::Stream;
/// #     use std::future::poll_fn;
/// #     use std::pin::Pin;
/// #     pub trait StreamExt: Stream + Unpin {
/// #         fn next(&mut self) -> impl Future<Output = Option<Self::Item>> {
/// #             poll_fn(|context| Pin::new(&mut *self).poll_next(context))
/// #         }
/// #     }
/// #     impl<S: Stream + Unpin> StreamExt for S {}
/// # }
/// use as_completed::{as_completed, Inline};
/// use futures::StreamExt;
///
/// let squares = (1..=3).map(|n| (n, Inline.submit(move || n * n)));
/// let mut squares = as_completed(squares).into_stream();
/// pollster::block_on(async {
///     while let Some((n, square)) = squares.next().await {
///         assert_eq!(square.await.unwrap(), n * n);
///     }
/// });
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct AsCompletedStream<H: Awaited> {
    inner: AsCompleted<H>,
}

impl<H: Awaited> AsCompleted<H> {
    /// Turns the iterator into a `Stream`, for `.next().await` on any runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod futures {
    /// #     // What the crate `futures` has, in little.
    /// #     use futures_core::Stream;
    /// #     use std::future::poll_fn;
    /// #     use std::pin::Pin;
    /// #     pub trait StreamExt: Stream + Unpin {
    /// #         fn next(&mut self) -> impl Future<Output = Option<Self::Item>> {
    /// #             poll_fn(|context| Pin::new(&mut *self).poll_next(context))
    /// #         }
    /// #     }
    /// #     impl<S: Stream + Unpin> StreamExt for S {}
    /// # }
    /// use as_completed::{as_completed, ThreadPool};
    /// use futures::StreamExt;
    ///
    /// let pool = ThreadPool::new(2);
    /// let mut all = as_completed([pool.submit(|| 1), pool.submit(|| 2)]).into_stream();
    /// let sum = async {
    ///     let mut sum = 0;
    ///     while let Some(handle) = all.next().await {
    ///         sum += handle.await.unwrap(); // ready
    ///     }
    ///     sum
    /// };
    /// assert_eq!(pollster::block_on(sum), 3);
    /// ```
    pub fn into_stream(self) -> AsCompletedStream<H> {
        AsCompletedStream { inner: self }
    }
}

impl<H: Awaited> AsCompletedStream<H> {
    /// Adds a handle and wakes whoever polls, if its task is final already; see
    /// [`AsCompleted::push`].
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, Inline};
    ///
    /// let mut all = as_completed([Inline.submit(|| 2)]).into_stream();
    /// all.push(Inline.submit(|| 3));
    /// assert_eq!(all.into_inner().len(), 2);
    /// ```
    pub fn push(&mut self, handle: H) {
        self.inner.push(handle);
    }

    /// Returns the iterator with the handles not yet yielded.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, Inline};
    ///
    /// let stream = as_completed([Inline.submit(|| 4)]).into_stream();
    /// assert_eq!(stream.into_inner().len(), 1);
    /// ```
    pub fn into_inner(self) -> AsCompleted<H> {
        self.inner
    }
}

impl<H: Awaited + Unpin> Stream for AsCompletedStream<H> {
    type Item = H;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<H>> {
        self.inner.poll_ready(context.waker())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}
