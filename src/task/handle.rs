//! [`JoinHandle`]: the caller's end of a task.

use super::any_cell::{AnyCell, JoinCell};
use super::block::{block, run_or_wait};
use super::callback::call;
use super::id::TaskId;
use super::watch::Watcher;
use crate::error::{JoinError, TryJoinError, WaitTimeoutError};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The caller's end of a task: waits for it, takes its result, cancels it.
///
/// The counterpart of Python's `Future` and of [`std::thread::JoinHandle`]:
/// the [`ScopedJoinHandle`] of a task that borrows nothing. All methods are
/// documented there.
///
/// # Examples
///
/// ```
/// use as_completed::{JoinHandle, ThreadPool};
///
/// let pool = ThreadPool::new(2);
/// let squares: Vec<JoinHandle<u32>> = (1..=3).map(|n| pool.submit(move || n * n)).collect();
/// let sum: u32 = squares.into_iter().map(|square| square.join().unwrap()).sum();
/// assert_eq!(sum, 14);
/// ```
#[doc(alias = "Future")]
pub type JoinHandle<T> = ScopedJoinHandle<'static, T>;

/// The caller's end of a task, which may borrow what outlives `'scope`.
///
/// Dropping it detaches the task, which then runs all the same; to stop it,
/// [`cancel`](Self::cancel) it. It is also a [`std::future::Future`] of what
/// [`join`](Self::join) returns: `.await` it on any runtime.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
///
/// let pool = ThreadPool::new(2);
/// let handle = pool.submit(|| 6 * 7);
/// assert_eq!(handle.join()?, 42);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[doc(alias = "Future")]
#[must_use = "dropping it detaches the task, whose panic or rejection nobody then learns of; \
              call `detach` to do so on purpose"]
pub struct ScopedJoinHandle<'scope, T> {
    pub(super) cell: Arc<dyn JoinCell<T> + 'scope>,
}

impl<'scope, T> ScopedJoinHandle<'scope, T> {
    pub(crate) fn new(cell: Arc<dyn JoinCell<T> + 'scope>) -> Self {
        Self { cell }
    }

    pub(crate) fn cell(&self) -> &(dyn AnyCell + 'scope) {
        &*self.cell
    }

