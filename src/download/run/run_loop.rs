//! A run: jobs in, a bounded number of them on the executor, entries out.

use super::attempts;
use super::context::Run;
use super::queue::{Next, Queue, QueuedJob};
use crate::collect::{AsCompleted, as_completed};
use crate::download::error::{DownloadError, DownloadErrorKind};
use crate::download::event::{Event, Observer};
use crate::download::fetch::save;
use crate::download::fetch::shared::Shared;
use crate::download::job::Job;
use crate::download::report::{DownloadStatus, Outcome, Report};
use crate::error::JoinError;
use crate::executor::{Executor, ExecutorExt};
use crate::task::{JoinHandle, promise};
use std::sync::Arc;
use std::time::Instant;

/// What wakes the loop.
enum Wake<K> {
    /// The task of this job is final.
    Job(QueuedJob<K>),
    /// The run is cancelled.
    Cancelled,
}

/// What may wake the loop, and the handle that says when it does.
type Item<K> = (Wake<K>, JoinHandle<Outcome>);

/// Runs all jobs, and blocks until they are over.
pub(crate) fn run<K, E, I>(
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
    let mut run_loop = RunLoop {
        executor,
        queue: Queue::new(jobs, &shared.settings),
        tasks: as_completed(std::iter::empty()),
        in_flight: 0,
        report: Report::new(shared.settings.keep),
        is_stopping: false,
        run: Arc::new(Run::new(shared, observer)),
    };
    let started = Instant::now();
    // The loop waits for handles only, so a promise that is dropped on
    // cancelling wakes it.
    let (promise, cancelled) = promise();
    run_loop.tasks.push((Wake::Cancelled, cancelled));
    let on_cancel = shared.settings.token.on_cancel(move || drop(promise));
    run_loop.take_all();
    drop(on_cancel);
    let RunLoop {
        run,
        queue,
        mut report,
        ..
    } = run_loop;
    // Too late if it made no difference.
    let is_cancelled =
        run.is_cancelled() && (!queue.is_over() || report.count(DownloadStatus::Cancelled) > 0);
    let panics = run.observer_panics();
    report.close(started.elapsed(), is_cancelled, panics);
    Ok(report)
}

/// The loop of a run, on the thread that called it.
struct RunLoop<'a, K, E: ?Sized, I> {
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

impl<K, E, I> RunLoop<'_, K, E, I>
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
                Some(Next::Ready(queued)) => {
                    self.submit(queued);
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
            if let Some((wake, handle)) = finished {
                self.settle(wake, handle);
            }
        }
        for queued in self.queue.held_back() {
            let kind = if self.run.is_cancelled() {
                DownloadErrorKind::Cancelled
            } else {
                DownloadErrorKind::Rejected("the executor takes no more jobs".to_owned())
            };
            let error = DownloadError::about(kind, &queued.job);
            self.record(queued.job, queued.number, Outcome::failed(error));
        }
    }

    fn submit(&mut self, queued: QueuedJob<K>) {
        let (run, theirs) = (Arc::clone(&self.run), queued.clone());
        let handle = self.executor.submit(move || attempts::work(&run, &theirs));
        self.in_flight += 1;
        if handle.is_finished() {
            // As all are on an executor that runs them at once.
            self.settle(Wake::Job(queued), handle);
        } else {
            self.tasks.push((Wake::Job(queued), handle));
        }
    }

    fn settle(&mut self, wake: Wake<K>, handle: JoinHandle<Outcome>) {
        let Wake::Job(queued) = wake else {
            // Those that wait in the executor's queue end here.
            for (_, handle) in self.tasks.handles() {
                handle.cancel();
            }
            return;
        };
        self.in_flight -= 1;
        self.queue.finished(&queued);
        let outcome = handle.join().unwrap_or_else(|join_error| {
            let kind = match join_error {
                JoinError::Cancelled => DownloadErrorKind::Cancelled,
                JoinError::Panicked(panic) => DownloadErrorKind::Panicked(panic.to_string()),
                JoinError::Rejected(reason) => {
                    // It would take none of the others either.
                    self.is_stopping = true;
                    DownloadErrorKind::Rejected(reason.to_string())
                }
                // Only calls of named functions end so, and a download is none.
                other @ (JoinError::Died(_) | JoinError::TimedOut(_) | JoinError::Call(_)) => {
                    DownloadErrorKind::Rejected(other.to_string())
                }
            };
            Outcome::failed(DownloadError::about(kind, &queued.job))
        });
        self.record(queued.job, queued.number, outcome);
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
