//! Watchers: who is told when a task is final, and how.
//!
//! A task keeps its watchers until it is final, then tells each of them once,
//! outside of its lock. Most tasks have none or one, so one needs no
//! allocation; whatever is larger than a pointer is boxed, which keeps a task
//! small.

use super::callback::{call, report};
use super::hook::Hook;
use super::id::TaskId;
use crate::sync::{AtomicBool, Mutex, Ordering, Parker, Sender, Unparker, UnparkerKey};
use crate::unwind;
use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

/// A callback, as given to `on_done`. A [`Watcher`] boxes it once more: a
/// pointer to a closure is two words, and a third would make every task larger.
pub(crate) type Callback = Box<dyn FnOnce(TaskId) + Send>;

/// Sent in the stead of a place; no handle is ever put there.
pub(crate) const NUDGE: u32 = u32::MAX;

/// The sending end of one `as_completed`: tasks send the place they were
/// given there.
pub(crate) struct Completions {
    sender: Sender<u32>,
    /// Whether `waker` may hold one; spares the lock where nobody polls.
    polled: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// Whether the iterator is gone and could not take its watchers back.
    abandoned: AtomicBool,
    /// Places of tasks that have joined a pool since they were looked at.
    joined: Mutex<Vec<u32>>,
}

impl Completions {
    pub(crate) fn new(sender: Sender<u32>) -> Self {
        Self {
            sender,
            polled: AtomicBool::new(false),
            waker: Mutex::new(None),
            abandoned: AtomicBool::new(false),
            joined: Mutex::new(Vec::new()),
        }
    }

    /// Leaves the watchers of this iterator, which nobody has polled, to be
    /// dropped by the tasks.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Leaves `waker` to be woken by the next completion, once.
    #[cfg_attr(not(feature = "stream"), expect(dead_code, reason = "used by Stream"))]
    pub(crate) fn wake_by(&self, waker: &Waker) {
        // Cloned and dropped outside of the lock: a waker's code is foreign.
        let waker = waker.clone();
        let old = self.waker.lock().replace(waker);
        // SeqCst, as the load in `send`: either the sender sees the flag, or
        // the poller, who looks at the channel once more after this, sees what
        // was sent.
        self.polled.store(true, Ordering::SeqCst);
        unwind::discard(old);
    }

    /// Sends a place, and wakes nobody who polls.
    // The only caller of the channel's function, which is inlined here.
    #[inline(never)]
    fn send(&self, place: u32) {
        // An error means that the iterator is gone, and nobody wants to know.
        let _ = self.sender.send(place);
    }

    /// Has the iterator look again at what it may run.
    pub(crate) fn nudge(&self) {
        self.send(NUDGE);
    }

    /// Has the iterator look again at the task at that place, which has joined a pool.
    fn look_again(&self, place: u32) {
        if place != NUDGE {
            self.joined.lock().push(place);
        }
        self.nudge();
    }

    /// The places of tasks that have joined a pool since this was asked last.
    pub(crate) fn take_joined(&self) -> Vec<u32> {
        std::mem::take(&mut *self.joined.lock())
    }

    /// Wakes whoever polls; to be called after a place has arrived.
    pub(crate) fn wake(&self) {
        if self.polled.load(Ordering::SeqCst) {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                report(|| waker.wake());
            }
        }
    }
}

/// One who is told when a task is final.
pub(crate) enum Watcher {
    /// A thread that sleeps until then.
    Thread(Unparker),
    /// An iterator that wants to know at which place.
    Completion(Arc<Completions>, u32),
    /// A function to run.
    Callback(Box<Callback>),
    /// A future to poll.
    Waker(Box<Waker>),
    /// Asked before the task runs, and not told anything.
    Guard(Box<Arc<dyn Guard>>),
    /// Runs the task within itself, and is not told anything.
    Around(Box<Around>),
}

