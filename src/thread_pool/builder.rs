//! [`ThreadPoolBuilder`]: what can be set about a pool.

use super::core::{Core, Spawner, default_thread_name, next_id};
use super::state::Settings;
use super::{DEFAULT_MOST, ThreadPool};
use crate::error::BuildError;
use crate::sync::{default_stack_size, processors, spawn};
use crate::task::{HookBuilder, Initializer, TaskEvent};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Sets up a [`ThreadPool`]; made by [`ThreadPool::builder`].
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
///
/// let pool = ThreadPool::builder()
///     .max_workers(2)
///     .thread_name("thumbnails")
///     .build()?;
/// let name = pool.submit(|| std::thread::current().name().map(str::to_owned));
/// assert_eq!(name.join().unwrap().as_deref(), Some("thumbnails-0"));
/// # Ok::<(), as_completed::BuildError>(())
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct ThreadPoolBuilder {
    max_workers: usize,
    thread_name: Option<String>,
    stack_size: Option<usize>,
    initializer: Option<Arc<Initializer>>,
    queue_capacity: Option<usize>,
    keep_alive: Option<Duration>,
    hook: HookBuilder,
    #[cfg(test)]
    spawner: Option<Spawner<'static>>,
}

impl ThreadPoolBuilder {
    pub(super) fn new() -> Self {
        Self {
            max_workers: DEFAULT_MOST.min(processors() + 4),
            thread_name: None,
            stack_size: None,
            initializer: None,
            queue_capacity: None,
            keep_alive: None,
            hook: HookBuilder::default(),
            #[cfg(test)]
            spawner: None,
        }
    }

    /// Sets how many threads the pool has at most; `min(32, cpus + 4)` by
    /// default. 0 makes [`build`](Self::build) fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{BuildError, ThreadPool};
    ///
    /// assert_eq!(ThreadPool::builder().max_workers(4).build()?.max_workers(), 4);
    /// let error = ThreadPool::builder().max_workers(0).build().unwrap_err();
    /// assert!(matches!(error, BuildError::NoWorkers));
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn max_workers(mut self, max_workers: usize) -> Self {
        self.max_workers = max_workers;
        self
    }

