//! The heart of a pool: its queue, and what submitting, shutting down and
//! joining do.
//!
//! # The queue
//!
//! Tasks are pushed to the *inbox*, which one lock guards together with all
//! the counts of [`State`]. Workers pop from the *outbox*, behind a lock of its
//! own, and take over the whole inbox when it is empty: so a submitter and the
//! workers meet once in a while, not at every task. The order stays first in,
//! first out. Whoever needs both locks takes the outbox's first.
//!
//! # Invariants
//!
//! - While there are tasks in the queue, there is a searching worker, or there
//!   is nobody left to summon: no sleeper, and as many workers as allowed.
//!   Whoever pushes a task, and whoever stops searching by finding one,
//!   summons the next if need be. Hence no wake-up is lost, and none is sent
//!   while a searcher is on its way.
//! - A worker sleeps or ends only if it finds both boxes empty under both
//!   locks.
//! - While there are tasks in the queue there is a worker; when the last one
//!   cannot be started, the queue is rejected with it.
//! - No foreign code, and no system call but a notification, happens under the
//!   lock.

use super::state::{Phase, State, Summons};
use super::worker;
use crate::error::{JoinTimeoutError, Rejected, SpawnError};
use crate::sync::{AtomicBool, Condvar, JoinHandle, Mutex, MutexGuard, Ordering, worker_of};
use crate::task::{ErasedTask, Member, Refused, TaskId, WeakTask};
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// What an initializer returns.
pub(super) type Initialized = Result<(), Box<dyn Error + Send + Sync>>;

/// The life of a worker, to be run on a thread of its own.
pub(super) type Body<'scope> = Box<dyn FnOnce() + Send + 'scope>;

/// Starts the worker of that index; returns its thread, unless somebody else
/// joins it.
pub(super) type Spawner<'scope> =
    Box<dyn Fn(usize, Body<'scope>) -> io::Result<Option<JoinHandle>> + Send + Sync + 'scope>;

/// What does not change about a pool.
pub(super) struct Settings {
    pub(super) max_workers: usize,
    pub(super) queue_capacity: usize,
    pub(super) keep_alive: Option<Duration>,
    pub(super) initializer: Option<Box<dyn Fn() -> Initialized + Send + Sync>>,
}

pub(super) struct Core<'scope> {
    /// Unique among the pools of the process, and not 0.
    pub(super) id: u32,
    pub(super) settings: Settings,
    spawner: Spawner<'scope>,
    /// Tasks that only workers take. Locked before `state`.
    pub(super) outbox: Mutex<VecDeque<ErasedTask<'scope>>>,
    pub(super) state: Mutex<State<'scope>>,
    /// Whether the inbox holds tasks, or the pool was shut down; written under
    /// its lock: a hint for searchers, who look at it without.
    pub(super) has_news: AtomicBool,
    /// Sleeping workers wait here for a permit or the end.
    pub(super) wake: Condvar,
    /// Submitters wait here for room in the queue.
    pub(super) room: Condvar,
    /// Joiners wait here for the last worker to end.
    pub(super) ended: Condvar,
    /// The workers' threads. The lock is held while they are joined, so that
    /// a second joiner returns no sooner.
    threads: Mutex<Vec<JoinHandle>>,
}

/// A look at a pool.
pub(super) struct Counts {
    pub(super) workers: usize,
    pub(super) running: usize,
    pub(super) queued: usize,
}

impl<'scope> Core<'scope> {
    pub(super) fn new(settings: Settings, spawner: Spawner<'scope>) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut id = NEXT.fetch_add(1, Ordering::Relaxed);
        if id == 0 {
            id = NEXT.fetch_add(1, Ordering::Relaxed);
        }
        Arc::new(Self {
            id,
            settings,
            spawner,
            outbox: Mutex::new(VecDeque::new()),
            has_news: AtomicBool::new(false),
            state: Mutex::new(State::new()),
            wake: Condvar::new(),
            room: Condvar::new(),
            ended: Condvar::new(),
            threads: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn max_workers(&self) -> usize {
        self.settings.max_workers
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.settings.queue_capacity < usize::MAX
    }

    pub(super) fn counts(&self) -> Counts {
        let outbox = self.outbox.lock();
        let state = self.state.lock();
        Counts {
            workers: state.workers,
            running: state.running(),
            queued: outbox.len() + state.inbox.len(),
        }
    }

    /// Queues the task, waiting for room; a worker of this pool that would
    /// have to wait runs it instead.
    pub(super) fn submit(
        self: &Arc<Self>,
        task: ErasedTask<'scope>,
    ) -> Result<(), Refused<'scope>> {
        let member = task.join_pool(self.id);
        let mut state = self.state.lock();
        loop {
            if let Err(reason) = state.admit() {
                drop(state);
                return Err(Refused::new(task, reason));
            }
            if state.queued < self.settings.queue_capacity {
                return self.push(state, task, member);
            }
            if worker_of() == self.id {
                if member.listens {
                    state.watch_for_stop(&task);
                }
                drop(state);
                task.run();
                return Ok(());
            }
            state.waiting_for_room += 1;
            self.room.wait(&mut state);
            state.waiting_for_room -= 1;
        }
    }

    /// Queues the task if there is room.
    pub(super) fn try_submit(
        self: &Arc<Self>,
        task: ErasedTask<'scope>,
    ) -> Result<(), Refused<'scope>> {
        let member = task.join_pool(self.id);
        let state = self.state.lock();
        let reason = match state.admit() {
            Ok(()) if state.queued < self.settings.queue_capacity => {
                return self.push(state, task, member);
            }
            Ok(()) => Rejected::QueueFull,
            Err(reason) => reason,
        };
        drop(state);
        Err(Refused::new(task, reason))
    }

    fn push(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<'scope>>,
        task: ErasedTask<'scope>,
        member: Member,
    ) -> Result<(), Refused<'scope>> {
        if member.listens {
            state.watch_for_stop(&task);
        }
        if self.is_bounded() {
            state.queued += 1;
        }
        state.inbox.push_back(task);
        self.has_news.store(true, Ordering::Relaxed);
        let summons = state.summon(&self.settings);
        drop(state);
        match summons {
            Summons::Start(index) => self.start(index, Some(member.id)),
            other => {
                self.answer(other);
                Ok(())
            }
        }
    }

