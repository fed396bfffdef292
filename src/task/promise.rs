//! [`Promise`]: a task that is settled from outside.

use super::any_cell::{AnyCell, JoinCell, Member, Ran};
use super::callback::call;
use super::erased::WeakTask;
use super::handle::JoinHandle;
use super::hook::Hook;
use super::id::TaskId;
use super::watch::{Around, Guard, Key, Watcher, Watchers};
use super::watched::Watched;
use crate::error::{JoinError, Rejected};
use crate::sync::{AtomicU8, Mutex, MutexGuard, Ordering};
use crate::unwind;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

const PENDING: u8 = 0;
const RUNNING: u8 = 1;
/// It runs, and what is left of it is in the slot, for whoever waits first.
const UNATTENDED: u8 = 2;
const RETURNED: u8 = 3;
const PANICKED: u8 = 4;
const REJECTED: u8 = 5;
const CANCELLED: u8 = 6;

/// The first final state; all after it are final too.
const FINAL: u8 = RETURNED;

/// A callback of [`Promise::on_cancel`].
type OnCancel = Box<dyn FnOnce() + Send>;

/// What is left of a task whose work is done elsewhere: to wait for its end, and
/// to settle the promise.
pub(crate) trait Rest: Send {
    /// Blocks until the work has ended, and settles the promise.
    fn finish(self: Box<Self>);

    /// Has another thread do so. Never blocks.
    fn hand_over(self: Box<Self>);
}

/// Creates a task that is settled from outside, and its handle.
///
/// For executors whose work runs elsewhere, on another machine or in an event
/// loop, and for interfaces that answer by a callback. The handle is like any
/// other: it can be joined, awaited, cancelled, and given to
/// [`as_completed`](crate::as_completed()) and [`wait`](crate::wait()). The
/// counterpart of a bare `Future()` in Python.
///
/// # Examples
///
/// ```
/// use as_completed::promise;
/// use std::thread;
///
/// let (promise, handle) = promise();
/// let callback = move |sum: u32| promise.settle(Ok(sum));
/// thread::spawn(move || callback(40 + 2));
/// assert_eq!(handle.join()?, 42);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[doc(alias = "Future")]
pub fn promise<T: Send + 'static>() -> (Promise<T>, JoinHandle<T>) {
    let cell = PromiseCell::new();
    let handle = JoinHandle::new(Arc::clone(&cell) as _);
    (Promise { cell: Some(cell) }, handle)
}

/// Creates a task that runs already, of which nobody has taken on what is left.
///
/// The first thread that waits for it without a limit finishes it itself, which
/// spares a wake-up; for all else that is done with the handle, its drop included,
/// it is handed over.
pub(crate) fn unattended<T: Send + 'static>(
    rest: impl FnOnce(Promise<T>) -> Box<dyn Rest>,
) -> (WeakTask<'static>, JoinHandle<T>) {
    let cell = PromiseCell::new();
    let handle = JoinHandle::new(Arc::clone(&cell) as _);
    let rest = rest(Promise {
        cell: Some(Arc::clone(&cell)),
    });
    let mut slot = cell.slot.lock();
    slot.rest = Some(rest);
    cell.state.store(UNATTENDED, Ordering::Release);
    drop(slot);
    let task: Arc<dyn AnyCell> = cell;
    (WeakTask::new(&task), handle)
}

