//! The counts of a pool and the decisions that follow from them: who is let
//! in, who is woken or started, and when it is over.
//!
//! A worker is *running* a task, *searching* for one, or *sleeping*. A thread
//! that has been started or woken counts as searching from the moment that was
//! decided.

use crate::error::{InitializerError, Rejected};
use crate::sync::ThreadId;
use crate::task::{ErasedTask, Gauge, WeakTask};
use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

/// What an initializer returns.
pub(super) type Initialized = Result<(), Box<dyn Error + Send + Sync>>;

/// What does not change about a pool.
pub(super) struct Settings {
    pub(super) max_workers: usize,
    pub(super) queue_capacity: usize,
    pub(super) keep_alive: Option<Duration>,
    pub(super) initializer: Option<Box<dyn Fn() -> Initialized + Send + Sync>>,
}

/// As many stoppable tasks are kept before any is looked at again.
const PRUNE_AT: usize = 16;

/// What the lock of a pool guards.
pub(super) struct State<'scope> {
    pub(super) phase: Phase,
    pub(super) inbox: VecDeque<ErasedTask<'scope>>,
    /// The length of both boxes; kept only where the queue is bounded.
    pub(super) queued: usize,
    pub(super) workers: usize,
    /// Workers whose thread is being started, or is not yet kept for `join`.
    pub(super) starting: usize,
    /// Threads that make drained tasks final, once for each time they do.
    pub(super) withdrawing: Vec<ThreadId>,
    pub(super) searching: usize,
    /// Those among the searching whom the initializer keeps from it.
    pub(super) initializing: usize,
    pub(super) sleeping: usize,
    /// Sleepers that were told to wake up and have not yet done so.
    pub(super) permits: usize,
    /// Submitters that wait for room in the queue.
    pub(super) waiting_for_room: usize,
    /// Indices of workers that have ended, for the next ones to use.
    pub(super) free_indices: Vec<usize>,
    next_index: usize,
    /// The last attempt to start a thread failed: nobody comes that way.
    pub(super) cannot_start: bool,
    /// What the gauge shows.
    is_anyone_free: bool,
    /// Tasks that can be asked to stop while they run.
    pub(super) stoppable: Vec<WeakTask<'scope>>,
    /// When `stoppable` is as long as this, those that are gone are removed.
    prune_at: usize,
}

#[derive(Clone)]
pub(super) enum Phase {
    Open,
    /// The body of a scope is over: only while its tasks run may they bring
    /// new ones, and the workers end when all is done.
    Closing,
    ShutDown,
    Broken(InitializerError),
}

/// What it takes for the task just pushed, or those still queued, to be run.
#[must_use = "nobody comes unless called"]
#[derive(Clone, Copy)]
pub(super) enum WakePlan {
    None,
    Wake,
    Start(usize),
}

impl<'scope> State<'scope> {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            inbox: VecDeque::new(),
            queued: 0,
            workers: 0,
            starting: 0,
            withdrawing: Vec::new(),
            searching: 0,
            initializing: 0,
            sleeping: 0,
            permits: 0,
            waiting_for_room: 0,
            free_indices: Vec::new(),
            next_index: 0,
            cannot_start: false,
            is_anyone_free: true,
            stoppable: Vec::new(),
            prune_at: PRUNE_AT,
        }
    }

    /// Calls for a worker if none is on its way, but for those that are held
    /// up by their initializer, for nobody knows how long.
    ///
    /// A thread takes long to start, so those that are needed start side by
    /// side, while there are more tasks than workers on their way. Sleepers
    /// are woken one by the other: many a task is done before the next is up.
    pub(super) fn plan_wake(&mut self, settings: &Settings) -> WakePlan {
        let coming = self.searching - self.initializing;
        if coming > 0 && (self.sleeping > 0 || self.inbox.len() <= coming) {
            return WakePlan::None;
        }
        if self.sleeping > 0 {
            return self.wake_one();
        }
        if self.workers < settings.max_workers {
            self.workers += 1;
            self.starting += 1;
            self.searching += 1;
            self.initializing += usize::from(settings.initializer.is_some());
            let index = self.free_indices.pop().unwrap_or_else(|| {
                self.next_index += 1;
                self.next_index - 1
            });
            return WakePlan::Start(index);
        }
        WakePlan::None
    }

    pub(super) fn wake_one(&mut self) -> WakePlan {
        self.sleeping -= 1;
        self.permits += 1;
        self.searching += 1;
        WakePlan::Wake
    }

    /// Shows in the gauge whether a worker is free to take a task; called
    /// wherever the counts that say so may have changed.
    ///
    /// A worker that is held up by its initializer is not: nobody knows for how
    /// long.
    pub(super) fn measure(&mut self, settings: &Settings, gauge: &Gauge) {
        let is_anyone_free = self.searching > self.initializing
            || self.sleeping > 0
            || (self.workers < settings.max_workers && !self.cannot_start);
        if is_anyone_free != self.is_anyone_free {
            self.is_anyone_free = is_anyone_free;
            gauge.set(is_anyone_free);
        }
    }

    pub(super) fn running(&self) -> usize {
        self.workers - self.searching - self.sleeping
    }

    /// Whether a task is let in now.
    pub(super) fn check_open(&self) -> Result<(), Rejected> {
        match &self.phase {
            Phase::Open => Ok(()),
            // What a task has set going, on whatever thread, is part of it.
            Phase::Closing if !self.is_over() => Ok(()),
            Phase::Closing | Phase::ShutDown => Err(Rejected::ShutDown),
            Phase::Broken(cause) => Err(Rejected::Initializer(cause.clone())),
        }
    }

    /// Whether workers that find the queue empty end.
    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            // A task that runs may still bring more.
            Phase::Closing => self.running() == 0,
            Phase::ShutDown | Phase::Broken(_) => true,
        }
    }

    /// Whether there is nothing for a joiner on the thread `here` to wait for.
    ///
    /// A callback of a task that is being cancelled with the queue may join the
    /// pool: it does not wait for its own thread, nor for others that may be
    /// waiting for it.
    pub(super) fn has_ended(&self, here: ThreadId) -> bool {
        self.workers == 0
            && self.starting == 0
            && (self.withdrawing.is_empty() || self.withdrawing.contains(&here))
    }

    /// Lets `cancel_all` reach the task while it runs.
    pub(super) fn watch_for_stop(&mut self, task: &ErasedTask<'scope>) {
        if self.stoppable.len() >= self.prune_at {
            self.stoppable.retain(WeakTask::is_alive);
            // Twice what is left, so that the cost per task is constant.
            self.prune_at = PRUNE_AT.max(2 * self.stoppable.len());
        }
        self.stoppable.push(task.downgrade());
    }
}
