//! A run: jobs in, a bounded number of them on the executor, entries out.

use super::attempts;
use super::downloader::Shared;
use super::entry::{DownloadStatus, Outcome};
use super::error::{DownloadError, DownloadErrorKind, TimeoutKind};
use super::event::{Event, Observer};
use super::job::Job;
use super::location::Location;
use super::queue::{Next, Queue};
use super::report::Report;
use super::retry::Budget;
use super::save;
use crate::collect::{AsCompleted, as_completed};
use crate::error::{JoinError, Rejected};
use crate::executor::{Executor, ExecutorExt};
use crate::sync::Mutex;
use crate::task::{JoinHandle, Task};
use crate::unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What the jobs of a run share.
pub(super) struct Run<K> {
    pub(super) shared: Arc<Shared>,
    pub(super) budget: Budget,
    observer: Arc<dyn Observer<K>>,
    observer_panics: AtomicU64,
}

/// A job that can be worked at.
pub(super) struct Ticket<K> {
    pub(super) job: Arc<Job<K>>,
    pub(super) number: u64,
    pub(super) location: Location,
}

impl<K> Clone for Ticket<K> {
    fn clone(&self) -> Self {
        Self {
            job: Arc::clone(&self.job),
            number: self.number,
            location: self.location.clone(),
        }
    }
}

impl<K: Send + Sync + 'static> Run<K> {
    /// Tells the observer, whose panics end here.
    pub(super) fn observe(&self, event: &Event<'_, K>) {
        if let Err(payload) = unwind::catch(|| self.observer.on_event(event)) {
            unwind::discard(payload);
            self.observer_panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.shared.settings.token.is_cancelled()
    }

    /// Why a wait for a host ended early.
    pub(super) fn why_not_waited(&self) -> DownloadErrorKind {
        if self.is_cancelled() {
            DownloadErrorKind::Cancelled
        } else {
            DownloadErrorKind::Timeout(TimeoutKind::Total)
        }
    }
}

/// A task of the run with the job it belongs to, or the [`Bell`] with none.
type Item<K> = (Option<Ticket<K>>, JoinHandle<Outcome>);

/// Runs all jobs, and blocks until they are over.
pub(super) fn run<K, E, I>(
    executor: &E,
    shared: &Arc<Shared>,
    jobs: I,
    observer: Arc<dyn Observer<K>>,
) -> Result<Report<K>, DownloadError>
where
    K: Send + Sync + 'static,
    E: Executor + ?Sized,
    I: Iterator<Item = Job<K>>,
{
    save::prepare(&shared.settings.directory).map_err(DownloadError::new)?;
    let mut turns = Turns {
        executor,
        queue: Queue::new(jobs, &shared.settings),
        tasks: as_completed(std::iter::empty()),
        in_flight: 0,
        report: Report::new(shared.settings.keep),
        is_stopping: false,
        run: Arc::new(Run {
            shared: Arc::clone(shared),
            budget: Budget::of(&shared.settings.retry),
            observer,
            observer_panics: AtomicU64::new(0),
        }),
    };
    let started = Instant::now();
    let bell = Arc::new(Bell(Mutex::new(None)));
    turns.tasks.push((None, bell.submit(Outcome::default)));
    let on_cancel = shared.settings.token.on_cancel(move || bell.ring());
    turns.take_all();
    drop(on_cancel);
    let Turns {
        run,
        queue,
        mut report,
        ..
    } = turns;
    // Too late if it made no difference.
    let is_cancelled =
        run.is_cancelled() && (!queue.is_over() || report.count(DownloadStatus::Cancelled) > 0);
    let panics = run.observer_panics.load(Ordering::Relaxed);
    report.close(started.elapsed(), is_cancelled, panics);
    Ok(report)
}

/// A task that is never run: it becomes final when the run is cancelled, and so
/// wakes the loop, which waits for nothing but tasks.
struct Bell(Mutex<Option<Task>>);

