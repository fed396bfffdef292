//! [`as_completed`]: results in the order in which they are ready.
//!
//! Every handle is registered with its task once, at the call, so the order is
//! exact and a timeout's clock starts there. A task that becomes final sends
//! the place of its handle through one channel; one that is final already takes
//! no trip. The cost of a handle does not depend on how many there are.

use super::arrivals::{Arrival, Arrivals};
use super::awaited::{Awaited, awaited};
use super::claimable::Claimable;
use super::slots::Slots;
use super::timed::{NextBefore, Timed};
use crate::error::UnfinishedError;
use crate::sync::unbounded;
use crate::task::{Claimer, Completions, Key, Watcher, cancel_all};
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Returns an iterator over `handles` in the order in which their tasks become
/// final.
///
/// Accepts handles, references to handles, and `(key, handle)` pairs, which
/// come back as pairs. Handles may come from different executors. Those that
/// are final at the call come first, in the order given. The call reads `handles`
/// to its end and does not block. The counterpart of Python's
/// `concurrent.futures.as_completed`.
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, ThreadPool};
///
/// let pool = ThreadPool::new(4);
/// let squares = (1..=3).map(|n| (n, pool.submit(move || n * n)));
/// let mut sum = 0;
/// for (n, square) in as_completed(squares) {
///     assert_eq!(square.join()?, n * n); // does not block
///     sum += n;
/// }
/// assert_eq!(sum, 6);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
pub fn as_completed<I>(handles: I) -> AsCompleted<I::Item>
where
    I: IntoIterator,
    I::Item: Awaited,
{
    let (sender, receiver) = unbounded();
    let completions = Arc::new(Completions::new(sender));
    let mut arrivals = Arrivals::new(receiver);
    let mut total = 0;
    let registering = Registering(&completions);
    let slots = Slots::collect(handles.into_iter(), |place, handle| {
        total += 1;
        if register(handle, &completions, place) {
            arrivals.expect();
        } else {
            arrivals.push(place);
        }
    });
    std::mem::forget(registering);
    AsCompleted {
        slots,
        arrivals,
        pending: total,
        total,
        claimable: Claimable::default(),
        cancels: false,
        completions,
    }
}

/// Dropped if the input panics: the handles read so far are gone, and with them
/// the way to the tasks that hold a watcher.
struct Registering<'a>(&'a Completions);

impl Drop for Registering<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Has the task send the place when it is final; says whether it will, or else
/// is final already.
fn register(handle: &impl Awaited, completions: &Arc<Completions>, place: u32) -> bool {
    let task = awaited(handle);
    // The first look spares a final task the making of a watcher.
    if task.is_final() {
        return false;
    }
    let watcher = Watcher::Completion(Arc::clone(completions), place);
    task.watch(watcher).is_ok()
}

/// The iterator of [`as_completed`]: yields each handle once, when its task is
/// final.
///
/// `next` blocks until there is one; on a worker of a pool it runs those of its
/// tasks that are this pool's and have not started, where no other worker is free
/// to, so that it does not wait for a worker that waits for it.
///
/// Dropping the iterator drops the handles that it still has, which detaches
/// their tasks; [`cancel_on_drop`](Self::cancel_on_drop) cancels them instead,
/// and [`into_pending`](Self::into_pending) keeps them. What has been yielded is
/// not kept alive.
///
/// # Examples
///
/// Its length is known, so a progress bar needs no total:
///
/// ```
/// use as_completed::{as_completed, ThreadPool};
///
/// let pool = ThreadPool::new(2);
/// let mut squares = as_completed((1..=3).map(|n| pool.submit(move || n * n)));
/// while let Some(square) = squares.next() {
///     println!("{}, {} to go", square.join()?, squares.len());
/// }
/// assert_eq!(squares.len(), 0);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[must_use = "it is an iterator of finished handles; dropping it detaches their tasks"]
pub struct AsCompleted<H: Awaited> {
    /// The handles not yet yielded, each at the place it registered with.
    slots: Slots<H>,
    /// Which of them are final.
    arrivals: Arrivals,
    /// How many handles are in `slots`.
    pending: usize,
    /// How many handles there have been.
    total: usize,
    claimable: Claimable,
    /// Whether its drop cancels what is left.
    cancels: bool,
    completions: Arc<Completions>,
}

