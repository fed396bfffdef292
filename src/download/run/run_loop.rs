//! The caller's side of a run: jobs are read, handed to the executor, and waited
//! for.

use super::assigned::{Assigned, AssignedTask};
use super::attempts;
use super::context::{Run, Told};
use super::queue::QueuedJob;
use super::relay::Relay;
use crate::collect::{AsCompleted, as_completed};
use crate::download::error::{DownloadError, DownloadErrorKind};
use crate::download::event::{Event, Observer};
use crate::download::fetch::folder;
use crate::download::fetch::shared::Shared;
use crate::download::job::Job;
use crate::download::net::location::Location;
use crate::download::report::{DownloadStatus, Outcome, Report};
use crate::error::{JoinError, Rejected};
use crate::executor::{Executor, ExecutorExt};
use crate::task::{Claimer, JoinHandle, promise};
use crate::unwind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// What wakes the loop.
enum Wake<K> {
    /// This task is final.
    Task(Arc<Assigned<K>>),
    /// An observer on a thread of its own has been told of a job.
    Told,
    /// The run is cancelled.
    Cancelled,
}

/// What may wake the loop, and the handle that says when it does.
type Item<K> = (Wake<K>, Arc<JoinHandle<()>>);

/// How often to look whether a full executor has room; nobody tells of that.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(10);

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
    folder::prepare(&shared.settings.directory).map_err(DownloadError::new)?;
    let run = Run::new(shared, Told::observer(observer));
    Ok(run_all(executor, &Arc::new(run), jobs))
}

