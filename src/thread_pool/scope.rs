//! [`ThreadPool::scope`]: tasks that borrow.

use super::ThreadPool;
use super::builder::ThreadPoolBuilder;
use super::core::Core;
use crate::error::BuildError;
use crate::executor::submit_without_import;
use crate::sync::{AtomicBool, Ordering};
use crate::task::{ErasedTask, Refused, Room, ScopedJoinHandle};
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
    /// handles were dropped; [`ScopedPool::cancel_on_return`] has those cancelled
    /// instead. Built on [`std::thread::scope`]; the counterpart of Python's `with
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
        match Self::builder().max_workers(max_workers).scope(body) {
            Ok(returned) => returned,
            Err(error) => panic!("{error}"),
        }
    }
}

impl ThreadPoolBuilder {
    /// Runs `body` with a pool of these settings whose tasks may borrow what outlives
    /// the call; see [`ThreadPool::scope`].
    ///
    /// # Errors
    ///
    /// [`BuildError`] as for [`build`](Self::build); then `body` is not called.
    ///
    /// # Panics
    ///
    /// If `body` panics, with the same panic, once all tasks have run.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let words = ["one", "three"].map(String::from);
    /// let lengths = ThreadPool::builder()
    ///     .max_workers(2)
    ///     .queue_capacity(1)
    ///     .thread_name("count")
    ///     .scope(|pool| pool.map(&words, |word| word.len()).collect::<Result<Vec<_>, _>>())?;
    /// assert_eq!(lengths.unwrap(), [3, 5]);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn scope<'env, T>(
        self,
        body: impl for<'scope> FnOnce(ScopedPool<'scope, 'env>) -> T,
    ) -> Result<T, BuildError> {
        let plan = self.plan()?;
        let (name, stack_size) = (plan.thread_name, plan.settings.stack_size);
        let cancels = AtomicBool::new(false);
        Ok(thread::scope(|scope| {
            let core = Core::new(
                plan.id,
                plan.settings,
                Box::new(move |index, body| {
                    thread::Builder::new()
                        .name(format!("{name}-{index}"))
                        .stack_size(stack_size)
                        .spawn_scoped(scope, body)?;
                    // Joined by the scope.
                    Ok(None)
                }),
            );
            // Also when the body panics: the scope joins the workers, who would
            // wait for more.
            let _end = EndOnDrop {
                core: &core,
                cancels: &cancels,
            };
            body(ScopedPool {
                core: Arc::clone(&core),
                cancels: &cancels,
                environment: PhantomData,
            })
        }))
    }
}

/// Ends the pool when the body has ended.
struct EndOnDrop<'a, 'scope> {
    core: &'a Core<'scope>,
    cancels: &'a AtomicBool,
}

impl Drop for EndOnDrop<'_, '_> {
    fn drop(&mut self) {
        if self.cancels.load(Ordering::Relaxed) {
            // First, so that no running task brings what nobody cancels.
            self.core.shut_down();
            self.core.cancel_all();
        } else {
            self.core.close();
        }
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
///         pool.submit(move || count(&inside, counter, depth - 1)).detach();
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
    /// Whether what is left is cancelled when the body ends.
    cancels: &'scope AtomicBool,
    /// Invariant in `'env`, as std's `Scope` is.
    environment: PhantomData<&'scope mut &'env ()>,
}

impl<'scope> ScopedPool<'scope, '_> {
    submit_without_import!(
        'scope,
        ScopedJoinHandle<'scope, T>,
        hand_over,
        "use as_completed::ThreadPool;\n\nThreadPool::scope(2, |pool| {",
        "});\n"
    );

    /// Cancels all tasks that have not started, and returns how many; see
    /// [`ThreadPool::cancel_pending`].
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let numbers = vec![1, 2, 3];
    /// let cancelled = ThreadPool::scope(1, |pool| {
    ///     let handles: Vec<_> = numbers.iter().map(|n| pool.submit(move || n * n)).collect();
    ///     let cancelled = pool.cancel_pending();
    ///     let joined = handles.into_iter().map(|handle| handle.join());
    ///     assert_eq!(joined.filter(Result::is_err).count(), cancelled);
    ///     cancelled
    /// });
    /// assert!(cancelled <= 3);
    /// ```
    pub fn cancel_pending(&self) -> usize {
        self.core.cancel_pending()
    }