    /// Carries out what [`State::summon`] decided, outside of the lock.
    pub(super) fn answer(self: &Arc<Self>, summons: Summons) {
        match summons {
            Summons::None => {}
            Summons::Wake => {
                self.wake.notify_one();
            }
            // An error has been told to all whom it concerns.
            Summons::Start(index) => drop(self.start(index, None)),
        }
    }

    /// Starts a worker. If that fails and none is alive, the whole queue is
    /// rejected: the tasks of others, who trusted in the worker, too. The
    /// caller's own task is left to the caller.
    fn start(self: &Arc<Self>, index: usize, own: Option<TaskId>) -> Result<(), Refused<'scope>> {
        let core = Arc::clone(self);
        match (self.spawner)(index, Box::new(move || worker::live(core, index))) {
            Ok(thread) => {
                let mut threads = self.threads.lock();
                // Those that ended for want of work need no join any more.
                threads.retain(|thread| !thread.is_finished());
                threads.extend(thread);
                Ok(())
            }
            Err(error) => {
                let mut outbox = self.outbox.lock();
                let mut state = self.state.lock();
                state.workers -= 1;
                state.searching -= 1;
                state.initializing -= usize::from(self.settings.initializer.is_some());
                state.free_indices.push(index);
                if state.workers > 0 {
                    // A sleeper may have trusted in the new worker.
                    let is_empty = outbox.is_empty() && state.inbox.is_empty();
                    let summons = if state.sleeping > 0 && !is_empty {
                        state.wake_one()
                    } else {
                        Summons::None
                    };
                    drop((outbox, state));
                    self.answer(summons);
                    return Ok(());
                }
                let orphans = self.drain(&mut outbox, &mut state);
                drop((outbox, state));
                self.ended.notify_all();
                self.reject(orphans, own, &Rejected::Thread(SpawnError::new(error)))
            }
        }
    }

    /// Rejects tasks; `own` is given back to its submitter instead.
    pub(super) fn reject(
        &self,
        orphans: impl Iterator<Item = ErasedTask<'scope>>,
        own: Option<TaskId>,
        reason: &Rejected,
    ) -> Result<(), Refused<'scope>> {
        self.room.notify_all();
        let mut outcome = Ok(());
        for task in orphans {
            if own == Some(task.id()) {
                outcome = Err(Refused::new(task, reason.clone()));
            } else {
                task.reject(reason.clone());
            }
        }
        outcome
    }

    /// Empties the queue.
    pub(super) fn drain(
        &self,
        outbox: &mut VecDeque<ErasedTask<'scope>>,
        state: &mut State<'scope>,
    ) -> impl Iterator<Item = ErasedTask<'scope>> + use<'scope> {
        if self.is_bounded() {
            state.queued -= outbox.len() + state.inbox.len();
        }
        self.has_news.store(false, Ordering::Relaxed);
        let first = std::mem::take(outbox);
        first.into_iter().chain(std::mem::take(&mut state.inbox))
    }

    pub(super) fn cancel_pending(&self) -> usize {
        let mut outbox = self.outbox.lock();
        let mut state = self.state.lock();
        let queue = self.drain(&mut outbox, &mut state);
        let stoppable = std::mem::take(&mut state.stoppable);
        drop((outbox, state));
        self.room.notify_all();
        let cancelled = queue.map(ErasedTask::cancel);
        // Some may be on their way from the queue to a worker.
        let cancelled = cancelled.chain(stoppable.iter().map(WeakTask::cancel));
        let cancelled = cancelled.filter(|&cancelled| cancelled).count();
        // Those that go on running can be asked again.
        let mut state = self.state.lock();
        state.stoppable.extend(stoppable);
        drop(state);
        cancelled
    }

    pub(super) fn shut_down(&self) {
        self.end(Phase::ShutDown);
    }

    /// Lets new tasks in only while others run, and the workers end when all
    /// is done.
    pub(super) fn close(&self) {
        self.end(Phase::Closing);
    }

    fn end(&self, phase: Phase) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Open | Phase::Closing) {
            return;
        }
        state.phase = phase;
        // Else a searcher would go on to the end of its patience.
        self.has_news.store(true, Ordering::Relaxed);
        drop(state);
        self.wake.notify_all();
        self.room.notify_all();
    }

    /// Blocks until all workers have ended; returns at once on one of them.
    pub(super) fn join(&self, timeout: Option<Duration>) -> Result<(), JoinTimeoutError> {
        if worker_of() == self.id {
            return Ok(());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state.lock();
        while state.workers > 0 {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(deadline) => {
                    if Instant::now() >= deadline {
                        drop(state);
                        let counts = self.counts();
                        return Err(JoinTimeoutError {
                            running: counts.running,
                            queued: counts.queued,
                        });
                    }
                    self.ended.wait_until(&mut state, deadline);
                }
            }
        }
        drop(state);
        // The last steps of threads that have left the pool.
        for thread in self.threads.lock().drain(..) {
            // Workers catch all panics; what a destructor of a thread-local
            // panics with aborts the process.
            let _ = thread.join();
        }
        Ok(())
    }
}