impl<H: Awaited> AsCompleted<H> {
    /// Adds a handle; a result may bring new work while you iterate.
    ///
    /// Never blocks. After the end of the iteration, `next` yields it.
    ///
    /// # Panics
    ///
    /// If it holds 2³² - 1 handles already.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, ThreadPool};
    ///
    /// let pool = ThreadPool::new(2);
    /// let mut numbers = as_completed([pool.submit(|| 8_u32)]);
    /// let mut seen = Vec::new();
    /// while let Some(number) = numbers.next() {
    ///     let number = number.join()?;
    ///     seen.push(number);
    ///     if number > 1 {
    ///         numbers.push(pool.submit(move || number / 2));
    ///     }
    /// }
    /// assert_eq!(seen, [8, 4, 2, 1]);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn push(&mut self, handle: H) {
        let place = self.slots.insert(handle);
        let handle = self.slots.at(place).expect("it was put there just now");
        if register(handle, &self.completions, place) {
            self.arrivals.expect();
            self.claimable.push(place, self.pending);
        } else {
            self.arrivals.push(place);
            self.completions.wake();
        }
        self.pending += 1;
        self.total += 1;
    }

    /// Returns the next handle if one is final within `timeout`, and `None` at
    /// the end.
    ///
    /// Blocks for `timeout` at most and, unlike `next`, runs no tasks. Zero
    /// only checks; `Duration::MAX` waits without a limit. The clock starts at this call.
    ///
    /// # Errors
    ///
    /// [`UnfinishedError`] if no further task is final by then. The iterator keeps all
    /// handles, and may be called again.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let mut all = as_completed([pool.submit(|| 4)]);
    /// let four = loop {
    ///     match all.next_timeout(Duration::from_millis(100)) {
    ///         Ok(handle) => break handle,
    ///         Err(unfinished) => println!("{unfinished}"),
    ///     }
    /// };
    /// assert_eq!(four.unwrap().join()?, 4);
    /// assert!(all.next_timeout(Duration::ZERO).unwrap().is_none());
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<H>, UnfinishedError> {
        self.next_before(Instant::now().checked_add(timeout))
    }

    /// Bounds the whole iteration: yields `Ok(handle)` until `timeout` has
    /// passed since this call, then one `Err` and no more.
    ///
    /// The clock starts here, not at the first `next`. Handles that are final
    /// are yielded even after the timeout. Waits without running tasks, as
    /// [`next_timeout`](Self::next_timeout) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, Inline, ThreadPool, UnfinishedError};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// let endless = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
    /// let finished = Inline.submit(|| true);
    /// let mut all = as_completed([&endless, &finished]).timeout(Duration::ZERO);
    /// assert!(all.next().unwrap()?.is_finished());
    /// let error = all.next().unwrap().unwrap_err();
    /// assert_eq!((error.pending, error.total), (1, 2));
    /// assert!(all.next().is_none());
    /// endless.cancel();
    /// # Ok::<(), UnfinishedError>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Timed<Self> {
        Timed::new(self, timeout)
    }

    /// Cancels what is left when the iterator is dropped, so that an early return
    /// ends early.
    ///
    /// Without it, tasks that have not started still run after a `break`, a `?`
    /// or a panic in the loop, and the drop of their pool waits for them. With
    /// it, the drop of the iterator [cancels](crate::ScopedJoinHandle::cancel)
    /// each task that has not been yielded: one that has not started never runs,
    /// and a running one is asked to stop if it was submitted by
    /// `submit_cancellable`. All are cancelled before the first callback runs.
    /// The drop does not wait for running tasks. Handles given back by
    /// [`into_pending`](Self::into_pending) are not cancelled.
    ///
    /// # Examples
    ///
    /// The first success, the rest cancelled:
    ///
    /// ```
    /// use as_completed::{as_completed, ThreadPool};
    ///
    /// let pool = ThreadPool::new(4);
    /// let parsed = ["no", "7", "none"].map(|text| pool.submit(move || text.parse::<u32>()));
    /// let first = as_completed(parsed)
    ///     .cancel_on_drop()
    ///     .find_map(|number| number.join().ok()?.ok());
    /// assert_eq!(first, Some(7));
    /// ```
    ///
    /// The first error ends the loop, and no task starts after it:
    ///
    /// ```
    /// use as_completed::{as_completed, JoinError, ThreadPool};
    ///
    /// fn total(pool: &ThreadPool, count: u32) -> Result<u32, JoinError> {
    ///     let numbers = (0..count).map(|n| pool.submit(move || 10 / n));
    ///     let mut total = 0;
    ///     for number in as_completed(numbers).cancel_on_drop() {
    ///         total += number.join()?;
    ///     }
    ///     Ok(total)
    /// }
    ///
    /// assert!(total(&ThreadPool::new(1), 1000).unwrap_err().is_panic()); // 10 / 0
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels = true;
        self
    }

    /// Ends the iteration and returns the handles not yet yielded, in no
    /// particular order; nothing is cancelled. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{as_completed, Inline};
    ///
    /// let mut all = as_completed([Inline.submit(|| 1), Inline.submit(|| 2)]);
    /// assert_eq!(all.next().unwrap().join()?, 1);
    /// assert_eq!(all.into_pending().pop().unwrap().join()?, 2);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[must_use = "dropping the handles detaches their tasks"]
    pub fn into_pending(mut self) -> Vec<H> {
        self.unregister();
        self.slots.take_all().collect()
    }

    /// Polls for the next handle; `waker` is woken when a task is final.
    #[cfg(feature = "stream")]
    pub(super) fn poll_ready(&mut self, waker: &std::task::Waker) -> std::task::Poll<Option<H>> {
        use std::task::Poll;

        if let Some(handle) = self.next_ready() {
            return Poll::Ready(Some(handle));
        }
        if self.pending == 0 {
            return Poll::Ready(None);
        }
        self.completions.wake_by(waker);
        // Once more: a completion between the look and the waker woke nobody.
        self.next_ready()
            .map_or(Poll::Pending, |handle| Poll::Ready(Some(handle)))
    }

    #[inline]
    fn take(&mut self, place: u32) -> H {
        self.pending -= 1;
        let handle = self
            .slots
            .remove(place)
            .expect("a place is sent once for each handle put there");
        // The place is sent a moment before the task is seen to be final.
        awaited(&handle).settled();
        handle
    }

    /// The handles not yet yielded.
    pub(crate) fn handles(&self) -> impl Iterator<Item = &H> + Clone {
        self.slots.iter_from(0).map(|(_, handle)| handle)
    }

    /// A handle that is final, if there is one now.
    #[inline]
    pub(crate) fn next_ready(&mut self) -> Option<H> {
        let place = self.arrivals.try_next()?;
        Some(self.take(place))
    }

    /// Where it is nudged.
    pub(crate) fn completions(&self) -> &Arc<Completions> {
        &self.completions
    }

    /// Blocks until a handle is final, until it is nudged, or until the deadline; to be
    /// called when [`next_ready`](Self::next_ready) has found nothing, which would
    /// swallow a nudge that came after the reason for it was looked at.
    pub(crate) fn next_or_nudge(&mut self, deadline: Option<Instant>) -> Option<H> {
        match self.arrivals.recv_before(deadline)? {
            Arrival::Place(place) => Some(self.take(place)),
            Arrival::Nudge => None,
        }
    }

    /// Blocks until a handle is final; runs the tasks of this worker's pool
    /// that have not started, one at a time and while nobody else is free to.
    fn next_on_worker(&mut self, claimer: &Claimer) -> Option<H> {
        let key = Key::Completion(&self.completions);
        let place = loop {
            // What others have finished comes first.
            if let Some(place) = self.arrivals.try_next() {
                break Some(place);
            }
            if self.pending == 0 {
                break None;
            }
            // Else each look would leave one more watcher.
            claimer.unwatch(&key);
            let handles = (&self.slots, self.pending);
            if self.claimable.claim(claimer, handles, &self.completions) {
                continue;
            }
            match self.arrivals.recv() {
                // Nobody is free any more, a limit has room, or a task has joined the
                // pool: look again.
                Arrival::Nudge => {}
                Arrival::Place(place) => break Some(place),
            }
        };
        claimer.unwatch(&key);
        place.map(|place| self.take(place))
    }

    /// Takes the watchers back from all tasks that are not final.
    fn unregister(&self) {
        let key = Key::Completion(&self.completions);
        for handle in self.handles() {
            awaited(handle).unwatch(&key);
        }
    }
}

