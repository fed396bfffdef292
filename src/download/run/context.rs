//! [`Run`]: what the jobs of a run share, and how each ends.

use super::budget::Budget;
use super::happening::Happening;
use super::in_turn::InTurn;
use super::names::{NameRules, Names};
use super::queue::{Held, QueuedJob};
use super::relay::{Message, Relay};
use crate::download::error::{DownloadError, DownloadErrorKind};
use crate::download::event::{Event, Observer};
use crate::download::fetch::pauses::Pauses;
use crate::download::fetch::shared::Shared;
use crate::download::job::Job;
use crate::download::report::{Entry, Outcome, Report};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::task::{CancelToken, JoinHandle, Promise, promise};
use crate::unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// How many jobs may be held back, per job in flight.
const LOOK_AHEAD: usize = 4;

/// What the jobs of a run share.
pub(crate) struct Run<K> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) budget: Budget,
    pub(crate) pauses: Pauses,
    /// Cancelled with the downloader's token, and if reading the jobs panics.
    pub(crate) stop: CancelToken,
    told: Told<K>,
    observer_panics: AtomicU64,
    /// The thread that reads the jobs and hands them to the executor.
    caller: ThreadId,
    state: Mutex<State<K>>,
    /// Notified when `is_reading` ends, when a job is put off, and on cancelling.
    changed: Condvar,
    report: Mutex<Option<Report<K>>>,
}

/// Who is told what happens.
pub(crate) enum Told<K> {
    /// An observer, by whichever thread has something to tell.
    Observer {
        observer: Arc<dyn Observer<K>>,
        entries: InTurn<Entry<K>>,
    },
    /// An observer on a thread of its own.
    Relay(Relay<K>),
}

/// Where the jobs are. No foreign code runs under its lock.
///
/// Each job that was read is in one place: held back, in flight, or told of. A job
/// in flight is the executor's, a worker's or on its way to the observer and the report.
pub(crate) struct State<K> {
    pub(crate) names: Names,
    pub(crate) held: Held<K>,
    /// The jobs in flight.
    pub(crate) in_flight: usize,
    /// Those of them that wait for an observer on a thread of its own.
    untold: usize,
    /// Dropped once there are fewer of those, to wake the caller.
    on_told: Option<Promise<()>>,
    /// Whether the caller is reading a job, which may take any time. Meanwhile the
    /// workers start the jobs that are held back.
    pub(crate) is_reading: bool,
    /// Whether a worker waits for the next of them to be due.
    pub(crate) is_minded: bool,
    /// Whether tasks run on threads other than the caller's.
    pub(crate) has_workers: bool,
}

impl<K> State<K> {
    /// How many jobs are the executor's or a worker's.
    pub(crate) fn at_work(&self) -> usize {
        self.in_flight - self.untold
    }
}

impl<K> Told<K> {
    pub(crate) fn observer(observer: Arc<dyn Observer<K>>) -> Self {
        Self::Observer {
            observer,
            entries: InTurn::new(),
        }
    }
}