/// What stands between a task and whoever is to run it.
pub(crate) trait Guard: Send + Sync {
    /// Names the limit that it keeps, among those that exist.
    fn limit(&self) -> usize;
    /// The pool whose workers may claim the task; 0 for none.
    fn pool(&self) -> u32;
    fn join_pool(&self, pool: u32);
    /// Runs the task here, or keeps it until it may run.
    fn run(&self, hook: Option<&Arc<Hook>>);
    /// Called when the task will not run, which it may have kept.
    fn withdraw(&self, task: TaskId);
    /// Calls `run`, which runs the task, if the current thread, which waits for it, may
    /// run it now, and is to: if others are free to, it is left to them. Says whether
    /// it did.
    fn try_within(&self, is_anyone_free: bool, run: &mut dyn FnMut()) -> bool;
    /// Notifies the waiter when `try_within` may answer otherwise.
    fn watch(&self, waiter: &dyn Fn() -> Watcher);
    fn unwatch(&self, key: &Key<'_>);
    /// For those who know what it is.
    fn as_any(&self) -> &dyn Any;
}

/// What a task runs in: calls its argument once.
pub(crate) type Around = Box<dyn FnOnce(&mut dyn FnMut()) + Send>;

/// Which watcher to take away again.
pub(crate) enum Key<'a> {
    Thread(UnparkerKey),
    Completion(&'a Arc<Completions>),
    /// The one waker that a task has.
    Waker,
    /// The one guard that a task has.
    Guard,
    /// What was put around a task first.
    Around,
}

impl Key<'_> {
    pub(crate) fn of_thread(parker: &Parker) -> Self {
        Self::Thread(Unparker::key_of(parker))
    }

    pub(super) fn names(&self, watcher: &Watcher) -> bool {
        match (self, watcher) {
            (Self::Thread(key), Watcher::Thread(unparker)) => unparker.key() == *key,
            (Self::Completion(key), Watcher::Completion(completions, _)) => {
                Arc::ptr_eq(key, completions)
            }
            (Self::Waker, Watcher::Waker(_))
            | (Self::Guard, Watcher::Guard(_))
            | (Self::Around, Watcher::Around(_)) => true,
            _ => false,
        }
    }

    /// Takes out the watchers that it names, for the caller to drop outside of locks.
    pub(super) fn take_from(&self, watchers: &mut Vec<Watcher>) -> Vec<Watcher> {
        let (removed, kept) = std::mem::take(watchers)
            .into_iter()
            .partition(|watcher| self.names(watcher));
        *watchers = kept;
        removed
    }
}

impl Watcher {
    /// Whether telling it runs code of others, which may take its time.
    fn is_foreign(&self) -> bool {
        !matches!(self, Self::Thread(_) | Self::Completion(..))
    }

    fn is_abandoned(&self) -> bool {
        match self {
            Self::Completion(completions, _) => completions.abandoned.load(Ordering::Relaxed),
            _ => false,
        }
    }

    #[inline]
    fn announce(&self) {
        if let Self::Completion(completions, place) = self {
            completions.send(*place);
        }
    }

    fn notify(self, id: TaskId) {
        match self {
            Self::Thread(unparker) => unparker.unpark(),
            // The place was sent by `announce`.
            Self::Completion(completions, _) => {
                completions.wake();
                // The iterator may be gone; it leaves a waker, which is foreign.
                unwind::discard(completions);
            }
            Self::Callback(callback) => call(move || callback(id)),
            Self::Waker(waker) => report(|| waker.wake()),
            Self::Guard(guard) => unwind::discard(guard),
            Self::Around(around) => unwind::discard(around),
        }
    }

    /// Has the one who waits look again; nothing is final.
    pub(super) fn nudge(self) {
        match self {
            Self::Thread(unparker) => unparker.unpark(),
            Self::Completion(completions, _) => completions.nudge(),
            Self::Callback(_) | Self::Waker(_) | Self::Guard(_) | Self::Around(_) => {}
        }
    }
}

/// All who are told when a task is final.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "a thin pointer keeps a task small")]
pub(crate) enum Watchers {
    #[default]
    None,
    One(Watcher),
    Many(Box<Vec<Watcher>>),
}

