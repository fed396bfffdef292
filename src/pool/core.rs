//! The heart of a pool: the queue, and the counts that say who is woken or
//! started.
//!
//! # The queue
//!
//! Tasks are pushed to the *inbox*, which one lock guards together with all
//! the counts. Workers pop from the *outbox*, behind a lock of its own, and
//! take over the whole inbox when it is empty: so a submitter and the workers
//! meet once in a while, not at every task. The order stays first in, first
//! out. Whoever needs both locks takes the outbox's first.
//!
//! # Workers
//!
//! A worker is *running* a task, *searching* for one, or *sleeping*. A thread
//! that has been started or woken counts as searching from the moment that was
//! decided.
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

use super::builder::Initialized;
use super::worker;
use crate::error::{InitializerError, JoinTimeoutError, Rejected, SpawnError};
use crate::sync::{
    AtomicBool, Condvar, JoinHandle, Mutex, MutexGuard, Ordering, become_worker_of, spin_until,
    worker_of,
};
use crate::task::{ErasedTask, Member, WeakTask};
use crate::unwind;
use crate::watch::TaskId;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

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
    id: u32,
    settings: Settings,
    spawner: Spawner<'scope>,
    /// Tasks that only workers take. Locked before `state`.
    outbox: Mutex<VecDeque<ErasedTask<'scope>>>,
    state: Mutex<State<'scope>>,
    /// Whether the inbox holds tasks, written under its lock: a hint for
    /// searchers, who look at it without.
    has_mail: AtomicBool,
    /// Sleeping workers wait here for a permit or the end.
    wake: Condvar,
    /// Submitters wait here for room in the queue.
    room: Condvar,
    /// Joiners wait here for the last worker to end.
    ended: Condvar,
    /// The workers' threads. The lock is held while they are joined, so that
    /// a second joiner returns no sooner.
    threads: Mutex<Vec<JoinHandle>>,
}

struct State<'scope> {
    phase: Phase,
    inbox: VecDeque<ErasedTask<'scope>>,
    /// The length of both boxes; kept only where the queue is bounded.
    queued: usize,
    workers: usize,
    searching: usize,
    /// Those among the searching whom the initializer keeps from it.
    initializing: usize,
    sleeping: usize,
    /// Sleepers that were told to wake up and have not yet done so.
    permits: usize,
    /// Submitters that wait for room in the queue.
    waiting_for_room: usize,
    /// Indices of workers that have ended, for the next ones to use.
    free_indices: Vec<usize>,
    next_index: usize,
    /// Tasks that can be asked to stop while they run.
    stoppable: Vec<WeakTask<'scope>>,
    /// When `stoppable` is as long as this, those that are gone are removed.
    prune_at: usize,
}

#[derive(Clone)]
enum Phase {
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
pub(super) enum Summons {
    None,
    Wake,
    Start(usize),
}

/// A look at a pool.
pub(super) struct Counts {
    pub(super) workers: usize,
    pub(super) running: usize,
    pub(super) queued: usize,
}

impl State<'_> {
    /// Calls for a worker if none is on its way, but for those that are held
    /// up by their initializer, for nobody knows how long.
    fn summon(&mut self, settings: &Settings) -> Summons {
        if self.searching > self.initializing {
            return Summons::None;
        }
        if self.sleeping > 0 {
            return self.wake_one();
        }
        if self.workers < settings.max_workers {
            self.workers += 1;
            self.searching += 1;
            self.initializing += usize::from(settings.initializer.is_some());
            let index = self.free_indices.pop().unwrap_or_else(|| {
                self.next_index += 1;
                self.next_index - 1
            });
            return Summons::Start(index);
        }
        Summons::None
    }

    fn wake_one(&mut self) -> Summons {
        self.sleeping -= 1;
        self.permits += 1;
        self.searching += 1;
        Summons::Wake
    }

    fn running(&self) -> usize {
        self.workers - self.searching - self.sleeping
    }

    /// Whether a task is let in now.
    fn admit(&self) -> Result<(), Rejected> {
        match &self.phase {
            Phase::Open => Ok(()),
            // What a task has set going, on whatever thread, is part of it.
            Phase::Closing if !self.is_over() => Ok(()),
            Phase::Closing | Phase::ShutDown => Err(Rejected::ShutDown),
            Phase::Broken(cause) => Err(Rejected::Initializer(cause.clone())),
        }
    }