impl<H: Awaited> Iterator for AsCompleted<H> {
    type Item = H;

    fn next(&mut self) -> Option<H> {
        if let Some(handle) = self.next_ready() {
            return Some(handle);
        }
        if let Some(claimer) = Claimer::current() {
            return self.next_on_worker(&claimer);
        }
        self.next_before(None)
            .expect("a wait without a deadline does not end before its time")
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.pending, Some(self.pending))
    }
}

impl<H: Awaited> ExactSizeIterator for AsCompleted<H> {}

impl<H: Awaited> Drop for AsCompleted<H> {
    fn drop(&mut self) {
        self.unregister();
        if self.cancels {
            cancel_all(self.handles().map(awaited));
        }
    }
}

impl<H: Awaited> fmt::Debug for AsCompleted<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("pending", &self.pending)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

impl<H: Awaited> NextBefore for AsCompleted<H> {
    fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<H>, UnfinishedError> {
        if let Some(handle) = self.next_ready() {
            return Ok(Some(handle));
        }
        if self.pending == 0 {
            return Ok(None);
        }
        match self.arrivals.next_before(deadline) {
            Some(place) => Ok(Some(self.take(place))),
            None => Err(UnfinishedError {
                pending: self.pending,
                total: self.total,
            }),
        }
    }
}