impl<K: Send + Sync + 'static> Run<K> {
    pub(crate) fn new(shared: &Arc<Shared>, told: Told<K>) -> Self {
        let settings = &shared.settings;
        let most_held = settings.max_in_flight.saturating_mul(LOOK_AHEAD);
        Self {
            shared: Arc::clone(shared),
            budget: Budget::of(&settings.retry),
            pauses: Pauses::default(),
            stop: CancelToken::new(),
            told,
            observer_panics: AtomicU64::new(0),
            caller: thread::current().id(),
            state: Mutex::new(State {
                names: Names::new(NameRules::of(settings)),
                held: Held::new(most_held, settings.max_in_flight_per_host),
                in_flight: 0,
                untold: 0,
                on_told: None,
                is_reading: false,
                is_minded: false,
                has_workers: false,
            }),
            changed: Condvar::new(),
            report: Mutex::new(Some(Report::new(settings.keep))),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock()
    }

    /// How often the observer has panicked so far.
    pub(crate) fn observer_panics(&self) -> u64 {
        self.observer_panics.load(Ordering::Relaxed)
    }

    /// Tells the observer what has happened to a job.
    pub(crate) fn observe(&self, job: &Arc<Job<K>>, number: u64, what: Happening) {
        match &self.told {
            Told::Observer { observer, .. } => {
                self.catch(|| observer.on_event(&what.event(job, number)));
            }
            Told::Relay(relay) => relay.happened(job, number, what),
        }
    }

    /// Calls the observer, whose panics end here.
    fn catch(&self, observe: impl FnOnce()) {
        if let Err(payload) = unwind::catch(observe) {
            unwind::discard(payload);
            self.observer_panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells an observer what is relayed to this thread, until
    /// [`end_relay`](Self::end_relay).
    pub(crate) fn relay_to(&self, mut observe: impl FnMut(&Event<'_, K>)) {
        let Told::Relay(relay) = &self.told else {
            return;
        };
        while let Some(message) = relay.next() {
            match message {
                Message::Happened { job, number, what } => {
                    self.catch(|| observe(&what.event(&job, number)));
                }
                Message::Finished(entry) => {
                    self.tell(entry, &mut observe);
                    // Together: those that wait are some of those in flight.
                    let mut state = self.state();
                    state.in_flight -= 1;
                    state.untold -= 1;
                    let on_told = state.on_told.take();
                    drop(state);
                    drop(on_told);
                }
            }
        }
    }

    /// Ends the relay to an observer, once it has been told all.
    pub(crate) fn end_relay(&self) {
        if let Told::Relay(relay) = &self.told {
            relay.close();
        }
    }

    /// Returns what says that an observer on a thread of its own has been told of a job,
    /// if there is such an observer.
    pub(crate) fn on_told(&self) -> Option<JoinHandle<()>> {
        let Told::Relay(_) = &self.told else {
            return None;
        };
        let (promise, handle) = promise();
        self.state().on_told = Some(promise);
        Some(handle)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Cancels this run, and no other of the downloader.
    pub(crate) fn cancel(&self) {
        self.stop.cancel();
        let _state = self.state();
        self.changed.notify_all();
    }

    /// Ends a job that is in flight.
    pub(crate) fn settle(&self, queued: QueuedJob<K>, outcome: Outcome) {
        let mut state = self.state();
        state.held.stopped(&queued.location);
        state.names.release(queued.job.file_name());
        drop(state);
        self.record(queued.job, queued.number, outcome);
    }

    /// Puts the outcome of a job in flight into the report, and tells the observer.
    pub(crate) fn record(&self, job: Arc<Job<K>>, number: u64, outcome: Outcome) {
        let directory = &self.shared.settings.directory;
        let entry = outcome.into_entry(number, job, directory);
        match &self.told {
            Told::Observer { observer, entries } => entries.add(entry, |entry| {
                self.tell(entry, |event| observer.on_event(event));
                self.state().in_flight -= 1;
            }),
            Told::Relay(relay) => {
                self.state().untold += 1;
                relay.finished(entry);
            }
        }
    }

    /// Tells the observer that a job is over, and puts its entry into the report.
    fn tell(&self, entry: Entry<K>, observe: impl FnOnce(&Event<'_, K>)) {
        self.catch(|| {
            observe(&Event::Finished {
                key: entry.key(),
                entry: &entry,
            });
        });
        let unkept = self.report.lock().as_mut().and_then(|all| all.add(entry));
        // The drop of its key is foreign code.
        unwind::discard(unkept);
    }

    /// Ends all jobs that are held back.
    pub(crate) fn settle_held(&self, kind: impl Fn() -> DownloadErrorKind) {
        let mut state = self.state();
        let all = state.held.take_all();
        state.in_flight += all.len();
        for queued in &all {
            state.names.release(queued.job.file_name());
        }
        drop(state);
        for mut queued in all {
            let error = DownloadError::about(kind(), &queued.job);
            let outcome = queued.tried.take_outcome().but(error);
            self.record(queued.job, queued.number, outcome);
        }
    }

    /// Takes a job in flight back, to be tried again at that time.
    pub(crate) fn put_off(&self, queued: QueuedJob<K>, until: Instant) {
        let mut state = self.state();
        state.held.stopped(&queued.location);
        state.held.put_off(queued, until);
        state.in_flight -= 1;
        self.changed.notify_all();
    }

    /// Takes note that the caller has read a job, or the end; a worker that minds
    /// the jobs held back leaves that to it again.
    pub(crate) fn end_reading(&self) -> MutexGuard<'_, State<K>> {
        let mut state = self.state();
        state.is_reading = false;
        self.changed.notify_all();
        state
    }

    /// Returns a job that was held back, for a worker that has none; blocks until
    /// one is due if no other worker does. Returns `None` if starting jobs is up to
    /// the caller, or to another worker.
    ///
    /// The caller does it, except while it reads: a list may be typed by hand, and
    /// a retry is due before the next line.
    pub(crate) fn next_held(&self) -> Option<QueuedJob<K>> {
        if thread::current().id() == self.caller {
            return None;
        }
        let mut state = self.state();
        state.has_workers = true;
        while state.is_reading {
            if self.is_cancelled() {
                drop(state);
                self.settle_held(|| DownloadErrorKind::Cancelled);
                return None;
            }
            if state.at_work() >= self.shared.settings.max_in_flight {
                // Somebody else has the last place, and comes here afterwards.
                return None;
            }
            if let Some(queued) = state.held.next(&self.pauses) {
                state.in_flight += 1;
                return Some(queued);
            }
            let due = state.held.next_due()?;
            if state.is_minded {
                return None;
            }
            state.is_minded = true;
            self.changed.wait_until(&mut state, due);
            state.is_minded = false;
        }
        None
    }

    /// Takes the report, once all jobs are over.
    pub(crate) fn take_report(&self) -> Report<K> {
        let report = self.report.lock().take();
        report.expect("the report is taken once, at the end of the run")
    }
}
