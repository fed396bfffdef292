//! All attempts at one job, on a thread of the executor.

use super::context::Run;
use super::queue::QueuedJob;
use crate::download::error::{DownloadError, DownloadErrorKind};
use crate::download::event::Event;
use crate::download::fetch::attempt::{Fetch, Fetched};
use crate::download::fetch::failure::Again;
use crate::download::job::Job;
use crate::download::report::Outcome;
use crate::download::settings::{Overwrite, finite};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

/// How many reused connections may turn out to be closed before a job treats that
/// as an ordinary error.
const MAX_STALE: u32 = 64;

/// Runs a job until its file is saved or its retries are used up.
pub(crate) fn work<K: Send + Sync + 'static>(run: &Run<K>, queued: &QueuedJob<K>) -> Outcome {
    let mut outcome = Outcome::default();
    if run.is_cancelled() {
        outcome.error = Some(DownloadError::about(
            DownloadErrorKind::Cancelled,
            &queued.job,
        ));
        return outcome;
    }
    run.observe(&Event::Started {
        key: queued.job.key(),
        job: &queued.job,
        number: queued.number,
    });
    match try_all(run, queued, &mut outcome) {
        Ok(fetched) => outcome.skipped = fetched == Fetched::Skipped,
        Err(kind) => outcome.error = Some(DownloadError::about(kind, &queued.job)),
    }
    outcome
}

fn try_all<K: Send + Sync + 'static>(
    run: &Run<K>,
    queued: &QueuedJob<K>,
    outcome: &mut Outcome,
) -> Result<Fetched, DownloadErrorKind> {
    let settings = &run.shared.settings;
    let policy = &settings.retry;
    let job: &Arc<Job<K>> = &queued.job;
    let deadline = finite(settings.total_timeout).map(|total| Instant::now() + total);
    let fetch = Fetch {
        shared: &run.shared,
        wanted: job.wanted(),
        location: &queued.location,
        sha256: job.wanted().required_sha256()?,
        target: settings.directory.join(job.file_name()),
        deadline,
        pauses: &run.pauses,
        in_one_stream: Cell::new(false),
    };
    if settings.overwrite == Overwrite::Never && fetch.target.symlink_metadata().is_ok() {
        return Ok(Fetched::Skipped);
    }
    let authority = queued.location.authority();
    let hosts = run.shared.hosts.as_ref();
    let _slot = hosts.map(|hosts| hosts.enter(authority));
    let mut stale = 0;
    let mut began_anew = false;
    loop {
        if !run.pauses.wait(authority, deadline, &settings.token) {
            return Err(run.why_not_waited());
        }
        let attempted = fetch.attempt(&mut |received, total, expected| {
            outcome.bytes += received;
            run.observe(&Event::Bytes {
                key: job.key(),
                number: queued.number,
                received,
                total,
                expected,
            });
        });
        let failure = match attempted {
            Ok(fetched) => {
                run.budget.give_back();
                return Ok(fetched);
            }
            Err(failure) => failure,
        };
        if run.is_cancelled() {
            return Err(DownloadErrorKind::Cancelled);
        }
        match failure.again {
            Again::Stale if stale < MAX_STALE => {
                stale += 1;
                continue;
            }
            Again::Anew if !began_anew => {
                began_anew = true;
                continue;
            }
            _ => {}
        }
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
        run.observe(&Event::Retrying {
            key: job.key(),
            number: queued.number,
            error: &DownloadError::about(failure.kind, job),
            retry: outcome.retries,
            delay,
        });
        if !settings.token.sleep(delay) {
            return Err(DownloadErrorKind::Cancelled);
        }
    }
}
