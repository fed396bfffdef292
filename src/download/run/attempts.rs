//! The attempts at one job, on a thread of the executor.

use super::context::Run;
use super::happening::Happening;
use super::queue::{QueuedJob, Tried};
use crate::download::error::{DownloadError, DownloadErrorKind, TimeoutKind};
use crate::download::fetch::existing::Here;
use crate::download::fetch::failure::{Again, Failure};
use crate::download::fetch::job::{Fetch, Fetched};
use crate::download::fetch::save::path_in;
use crate::download::fetch::subdirectory;
use crate::download::job::Job;
use crate::download::net::stop;
use crate::download::settings::finite;
use crate::error::Panic;
use crate::unwind;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many reused connections may turn out to be closed before a job treats that
/// as an ordinary error.
const MAX_STALE: u32 = 64;

/// What came of work at a job.
enum Worked {
    /// The job is over.
    Over(Fetched),
    /// It is to be tried again after this time.
    Later(Duration),
}

/// Works at a job that is in flight until it is over or cannot go on for now, and
/// then takes note of that.
pub(crate) fn work<K: Send + Sync + 'static>(run: &Run<K>, mut queued: QueuedJob<K>) {
    let worked =
        unwind::catch(|| stop::during(&run.stop, || attempt_until_waiting(run, &mut queued)));
    let kind = match worked {
        Ok(Ok(Worked::Later(delay))) => {
            let total = finite(run.shared.settings.total_timeout);
            let delay = match (total, queued.tried.started) {
                // Woken in time to say that it is over.
                (Some(total), Some(started)) => delay.min(total.saturating_sub(started.elapsed())),
                _ => delay,
            };
            match Instant::now().checked_add(delay) {
                Some(until) => return run.put_off(queued, until),
                None => DownloadErrorKind::Timeout(TimeoutKind::Total),
            }
        }
        Ok(Ok(Worked::Over(fetched))) => {
            let mut outcome = queued.tried.take_outcome();
            outcome.skipped = fetched == Fetched::Skipped;
            return run.settle(queued, outcome);
        }
        Ok(Err(kind)) => kind,
        Err(payload) => DownloadErrorKind::Panicked(Panic::new(payload).to_string()),
    };
    end(run, queued, kind);
}

/// Ends a job that is in flight with an error.
pub(crate) fn end<K: Send + Sync + 'static>(
    run: &Run<K>,
    mut queued: QueuedJob<K>,
    kind: DownloadErrorKind,
) {
    let outcome = queued.tried.take_outcome();
    let error = DownloadError::about(kind, &queued.job);
    run.settle(queued, outcome.but(error));
}

fn attempt_until_waiting<K: Send + Sync + 'static>(
    run: &Run<K>,
    queued: &mut QueuedJob<K>,
) -> Result<Worked, DownloadErrorKind> {
    if run.is_cancelled() {
        return Err(DownloadErrorKind::Cancelled);
    }
    let QueuedJob {
        job,
        number,
        location,
        tried,
    } = queued;
    if tried.started.is_none() {
        run.observe(job, *number, Happening::Started);
    }
    let settings = &run.shared.settings;
    let started = *tried.started.get_or_insert_with(Instant::now);
    let deadline = finite(settings.total_timeout).map(|total| started + total);
    let fetch = Fetch {
        shared: &run.shared,
        wanted: job.wanted(),
        location,
        sum: job.wanted().required_sum()?,
        target: path_in(&settings.directory, job.file_name()),
        deadline,
        pauses: &run.pauses,
        in_one_stream: Cell::new(tried.in_one_stream),
        answered: RefCell::new(None),
    };
    subdirectory::check(settings, job.file_name())?;
    let here = fetch.look()?;
    if here == Here::AsWanted {
        return Ok(Worked::Over(Fetched::Skipped));
    }
    let hosts = run.shared.hosts.as_ref();
    let _slot = hosts.map(|hosts| hosts.enter(location.authority()));
    attempt_in_a_row(run, (&*job, *number), tried, &fetch, here)
}

/// Makes one attempt after the other, until the job is over or the next is to wait.
fn attempt_in_a_row<K: Send + Sync + 'static>(
    run: &Run<K>,
    (job, number): (&Arc<Job<K>>, u64),
    tried: &mut Tried,
    fetch: &Fetch<'_>,
    here: Here,
) -> Result<Worked, DownloadErrorKind> {
    let deadline = fetch.deadline;
    loop {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(DownloadErrorKind::Timeout(TimeoutKind::Total));
        }
        let left = run.pauses.left(fetch.location.authority());
        if !left.is_zero() {
            return Ok(Worked::Later(left));
        }
        let outcome = &mut tried.outcome;
        // What was there was no good.
        let here = if tried.began_anew {
            Here::Nothing
        } else {
            here
        };
        let attempted = fetch.attempt(here, &mut |received, total, expected| {
            outcome.bytes += received;
            let bytes = Happening::Bytes {
                received,
                total,
                expected,
            };
            run.observe(job, number, bytes);
        });
        tried.in_one_stream = fetch.in_one_stream.get();
        tried.outcome.answered = fetch.answered.take().or(tried.outcome.answered.take());
        let failure = match attempted {
            Ok(fetched) => {
                run.budget.give_back();
                return Ok(Worked::Over(fetched));
            }
            Err(failure) => failure,
        };
        if let Some(delay) = delay_after(run, (job, number), tried, failure, deadline)? {
            return Ok(Worked::Later(delay));
        }
    }
}

/// Decides what follows a failed attempt: another at once, or after a delay, or
/// none, which is an error.
fn delay_after<K: Send + Sync + 'static>(
    run: &Run<K>,
    (job, number): (&Arc<Job<K>>, u64),
    tried: &mut Tried,
    failure: Failure,
    deadline: Option<Instant>,
) -> Result<Option<Duration>, DownloadErrorKind> {
    if run.is_cancelled() {
        return Err(DownloadErrorKind::Cancelled);
    }
    match failure.again {
        Again::Stale if tried.stale < MAX_STALE => {
            tried.stale += 1;
            return Ok(None);
        }
        Again::Anew if !tried.began_anew => {
            tried.began_anew = true;
            return Ok(None);
        }
        _ => {}
    }
    if matches!(failure.kind, DownloadErrorKind::Changed) {
        // Twice: perhaps redirects lead to mirrors that tell its versions apart by
        // different tags, and one mirror has to send all of it.
        tried.in_one_stream = true;
    }
    let policy = &run.shared.settings.retry;
    let outcome = &mut tried.outcome;
    if !policy.allows(&failure.kind, outcome.retries) {
        return Err(failure.kind);
    }
    let own_delay = policy.delay_before(outcome.retries + 1);
    let delay = failure
        .retry_after
        .as_ref()
        .map_or(own_delay, |after| policy.capped(after.delay).max(own_delay));
    let is_too_late = deadline
        .is_some_and(|deadline| delay >= deadline.saturating_duration_since(Instant::now()));
    if is_too_late || !run.budget.take() {
        return Err(failure.kind);
    }
    if let Some(after) = failure.retry_after {
        run.pauses
            .pause(&after.authority, policy.capped(after.delay));
    }
    outcome.retries += 1;
    let retrying = Happening::Retrying {
        error: DownloadError::about(failure.kind, job),
        retry: outcome.retries,
        delay,
    };
    run.observe(job, number, retrying);
    Ok(Some(delay))
}
