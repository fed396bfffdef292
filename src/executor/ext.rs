//! [`ExecutorExt`]: the ways to submit closures to an executor.

use super::limit::Limit;
use super::{Executor, hand_over};
use crate::error::SubmitError;
use crate::map::{Chunks, Map, MapUnordered};
use crate::task::{CancelToken, JoinHandle, Room, launch, launch_with_timeout, offer};
use std::fmt;
use std::time::Duration;

/// The ways to submit closures to any [`Executor`].
///
/// Every executor has them. [`ThreadPool`](crate::ThreadPool),
/// [`Inline`](crate::Inline) and `dyn Executor` have them without an import;
/// import the trait to write `executor.submit(…)` of an `impl Executor`.
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, Executor, ExecutorExt, Inline, ThreadPool};
///
/// fn sum_of_squares(executor: &impl Executor) -> u64 {
///     let squares = (1..=3).map(|n| executor.submit(move || n * n));
///     as_completed(squares).map(|square| square.join().unwrap()).sum()
/// }
///
/// assert_eq!(sum_of_squares(&Inline), 14);
/// assert_eq!(sum_of_squares(&ThreadPool::new(2)), 14);
/// ```
pub trait ExecutorExt: Executor {
    /// Submits a closure and returns the handle of its task.
    ///
    /// Never fails: if the executor does not take the task, its handle
    /// resolves to [`JoinError::Rejected`](crate::JoinError::Rejected). Blocks
    /// only where the executor waits for room in its queue. Dropping the
    /// handle detaches the task.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let handle = pool.submit(|| 6 * 7);
    /// assert_eq!(handle.join()?, 42);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    fn submit<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        launch(closure, (), |task| hand_over(self, task, Room::Wait))
    }

    /// Submits a closure, or gives it back. Never waits for room.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the closure if the executor does not take it: it
    /// is shut down, or its queue is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::builder().max_workers(1).queue_capacity(1).build()?;
    /// let (sender, receiver) = mpsc::channel::<()>();
    /// let (started, start) = mpsc::channel();
    /// pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     receiver.recv()
    /// }).detach();
    /// start.recv().unwrap();
    /// let queued = pool.try_submit(|| 1).unwrap();
    /// let error = pool.try_submit(|| 2).unwrap_err(); // the queue is full
    /// assert_eq!(error.into_closure()(), 2);
    /// drop(sender);
    /// assert_eq!(queued.join().unwrap(), 1);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    fn try_submit<F, T>(&self, closure: F) -> Result<JoinHandle<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        offer(closure, (), |task| hand_over(self, task, Room::Now))
    }

    /// Submits a closure that is given a [`CancelToken`], which
    /// [`cancel`](JoinHandle::cancel) on its handle sets while it runs.
    ///
    /// Blocks and fails as [`submit`](Self::submit) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let handle = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
    /// handle.cancel();
    /// match handle.join() {
    ///     Ok(slept) => assert!(!slept), // it was running, and saw the token
    ///     Err(error) => assert!(error.is_cancelled()), // it had not started
    /// }
    /// ```
    fn submit_cancellable<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce(CancelToken) -> T + Send + 'static,
        T: Send + 'static,
    {
        let token = CancelToken::new();
        let seen = token.clone();
        launch(
            move || closure(seen),
            token,
            |task| hand_over(self, task, Room::Wait),
        )
    }

    /// Submits a closure that may run for `timeout`: then the [`CancelToken`]
    /// that it is given is set, and its handle resolves to
    /// [`JoinError::TimedOut`](crate::JoinError::TimedOut).
    ///
    /// The clock starts when the closure does, not at submit. A running closure
    /// cannot be stopped from outside: it looks at the token, or leaves a callback
    /// by [`CancelToken::on_cancel`], which should be short, for all timeouts share
    /// the thread that runs it. The handle resolves when the closure has ended;
    /// what it returns after its time is dropped. `Duration::MAX` is no timeout.
    /// [`cancel`](JoinHandle::cancel) sets the token too. Blocks and fails as
    /// [`submit`](Self::submit) does; the task is also rejected if the thread that
    /// measures timeouts cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{JoinError, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let limit = Duration::from_millis(5);
    /// let handle = pool.submit_with_timeout(limit, |token| token.sleep(Duration::MAX));
    /// assert!(matches!(handle.join(), Err(JoinError::TimedOut(after)) if after.limit() == limit));
    /// ```
    fn submit_with_timeout<F, T>(&self, timeout: Duration, closure: F) -> JoinHandle<T>
    where
        F: FnOnce(CancelToken) -> T + Send + 'static,
        T: Send + 'static,
    {
        launch_with_timeout(timeout, closure, |task| hand_over(self, task, Room::Wait))
    }

    /// Returns a view of the executor that runs at most `tasks` at the same time.
    ///
    /// See [`Limit`].
    ///
    /// # Panics
    ///
    /// If `tasks` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{ExecutorExt, Inline};
    ///
    /// assert_eq!(Inline.limit(1).submit(|| 6 * 7).join().unwrap(), 42);
    /// ```
    fn limit(&self, tasks: usize) -> Limit<&Self> {
        Limit::new(self, tasks)
    }

    /// Applies a function to each item, and returns the results in the order
    /// of the items.
    ///
    /// Lazy: nothing is read or submitted before the first result is asked
    /// for. See [`Map`].
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(4);
    /// let lengths: Result<Vec<_>, _> = pool.map(["a", "bb", "ccc"], str::len).collect();
    /// assert_eq!(lengths?, [1, 2, 3]);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    fn map<I, F, R>(&self, items: I, function: F) -> Map<'_, I::IntoIter, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let hand_over = |task, room| hand_over(self, task, room);
        Map::new(Chunks::new(items.into_iter(), function, hand_over))
    }

    /// Applies a function to each item, and returns the results as they come.
    ///
    /// Lazy: nothing is read or submitted before the first result is asked
    /// for. See [`MapUnordered`].
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(4);
    /// let total: usize = pool.map_unordered(["a", "bb", "ccc"], str::len).map(Result::unwrap).sum();
    /// assert_eq!(total, 6);
    /// ```
    fn map_unordered<I, F, R>(&self, items: I, function: F) -> MapUnordered<'_, I::IntoIter, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let hand_over = |task, room| hand_over(self, task, room);
        MapUnordered::new(Chunks::new(items.into_iter(), function, hand_over))
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}