impl Bell {
    fn ring(&self) {
        let task = self.0.lock().take();
        drop(task);
    }
}

impl Executor for Bell {
    fn execute(&self, task: Task) -> Result<(), Rejected> {
        *self.0.lock() = Some(task);
        Ok(())
    }
}

/// The loop of a run, on the thread that called it.
struct Turns<'a, K, E: ?Sized, I> {
    executor: &'a E,
    queue: Queue<K, I>,
    /// Each task with its job: the map from handles to keys.
    tasks: AsCompleted<Item<K>>,
    in_flight: usize,
    report: Report<K>,
    /// Whether no more jobs are to be read.
    is_stopping: bool,
    run: Arc<Run<K>>,
}

impl<K, E, I> Turns<'_, K, E, I>
where
    K: Send + Sync + 'static,
    E: Executor + ?Sized,
    I: Iterator<Item = Job<K>>,
{
    fn take_all(&mut self) {
        let max_in_flight = self.run.shared.settings.max_in_flight;
        loop {
            self.is_stopping |= self.run.is_cancelled();
            let next = if self.is_stopping || self.in_flight >= max_in_flight {
                None
            } else {
                self.queue.next()
            };
            let finished = match next {
                Some(Next::Ready(ticket)) => {
                    self.submit(ticket);
                    self.tasks.next_ready()
                }
                Some(Next::Refused(job, number, kind)) => {
                    let error = DownloadError::about(kind, &job);
                    self.record(job, number, Outcome::failed(error));
                    self.tasks.next_ready()
                }
                None if self.in_flight == 0 => break,
                None => self.tasks.next(),
            };
            if let Some((ticket, handle)) = finished {
                self.settle(ticket, handle);
            }
        }
        for ticket in self.queue.held_back() {
            let kind = if self.run.is_cancelled() {
                DownloadErrorKind::Cancelled
            } else {
                DownloadErrorKind::Rejected("the executor takes no more jobs".to_owned())
            };
            let error = DownloadError::about(kind, &ticket.job);
            self.record(ticket.job, ticket.number, Outcome::failed(error));
        }
    }

    fn submit(&mut self, ticket: Ticket<K>) {
        let (run, theirs) = (Arc::clone(&self.run), ticket.clone());
        let handle = self.executor.submit(move || attempts::work(&run, &theirs));
        self.in_flight += 1;
        if handle.is_finished() {
            // As all are on an executor that runs them at once.
            self.settle(Some(ticket), handle);
        } else {
            self.tasks.push((Some(ticket), handle));
        }
    }

    fn settle(&mut self, ticket: Option<Ticket<K>>, handle: JoinHandle<Outcome>) {
        let Some(ticket) = ticket else {
            // The bell: those that wait in the executor's queue end here.
            for (_, handle) in self.tasks.handles() {
                handle.cancel();
            }
            return;
        };
        self.in_flight -= 1;
        self.queue.finished(&ticket);
        let outcome = handle.join().unwrap_or_else(|join_error| {
            let kind = match join_error {
                JoinError::Cancelled => DownloadErrorKind::Cancelled,
                JoinError::Panicked(panic) => DownloadErrorKind::Panicked(panic.to_string()),
                JoinError::Rejected(reason) => {
                    // It would take none of the others either.
                    self.is_stopping = true;
                    DownloadErrorKind::Rejected(reason.to_string())
                }
            };
            Outcome::failed(DownloadError::about(kind, &ticket.job))
        });
        self.record(ticket.job, ticket.number, outcome);
    }

    fn record(&mut self, job: Arc<Job<K>>, number: u64, outcome: Outcome) {
        let directory = &self.run.shared.settings.directory;
        let entry = outcome.into_entry(number, job, directory);
        self.run.observe(&Event::Finished {
            key: entry.key(),
            entry: &entry,
        });
        self.report.add(entry);
    }
}