/// The end of a task from which it is settled; made by [`promise()`].
///
/// It settles its handle once. Until [`start`](Self::start) is called the task
/// is pending, and [`cancel`](crate::ScopedJoinHandle::cancel) on its handle
/// resolves it as cancelled at once. From then on it runs, and `cancel` only
/// asks. Dropping an unsettled promise resolves the handle to
/// [`Rejected::Lost`], so that nobody waits for it for ever.
///
/// # Examples
///
/// Work that runs elsewhere and can be stopped there:
///
/// ```
/// use as_completed::{JoinError, promise};
/// use std::sync::mpsc;
///
/// let (promise, handle) = promise::<u32>();
/// let (stop, stopped) = mpsc::channel();
/// assert!(promise.start());
/// promise.on_cancel(move || stop.send(()).unwrap());
///
/// handle.cancel();
/// stopped.recv().unwrap(); // the work hears of it,
/// promise.settle(Err(JoinError::Cancelled)); // and answers
/// assert!(handle.join().unwrap_err().is_cancelled());
/// ```
#[must_use = "a promise that is dropped without being settled is lost to its handle"]
pub struct Promise<T: Send + 'static> {
    /// `None` once it is settled.
    cell: Option<Arc<PromiseCell<T>>>,
}

/// Only `settle`, which takes the promise by value, and `drop` empty it.
const THERE: &str = "a promise that can be named is not settled";

impl<T: Send + 'static> Promise<T> {
    fn there(&self) -> &PromiseCell<T> {
        self.cell.as_ref().expect(THERE)
    }

    /// Returns the id of the task, the same as its handle's. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let (promise, handle) = as_completed::promise::<u32>();
    /// assert_eq!(promise.id(), handle.id());
    /// ```
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.there().id
    }

    /// Marks the task as running, and returns whether it may run: `false`
    /// means that it was cancelled while it was pending.
    ///
    /// From here on `cancel` on the handle only asks. Further calls change
    /// nothing. Never blocks. The counterpart of Python's
    /// `set_running_or_notify_cancel`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::promise;
    ///
    /// let (promise, handle) = promise::<u32>();
    /// assert!(handle.cancel());
    /// assert!(!promise.start());
    /// ```
    #[must_use = "a task that was cancelled should not run"]
    #[doc(alias = "set_running_or_notify_cancel")]
    pub fn start(&self) -> bool {
        let cell = self.there();
        let _slot = cell.slot.lock();
        if cell.state() == PENDING {
            cell.state.store(RUNNING, Ordering::Release);
        }
        cell.state() == RUNNING
    }

    /// Returns whether `cancel` has been called on the handle. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::promise;
    ///
    /// let (promise, handle) = promise::<u32>();
    /// assert!(promise.start() && !promise.is_cancelled());
    /// assert!(!handle.cancel()); // it runs already: it is asked
    /// assert!(promise.is_cancelled());
    /// promise.settle(Ok(4)); // and may have finished all the same
    /// assert_eq!(handle.join().unwrap(), 4);
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.there().slot.lock().asked
    }

    /// Runs `callback` once when `cancel` is called on the handle: on the
    /// thread that calls it, or at once on this one if that has happened.
    ///
    /// It runs outside of all locks, and after those who wait have been
    /// notified where the task was pending. Its panic is reported by the panic
    /// hook and goes no further. It is dropped without being run when the
    /// promise is settled or dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::promise;
    /// use std::sync::mpsc;
    ///
    /// let (promise, handle) = promise::<u32>();
    /// let (sender, receiver) = mpsc::channel();
    /// promise.on_cancel(move || sender.send("stop").unwrap());
    /// assert!(handle.cancel());
    /// assert_eq!(receiver.recv(), Ok("stop"));
    /// ```
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) {
        let mut slot = self.there().slot.lock();
        if slot.asked {
            drop(slot);
            call(callback);
        } else {
            slot.on_cancel.push(Box::new(callback));
        }
    }

    /// Settles the task: all who wait for its handle are notified before this
    /// returns, and its callbacks run here.
    ///
    /// An error of the work itself is part of the result, as that of a closure is:
    /// `promise.settle(Ok(Err(error)))`, of a `Promise<Result<T, E>>`. A [`JoinError`] says
    /// that there is no result.
    ///
    /// Does nothing if the task was cancelled while it was pending. Never
    /// blocks. The counterpart of Python's `set_result` and `set_exception`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{JoinError, Rejected, promise};
    ///
    /// let (promise, handle) = promise::<u32>();
    /// promise.settle(Err(JoinError::Rejected(Rejected::ShutDown)));
    /// assert!(handle.join().unwrap_err().is_rejected());
    /// ```
    #[doc(alias = "set_result")]
    #[doc(alias = "set_exception")]
    pub fn settle(mut self, result: Result<T, JoinError>) {
        if let Some(cell) = self.cell.take() {
            cell.settle(result);
            // The handle may be gone, and the result with it: its drop is foreign.
            unwind::discard(cell);
        }
    }
}