/// Runs all jobs, and blocks until they are over. The observer has a thread of its own
/// meanwhile.
pub(crate) fn run_scoped<K, E, I>(
    executor: &E,
    shared: &Arc<Shared>,
    jobs: I,
    observe: impl FnMut(&Event<'_, K>) + Send,
) -> Result<Report<K>, DownloadError>
where
    K: Send + Sync + 'static,
    E: Executor + ?Sized,
    I: Iterator<Item = Job<K>>,
{
    /// Ends the thread, also after a panic of what reads the jobs.
    struct EndRelay<'a, K: Send + Sync + 'static>(&'a Run<K>);

    impl<K: Send + Sync + 'static> Drop for EndRelay<'_, K> {
        fn drop(&mut self) {
            self.0.end_relay();
        }
    }

    folder::prepare(&shared.settings.directory).map_err(DownloadError::new)?;
    let run = Arc::new(Run::new(shared, Told::Relay(Relay::new())));
    thread::scope(|scope| {
        let _end = EndRelay(&run);
        thread::Builder::new()
            .name("download observer".to_owned())
            .spawn_scoped(scope, || run.relay_to(observe))
            .map_err(|error| {
                let reason = format!("cannot start the thread of the observer: {error}");
                DownloadError::new(DownloadErrorKind::Rejected(reason))
            })?;
        Ok(run_all(executor, &run, jobs))
    })
}

fn run_all<K, E, I>(executor: &E, run: &Arc<Run<K>>, jobs: I) -> Report<K>
where
    K: Send + Sync + 'static,
    E: Executor + ?Sized,
    I: Iterator<Item = Job<K>>,
{
    let mut run_loop = RunLoop {
        executor,
        input: Input {
            jobs,
            next_number: 0,
            is_over: false,
        },
        tasks: as_completed(std::iter::empty()),
        refused: None,
        run: Arc::clone(run),
    };
    let started = Instant::now();
    // The loop waits for handles only, so a promise that is dropped on
    // cancelling wakes it.
    let (promise, cancelled) = promise();
    run_loop.tasks.push((Wake::Cancelled, Arc::new(cancelled)));
    run_loop.wake_when_told();
    let theirs = Arc::clone(run);
    let on_cancel = run.shared.settings.token.on_cancel(move || {
        theirs.cancel();
        drop(promise);
    });
    let panicked = unwind::catch(|| run_loop.start_all()).err();
    if panicked.is_some() {
        drop(run.end_reading());
        run.cancel();
    }
    run_loop.finish_all();
    drop(on_cancel);
    if let Some(panicked) = panicked {
        resume_unwind(panicked);
    }
    let mut report = run.take_report();
    let is_complete = run_loop.input.is_at_its_end();
    // Too late if it made no difference.
    let is_cancelled =
        run.is_cancelled() && (!is_complete || report.count(DownloadStatus::Cancelled) > 0);
    let panics = run.observer_panics();
    report.close(started.elapsed(), is_cancelled, is_complete, panics);
    report
}

/// The jobs that have not been read.
struct Input<I> {
    jobs: I,
    next_number: u64,
    is_over: bool,
}

impl<I: Iterator> Input<I> {
    /// Returns whether all jobs have been read, as far as that is known without
    /// reading on.
    fn is_at_its_end(&self) -> bool {
        self.is_over || self.jobs.size_hint().1 == Some(0)
    }
}

/// What to do next.
enum Step<K> {
    /// Hand this job, which is in flight, to the executor.
    Start(QueuedJob<K>),
    /// Read a job; if told so, with a worker that minds those held back meanwhile.
    Read { minded: bool },
    /// Wait for a task, or until a job that is held back is due.
    Wait(Option<Instant>),
    /// There is nothing more to start.
    End,
}

/// The loop of a run, on the thread that called it.
struct RunLoop<'a, K, E: ?Sized, I> {
    executor: &'a E,
    input: Input<I>,
    tasks: AsCompleted<Item<K>>,
    /// Why the executor takes no more jobs.
    refused: Option<Rejected>,
    run: Arc<Run<K>>,
}

impl<K, E, I> RunLoop<'_, K, E, I>
where
    K: Send + Sync + 'static,
    E: Executor + ?Sized,
    I: Iterator<Item = Job<K>>,
{
    /// Reads jobs and starts them until there are no more, or the run is to stop.
    fn start_all(&mut self) {
        while !self.run.is_cancelled() && self.refused.is_none() {
            match self.next_step() {
                Step::Start(queued) => self.start(queued),
                Step::Read { minded } => {
                    if minded {
                        self.start_minding();
                    }
                    self.read();
                }
                Step::Wait(due) => self.wait(due),
                Step::End => return,
            }
            while let Some(item) = self.tasks.next_ready() {
                self.settle(item);
            }
        }
    }

    /// Ends what is held back, and waits for what is in flight.
    fn finish_all(&mut self) {
        loop {
            let refused = self.refused.as_ref().map(ToString::to_string);
            self.run.settle_held(|| match &refused {
                Some(reason) if !self.run.is_cancelled() => {
                    DownloadErrorKind::Rejected(reason.clone())
                }
                _ => DownloadErrorKind::Cancelled,
            });
            if self.run.state().in_flight == 0 {
                break;
            }
            if self.run.is_cancelled() {
                self.cancel_pending();
            }
            self.wait(None);
        }
        // Those that are left only mind what is held back.
        self.cancel_pending();
    }

    fn next_step(&mut self) -> Step<K> {
        let settings = &self.run.shared.settings;
        let mut state = self.run.state();
        if state.at_work() >= settings.max_in_flight {
            return Step::Wait(None);
        }
        if let Some(queued) = state.held.next(&self.run.pauses) {
            state.in_flight += 1;
            return Step::Start(queued);
        }
        let due = state.held.next_due();
        // An observer with a thread of its own that is slow holds up no retry, but the
        // jobs that it has not been told of must not become ever more.
        let has_room = state.in_flight < settings.max_in_flight && !state.held.is_full();
        if !self.input.is_over && has_room {
            state.is_reading = true;
            let minded = due.is_some() && !state.is_minded && state.has_workers;
            return Step::Read { minded };
        }
        if state.in_flight == 0 && state.held.is_empty() {
            return Step::End;
        }
        Step::Wait(due)
    }

    /// Reads a job and starts it, unless it is refused or held back.
    fn read(&mut self) {
        let read = self.input.jobs.next();
        let mut state = self.run.end_reading();
        let Some(job) = read else {
            drop(state);
            // A list that ends because it is cancelled has not been read to its end.
            self.input.is_over = !self.run.is_cancelled();
            return;
        };
        let number = self.input.next_number;
        self.input.next_number += 1;
        let validated = Location::parse(job.url()).and_then(|location| {
            job.wanted().required_sum()?;
            state.names.take(job.file_name())?;
            Ok(location)
        });
        let location = match validated {
            Ok(location) => location,
            Err(kind) => {
                state.in_flight += 1;
                drop(state);
                let job = Arc::new(job);
                let error = DownloadError::about(kind, &job);
                self.run.record(job, number, Outcome::default().but(error));
                return;
            }
        };
        let queued = QueuedJob::new(job, number, location);
        let Some(queued) = state.held.admit(queued, &self.run.pauses) else {
            return;
        };
        if state.at_work() < self.run.shared.settings.max_in_flight {
            state.in_flight += 1;
            drop(state);
            self.start(queued);
        } else {
            // A worker has started another meanwhile.
            state.held.keep(queued);
        }
    }

    /// Hands a job that is in flight to the executor.
    fn start(&mut self, queued: QueuedJob<K>) {
        let assigned = Assigned::new(Some(queued));
        match self.submit(&assigned) {
            Ok(item) => self.follow(item),
            Err(reason) => {
                let kind = match &reason {
                    None => DownloadErrorKind::Cancelled,
                    Some(reason) => DownloadErrorKind::Rejected(reason.to_string()),
                };
                self.refused = reason;
                if let Some(queued) = assigned.take() {
                    attempts::end(&self.run, queued, kind);
                }
            }
        }
    }

    /// Has a worker mind the jobs that are held back, if one is free.
    fn start_minding(&mut self) {
        let assigned = Assigned::new(None);
        let task = AssignedTask::new(&self.run, &assigned);
        if let Ok(handle) = self.executor.try_submit(move || task.run()) {
            let handle = assigned.keep(handle);
            self.follow((Wake::Task(assigned), handle));
        }
    }

    /// Submits the task of a job, and waits for room in the executor; returns why
    /// it was not taken, or `None` if the run was cancelled before.
    fn submit(&mut self, assigned: &Arc<Assigned<K>>) -> Result<Item<K>, Option<Rejected>> {
        let task = AssignedTask::new(&self.run, assigned);
        let mut closure = move || task.run();
        let handle = loop {
            // A worker may have to run the task itself, lest it wait for itself.
            if Claimer::current().is_some() {
                break self.executor.submit(closure);
            }
            let error = match self.executor.try_submit(closure) {
                Ok(handle) => break handle,
                Err(error) => error,
            };
            if !matches!(error.reason(), Rejected::QueueFull) {
                return Err(Some(error.reason().clone()));
            }
            if self.run.is_cancelled() {
                return Err(None);
            }
            closure = error.into_closure();
            // Wakes at once if it is one of our own tasks that makes room, and if
            // the run is cancelled.
            if let Ok(Some(item)) = self.tasks.next_timeout(LOOK_FOR_ROOM_EVERY) {
                self.settle(item);
            }
        };
        let handle = assigned.keep(handle);
        Ok((Wake::Task(Arc::clone(assigned)), handle))
    }

    fn follow(&mut self, item: Item<K>) {
        if item.1.is_finished() {
            // As all are on an executor that runs them at once.
            self.settle(item);
        } else {
            self.tasks.push(item);
        }
    }

    /// Waits until a task is final, or until then.
    fn wait(&mut self, until: Option<Instant>) {
        let item = match until {
            None => self.tasks.next(),
            // Runs none of the tasks if this is a worker: it could not return in time.
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.tasks.next_timeout(left).unwrap_or_default()
            }
        };
        if let Some(item) = item {
            self.settle(item);
        }
    }

    /// Takes note of a final task, and ends its job if nobody else did.
    fn settle(&mut self, (wake, handle): Item<K>) {
        let assigned = match wake {
            Wake::Task(assigned) => assigned,
            Wake::Told => return self.wake_when_told(),
            // Those that wait in the executor's queue end here.
            Wake::Cancelled => return self.cancel_pending(),
        };
        assigned.forget_handle();
        let Some(queued) = assigned.take() else {
            return;
        };
        let kind = match Arc::into_inner(handle).map(JoinHandle::join) {
            Some(Err(JoinError::Rejected(reason))) => {
                let kind = DownloadErrorKind::Rejected(reason.to_string());
                if !matches!(reason, Rejected::Lost | Rejected::QueueFull) {
                    // It would take none of the others either.
                    self.refused = Some(reason);
                }
                kind
            }
            Some(Err(JoinError::Panicked(panic))) => DownloadErrorKind::Panicked(panic.to_string()),
            _ => DownloadErrorKind::Cancelled,
        };
        attempts::end(&self.run, queued, kind);
    }

    /// Cancels the tasks that have not started.
    fn cancel_pending(&self) {
        for (wake, handle) in self.tasks.handles() {
            if matches!(wake, Wake::Task(_)) {
                handle.cancel();
            }
        }
    }

    /// Has the loop wake when an observer on a thread of its own has been told of a job.
    fn wake_when_told(&mut self) {
        if let Some(handle) = self.run.on_told() {
            self.tasks.push((Wake::Told, Arc::new(handle)));
        }
    }
}