    /// Whether workers that find the queue empty end.
    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            // A task that runs may still bring more.
            Phase::Closing => self.running() == 0,
            Phase::ShutDown | Phase::Broken(_) => true,
        }
    }
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
            has_mail: AtomicBool::new(false),
            state: Mutex::new(State {
                phase: Phase::Open,
                inbox: VecDeque::new(),
                queued: 0,
                workers: 0,
                searching: 0,
                initializing: 0,
                sleeping: 0,
                permits: 0,
                waiting_for_room: 0,
                free_indices: Vec::new(),
                next_index: 0,
                stoppable: Vec::new(),
                prune_at: 16,
            }),
            wake: Condvar::new(),
            room: Condvar::new(),
            ended: Condvar::new(),
            threads: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn max_workers(&self) -> usize {
        self.settings.max_workers
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
    pub(super) fn submit(self: &Arc<Self>, task: ErasedTask<'scope>) -> Result<(), Rejected> {
        let member = task.join_pool(self.id);
        let mut state = self.state.lock();
        loop {
            state.admit()?;
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
    pub(super) fn try_submit(self: &Arc<Self>, task: ErasedTask<'scope>) -> Result<(), Rejected> {
        let member = task.join_pool(self.id);
        let state = self.state.lock();
        state.admit()?;
        if state.queued < self.settings.queue_capacity {
            self.push(state, task, member)
        } else {
            Err(Rejected::QueueFull)
        }
    }

    fn push(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<'scope>>,
        task: ErasedTask<'scope>,
        member: Member,
    ) -> Result<(), Rejected> {
        if member.listens {
            state.watch_for_stop(&task);
        }
        if self.is_bounded() {
            state.queued += 1;
        }
        state.inbox.push_back(task);
        self.has_mail.store(true, Ordering::Relaxed);
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
    fn answer(self: &Arc<Self>, summons: Summons) {
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
    fn start(self: &Arc<Self>, index: usize, own: Option<TaskId>) -> Result<(), Rejected> {
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

    /// Rejects tasks; `own` is dropped and reported to its submitter instead.
    fn reject(
        &self,
        orphans: impl Iterator<Item = ErasedTask<'scope>>,
        own: Option<TaskId>,
        reason: &Rejected,
    ) -> Result<(), Rejected> {
        self.room.notify_all();
        let mut outcome = Ok(());
        for task in orphans {
            if own == Some(task.id()) {
                outcome = Err(reason.clone());
            } else {
                task.reject(reason.clone());
            }
        }
        outcome
    }

    /// Empties the queue.
    fn drain(
        &self,
        outbox: &mut VecDeque<ErasedTask<'scope>>,
        state: &mut State<'scope>,
    ) -> impl Iterator<Item = ErasedTask<'scope>> + use<'scope> {
        if self.is_bounded() {
            state.queued -= outbox.len() + state.inbox.len();
        }
        self.has_mail.store(false, Ordering::Relaxed);
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
        drop(state);
        self.wake.notify_all();
        self.room.notify_all();
    }

    /// The initializer of a worker failed: all that is queued, and all that
    /// will be submitted, is rejected.
    fn break_down(&self, cause: InitializerError, index: usize) {
        let mut outbox = self.outbox.lock();
        let mut state = self.state.lock();
        // The first to fail gives the reason.
        if !matches!(state.phase, Phase::Broken(_)) {
            state.phase = Phase::Broken(cause.clone());
        }
        let queue = self.drain(&mut outbox, &mut state);
        drop(outbox);
        state.searching -= 1;
        state.initializing -= 1;
        self.leave(state, index);
        self.wake.notify_all();
        let reason = Rejected::Initializer(cause);
        let _ = self.reject(queue, None, &reason);
        unwind::discard(reason);
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

impl<'scope> State<'scope> {
    fn watch_for_stop(&mut self, task: &ErasedTask<'scope>) {
        if self.stoppable.len() >= self.prune_at {
            self.stoppable.retain(WeakTask::is_alive);
            // Twice what is left, so that the cost per task is constant.
            self.prune_at = 16.max(2 * self.stoppable.len());
        }
        self.stoppable.push(task.downgrade());
    }
}

/// What a worker does between its tasks.
impl<'scope> Core<'scope> {
    /// Makes the current thread a worker and initializes it; says whether it
    /// may take tasks, else it has left.
    pub(super) fn enter(&self, index: usize) -> bool {
        become_worker_of(self.id);
        let Some(initializer) = &self.settings.initializer else {
            return true;
        };
        let cause = match unwind::catch(initializer) {
            Ok(Ok(())) => {
                self.state.lock().initializing -= 1;
                return true;
            }
            Ok(Err(cause)) => cause,
            Err(payload) => Box::new(crate::error::Panic::new(payload)),
        };
        self.break_down(InitializerError::new(cause), index);
        false
    }

    fn is_bounded(&self) -> bool {
        self.settings.queue_capacity < usize::MAX
    }

    /// Takes tasks and runs them until the pool is over, or, with a
    /// `keep_alive`, until there have been none for so long.
    pub(super) fn work(self: &Arc<Self>, index: usize) {
        // As whoever started this thread has counted it.
        let mut searching = true;
        loop {
            let mut outbox = self.outbox.lock();
            if !searching {
                if let Some(task) = outbox.pop_front() {
                    drop(outbox);
                    self.run(task);
                    continue;
                }
            }
            let mut state = self.state.lock();
            if outbox.is_empty() {
                std::mem::swap(&mut *outbox, &mut state.inbox);
                self.has_mail.store(false, Ordering::Relaxed);
            }
            if let Some(task) = outbox.pop_front() {
                let mut summons = Summons::None;
                if searching {
                    searching = false;
                    state.searching -= 1;
                    if !outbox.is_empty() || !state.inbox.is_empty() {
                        summons = state.summon(&self.settings);
                    }
                }
                drop((outbox, state));
                self.answer(summons);
                self.run(task);
                continue;
            }
            // Nothing is pushed or taken over while `state` is locked.
            drop(outbox);
            if !searching {
                searching = true;
                state.searching += 1;
                if state.searching == 1 && !state.is_over() {
                    drop(state);
                    // Another look under the locks follows, whatever it found.
                    spin_until(|| self.has_mail.load(Ordering::Relaxed));
                    continue;
                }
            }
            // Asked while this worker counts as searching, not as running.
            let is_over = state.is_over();
            state.searching -= 1;
            if is_over {
                self.leave(state, index);
                // Others may have slept until the last task ended.
                self.wake.notify_all();
                return;
            }
            if !self.sleep(&mut state) {
                self.leave(state, index);
                return;
            }
        }
    }

    fn run(&self, task: ErasedTask<'scope>) {
        if self.is_bounded() {
            let mut state = self.state.lock();
            state.queued -= 1;
            let is_wanted = state.waiting_for_room > 0;
            drop(state);
            if is_wanted {
                self.room.notify_one();
            }
        }
        task.run();
    }

    /// Sleeps until summoned or until the pool is over, and is searching then;
    /// says whether it was not the time to end for want of work.
    fn sleep(&self, state: &mut MutexGuard<'_, State<'scope>>) -> bool {
        let deadline = self
            .settings
            .keep_alive
            .and_then(|idle| Instant::now().checked_add(idle));
        state.sleeping += 1;
        loop {
            if state.permits > 0 {
                state.permits -= 1;
                return true;
            }
            if state.is_over() {
                state.sleeping -= 1;
                state.searching += 1;
                return true;
            }
            match deadline {
                None => self.wake.wait(state),
                Some(deadline) => {
                    if Instant::now() >= deadline {
                        state.sleeping -= 1;
                        return false;
                    }
                    self.wake.wait_until(state, deadline);
                }
            }
        }
    }

    /// Counts a worker out, in the critical section in which it found that it
    /// is not needed.
    fn leave(&self, mut state: MutexGuard<'_, State<'scope>>, index: usize) {
        state.workers -= 1;
        state.free_indices.push(index);
        let is_last = state.workers == 0;
        drop(state);
        if is_last {
            self.ended.notify_all();
        }
    }
}