/// Gives an executor the method `limit` without an import.
macro_rules! limit_without_import {
    () => {
        /// Returns a view that runs at most `tasks` at the same time; see
        /// [`Limit`](crate::Limit).
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
        /// let pool = ThreadPool::new(8);
        /// let database = pool.limit(2);
        /// assert_eq!(database.submit(|| 6 * 7).join().unwrap(), 42);
        /// ```
        pub fn limit(&self, tasks: usize) -> crate::Limit<&Self> {
            crate::Limit::new(self, tasks)
        }
    };
}
pub(crate) use limit_without_import;

/// Gives a type that submits as an executor does the methods of
/// [`ExecutorExt`] without an import.
///
/// `dyn Executor` needs them: generic methods of the trait itself could not be
/// called on a trait object, whose look-up finds these first. A scoped pool, which
/// is no executor, has them with its own lifetime. Given are what the tasks may
/// borrow, the handle, the function that hands a task over, and the first and
/// the last line of the examples, in which `pool` is what submits.
macro_rules! submit_without_import {
    ($borrow:lifetime, $handle:ty, $hand_over:path, $first:expr, $last:expr) => {
        /// Submits a closure and returns the handle of its task; see
        /// [`ExecutorExt::submit`](crate::ExecutorExt::submit).
        ///
        /// # Examples
        ///
        #[doc = concat!("```\n", $first, "
let handle = pool.submit(|| 6 * 7);
assert_eq!(handle.join().unwrap(), 42);
", $last, "```")]
        pub fn submit<F, T>(&self, closure: F) -> $handle
        where
            F: FnOnce() -> T + Send + $borrow,
            T: Send + $borrow,
        {
            use crate::task::{Room, launch};
            launch(closure, (), |task| $hand_over(self, task, Room::Wait))
        }

        /// Submits a closure, or gives it back; never waits for room. See
        /// [`ExecutorExt::try_submit`](crate::ExecutorExt::try_submit).
        ///
        /// # Errors
        ///
        /// [`SubmitError`](crate::SubmitError) with the closure and the reason if it is
        /// not taken.
        ///
        /// # Examples
        ///
        #[doc = concat!("```\n", $first, "
match pool.try_submit(|| 6 * 7) {
    Ok(handle) => assert_eq!(handle.join().unwrap(), 42),
    Err(error) => assert_eq!(error.into_closure()(), 42),
}
", $last, "```")]
        pub fn try_submit<F, T>(&self, closure: F) -> Result<$handle, crate::SubmitError<F>>
        where
            F: FnOnce() -> T + Send + $borrow,
            T: Send + $borrow,
        {
            use crate::task::{Room, offer};
            offer(closure, (), |task| $hand_over(self, task, Room::Now))
        }

        /// Submits a closure that is given a token; see
        /// [`ExecutorExt::submit_cancellable`](crate::ExecutorExt::submit_cancellable).
        ///
        /// # Examples
        ///
        #[doc = concat!("```\n", $first, "
let handle = pool.submit_cancellable(|token| token.is_cancelled());
assert!(!handle.join().unwrap());
", $last, "```")]
        pub fn submit_cancellable<F, T>(&self, closure: F) -> $handle
        where
            F: FnOnce(crate::CancelToken) -> T + Send + $borrow,
            T: Send + $borrow,
        {
            use crate::task::{Room, launch};
            let token = crate::CancelToken::new();
            let seen = token.clone();
            launch(
                move || closure(seen),
                token,
                |task| $hand_over(self, task, Room::Wait),
            )
        }

        /// Submits a closure that may run for `timeout`; see
        /// [`ExecutorExt::submit_with_timeout`](crate::ExecutorExt::submit_with_timeout).
        ///
        /// # Examples
        ///
        #[doc = concat!("```\n", $first, "
use std::time::Duration;

let limit = Duration::from_millis(5);
let handle = pool.submit_with_timeout(limit, |token| token.sleep(Duration::MAX));
assert!(handle.join().is_err());
", $last, "```")]
        pub fn submit_with_timeout<F, T>(&self, timeout: std::time::Duration, closure: F) -> $handle
        where
            F: FnOnce(crate::CancelToken) -> T + Send + $borrow,
            T: Send + $borrow,
        {
            use crate::task::{Room, launch_with_timeout};
            launch_with_timeout(timeout, closure, |task| $hand_over(self, task, Room::Wait))
        }

        /// Applies a function to each item, and returns the results in the order
        /// of the items; see [`ExecutorExt::map`](crate::ExecutorExt::map).
        ///
        /// # Examples
        ///
        #[doc = concat!("```\n", $first, r#"
let lengths = pool.map(["a", "bb", "ccc"], str::len).map(Result::unwrap);
assert_eq!(lengths.collect::<Vec<_>>(), [1, 2, 3]);
"#, $last, "```")]
        pub fn map<I, F, R>(&self, items: I, function: F) -> crate::Map<'_, I::IntoIter, R>
        where
            I: IntoIterator,
            I::Item: Send + $borrow,
            F: Fn(I::Item) -> R + Send + Sync + $borrow,
            R: Send + $borrow,
        {
            let hand_over = |task, room| $hand_over(self, task, room);
            crate::Map::new(crate::map::Chunks::new(
                items.into_iter(),
                function,
                hand_over,
            ))
        }

        /// Applies a function to each item, and returns the results as they
        /// come; see [`ExecutorExt::map_unordered`](crate::ExecutorExt::map_unordered).
        ///
        /// # Examples
        ///
        #[doc = concat!("```\n", $first, r#"
let lengths = pool.map_unordered(["a", "bb", "ccc"], str::len).map(Result::unwrap);
assert_eq!(lengths.sum::<usize>(), 6);
"#, $last, "```")]
        pub fn map_unordered<I, F, R>(
            &self,
            items: I,
            function: F,
        ) -> crate::MapUnordered<'_, I::IntoIter, R>
        where
            I: IntoIterator,
            I::Item: Send + $borrow,
            F: Fn(I::Item) -> R + Send + Sync + $borrow,
            R: Send + $borrow,
        {
            let hand_over = |task, room| $hand_over(self, task, room);
            crate::MapUnordered::new(crate::map::Chunks::new(
                items.into_iter(),
                function,
                hand_over,
            ))
        }
    };
}
pub(crate) use submit_without_import;

impl<'a> dyn Executor + 'a {
    /// Returns a view that runs at most `tasks` at the same time; see [`Limit`].
    ///
    /// # Panics
    ///
    /// If `tasks` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{Executor, ThreadPool};
    ///
    /// let pool: Box<dyn Executor> = Box::new(ThreadPool::new(8));
    /// assert_eq!(pool.limit(2).max_tasks(), 2);
    /// ```
    pub fn limit(&self, tasks: usize) -> Limit<&(dyn Executor + 'a)> {
        Limit::new(self, tasks)
    }

    submit_without_import!(
        'static,
        JoinHandle<T>,
        hand_over,
        "use as_completed::{Executor, ThreadPool};\n\nlet pool: Box<dyn Executor> = Box::new(ThreadPool::new(2));",
        ""
    );
}

impl fmt::Debug for dyn Executor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Executor")
    }
}