impl Watchers {
    pub(crate) fn add(&mut self, watcher: Watcher) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(watcher),
            Self::One(first) if first.is_abandoned() => Self::One(watcher),
            Self::One(first) => Self::Many(Box::new(vec![first, watcher])),
            Self::Many(mut all) => {
                if all.len() == all.capacity() {
                    all.retain(|watcher| !watcher.is_abandoned());
                    // Room for as many more, so that the next look at all of
                    // them is paid for by those that come before it.
                    all.reserve(all.len() + 1);
                }
                all.push(watcher);
                Self::Many(all)
            }
        };
    }

    /// Takes out the watchers of an iterator, or one watcher of another name: a
    /// thread may wait for the same task several times, nested. Returns one, to
    /// be dropped outside of the lock.
    pub(crate) fn remove(&mut self, key: &Key<'_>) -> Option<Watcher> {
        let first = self.take_first(|watcher| key.names(watcher));
        if let (Self::Many(all), Some(_), Key::Completion(_)) = (self, &first, key) {
            // Not the last of the iterator, which is returned: no foreign drop.
            all.retain(|watcher| !key.names(watcher));
        }
        first
    }

    /// Puts `waker` in the place of the one there was: a handle is polled by
    /// one task at a time, and only the last waker counts. The old one is
    /// returned to be dropped outside of the lock.
    pub(crate) fn set_waker(&mut self, waker: Waker) -> Option<Watcher> {
        let old = self.remove(&Key::Waker);
        self.add(Watcher::Waker(Box::new(waker)));
        old
    }

    /// Whether the waker that is already there wakes the same task as `waker`:
    /// a comparison of two pointers, which runs no foreign code.
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.as_slice()
            .iter()
            .any(|watcher| matches!(watcher, Watcher::Waker(old) if old.will_wake(waker)))
    }

    pub(crate) fn guard(&self) -> Option<Arc<dyn Guard>> {
        self.as_slice().iter().find_map(|watcher| match watcher {
            Watcher::Guard(guard) => Some(Arc::clone(guard)),
            _ => None,
        })
    }

    /// Takes out what is around the task, in the order in which it was put there.
    pub(crate) fn take_arounds(&mut self) -> Vec<Around> {
        std::iter::from_fn(|| match self.remove(&Key::Around) {
            Some(Watcher::Around(around)) => Some(*around),
            _ => None,
        })
        .collect()
    }

    fn take_first(&mut self, wanted: impl Fn(&Watcher) -> bool) -> Option<Watcher> {
        match self {
            Self::One(watcher) if wanted(watcher) => match std::mem::take(self) {
                Self::One(watcher) => Some(watcher),
                _ => None,
            },
            Self::Many(all) => {
                let index = all.iter().position(wanted)?;
                Some(all.remove(index))
            }
            _ => None,
        }
    }

    /// Notifies those who wait, and returns those that run foreign code.
    pub(crate) fn notify_waiting(self, id: TaskId) -> Self {
        let mut foreign = Self::None;
        let mut sort = |watcher: Watcher| {
            if watcher.is_foreign() {
                foreign.add(watcher);
            } else {
                watcher.notify(id);
            }
        };
        match self {
            Self::None => {}
            Self::One(watcher) => sort(watcher),
            Self::Many(all) => all.into_iter().for_each(sort),
        }
        foreign
    }

    pub(super) fn as_slice(&self) -> &[Watcher] {
        match self {
            Self::None => &[],
            Self::One(watcher) => std::slice::from_ref(watcher),
            Self::Many(all) => all.as_slice(),
        }
    }

    /// Has all who wait look again; nothing is final. Runs no foreign code.
    pub(crate) fn nudge(&self) {
        for watcher in self.as_slice() {
            match watcher {
                Watcher::Thread(unparker) => unparker.unpark(),
                Watcher::Completion(completions, place) => completions.look_again(*place),
                Watcher::Callback(_)
                | Watcher::Waker(_)
                | Watcher::Guard(_)
                | Watcher::Around(_) => {}
            }
        }
    }

    /// Sends to all iterators, which is no foreign code, in the critical
    /// section that makes the task final.
    #[inline]
    pub(crate) fn announce(&self) {
        match self {
            Self::None => {}
            Self::One(watcher) => watcher.announce(),
            Self::Many(all) => all.iter().for_each(Watcher::announce),
        }
    }

    /// Notifies them all, after [`announce`](Self::announce): who waits first,
    /// then foreign code in the order in which it came.
    pub(crate) fn notify(self, id: TaskId) {
        match self {
            Self::None => {}
            Self::One(watcher) => watcher.notify(id),
            Self::Many(mut all) => {
                // A stable sort: foreign code runs in the order it came in,
                // and holds up nobody who waits.
                all.sort_by_key(Watcher::is_foreign);
                for watcher in *all {
                    watcher.notify(id);
                }
            }
        }
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::sync::unbounded;
    use std::thread;

    fn completions() -> Arc<Completions> {
        Arc::new(Completions::new(unbounded().0))
    }

    #[test]
    fn a_watcher_is_taken_out_by_its_name_alone() {
        let (mine, other) = (Parker::new(), thread::spawn(Parker::new).join().unwrap());
        let (one, two) = (completions(), completions());
        let mut watchers = Watchers::default();
        watchers.add(Watcher::Thread(mine.unparker()));
        watchers.add(Watcher::Completion(Arc::clone(&one), 1));
        watchers.add(Watcher::Callback(Box::new(Box::new(|_| ()))));

        assert!(watchers.remove(&Key::of_thread(&other)).is_none());
        assert!(watchers.remove(&Key::Completion(&two)).is_none());
        let taken = watchers.remove(&Key::Completion(&one));
        assert!(matches!(taken, Some(Watcher::Completion(_, 1))));
        let taken = watchers.remove(&Key::of_thread(&mine));
        assert!(matches!(taken, Some(Watcher::Thread(_))));
        assert!(watchers.remove(&Key::of_thread(&mine)).is_none());
    }

    #[test]
    fn a_waker_is_known_again_among_others() {
        struct Noop;
        impl std::task::Wake for Noop {
            fn wake(self: Arc<Self>) {}
        }
        let (waker, other) = (Waker::from(Arc::new(Noop)), Waker::from(Arc::new(Noop)));
        let mut watchers = Watchers::default();
        assert!(!watchers.will_wake(&waker));
        assert!(watchers.set_waker(waker.clone()).is_none());
        assert!(watchers.will_wake(&waker) && !watchers.will_wake(&other));
        watchers.add(Watcher::Callback(Box::new(Box::new(|_| ()))));
        assert!(watchers.will_wake(&waker) && !watchers.will_wake(&other));
        assert!(watchers.remove(&Key::Waker).is_some());
        assert!(!watchers.will_wake(&waker));
    }

    #[test]
    fn all_watchers_of_an_iterator_are_taken_out_at_once_and_others_stay() {
        let (mine, other) = (completions(), completions());
        let mut watchers = Watchers::default();
        for place in 0..5 {
            watchers.add(Watcher::Completion(Arc::clone(&mine), place));
            watchers.add(Watcher::Completion(Arc::clone(&other), place));
        }
        assert!(watchers.remove(&Key::Completion(&mine)).is_some());
        assert_eq!(Arc::strong_count(&mine), 1);
        assert_eq!(watchers.as_slice().len(), 5);
        assert!(watchers.remove(&Key::Completion(&mine)).is_none());
    }

    #[test]
    fn a_thread_that_waits_twice_keeps_one_watcher() {
        let parker = Parker::new();
        let mut watchers = Watchers::default();
        for _ in 0..2 {
            watchers.add(Watcher::Thread(parker.unparker()));
        }
        assert!(watchers.remove(&Key::of_thread(&parker)).is_some());
        assert_eq!(watchers.as_slice().len(), 1);
    }

    #[test]
    fn abandoned_watchers_make_room_for_new_ones() {
        let kept = completions();
        let mut watchers = Watchers::default();
        for place in 0..100 {
            let abandoned = completions();
            watchers.add(Watcher::Completion(Arc::clone(&abandoned), 0));
            abandoned.abandon();
            if place % 10 == 0 {
                watchers.add(Watcher::Completion(Arc::clone(&kept), place));
            }
        }
        assert_eq!(Arc::strong_count(&kept), 11);
        assert!(watchers.as_slice().len() <= 22, "half are kept at least");
    }

    #[test]
    fn the_only_watcher_is_taken_out_too() {
        let parker = Parker::new();
        let mut watchers = Watchers::default();
        watchers.add(Watcher::Thread(parker.unparker()));
        assert!(watchers.remove(&Key::Completion(&completions())).is_none());
        assert!(watchers.remove(&Key::of_thread(&parker)).is_some());
        assert!(matches!(watchers, Watchers::None));
    }
}
