//! [`Assigned`]: a job that was handed to the executor, and its task there.

use super::attempts;
use super::context::Run;
use super::queue::QueuedJob;
use crate::download::error::DownloadErrorKind;
use crate::error::Rejected;
use crate::sync::Mutex;
use crate::task::JoinHandle;
use std::sync::Arc;

/// A job that was handed to the executor; there is none for a task that only minds
/// the jobs held back.
///
/// Whoever takes the job out ends it: the task as it starts, the task that is
/// dropped without being run, or the caller once its handle says so. So each job
/// ends once, whatever the executor does.
pub(crate) struct Assigned<K>(Mutex<State<K>>);

struct State<K> {
    job: Option<QueuedJob<K>>,
    /// `None` until the executor has taken the task.
    handle: Option<Arc<JoinHandle<()>>>,
}

impl<K: Send + Sync + 'static> Assigned<K> {
    pub(crate) fn new(job: Option<QueuedJob<K>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { job, handle: None })))
    }

    pub(crate) fn take(&self) -> Option<QueuedJob<K>> {
        self.0.lock().job.take()
    }

    /// Keeps the handle of the task, and returns another to wait for.
    pub(crate) fn keep(&self, handle: JoinHandle<()>) -> Arc<JoinHandle<()>> {
        let handle = Arc::new(handle);
        self.0.lock().handle = Some(Arc::clone(&handle));
        handle
    }

    pub(crate) fn forget_handle(&self) {
        self.0.lock().handle = None;
    }
}

/// The task of a job.
pub(crate) struct AssignedTask<K: Send + Sync + 'static> {
    run: Arc<Run<K>>,
    assigned: Arc<Assigned<K>>,
}

impl<K: Send + Sync + 'static> AssignedTask<K> {
    pub(crate) fn new(run: &Arc<Run<K>>, assigned: &Arc<Assigned<K>>) -> Self {
        Self {
            run: Arc::clone(run),
            assigned: Arc::clone(assigned),
        }
    }

    /// Works at the job, and then at others as long as the caller starts none.
    pub(crate) fn run(&self) {
        let mut next = self.assigned.take();
        loop {
            if let Some(queued) = next {
                attempts::work(&self.run, queued);
            }
            next = self.run.next_held();
            if next.is_none() {
                break;
            }
        }
    }
}

/// Ends a job whose task is dropped without being run, for the caller may be busy
/// with reading.
impl<K: Send + Sync + 'static> Drop for AssignedTask<K> {
    fn drop(&mut self) {
        let mut state = self.assigned.0.lock();
        // Without a handle, the caller is just submitting the task, and will be told
        // the reason.
        let Some(handle) = &state.handle else { return };
        let kind = if handle.is_cancelled() {
            DownloadErrorKind::Cancelled
        } else {
            DownloadErrorKind::Rejected(Rejected::Lost.to_string())
        };
        let queued = state.job.take();
        drop(state);
        if let Some(queued) = queued {
            attempts::end(&self.run, queued, kind);
        }
    }
}