    /// Returns the id of the task, unique in the process. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use std::collections::HashMap;
    ///
    /// let handle = Inline.submit(|| 4);
    /// let names = HashMap::from([(handle.id(), "four")]);
    /// assert_eq!(names[&handle.id()], "four");
    /// ```
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.cell.id()
    }

    /// Returns whether the task is final: it returned, panicked, was cancelled
    /// or was rejected. Never blocks.
    ///
    /// Once true, [`join`](Self::join) does not block either.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let handle = pool.submit(|| 4);
    /// handle.wait();
    /// assert!(handle.is_finished());
    /// ```
    #[must_use]
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        if self.cell.is_final() {
            return true;
        }
        // Whoever looks again and again is to see the end.
        self.cell.hand_over();
        false
    }

    /// Returns whether the task's closure runs now. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel();
    /// let (started, start) = mpsc::channel();
    /// let handle = pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     receiver.recv()
    /// });
    /// start.recv().unwrap();
    /// assert!(handle.is_running());
    /// sender.send("go on").unwrap();
    /// handle.wait();
    /// assert!(!handle.is_running());
    /// ```
    #[must_use]
    #[doc(alias = "running")]
    pub fn is_running(&self) -> bool {
        self.cell.hand_over();
        self.cell.is_running()
    }

    /// Returns whether the task was cancelled. Never blocks.
    ///
    /// True from the moment in which the cancellation is decided: while
    /// [`cancel`](Self::cancel) drops the closure on another thread, the task is
    /// cancelled and not yet [finished](Self::is_finished).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    ///
    /// let handle = Inline.submit(|| 4);
    /// assert!(!handle.cancel()); // too late
    /// assert!(!handle.is_cancelled());
    /// ```
    #[must_use]
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        self.cell.is_cancelled()
    }

    /// Blocks until the task is final.
    ///
    /// On a worker of the task's own pool, it runs the task itself if the task has
    /// not started and no other worker is free to run it, so that tasks that wait
    /// for each other's results do not deadlock at any pool size.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let handle = pool.submit(|| 4);
    /// handle.wait();
    /// assert_eq!(handle.wait_timeout(Duration::ZERO), Ok(()));
    /// ```
    pub fn wait(&self) {
        run_or_wait(self.cell());
    }

    /// Blocks until the task is final, for `timeout` at most.
    ///
    /// Unlike [`wait`](Self::wait), it never runs the task, because it could not
    /// return in time from a task that it ran itself. Zero only checks;
    /// `Duration::MAX` waits without a limit.
    ///
    /// # Errors
    ///
    /// [`WaitTimeoutError`] if the task is not final by then.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let handle = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
    /// assert!(handle.wait_timeout(Duration::from_millis(1)).is_err());
    /// handle.cancel();
    /// assert!(handle.wait_timeout(Duration::MAX).is_ok());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitTimeoutError> {
        if self.is_finished() {
            return Ok(());
        }
        if timeout.is_zero() {
            return Err(WaitTimeoutError);
        }
        if block(self.cell(), Instant::now().checked_add(timeout)) {
            Ok(())
        } else {
            Err(WaitTimeoutError)
        }
    }

    /// Blocks until the task is final and returns its result.
    ///
    /// On a worker of the task's own pool, it may run the task as
    /// [`wait`](Self::wait) does. The counterpart of Python's `Future.result()` and of
    /// [`std::thread::JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the task has no result, as when it panicked, was cancelled or
    /// was rejected.
    ///
    /// # Panics
    ///
    /// If the result has been taken before by polling the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// assert_eq!(pool.submit(|| 4).join()?, 4);
    /// assert!(pool.submit(|| panic!("no")).join().is_err());
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[doc(alias = "result")]
    #[doc(alias = "exception")]
    pub fn join(self) -> Result<T, JoinError> {
        // Most handles are joined when they are final.
        match self.cell.take_outcome() {
            Some(outcome) => outcome,
            None => self.wait_for_outcome(),
        }
    }

    /// Returns the result if the task is final. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryJoinError`], which contains the handle, if it is not.
    ///
    /// # Panics
    ///
    /// If the result has been taken before by polling the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let mut handle = pool.submit(|| 4);
    /// let result = loop {
    ///     match handle.try_join() {
    ///         Ok(result) => break result,
    ///         Err(unfinished) => handle = unfinished.into_handle(),
    ///     }
    /// };
    /// assert_eq!(result?, 4);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn try_join(self) -> Result<Result<T, JoinError>, TryJoinError<Self>> {
        if self.is_finished() {
            Ok(self.take())
        } else {
            Err(TryJoinError::new(self))
        }
    }

    /// Cancels the task if it has not started, and returns whether it is
    /// cancelled.
    ///
    /// A cancelled task never runs: this drops its closure and notifies all who
    /// wait before it returns, whatever the workers do. A running task submitted
    /// by `submit_cancellable` has its token set, and this returns `false`,
    /// because the task itself decides when to stop; any other running task goes
    /// on. Never waits, neither for a running task nor for another thread that
    /// cancels the same task and still drops the closure.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel();
    /// let busy = pool.submit(move || receiver.recv());
    /// let queued = pool.submit(|| unreachable!());
    /// assert!(queued.cancel());
    /// sender.send("go on").unwrap();
    /// assert_eq!(busy.join()?, Ok("go on"));
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.cell.cancel()
    }

    /// Runs `callback` once when the task is final: at once on this thread if
    /// it is, else on the thread that finishes or cancels it.
    ///
    /// It runs outside of all locks, after everyone who waits was notified. It may
    /// use the pool and its handles, and should be short, because it holds up its
    /// thread. Its panic is reported by the panic hook and goes no further.
    /// [`on_result`](JoinHandle::on_result) hands on the result too. The counterpart
    /// of Python's `add_done_callback`.
    ///
    /// Callbacks that were added before the task was final run one after the
    /// other, in the order in which they were added; one that is added later runs
    /// at once, and may run before or beside them. If a callback cancels another
    /// task, the callbacks of that task run inside it; where 32 run inside each
    /// other, further ones wait, and run before the outermost returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use std::sync::mpsc;
    ///
    /// let (sender, done) = mpsc::channel();
    /// let handle = Inline.submit(|| 4);
    /// handle.on_done(move |id| sender.send(id).unwrap());
    /// assert_eq!(done.recv(), Ok(handle.id()));
    /// ```
    #[doc(alias = "add_done_callback")]
    pub fn on_done(&self, callback: impl FnOnce(TaskId) + Send + 'static) {
        let callback = Watcher::Callback(Box::new(Box::new(callback)));
        if let Err(Watcher::Callback(callback)) = self.cell.watch(callback) {
            let id = self.id();
            call(move || callback(id));
        }
    }

    /// Drops the handle; its task runs all the same, and its result is dropped.
    ///
    /// Does what dropping the handle does, and says so. Never blocks. Only the panic
    /// hook reports a panic of the task then, and nothing reports a rejection, by a
    /// pool that is shut down or whose initializer failed. If the task must not be
    /// lost in silence, use `try_submit` or [`on_result`](JoinHandle::on_result).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel();
    /// pool.submit(move || sender.send(4)).detach();
    /// assert_eq!(receiver.recv(), Ok(4));
    /// ```
    pub fn detach(self) {
        drop(self);
    }

    /// Apart from `join`, which is short enough to be inlined without it.
    #[inline(never)]
    fn wait_for_outcome(&self) -> Result<T, JoinError> {
        self.wait();
        self.take()
    }

    /// Takes the result of a task that is final.
    pub(super) fn take(&self) -> Result<T, JoinError> {
        self.cell.take_outcome().expect(FINAL_AND_THERE)
    }
}

