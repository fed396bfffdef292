//! The heart of a pool: one lock over the queue and all the counts.
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
//! - A worker sleeps or ends only if it finds the queue empty under the lock.
//! - While there are tasks in the queue there is a worker; when the last one
//!   cannot be started, the queue is rejected with it.
//! - No foreign code, and no system call but a notification, happens under the
//!   lock.

use super::builder::Initialized;
use super::worker;
use crate::error::{InitializerError, JoinTimeoutError, Rejected, SpawnError};
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, become_worker_of, worker_of};
use crate::task::{ErasedTask, WeakTask};
use crate::unwind;
use crate::watch::TaskId;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The life of a worker, to be run on a thread of its own.
pub(super) type Body<'scope> = Box<dyn FnOnce() + Send + 'scope>;

/// Starts the worker of that index; returns its thread, unless somebody else
/// joins it.
pub(super) type Spawner<'scope> =
    Box<dyn Fn(usize, Body<'scope>) -> io::Result<Option<JoinHandle<()>>> + Send + Sync + 'scope>;

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
    /// The length of the queue, written under the lock: a hint for searchers,
    /// who look at it without.
    queued: AtomicUsize,
    state: Mutex<State<'scope>>,
    /// Sleeping workers wait here for a permit or the end.
    wake: Condvar,
    /// Submitters wait here for room in the queue.
    room: Condvar,
    /// Joiners wait here for the last worker to end.
    ended: Condvar,
    /// The workers' threads. The lock is held while they are joined, so that
    /// a second joiner returns no sooner.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct State<'scope> {
    phase: Phase,
    queue: VecDeque<ErasedTask<'scope>>,
    workers: usize,
    running: usize,
    searching: usize,
    sleeping: usize,
    /// Sleepers that were told to wake up and have not yet done so.
    permits: usize,
    waiting_for_room: usize,
    /// Indices of workers that have ended, for the next ones to use.
    free_indices: Vec<usize>,
    next_index: usize,
    /// Tasks that can be asked to stop while they run.
    stoppable: Vec<WeakTask<'scope>>,
    /// When `stoppable` is as long as this, those that are final are removed.
    prune_at: usize,
}

