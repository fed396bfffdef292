//! [`Hook`]: who is told what becomes of a pool's tasks.
//!
//! A pool without a hook looks at an `Option` once for each task, and that is all.
//! With one, it keeps when each task was queued until the task starts or is
//! withdrawn: whoever takes the task's closure says which, so each is told once.

use super::callback::report;
use super::id::TaskId;
use crate::sync::Mutex;
use crate::unwind;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What has become of a task of a pool; see
/// [`observer`](crate::ThreadPoolBuilder::observer).
///
/// A task is queued, then either started and ended, or withdrawn. A task that a
/// worker runs at once because the queue is full is not queued.
///
/// # Examples
///
/// ```
/// use as_completed::{TaskEvent, ThreadPool};
/// use std::sync::mpsc;
///
/// let (sender, events) = mpsc::channel();
/// let pool = ThreadPool::builder()
///     .observer(move |event| sender.send(*event).unwrap())
///     .build()?;
/// let handle = pool.submit(|| 4);
/// handle.wait();
/// let events: Vec<_> = events.try_iter().collect();
/// assert!(matches!(events[0], TaskEvent::Queued { task, .. } if task == handle.id()));
/// assert!(matches!(events[1], TaskEvent::Started { task, .. } if task == handle.id()));
/// assert!(matches!(events[2], TaskEvent::Ended { task, .. } if task == handle.id()));
/// # Ok::<(), as_completed::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEvent {
    /// The task was submitted, and waits for a worker.
    #[non_exhaustive]
    Queued {
        /// The id of the task.
        task: TaskId,
    },
    /// The task starts.
    #[non_exhaustive]
    Started {
        /// The id of the task.
        task: TaskId,
        /// How long it was queued.
        waited: Duration,
    },
    /// The task has returned or panicked; its handle is not final yet.
    #[non_exhaustive]
    Ended {
        /// The id of the task.
        task: TaskId,
        /// How long it ran.
        ran: Duration,
    },
    /// The task was cancelled or rejected before it started.
    #[non_exhaustive]
    Withdrawn {
        /// The id of the task.
        task: TaskId,
        /// How long it was queued.
        waited: Duration,
    },
}

/// The function that is told.
type Observer = Box<dyn Fn(&TaskEvent) + Send + Sync>;

/// A hook as it is set up; none where nobody asks for one.
#[derive(Default)]
pub(crate) struct HookBuilder {
    pub(crate) observer: Option<Observer>,
    /// Whether tasks run in the span of their submitter.
    #[cfg(feature = "tracing")]
    pub(crate) carries_spans: bool,
}

impl HookBuilder {
    pub(crate) fn build(self) -> Option<Hook> {
        let is_wanted = self.observer.is_some();
        #[cfg(feature = "tracing")]
        let is_wanted = is_wanted || self.carries_spans;
        is_wanted.then(|| Hook {
            observer: self.observer,
            #[cfg(feature = "tracing")]
            carries_spans: self.carries_spans,
            queued: Mutex::new(HashMap::new()),
        })
    }
}

/// Tells what becomes of a pool's tasks.
pub(crate) struct Hook {
    observer: Option<Observer>,
    #[cfg(feature = "tracing")]
    carries_spans: bool,
    queued: Mutex<HashMap<TaskId, Queued>>,
}

/// What is kept of a task while it is in the queue.
struct Queued {
    since: Instant,
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
}

impl Hook {
    fn tell(&self, event: TaskEvent) {
        if let Some(observer) = &self.observer {
            report(|| observer(&event));
        }
    }

    /// Called before a task is queued, on the thread that submits it.
    pub(crate) fn queue(&self, task: TaskId) {
        let queued = Queued {
            since: Instant::now(),
            #[cfg(feature = "tracing")]
            span: self.carries_spans.then(tracing::Span::current),
        };
        self.queued.lock().insert(task, queued);
        self.tell(TaskEvent::Queued { task });
    }

    /// Called when a task will not run that may have been queued.
    pub(crate) fn withdraw(&self, task: TaskId) {
        let queued = self.queued.lock().remove(&task);
        if let Some(queued) = queued {
            let waited = queued.since.elapsed();
            self.tell(TaskEvent::Withdrawn { task, waited });
        }
    }

    /// Called where a task is about to run; it runs while the answer lives.
    pub(crate) fn start(&self, task: TaskId) -> Running<'_> {
        let queued = self.queued.lock().remove(&task);
        let since = Instant::now();
        let waited = queued.as_ref().map_or(Duration::ZERO, |queued| {
            since.saturating_duration_since(queued.since)
        });
        #[cfg(feature = "tracing")]
        let span = queued.and_then(|queued| queued.span);
        self.tell(TaskEvent::Started { task, waited });
        Running {
            hook: self,
            task,
            since,
            #[cfg(feature = "tracing")]
            _span: span.map(tracing::Span::entered),
        }
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // A closure's drop is foreign, and may come with the end of a thread.
        unwind::discard(self.observer.take());
    }
}

/// A task that runs. Drop says that it has ended.
pub(crate) struct Running<'a> {
    hook: &'a Hook,
    task: TaskId,
    since: Instant,
    #[cfg(feature = "tracing")]
    _span: Option<tracing::span::EnteredSpan>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let (task, ran) = (self.task, self.since.elapsed());
        self.hook.tell(TaskEvent::Ended { task, ran });
    }
}
