//! [`ExecutorExt`]: the ways to submit closures to an executor.

use crate::cancel::CancelToken;
use crate::error::SubmitError;
use crate::executor::{Executor, Task, launch, offer};
use crate::handle::JoinHandle;
use crate::map::{Map, MapUnordered};
use std::fmt;

/// The ways to submit closures to any [`Executor`].
pub trait ExecutorExt: Executor {
    /// Submits a closure and returns the handle of its task.
    ///
    /// Never fails: if the executor does not take the task, its handle
    /// resolves to [`JoinError::Rejected`](crate::JoinError::Rejected). Blocks
    /// only where the executor waits for room in its queue.
    fn submit<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        launch(closure, (), |task| self.execute(Task(task)))
    }

    /// Submits a closure, or gives it back. Never waits for room.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the closure if the executor does not take it: it
    /// is shut down, or its queue is full.
    fn try_submit<F, T>(&self, closure: F) -> Result<JoinHandle<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        offer(closure, |task| self.try_execute(Task(task)))
    }

    /// Submits a closure that is given a [`CancelToken`], which
    /// [`cancel`](JoinHandle::cancel) on its handle sets while it runs.
    ///
    /// Blocks and fails as [`submit`](Self::submit) does.
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
            |task| self.execute(Task(task)),
        )
    }

    /// Applies a function to each item, and returns the results in the order
    /// of the items.
    ///
    /// Lazy: nothing is read or submitted before the first result is asked
    /// for. See [`Map`].
    fn map<I, F, R>(&self, items: I, function: F) -> Map<'_, I::IntoIter, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        Map::new(items.into_iter(), function, |task| self.submit(task))
    }

    /// Applies a function to each item, and returns the results as they come.
    ///
    /// Lazy: nothing is read or submitted before the first result is asked
    /// for. See [`MapUnordered`].
    fn map_unordered<I, F, R>(&self, items: I, function: F) -> MapUnordered<'_, I::IntoIter, R>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        MapUnordered::new(items.into_iter(), function, |task| self.submit(task))
    }
}

impl<E: Executor + ?Sized> ExecutorExt for E {}

/// Gives a type that submits as an executor does the methods of
/// [`ExecutorExt`] without an import.
///
/// `dyn Executor` needs them: generic methods of the trait itself could not be
/// called on a trait object, whose look-up finds these first.
macro_rules! submit_without_import {
    () => {
        /// Submits a closure and returns the handle of its task; see
        /// [`ExecutorExt::submit`](crate::ExecutorExt::submit).
        pub fn submit<F, T>(&self, closure: F) -> crate::JoinHandle<T>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            crate::ExecutorExt::submit(self, closure)
        }

        /// Submits a closure, or gives it back; see
        /// [`ExecutorExt::try_submit`](crate::ExecutorExt::try_submit).
        ///
        /// # Errors
        ///
        /// [`SubmitError`](crate::SubmitError) with the closure if it is not
        /// taken: shut down, or the queue is full.
        pub fn try_submit<F, T>(
            &self,
            closure: F,
        ) -> Result<crate::JoinHandle<T>, crate::SubmitError<F>>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            crate::ExecutorExt::try_submit(self, closure)
        }

        /// Submits a closure that is given a token; see
        /// [`ExecutorExt::submit_cancellable`](crate::ExecutorExt::submit_cancellable).
        pub fn submit_cancellable<F, T>(&self, closure: F) -> crate::JoinHandle<T>
        where
            F: FnOnce(crate::CancelToken) -> T + Send + 'static,
            T: Send + 'static,
        {
            crate::ExecutorExt::submit_cancellable(self, closure)
        }

        /// Applies a function to each item, results in the order of the items;
        /// see [`ExecutorExt::map`](crate::ExecutorExt::map).
        pub fn map<I, F, R>(&self, items: I, function: F) -> crate::Map<'_, I::IntoIter, R>
        where
            I: IntoIterator,
            I::Item: Send + 'static,
            F: Fn(I::Item) -> R + Send + Sync + 'static,
            R: Send + 'static,
        {
            crate::ExecutorExt::map(self, items, function)
        }

        /// Applies a function to each item, results as they come; see
        /// [`ExecutorExt::map_unordered`](crate::ExecutorExt::map_unordered).
        pub fn map_unordered<I, F, R>(
            &self,
            items: I,
            function: F,
        ) -> crate::MapUnordered<'_, I::IntoIter, R>
        where
            I: IntoIterator,
            I::Item: Send + 'static,
            F: Fn(I::Item) -> R + Send + Sync + 'static,
            R: Send + 'static,
        {
            crate::ExecutorExt::map_unordered(self, items, function)
        }
    };
}
pub(crate) use submit_without_import;

impl dyn Executor + '_ {
    submit_without_import!();
}

impl fmt::Debug for dyn Executor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Executor")
    }
}