impl<T: Send + 'static> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            cell.settle(Err(JoinError::Rejected(Rejected::Lost)));
            unwind::discard(cell);
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("id", &self.id())
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// What the two ends share.
///
/// The state changes under the lock only; a reader without it that sees a final
/// state sees all that led to it. Watchers are added while the state is not
/// final, and taken out in the critical section that makes it final. No foreign
/// code runs under the lock.
struct PromiseCell<T> {
    id: TaskId,
    state: AtomicU8,
    slot: Mutex<Slot<T>>,
}

pub(super) struct Slot<T> {
    outcome: Option<Result<T, JoinError>>,
    watchers: Watchers,
    /// Whether `cancel` has been called.
    asked: bool,
    on_cancel: Vec<OnCancel>,
    /// There while the state is `UNATTENDED`: whoever takes it out settles the task.
    rest: Option<Box<dyn Rest>>,
}

impl<T> PromiseCell<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            id: TaskId::next(),
            state: AtomicU8::new(PENDING),
            slot: Mutex::new(Slot {
                outcome: None,
                watchers: Watchers::None,
                asked: false,
                on_cancel: Vec::new(),
                rest: None,
            }),
        })
    }

    fn take_rest(&self) -> Option<Box<dyn Rest>> {
        if self.state() != UNATTENDED {
            return None;
        }
        let mut slot = self.slot.lock();
        let rest = slot.rest.take();
        if rest.is_some() {
            self.state.store(RUNNING, Ordering::Release);
        }
        rest
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    fn settle(&self, result: Result<T, JoinError>) {
        let state = match &result {
            Ok(_) => RETURNED,
            Err(JoinError::Cancelled) => CANCELLED,
            Err(JoinError::Panicked(_)) => PANICKED,
            Err(_) => REJECTED,
        };
        let Some(mut slot) = self.unless_final() else {
            // Cancelled while pending: nobody wants the result.
            unwind::discard(result);
            return;
        };
        let on_cancel = std::mem::take(&mut slot.on_cancel);
        self.finish(slot, state, result).notify(self.id);
        for callback in on_cancel {
            unwind::discard(callback);
        }
    }

    /// Makes the state final; the watchers are still to be notified.
    fn finish(
        &self,
        mut slot: MutexGuard<'_, Slot<T>>,
        state: u8,
        result: Result<T, JoinError>,
    ) -> Watchers {
        slot.outcome = Some(result);
        let watchers = std::mem::take(&mut slot.watchers);
        // Before anybody can see the state: whoever does, and looks at an
        // iterator then, finds the task there.
        watchers.announce();
        self.state.store(state, Ordering::Release);
        drop(slot);
        watchers
    }
}

impl<T> AsMut<Watchers> for Slot<T> {
    fn as_mut(&mut self) -> &mut Watchers {
        &mut self.watchers
    }
}

impl<T> Watched for PromiseCell<T> {
    type Slot = Slot<T>;

    fn unless_final(&self) -> Option<MutexGuard<'_, Self::Slot>> {
        if self.state() >= FINAL {
            return None;
        }
        let slot = self.slot.lock();
        (self.state() < FINAL).then_some(slot)
    }
}

impl<T: Send> AnyCell for PromiseCell<T> {
    fn id(&self) -> TaskId {
        self.id
    }

    fn is_final(&self) -> bool {
        self.state() >= FINAL
    }

    fn is_cancelled(&self) -> bool {
        self.state() == CANCELLED
    }

    fn is_running(&self) -> bool {
        matches!(self.state(), RUNNING | UNATTENDED)
    }