#[derive(Clone)]
enum Phase {
    Open,
    /// The body of a scope is over: only its tasks bring new ones, and the
    /// workers end when all is done.
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
    /// Calls for a worker if none is on its way.
    fn summon(&mut self, max_workers: usize) -> Summons {
        if self.searching > 0 {
            return Summons::None;
        }
        if self.sleeping > 0 {
            return self.wake_one();
        }
        if self.workers < max_workers {
            self.workers += 1;
            self.searching += 1;
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

    /// Whether workers that find nothing to do end.
    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Closing => self.running == 0 && self.queue.is_empty(),
            Phase::ShutDown | Phase::Broken(_) => self.queue.is_empty(),
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
            queued: AtomicUsize::new(0),
            state: Mutex::new(State {
                phase: Phase::Open,
                queue: VecDeque::new(),
                workers: 0,
                running: 0,
                searching: 0,
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
        let state = self.state.lock();
        Counts {
            workers: state.workers,
            running: state.running,
            queued: state.queue.len(),
        }
    }

    /// Queues the task, waiting for room; a worker of this pool that would
    /// have to wait runs it instead.
    pub(super) fn submit(self: &Arc<Self>, task: ErasedTask<'scope>) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        loop {
            self.admit(&state)?;
            if state.queue.len() < self.settings.queue_capacity {
                return self.push(state, task);
            }
            if worker_of() == self.id {
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
        let state = self.state.lock();
        self.admit(&state)?;
        if state.queue.len() < self.settings.queue_capacity {
            self.push(state, task)
        } else {
            Err(Rejected::QueueFull)
        }
    }

    fn admit(&self, state: &State<'scope>) -> Result<(), Rejected> {
        match &state.phase {
            Phase::Open => Ok(()),
            Phase::Closing if worker_of() == self.id => Ok(()),
            Phase::Closing | Phase::ShutDown => Err(Rejected::ShutDown),
            Phase::Broken(cause) => Err(Rejected::Initializer(cause.clone())),
        }
    }

    fn push(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<'scope>>,
        task: ErasedTask<'scope>,
    ) -> Result<(), Rejected> {
        let id = task.cell().id();
        task.cell().set_owner(self.id);
        if task.cell().stop_token().is_some() {
            state.watch_for_stop(&task);
        }
        state.queue.push_back(task);
        self.queued.store(state.queue.len(), Ordering::Relaxed);
        let summons = state.summon(self.settings.max_workers);
        drop(state);
        match summons {
            Summons::Start(index) => self.start(index, Some(id)),
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
        match (self.spawner)(index, Box::new(move || worker::live(&core, index))) {
            Ok(thread) => {
                let mut threads = self.threads.lock();
                // Those that ended for want of work need no join any more.
                threads.retain(|thread| !thread.is_finished());
                threads.extend(thread);
                Ok(())
            }
            Err(error) => {
                let mut state = self.state.lock();
                state.workers -= 1;
                state.searching -= 1;
                state.free_indices.push(index);
                if state.workers > 0 {
                    // A sleeper may have trusted in the new worker.
                    let summons = if state.sleeping > 0 && !state.queue.is_empty() {
                        state.wake_one()
                    } else {
                        Summons::None
                    };
                    drop(state);
                    self.answer(summons);
                    return Ok(());
                }
                let orphans = self.drain(&mut state);
                drop(state);
                self.ended.notify_all();
                self.reject(orphans, own, &Rejected::Thread(SpawnError::new(error)))
            }
        }
    }

    /// Rejects tasks; `own` is dropped and reported to its submitter instead.
    fn reject(
        &self,
        orphans: VecDeque<ErasedTask<'scope>>,
        own: Option<TaskId>,
        reason: &Rejected,
    ) -> Result<(), Rejected> {
        self.room.notify_all();
        let mut outcome = Ok(());
        for task in orphans {
            if own == Some(task.cell().id()) {
                outcome = Err(reason.clone());
            } else {
                task.reject(reason.clone());
            }
        }
        outcome
    }

    fn drain(&self, state: &mut State<'scope>) -> VecDeque<ErasedTask<'scope>> {
        self.queued.store(0, Ordering::Relaxed);
        std::mem::take(&mut state.queue)
    }

    pub(super) fn cancel_pending(&self) -> usize {
        let mut state = self.state.lock();
        let queue = self.drain(&mut state);
        let stoppable = std::mem::take(&mut state.stoppable);
        let over = state.is_over();
        drop(state);
        self.room.notify_all();
        if over {
            self.wake.notify_all();
        }
        let cancelled = queue.into_iter().map(ErasedTask::cancel);
        let cancelled = cancelled.filter(|&cancelled| cancelled).count();
        for task in &stoppable {
            task.cancel();
        }
        // Those that go on running can be asked again.
        let mut state = self.state.lock();
        state.stoppable.extend(stoppable);
        drop(state);
        cancelled
    }

    pub(super) fn shut_down(&self) {
        self.end(Phase::ShutDown);
    }

    /// Lets only tasks of this pool submit, and the workers end when all is
    /// done.
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
    fn break_down(&self, cause: InitializerError) {
        let mut state = self.state.lock();
        state.phase = Phase::Broken(cause.clone());
        let queue = self.drain(&mut state);
        drop(state);
        self.wake.notify_all();
        let _ = self.reject(queue, None, &Rejected::Initializer(cause));
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
                        return Err(JoinTimeoutError {
                            running: state.running,
                            queued: state.queue.len(),
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
            self.stoppable.retain(WeakTask::is_unfinished);
            // Twice what is left, so that the cost per task is constant.
            self.prune_at = 16.max(2 * self.stoppable.len());
        }
        self.stoppable.push(task.downgrade());
    }
}

/// What a worker does between its tasks.
impl<'scope> Core<'scope> {
    /// Makes the current thread a worker and initializes it; says whether it
    /// may take tasks.
    pub(super) fn enter(&self) -> bool {
        become_worker_of(self.id);
        let Some(initializer) = &self.settings.initializer else {
            return true;
        };
        let cause = match unwind::catch(initializer) {
            Ok(Ok(())) => return true,
            Ok(Err(cause)) => cause,
            Err(payload) => Box::new(crate::error::Panic::new(payload)),
        };
        self.break_down(InitializerError::new(cause));
        false
    }

    /// Takes tasks and runs them until the pool is over, or, with a
    /// `keep_alive`, until there have been none for so long.
    pub(super) fn work(self: &Arc<Self>) {
        let mut state = self.state.lock();
        // As whoever started this thread has counted it.
        let mut searching = true;
        loop {
            if let Some(task) = state.queue.pop_front() {
                self.queued.store(state.queue.len(), Ordering::Relaxed);
                let mut summons = Summons::None;
                if searching {
                    searching = false;
                    state.searching -= 1;
                    if !state.queue.is_empty() {
                        summons = state.summon(self.settings.max_workers);
                    }
                }
                state.running += 1;
                let room_wanted = state.waiting_for_room > 0;
                drop(state);
                if room_wanted {
                    self.room.notify_one();
                }
                self.answer(summons);
                task.run();
                state = self.state.lock();
                state.running -= 1;
                continue;
            }
            if state.is_over() {
                // Sleepers may have been waiting for the last task to end.
                self.wake.notify_all();
                break;
            }
            // One searcher is enough; more would only be in each other's way.
            if searching || state.searching == 0 {
                if !searching {
                    searching = true;
                    state.searching += 1;
                }
                drop(state);
                let found = crate::sync::spin_until(|| self.queued.load(Ordering::Relaxed) > 0);
                state = self.state.lock();
                if found || !state.queue.is_empty() {
                    continue;
                }
                searching = false;
                state.searching -= 1;
            }
            if !self.sleep(&mut state) {
                break;
            }
            searching = true;
        }
        if searching {
            state.searching -= 1;
        }
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

    /// The last thing a worker does in the pool.
    pub(super) fn leave(&self, index: usize) {
        let mut state = self.state.lock();
        state.workers -= 1;
        state.free_indices.push(index);
        if state.workers == 0 {
            drop(state);
            self.ended.notify_all();
        }
    }
}
