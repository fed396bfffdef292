//! [`ThreadPool::scope`]: tasks that borrow.

use super::ThreadPool;
use super::core::{Core, default_thread_name, next_id};
use super::state::Settings;
use crate::error::SubmitError;
use crate::map::{Chunks, Map, MapUnordered};
use crate::task::{CancelToken, ErasedTask, Refused, Room, ScopedJoinHandle, launch, offer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;

impl ThreadPool {
    /// Runs `body` with a pool of at most `max_workers` threads whose tasks may
    /// borrow what outlives the call.
    ///
    /// Blocks until `body` has returned and all tasks have run, including those
    /// submitted by tasks; then it joins the threads. It also waits for tasks whose
    /// handles were dropped. Built on
    /// [`std::thread::scope`]; the counterpart of Python's `with
    /// ThreadPoolExecutor() as executor:`.
    ///
    /// # Panics
    ///
    /// If `max_workers` is 0. If `body` panics, with the same panic, once all tasks
    /// have run. Panics of tasks are in their handles.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let text = String::from("one\nthree");
    /// let lengths: Vec<usize> = ThreadPool::scope(4, |pool| {
    ///     let handles: Vec<_> = text.lines().map(|line| pool.submit(move || line.len())).collect();
    ///     handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    /// });
    /// assert_eq!(lengths, [3, 5]);
    /// ```
    pub fn scope<'env, T>(
        max_workers: usize,
        body: impl for<'scope> FnOnce(ScopedPool<'scope, 'env>) -> T,
    ) -> T {
        assert!(
            max_workers > 0,
            "a pool needs at least one worker: max_workers is 0"
        );
        thread::scope(|scope| {
            let settings = Settings {
                max_workers,
                queue_capacity: usize::MAX,
                keep_alive: None,
                initializer: None,
            };
            let id = next_id();
            let name = default_thread_name(id);
            let core = Core::new(
                id,
                settings,
                Box::new(move |index, body| {
                    thread::Builder::new()
                        .name(format!("{name}-{index}"))
                        .spawn_scoped(scope, body)?;
                    // Joined by the scope.
                    Ok(None)
                }),
            );
            // Closes the pool also when the body panics: the scope joins the
            // workers, who would wait for more.
            let _close = CloseOnDrop(&core);
            body(ScopedPool {
                core: Arc::clone(&core),
                environment: PhantomData,
            })
        })
    }
}

struct CloseOnDrop<'a, 'scope>(&'a Core<'scope>);

impl Drop for CloseOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A pool whose tasks may borrow what outlives its scope; see
/// [`ThreadPool::scope`].
///
/// Cloning it is cheap; a task that submits more tasks captures a clone. Dropping
/// it does nothing: the scope waits for the tasks.
///
/// # Examples
///
/// ```
/// use as_completed::{ScopedPool, ThreadPool};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// fn count<'scope>(pool: &ScopedPool<'scope, '_>, counter: &'scope AtomicU32, depth: u32) {
///     counter.fetch_add(1, Ordering::Relaxed);
///     for _ in 0..depth {
///         let inside = pool.clone();
///         pool.submit(move || count(&inside, counter, depth - 1));
///     }
/// }
///
/// let counter = AtomicU32::new(0);
/// ThreadPool::scope(4, |pool| count(&pool, &counter, 3));
/// assert_eq!(counter.into_inner(), 16);
/// ```
#[derive(Clone)]
pub struct ScopedPool<'scope, 'env> {
    core: Arc<Core<'scope>>,
    /// Invariant in `'env`, as std's `Scope` is.
    environment: PhantomData<&'scope mut &'env ()>,
}

impl<'scope> ScopedPool<'scope, '_> {
    /// Submits a closure and returns the handle of its task; see
    /// [`ExecutorExt::submit`](crate::ExecutorExt::submit).
    pub fn submit<F, T>(&self, closure: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        launch(closure, (), |task| self.core.submit(task))
    }

    /// Submits a closure, or gives it back; see
    /// [`ExecutorExt::try_submit`](crate::ExecutorExt::try_submit).
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the closure if no thread can be started, or if the
    /// body is over and no task runs that could have brought it.
    pub fn try_submit<F, T>(
        &self,
        closure: F,
    ) -> Result<ScopedJoinHandle<'scope, T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        offer(closure, (), |task| self.core.try_submit(task))
    }

    /// Submits a closure that is given a token; see
    /// [`ExecutorExt::submit_cancellable`](crate::ExecutorExt::submit_cancellable).
    pub fn submit_cancellable<F, T>(&self, closure: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce(CancelToken) -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let token = CancelToken::new();
        let seen = token.clone();
        launch(move || closure(seen), token, |task| self.core.submit(task))
    }

    /// Applies a function to each item, results in the order of the items; see
    /// [`Map`].
    pub fn map<I, F, R>(&self, items: I, function: F) -> Map<'_, I::IntoIter, R>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> R + Send + Sync + 'scope,
        R: Send + 'scope,
    {
        let chunks = Chunks::new(items.into_iter(), function, self.execute());
        Map::new(chunks)
    }

    /// Applies a function to each item, results as they come; see
    /// [`MapUnordered`].
    pub fn map_unordered<I, F, R>(&self, items: I, function: F) -> MapUnordered<'_, I::IntoIter, R>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> R + Send + Sync + 'scope,
        R: Send + 'scope,
    {
        let chunks = Chunks::new(items.into_iter(), function, self.execute());
        MapUnordered::new(chunks)
    }

    /// How a map hands its tasks to the pool.
    fn execute(&self) -> impl Fn(ErasedTask<'scope>, Room) -> Result<(), Refused<'scope>> + '_ {
        |task, room| match room {
            Room::Wait => self.core.submit(task),
            Room::Now => self.core.try_submit(task),
        }
    }

    /// Cancels all tasks that have not started, and returns how many; see
    /// [`ThreadPool::cancel_pending`].
    pub fn cancel_pending(&self) -> usize {
        self.core.cancel_pending()
    }

    /// Cancels all tasks that have not started, asks the running ones to stop,
    /// and returns how many it cancelled; see [`ThreadPool::cancel_all`].
    pub fn cancel_all(&self) -> usize {
        self.core.cancel_all()
    }
}

impl fmt::Debug for ScopedPool<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedPool")
            .field("max_workers", &self.core.max_workers())
            .finish_non_exhaustive()
    }
}