    /// Cancels all tasks that have not started, asks the running ones to stop,
    /// and returns how many it cancelled; see [`ThreadPool::cancel_all`].
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// ThreadPool::scope(2, |pool| {
    ///     pool.submit_cancellable(|token| token.sleep(Duration::MAX)).detach();
    ///     pool.cancel_all();
    /// }); // the scope ends: nobody sleeps on
    /// ```
    pub fn cancel_all(&self) -> usize {
        self.core.cancel_all()
    }

    /// Cancels what is left when the body of the scope ends, so that an early
    /// return ends early.
    ///
    /// Without it, tasks that have not started still run after a `?`, a `return` or a
    /// panic in the body. With it, the end of the body, in whatever way, cancels them
    /// as [`cancel_all`](Self::cancel_all) does: running tasks are asked to stop if
    /// they were submitted by `submit_cancellable`, and what they submit from then on is
    /// [rejected](crate::Rejected::ShutDown). The scope still waits for them. Never
    /// blocks, and holds for the whole scope, whichever clone it is called on.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{JoinError, ThreadPool};
    /// use std::time::Duration;
    ///
    /// fn total(divisors: &[u32]) -> Result<u32, JoinError> {
    ///     ThreadPool::scope(1, |pool| {
    ///         pool.cancel_on_return();
    ///         let quotients: Vec<_> = divisors.iter().map(|n| pool.submit(move || 10 / n)).collect();
    ///         pool.submit_cancellable(|token| token.sleep(Duration::MAX)).detach();
    ///         let mut total = 0;
    ///         for quotient in quotients {
    ///             total += quotient.join()?;
    ///         }
    ///         Ok(total)
    ///     }) // nobody sleeps on
    /// }
    ///
    /// assert_eq!(total(&[1, 5]).unwrap(), 12);
    /// assert!(total(&[0, 1, 2]).unwrap_err().is_panic()); // 10 / 0; the rest is cancelled
    /// ```
    pub fn cancel_on_return(&self) {
        self.cancels.store(true, Ordering::Relaxed);
    }

    /// Returns how many workers the pool has at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// assert_eq!(ThreadPool::scope(2, |pool| pool.max_workers()), 2);
    /// ```
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.core.max_workers()
    }

    /// Returns how many workers there are now, idle ones included.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// ThreadPool::scope(2, |pool| {
    ///     assert_eq!(pool.worker_count(), 0); // threads start when there is work
    ///     pool.submit(|| ()).wait();
    ///     assert_eq!(pool.worker_count(), 1);
    /// });
    /// ```
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.core.counts().workers
    }

    /// Returns how many workers are running a task now.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let seen = ThreadPool::scope(2, |pool| {
    ///     let inside = pool.clone();
    ///     pool.submit(move || inside.active_count()).join()
    /// });
    /// assert_eq!(seen?, 1);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[must_use]
    pub fn active_count(&self) -> usize {
        self.core.counts().running
    }

    /// Returns how many tasks are in the queue now: those that have not started.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// ThreadPool::scope(2, |pool| {
    ///     pool.submit(|| ()).wait();
    ///     assert_eq!(pool.queued_count(), 0);
    /// });
    /// ```
    #[must_use]
    pub fn queued_count(&self) -> usize {
        self.core.counts().queued
    }
}

/// Hands a task to a pool, which waits for room or not.
fn hand_over<'scope>(
    pool: &ScopedPool<'scope, '_>,
    task: ErasedTask<'scope>,
    room: Room,
) -> Result<(), Refused<'scope>> {
    match room {
        Room::Wait => pool.core.submit(task),
        Room::Now => pool.core.try_submit(task),
    }
}

impl fmt::Debug for ScopedPool<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.core.counts();
        f.debug_struct("ScopedPool")
            .field("max_workers", &self.max_workers())
            .field("worker_count", &counts.workers)
            .field("active_count", &counts.running)
            .field("queued_count", &counts.queued)
            .finish_non_exhaustive()
    }
}