impl<T: Send + 'static> JoinHandle<T> {
    /// Hands what [`join`](Self::join) would return to `callback` when the task
    /// is final: at once on this thread if it is, else on the thread that finishes
    /// or cancels it.
    ///
    /// For pipelines and event loops: the result moves on without a lock and
    /// without a thread that waits for it. The callback runs as one of
    /// [`on_done`](Self::on_done) does. Never blocks.
    ///
    /// # Panics
    ///
    /// If the result has been taken before by polling the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(2);
    /// let (events, event_loop) = mpsc::channel();
    /// for path in ["Cargo.toml", "no such file"] {
    ///     let events = events.clone();
    ///     let size = pool.submit(move || std::fs::read(path).map(|text| text.len()));
    ///     size.on_result(move |size| events.send((path, size)).unwrap());
    /// }
    /// drop(events);
    /// for (path, size) in event_loop {
    ///     assert_eq!(size?.is_ok(), path == "Cargo.toml");
    /// }
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[doc(alias = "then")]
    pub fn on_result(self, callback: impl FnOnce(Result<T, JoinError>) + Send + 'static) {
        if self.is_finished() {
            let result = self.take();
            call(move || callback(result));
            return;
        }
        // The task holds the callback, which holds the task, until it is final.
        // It will be: an executor that drops a task settles it.
        let cell = Arc::clone(&self.cell);
        self.on_done(move |_| {
            let result = cell.take_outcome().expect(FINAL_AND_THERE);
            callback(result);
        });
    }
}

const FINAL_AND_THERE: &str = "the task is final, and its result was not taken by a poll before";

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("state", &format_args!("{}", self.cell.state_name()))
            .finish()
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::super::any_cell::Ran;
    use super::super::cell::Cell;
    use super::super::pending::pending;
    use super::*;
    use crate::error::Rejected;
    use std::sync::mpsc;

    #[test]
    fn a_wait_that_has_ended_leaves_no_watcher() {
        let cell = Arc::new(Cell::new(|| 1, ()));
        let handle = JoinHandle::new(Arc::clone(&cell) as _);
        for timeout in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1),
        ] {
            assert_eq!(handle.wait_timeout(timeout), Err(WaitTimeoutError));
            assert_eq!(cell.watchers(), 0);
        }
    }

    /// As what is left over from an earlier wait, or comes from foreign code.
    #[test]
    fn a_wait_with_a_timeout_goes_on_after_a_stray_wake_up() {
        let cell = Arc::new(Cell::new(|| 1, ()));
        let handle = JoinHandle::new(Arc::clone(&cell) as _);
        let waiter = std::thread::spawn(move || {
            std::thread::current().unpark();
            handle.wait_timeout(Duration::from_secs(60))
        });
        while cell.watchers() == 0 && !waiter.is_finished() {
            std::thread::yield_now();
        }
        waiter.thread().unpark();
        assert!(cell.run(None) == Ran::Yes);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    }

    /// Each end of a task calls its callbacks where they may look into the task,
    /// whose lock is not taken twice.
    #[test]
    fn callbacks_run_outside_of_the_lock_of_the_task() {
        let ends: [fn(&dyn AnyCell); 4] = [
            |cell| assert!(cell.run(None) == Ran::Yes),
            |cell| assert!(cell.cancel()),
            |cell| cell.reject(Rejected::Lost),
            |cell| cell.withdraw(None).unwrap().notify(cell.id()),
        ];
        for end in ends {
            let cell = Arc::new(Cell::new(|| 1, ()));
            let (sender, is_free) = mpsc::channel();
            let inside = Arc::clone(&cell);
            let callback = move |_| sender.send(!inside.is_locked()).unwrap();
            JoinHandle::new(Arc::clone(&cell) as _).on_done(callback);
            end(&*cell);
            assert_eq!(is_free.recv(), Ok(true));
        }
    }

    /// Its own callback waits until the thread that waits for the task has gone on.
    #[test]
    fn whoever_waits_is_notified_before_callbacks_that_were_added_before() {
        let (cell, handle) = pending();
        let (sender, gone_on) = mpsc::channel();
        let (over, outcome) = mpsc::channel();
        handle.on_done(move |_| {
            let patience = Duration::from_secs(60);
            over.send(gone_on.recv_timeout(patience)).unwrap();
        });
        let waiter = std::thread::spawn(move || {
            handle.wait();
            sender.send(()).unwrap();
        });
        while cell.watchers() < 2 {
            std::thread::yield_now();
        }
        assert!(cell.run(None) == Ran::Yes);
        assert_eq!(outcome.recv(), Ok(Ok(())));
        waiter.join().unwrap();
    }
}