    /// Sets what the threads are called: `name-0`, `name-1` and so on. By
    /// default they are called `pool-1-worker-0` and so on, with another number
    /// for each pool of the process.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().thread_name("fetch").build()?;
    /// let name = pool.submit(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(name.join().unwrap().as_deref(), Some("fetch-0"));
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = Some(name.into());
        self
    }

    /// Sets the size of the threads' stacks, in bytes; by default that of std,
    /// 2 MiB.
    ///
    /// A task that a worker runs because another of its tasks waits for it has
    /// half of that at least.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().stack_size(16 << 20).build()?;
    /// let large = pool.submit(|| std::hint::black_box([1_u8; 4 << 20]).len());
    /// assert_eq!(large.join().unwrap(), 4 << 20);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets a function that each worker runs before its first task.
    ///
    /// If it fails or panics the pool is broken: pending and later tasks
    /// resolve to [`Rejected::Initializer`](crate::Rejected::Initializer), and
    /// nothing else reports the failure. No task runs on a worker that is not
    /// initialized. What an initializer submits to its own pool is rejected;
    /// it must not wait for tasks of that pool, whose worker may be the one
    /// that waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder()
    ///     .initializer(|| {
    ///         "42".parse::<u32>()?;
    ///         Ok(())
    ///     })
    ///     .build()?;
    /// assert_eq!(pool.submit(|| "ready").join().unwrap(), "ready");
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn initializer(
        mut self,
        initializer: impl Fn() -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        self.initializer = Some(Arc::new(initializer));
        self
    }

    /// Bounds the queue to `tasks` that have not started; unbounded by
    /// default.
    ///
    /// While it is full, `submit` waits for room and `try_submit` gives the
    /// closure back. A task that is cancelled, or that a worker runs because it
    /// waits for it, makes room at once. A worker that submits to its own full pool
    /// runs the task itself at once, because it could wait for itself; if sixteen
    /// such tasks run inside of each other, it queues the next one beyond the
    /// bound, so that a job may submit itself again for ever. 0 makes
    /// [`build`](Self::build) fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().queue_capacity(10).build()?;
    /// let handles: Vec<_> = (0..1000).map(|n| pool.submit(move || n)).collect();
    /// assert!(pool.queued_count() <= 10);
    /// # drop(handles);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// Ends workers that have been idle for this long; they are started again
    /// when needed. By default workers stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::builder().keep_alive(Duration::from_millis(1)).build()?;
    /// pool.submit(|| ()).wait();
    /// while pool.worker_count() > 0 {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(pool.submit(|| 4).join().unwrap(), 4);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn keep_alive(mut self, idle: Duration) -> Self {
        self.keep_alive = Some(idle);
        self
    }

    /// Sets a function that is told what becomes of each task, for metrics and logs.
    ///
    /// It runs on the thread on which that happens, which waits for it, outside of
    /// all locks: on the submitter's when a task is queued, on the worker's when it
    /// starts and ends, on the canceller's when it is cancelled. What it is told of a
    /// task comes before the task's handle is final. A panic in it is reported by the
    /// panic hook and goes no further.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{TaskEvent, ThreadPool};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// let busy = Arc::new(AtomicU64::new(0)); // nanoseconds
    /// let counted = Arc::clone(&busy);
    /// let pool = ThreadPool::builder()
    ///     .observer(move |event| {
    ///         if let TaskEvent::Ended { ran, .. } = event {
    ///             counted.fetch_add(ran.as_nanos() as u64, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build()?;
    /// pool.submit(|| std::thread::yield_now()).wait();
    /// assert!(busy.load(Ordering::Relaxed) > 0);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn observer(mut self, observer: impl Fn(&TaskEvent) + Send + Sync + 'static) -> Self {
        self.hook.observer = Some(Box::new(observer));
        self
    }

    /// Runs each task in the `tracing` span that was current where it was submitted.
    ///
    /// A task that is never run keeps its span until it is cancelled or rejected.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().carry_spans().build()?;
    /// let _request = tracing::info_span!("request", id = 4).entered();
    /// let parse = pool.submit(|| tracing::info!("this event is in the span")); // on a worker
    /// parse.wait();
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    #[cfg(feature = "tracing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn carry_spans(mut self) -> Self {
        self.hook.carries_spans = true;
        self
    }

    /// Stands in for the operating system, which rarely refuses a thread.
    #[cfg(test)]
    pub(super) fn spawner(mut self, spawner: Spawner<'static>) -> Self {
        self.spawner = Some(spawner);
        self
    }

    /// Creates the pool. Starts no thread yet.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a setting makes no sense: no workers, no capacity, or
    /// a name that no thread can have.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().max_workers(4).queue_capacity(100).build()?;
    /// assert_eq!(pool.worker_count(), 0);
    /// assert!(ThreadPool::builder().queue_capacity(0).build().is_err());
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn build(self) -> Result<ThreadPool, BuildError> {
        let plan = self.plan()?;
        let (name, stack_size) = (plan.thread_name, plan.stack_size);
        let spawner: Spawner<'static> = Box::new(move |index, body| {
            Ok(Some(spawn(format!("{name}-{index}"), stack_size, body)?))
        });
        #[cfg(test)]
        let spawner = plan.spawner.unwrap_or(spawner);
        Ok(ThreadPool {
            core: Core::new(plan.id, plan.settings, spawner),
        })
    }

    /// Checks the settings.
    pub(super) fn plan(self) -> Result<Plan, BuildError> {
        if self.max_workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if self.queue_capacity == Some(0) {
            return Err(BuildError::NoCapacity);
        }
        let id = next_id();
        let thread_name = self.thread_name.unwrap_or_else(|| default_thread_name(id));
        if thread_name.contains('\0') {
            return Err(BuildError::ThreadName);
        }
        Ok(Plan {
            id,
            thread_name,
            stack_size: self.stack_size,
            settings: Settings {
                max_workers: self.max_workers,
                queue_capacity: self.queue_capacity.unwrap_or(usize::MAX),
                keep_alive: self.keep_alive,
                initializer: self.initializer,
                stack_size: self.stack_size.unwrap_or_else(default_stack_size),
                hook: self.hook.build().map(Arc::new),
            },
            #[cfg(test)]
            spawner: self.spawner,
        })
    }
}

/// A pool to be built.
pub(super) struct Plan {
    pub(super) id: u32,
    /// Up to the worker's index.
    pub(super) thread_name: String,
    pub(super) stack_size: Option<usize>,
    pub(super) settings: Settings,
    #[cfg(test)]
    spawner: Option<Spawner<'static>>,
}

impl fmt::Debug for ThreadPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder")
            .field("max_workers", &self.max_workers)
            .field("thread_name", &self.thread_name)
            .field("stack_size", &self.stack_size)
            .field("queue_capacity", &self.queue_capacity)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}