    fn is_pending(&self) -> bool {
        self.state() == PENDING
    }

    fn settled(&self) {
        drop(self.unless_final());
    }

    fn state_name(&self) -> &'static str {
        match self.state() {
            PENDING => "pending",
            RUNNING | UNATTENDED => "running",
            RETURNED => "returned",
            CANCELLED => "cancelled",
            PANICKED => "panicked",
            _ => "rejected",
        }
    }

    fn is_failed(&self) -> bool {
        matches!(self.state(), PANICKED | REJECTED)
    }

    /// No pool's: there is no closure that a worker could claim.
    fn owner(&self) -> u32 {
        0
    }

    fn join_pool(&self, _pool: u32) -> Member {
        Member {
            id: self.id,
            listens: true,
            may_be_awaited: false,
        }
    }

    fn leave_pool(&self) -> bool {
        false
    }

    fn run(&self, _: Option<&Arc<Hook>>) -> Ran {
        Ran::No
    }

    // No executor holds a promise, so nobody keeps, guards or wraps one.

    fn may_be_kept(&self) {}

    fn nudge_waiters(&self) {}

    fn set_guard(&self, _: Arc<dyn Guard>) {}

    fn guard(&self) -> Option<Arc<dyn Guard>> {
        None
    }

    fn unguard(&self) {}

    fn wrap(&self, around: Around) {
        drop(around);
    }

    fn run_from_queue(&self, _: Option<&Arc<Hook>>) -> bool {
        false
    }

    fn cancel_pending(&self) -> bool {
        let withdrawn = self.withdraw(None);
        let cancelled = withdrawn.is_some();
        withdrawn.unwrap_or_default().notify(self.id);
        cancelled
    }

    fn cancel(&self) -> bool {
        if self.cancel_pending() {
            return true;
        }
        if let Some(mut slot) = self.unless_final() {
            slot.asked = true;
            let on_cancel = std::mem::take(&mut slot.on_cancel);
            drop(slot);
            for callback in on_cancel {
                call(callback);
            }
        }
        self.hand_over();
        // A callback may have answered at once.
        self.is_cancelled()
    }

    fn withdraw(&self, reason: Option<Rejected>) -> Option<Watchers> {
        let mut slot = self.unless_final()?;
        if self.state() != PENDING {
            return None;
        }
        slot.asked = true;
        let on_cancel = std::mem::take(&mut slot.on_cancel);
        let (state, error) = match reason {
            None => (CANCELLED, JoinError::Cancelled),
            Some(reason) => (REJECTED, JoinError::Rejected(reason)),
        };
        let mut foreign = self.finish(slot, state, Err(error)).notify_waiting(self.id);
        for callback in on_cancel {
            foreign.add(Watcher::Callback(Box::new(Box::new(|_| callback()))));
        }
        Some(foreign)
    }

    fn reject(&self, reason: Rejected) {
        self.settle(Err(JoinError::Rejected(reason)));
    }

    fn finish_here(&self) -> bool {
        match self.take_rest() {
            Some(rest) => {
                rest.finish();
                true
            }
            None => false,
        }
    }

    fn hand_over(&self) {
        if let Some(rest) = self.take_rest() {
            rest.hand_over();
        }
    }

    fn released(&self) {
        self.unwatch(&Key::Waker);
        self.hand_over();
    }

    fn watch(&self, watcher: Watcher) -> Result<(), Watcher> {
        self.hand_over();
        self.add_watcher(watcher)
    }

    fn unwatch(&self, key: &Key<'_>) {
        self.remove_watcher(key);
    }

    fn watch_by_waker(&self, waker: &Waker) -> bool {
        self.hand_over();
        self.replace_waker(waker)
    }
}

impl<T: Send> JoinCell<T> for PromiseCell<T> {
    fn take_outcome(&self) -> Option<Result<T, JoinError>> {
        if !self.is_final() {
            return None;
        }
        self.slot.lock().outcome.take()
    }
}
