//! The counts of a pool and the decisions that follow from them: who is let
//! in, who is woken or started, and when it is over.
//!
//! A worker is *running* a task, *searching* for one, or *sleeping*. A thread
//! that has been started or woken counts as searching from the moment that was
//! decided.

use crate::error::{InitializerError, Rejected};
use crate::sync::ThreadId;
use crate::task::{ErasedTask, Gauge, Hook, Initializer, TaskId, WeakTask};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What does not change about a pool.
pub(super) struct Settings {
    pub(super) max_workers: usize,
    pub(super) queue_capacity: usize,
    pub(super) keep_alive: Option<Duration>,
    pub(super) initializer: Option<Arc<Initializer>>,
    /// The size of each worker's stack in bytes.
    pub(super) stack_size: usize,
    /// Who is told what becomes of the tasks.
    pub(super) hook: Option<Arc<Hook>>,
}

/// How long the inbox becomes before it is looked at whether it is worth a sweep.
const SWEEP_AT: usize = 64;

/// As many stoppable tasks are kept before any is looked at again.
const PRUNE_AT: usize = 16;

/// What the lock of a pool guards.
pub(super) struct State<'scope> {
    pub(super) phase: Phase,
    pub(super) inbox: VecDeque<ErasedTask<'scope>>,
    /// How long the inbox may become until a sweep is considered again.
    sweep_at: usize,
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
    /// Workers that sleep, but count as running: see [`reserve`](super::reserve).
    pub(super) reserved: usize,
    /// What reserved workers are to run: each has a searching worker.
    pub(super) duties: VecDeque<ErasedTask<'scope>>,
    /// Tasks that hold a reserved worker, and that nobody has taken on.
    pub(super) unattended: Vec<(TaskId, WeakTask<'scope>)>,
    /// Indices of workers that have ended, for the next ones to use.
    pub(super) free_indices: Vec<usize>,
    next_index: usize,
    /// The last attempt to start a thread failed: nobody comes that way.
    pub(super) cannot_start: bool,
    /// How many attempts to start a thread have failed.
    failed_starts: usize,
    /// What the gauge shows.
    is_anyone_free: bool,
    /// Tasks that can be asked to stop while they run.
    pub(super) stoppable: Vec<WeakTask<'scope>>,
    /// When `stoppable` is as long as this, those that are gone are removed.
    prune_at: usize,
}

/// Entries of tasks that have left the queue.
pub(super) type Swept<'scope> = Vec<ErasedTask<'scope>>;

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
#[must_use = "no worker is woken or started unless it is carried out"]
#[derive(Clone, Copy)]
pub(super) enum WakePlan {
    None,
    Wake,
    Start(Start),
}

/// A thread that is to be started.
#[derive(Clone, Copy)]
pub(super) struct Start {
    /// The index of its worker.
    pub(super) index: usize,
    /// How many attempts had failed before.
    failed_before: usize,
}

impl<'scope> State<'scope> {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            inbox: VecDeque::new(),
            sweep_at: SWEEP_AT,
            workers: 0,
            starting: 0,
            withdrawing: Vec::new(),
            searching: 0,
            initializing: 0,
            sleeping: 0,
            permits: 0,
            reserved: 0,
            duties: VecDeque::new(),
            unattended: Vec::new(),
            free_indices: Vec::new(),
            next_index: 0,
            cannot_start: false,
            failed_starts: 0,
            is_anyone_free: true,
            stoppable: Vec::new(),
            prune_at: PRUNE_AT,
        }
    }

    /// Says whether the queue, from which so many tasks have left their entries
    /// behind, is to be swept now.
    ///
    /// Only if a sweep removes half of what it looks at, and each time the inbox
    /// has doubled: so it costs a constant amount for each task that left. To be
    /// asked after each push.
    pub(super) fn wants_sweep(&mut self, left: impl FnOnce() -> usize) -> bool {
        if self.inbox.len() < self.sweep_at {
            return false;
        }
        self.sweep_at = 2 * self.inbox.len();
        left() >= self.inbox.len() / 2
    }

    /// Removes from the queue what has left it; returns the empty entries, whose
    /// drop may be foreign code.
    pub(super) fn sweep(&mut self, outbox: &mut VecDeque<ErasedTask<'scope>>) -> Swept<'scope> {
        let mut swept = Vec::new();
        for tasks in [outbox, &mut self.inbox] {
            let (pending, left): (VecDeque<_>, VecDeque<_>) = std::mem::take(tasks)
                .into_iter()
                .partition(ErasedTask::is_pending);
            *tasks = pending;
            swept.extend(left);
        }
        self.sweep_at = SWEEP_AT.max(2 * self.inbox.len());
        swept
    }

    /// Takes over the whole inbox into the empty outbox.
    pub(super) fn take_over(&mut self, outbox: &mut VecDeque<ErasedTask<'scope>>) {
        std::mem::swap(outbox, &mut self.inbox);
        self.sweep_at = SWEEP_AT;
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
            return WakePlan::Start(Start {
                index,
                failed_before: self.failed_starts,
            });
        }
        WakePlan::None
    }

    /// A thread could not be started.
    pub(super) fn start_failed(&mut self) {
        self.cannot_start = true;
        self.failed_starts += 1;
    }

    /// A thread was started; says whether that is news: threads can be started again.
    ///
    /// One that was to be started before the last failure says nothing. Its worker may
    /// be busy by now, and nobody else comes for what relied on the one that failed.
    pub(super) fn start_succeeded(&mut self, start: Start) -> bool {
        let is_news = self.cannot_start && start.failed_before == self.failed_starts;
        self.cannot_start &= !is_news;
        is_news
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
        self.remember_stoppable(task.downgrade());
    }

    pub(super) fn remember_stoppable(&mut self, task: WeakTask<'scope>) {
        if self.stoppable.len() >= self.prune_at {
            self.stoppable.retain(WeakTask::is_alive);
            // Twice what is left, so that the cost per task is constant.
            self.prune_at = PRUNE_AT.max(2 * self.stoppable.len());
        }
        self.stoppable.push(task);
    }

    /// A task has been taken on.
    pub(super) fn forget_unattended(&mut self, task: Option<TaskId>) {
        self.unattended.retain(|(id, _)| Some(*id) != task);
    }
}