impl<H: Awaited> Iterator for Timed<AsCompleted<H>> {
    type Item = Result<H, UnfinishedError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_in_time()
    }
}

impl<H: Awaited> FusedIterator for Timed<AsCompleted<H>> {}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::task::pending::pending;
    use crate::unwind;

    #[test]
    fn an_input_that_panics_leaves_no_pile_of_watchers() {
        let (cell, handle) = pending();
        let finished = crate::Inline.submit(|| 1);
        for _ in 0..1_000 {
            // Of no user's making, and so reported by no panic hook.
            let input = [&handle, &handle, &finished]
                .into_iter()
                .chain(std::iter::once_with(|| {
                    std::panic::resume_unwind(Box::new("input"))
                }));
            assert!(unwind::catch(|| as_completed(input)).is_err());
            assert!(cell.watchers() <= 5);
        }
        let kept = as_completed([&handle]);
        assert!(cell.watchers() <= 5);
        drop(kept);
    }

    #[test]
    fn no_watcher_is_left_by_a_timeout_or_an_early_end() {
        let (cell, handle) = pending();
        let mut all = as_completed([&handle, &handle]);
        assert!(all.next_timeout(Duration::from_nanos(1)).is_err());
        assert_eq!(cell.watchers(), 2);
        drop(all);
        assert_eq!(cell.watchers(), 0);
        let pending = as_completed([&handle]).into_pending();
        assert_eq!((pending.len(), cell.watchers()), (1, 0));
        assert!(
            as_completed([&handle])
                .timeout(Duration::ZERO)
                .all(|next| next.is_err())
        );
        assert_eq!(cell.watchers(), 0);
        let waited = crate::wait(
            [&handle],
            crate::ReturnWhen::AllCompleted,
            Some(Duration::ZERO),
        );
        assert_eq!((waited.pending.len(), cell.watchers()), (1, 0));
    }

    #[test]
    fn a_timeout_tells_of_all_there_have_been() {
        let ((_first, one), (_second, two)) = (pending(), pending());
        let mut all = as_completed([one]);
        all.push(two);
        let error = all.next_timeout(Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "2 (of 2) tasks unfinished");
    }

    #[cfg(feature = "stream")]
    mod polled {
        use super::*;
        use crate::error::Rejected;
        use crate::task::AnyCell;
        use crate::task::pending::Pending;
        use std::sync::mpsc;
        use std::task::{Wake, Waker};

        /// Says, when it is woken, whether the task's lock is free.
        struct Looking(Pending, mpsc::Sender<bool>);

        impl Wake for Looking {
            fn wake(self: Arc<Self>) {
                let _ = self.1.send(!self.0.is_locked());
            }
        }

        /// Each end wakes whoever polls outside of the lock, and before callbacks run
        /// that were added before.
        #[test]
        fn whoever_polls_is_woken_before_callbacks_and_outside_of_the_lock() {
            let ends: [fn(&dyn AnyCell); 4] = [
                |cell| assert!(cell.run_from_queue(None)),
                |cell| assert!(cell.cancel()),
                |cell| cell.reject(Rejected::Lost),
                |cell| cell.withdraw(None).unwrap().notify(cell.id()),
            ];
            for end in ends {
                let (cell, handle) = pending();
                let (sender, woken) = mpsc::channel();
                let (over, outcome) = mpsc::channel();
                handle.on_done(move |_| over.send(woken.try_recv()).unwrap());
                let waker = Waker::from(Arc::new(Looking(Arc::clone(&cell), sender)));
                let mut all = as_completed([handle]);
                assert!(all.poll_ready(&waker).is_pending());
                end(&*cell);
                assert_eq!(outcome.recv(), Ok(Ok(true)));
            }
        }
    }
}
