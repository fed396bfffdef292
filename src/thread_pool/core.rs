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
//!   is nobody left to wake: no sleeper, and as many workers as allowed.
//!   Whoever pushes a task, and whoever stops searching by finding one,
//!   wakes or starts the next if need be. Hence no wake-up is lost, and none is sent
//!   while a searcher is on its way.
//! - A worker sleeps or ends only if it finds both boxes empty under both
//!   locks.
//! - While there are tasks in the queue there is a worker; when the last one
//!   cannot be started, the queue is rejected with it.
//! - No foreign code, and no system call but a notification, happens under the
//!   lock.

use super::inside::Inside;
use super::state::{Phase, Settings, Start, State, Swept, WakePlan};
use super::worker;
use crate::error::{InitializerError, JoinTimeoutError, Rejected, SpawnError};
use crate::sync::{
    AtomicBool, Condvar, JoinHandle, Mutex, MutexGuard, Ordering, this_thread, thread_of, worker_of,
};
use crate::task::{Capacity, ErasedTask, FullQueues, Gauge, Member, Refused, TaskId, WeakTask};
use crossbeam_utils::CachePadded;
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

pub(super) struct Core<'scope> {
    /// Unique among the pools of the process, and not 0.
    pub(super) id: u32,
    pub(super) settings: Settings,
    spawner: Spawner<'scope>,
    /// Tells workers that wait whether another is free; see `State::measure`.
    pub(super) gauge: Arc<Gauge>,
    /// The places of the queue, and what has left it behind the pool's back.
    pub(super) capacity: Arc<Capacity>,
    // Those who submit write to `state`, and workers to `outbox`: in one line of the
    // cache they would slow each other down.
    /// Tasks that only workers take. Locked before `state`.
    pub(super) outbox: CachePadded<Mutex<VecDeque<ErasedTask<'scope>>>>,
    pub(super) state: CachePadded<Mutex<State<'scope>>>,
    /// Whether the inbox holds tasks, or the pool was shut down; written under
    /// its lock: a hint for searchers, who look at it without.
    pub(super) has_news: CachePadded<AtomicBool>,
    /// Sleeping workers wait here for a permit or the end.
    pub(super) wake: Condvar,
    /// Joiners wait here for the last worker to end.
    pub(super) ended: Condvar,
    /// The workers' threads. The lock is held while they are joined, so that
    /// a second joiner returns no sooner.
    threads: Mutex<Vec<JoinHandle>>,
}

/// Numbers the pools of the process, from 1.
pub(super) fn next_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    match NEXT.fetch_add(1, Ordering::Relaxed) {
        0 => NEXT.fetch_add(1, Ordering::Relaxed),
        id => id,
    }
}

/// What the workers of a pool are called by default, up to their index.
pub(super) fn default_thread_name(id: u32) -> String {
    format!("pool-{id}-worker")
}

/// Has reserved workers finish what nobody else has taken on.
fn hand_over(unattended: Vec<(TaskId, WeakTask<'_>)>) {
    for (_, task) in unattended {
        task.hand_over();
    }
}

/// A look at a pool.
pub(super) struct Counts {
    pub(super) workers: usize,
    pub(super) running: usize,
    pub(super) queued: usize,
}

impl<'scope> Core<'scope> {
    pub(super) fn new(id: u32, settings: Settings, spawner: Spawner<'scope>) -> Arc<Self> {
        Arc::new(Self {
            id,
            spawner,
            gauge: Gauge::new(),
            capacity: Capacity::new(id, settings.queue_capacity, settings.hook.clone()),
            settings,
            outbox: CachePadded::new(Mutex::new(VecDeque::new())),
            has_news: CachePadded::new(AtomicBool::new(false)),
            state: CachePadded::new(Mutex::new(State::new())),
            wake: Condvar::new(),
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
        let mut outbox = self.outbox.lock();
        let mut state = self.state.lock();
        let swept = if self.capacity.left() > 0 {
            self.capacity.forget_left();
            state.sweep(&mut outbox)
        } else {
            Swept::new()
        };
        let counts = Counts {
            workers: state.workers,
            running: state.running(),
            queued: outbox.len() + state.inbox.len(),
        };
        let unattended = std::mem::take(&mut state.unattended);
        drop((outbox, state));
        hand_over(unattended);
        self.drop_swept(swept);
        counts
    }

    /// Removes from the queue what has left it.
    fn sweep(&self) {
        let mut outbox = self.outbox.lock();
        let mut state = self.state.lock();
        self.capacity.forget_left();
        let swept = state.sweep(&mut outbox);
        drop((outbox, state));
        self.drop_swept(swept);
    }

    /// Frees the places of those that had not yet given up their own, and drops
    /// them: a result may go with its task, and its drop is foreign code.
    fn drop_swept(&self, swept: Swept<'scope>) {
        self.leave_queue(&swept);
        drop(swept);
    }

    /// Frees the places of tasks that were taken out of the queue.
    fn leave_queue<'a>(&self, tasks: impl IntoIterator<Item = &'a ErasedTask<'scope>>)
    where
        'scope: 'a,
    {
        let held = tasks.into_iter().filter(|task| task.leave_pool()).count();
        if self.is_bounded() {
            self.capacity.free(held);
        }
    }

    /// Says whether a task may be queued now.
    #[inline]
    fn check_open(&self, state: &State<'scope>) -> Result<(), Rejected> {
        if matches!(state.phase, Phase::Open) && self.settings.initializer.is_none() {
            return Ok(());
        }
        self.check_open_in_full(state)
    }

    /// What an initializer submits to the pool that it initializes is rejected: its
    /// own worker may not run the task yet, and there may be no other.
    #[inline(never)]
    fn check_open_in_full(&self, state: &State<'scope>) -> Result<(), Rejected> {
        state.check_open()?;
        if self.settings.initializer.is_some() && thread_of() == self.id && worker_of() != self.id {
            return Err(Rejected::Initializer(InitializerError::own_pool()));
        }
        Ok(())
    }

    /// Queues the task, waiting for room; a worker of this pool that would
    /// have to wait runs it instead.
    #[inline]
    pub(super) fn submit(
        self: &Arc<Self>,
        task: ErasedTask<'scope>,
    ) -> Result<(), Refused<'scope>> {
        if self.is_bounded() {
            return self.submit_bounded(task);
        }
        self.enqueue(task)
    }

    #[inline(never)]
    fn submit_bounded(self: &Arc<Self>, task: ErasedTask<'scope>) -> Result<(), Refused<'scope>> {
        if self.capacity.try_take() {
            return self.enqueue(task);
        }
        // Before it waits: nobody may come to free a place.
        if let Err(reason) = self.check_open(&self.state.lock()) {
            return Err(Refused::new(task, reason));
        }
        if worker_of() != self.id {
            if !self.capacity.take() {
                // The pool has been shut down, which is the reason given below.
                self.capacity.take_extra();
            }
            return self.enqueue(task);
        }
        if let Some(_inside) = Inside::enter() {
            let member = task.bypass_queue(self.id);
            if member.listens {
                self.state.lock().watch_for_stop(&task);
            }
            task.run(self.settings.hook.as_ref());
            Ok(())
        } else {
            self.capacity.take_extra();
            self.enqueue(task)
        }
    }

    /// Queues the task if there is room.
    pub(super) fn try_submit(
        self: &Arc<Self>,
        task: ErasedTask<'scope>,
    ) -> Result<(), Refused<'scope>> {
        if !self.is_bounded() || self.capacity.try_take() {
            return self.enqueue(task);
        }
        let reason = match self.check_open(&self.state.lock()) {
            Ok(()) => {
                FullQueues::note(&self.capacity);
                Rejected::QueueFull
            }
            Err(reason) => reason,
        };
        Err(Refused::new(task, reason))
    }

    /// Queues a task that holds a place, if the queue has a bound.
    fn enqueue(self: &Arc<Self>, task: ErasedTask<'scope>) -> Result<(), Refused<'scope>> {
        let member = task.join_pool(self.id);
        if let Some(hook) = &self.settings.hook {
            // Before a worker can take it.
            hook.queue(member.id);
        }
        let state = self.state.lock();
        match self.check_open(&state) {
            Ok(()) => self.push(state, task, member),
            Err(reason) => {
                drop(state);
                Err(self.give_back(task, reason))
            }
        }
    }

    #[cold]
    fn give_back(&self, task: ErasedTask<'scope>, reason: Rejected) -> Refused<'scope> {
        self.withdraw_from_hook(&task);
        self.leave_queue([&task]);
        Refused::new(task, reason)
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
        if member.may_be_awaited {
            // Workers that wait for it since before have seen it in no pool.
            task.nudge_waiters();
        }
        state.inbox.push_back(task);
        let wants_sweep = state.wants_sweep(|| self.capacity.left());
        let unattended = std::mem::take(&mut state.unattended);
        // Written only where it changes: next to it is what workers read.
        if !self.has_news.load(Ordering::Relaxed) {
            self.has_news.store(true, Ordering::Relaxed);
        }
        let plan = state.plan_wake(&self.settings);
        // A sleeper that is woken was free before, and still is.
        if let WakePlan::Start(_) = plan {
            state.measure(&self.settings, &self.gauge);
        }
        drop(state);
        let pushed = match plan {
            WakePlan::None => Ok(()),
            WakePlan::Wake => {
                self.wake.notify_one();
                Ok(())
            }
            WakePlan::Start(start) => self.start(start, Some(member.id)),
        };
        hand_over(unattended);
        if wants_sweep {
            self.sweep();
        }
        pushed
    }

    /// Carries out what [`State::plan_wake`] decided, outside of the lock.
    pub(super) fn carry_out(self: &Arc<Self>, plan: WakePlan) {
        match plan {
            WakePlan::None => {}
            WakePlan::Wake => {
                self.wake.notify_one();
            }
            // An error has been told to all whom it concerns.
            WakePlan::Start(start) => drop(self.start(start, None)),
        }
    }

    #[cfg(all(test, not(as_completed_loom)))]
    pub(super) fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle>> {
        self.threads.lock()
    }

    /// Starts a worker and keeps its thread, for `join` to wait for.
    fn start(self: &Arc<Self>, start: Start, own: Option<TaskId>) -> Result<(), Refused<'scope>> {
        let (core, index) = (Arc::clone(self), start.index);
        match (self.spawner)(index, Box::new(move || worker::live(core, index))) {
            Ok(thread) => {
                let mut threads = self.threads.lock();
                // Those that ended for want of work need no join any more.
                threads.retain(|thread| !thread.is_finished());
                threads.extend(thread);
                drop(threads);
                let mut state = self.state.lock();
                state.starting -= 1;
                if state.start_succeeded(start) {
                    state.measure(&self.settings, &self.gauge);
                }
                self.notify_if_ended(state);
                Ok(())
            }
            Err(error) => self.roll_back_start(index, own, error),
        }
    }

    /// Counts a worker out whose thread could not be started, and finds another
    /// for the tasks that relied on it. If none is alive, the whole queue is
    /// rejected: the tasks of others too. The caller's own task is left to the
    /// caller.
    fn roll_back_start(
        self: &Arc<Self>,
        index: usize,
        own: Option<TaskId>,
        error: io::Error,
    ) -> Result<(), Refused<'scope>> {
        let mut outbox = self.outbox.lock();
        let mut state = self.state.lock();
        state.starting -= 1;
        state.workers -= 1;
        state.searching -= 1;
        state.initializing -= usize::from(self.settings.initializer.is_some());
        state.free_indices.push(index);
        state.start_failed();
        if state.workers > 0 {
            // A sleeper may have relied on the new worker.
            let is_empty = outbox.is_empty() && state.inbox.is_empty();
            let plan = if state.sleeping > 0 && !is_empty {
                state.wake_one()
            } else {
                WakePlan::None
            };
            state.measure(&self.settings, &self.gauge);
            drop((outbox, state));
            self.carry_out(plan);
            return Ok(());
        }
        let mut orphans = self.drain(&mut outbox, &mut state);
        drop((outbox, state));
        self.leave_queue(&orphans);
        let reason = Rejected::Thread(SpawnError::new(error));
        let place = orphans.iter().position(|task| Some(task.id()) == own);
        let own = place.and_then(|place| orphans.remove(place));
        self.withdraw(orphans, Some(&reason), || ());
        match own {
            Some(task) => {
                self.withdraw_from_hook(&task);
                Err(Refused::new(task, reason))
            }
            None => Ok(()),
        }
    }

    /// Says that a task which was to be queued is given back.
    fn withdraw_from_hook(&self, task: &ErasedTask<'scope>) {
        if let Some(hook) = &self.settings.hook {
            hook.withdraw(task.id());
        }
    }

    /// Cancels the tasks that [`drain`](Self::drain) has taken out of the
    /// queue, or rejects them for that reason, and calls `then` before their callbacks;
    /// returns how many had not started.
    pub(super) fn withdraw(
        &self,
        drained: VecDeque<ErasedTask<'scope>>,
        reason: Option<&Rejected>,
        then: impl FnOnce(),
    ) -> usize {
        // They must not free their places one by one.
        self.leave_queue(&drained);
        let hook = self.settings.hook.as_deref();
        let withdrawn = ErasedTask::withdraw_all(drained, reason, hook, then);
        let mut state = self.state.lock();
        let here = this_thread();
        if let Some(place) = state.withdrawing.iter().position(|thread| *thread == here) {
            state.withdrawing.swap_remove(place);
        }
        self.notify_if_ended(state);
        withdrawn
    }

    /// Wakes all joiners if there is nothing more to wait for. Each change of
    /// what [`State::has_ended`] looks at comes here.
    pub(super) fn notify_if_ended(&self, state: MutexGuard<'_, State<'scope>>) {
        let may_have_ended = state.workers == 0 && state.starting == 0;
        drop(state);
        if may_have_ended {
            self.ended.notify_all();
        }
    }

    /// Empties the queue, for [`withdraw`](Self::withdraw): until that is done,
    /// joiners wait, since the tasks are not final.
    pub(super) fn drain(
        &self,
        outbox: &mut VecDeque<ErasedTask<'scope>>,
        state: &mut State<'scope>,
    ) -> VecDeque<ErasedTask<'scope>> {
        self.has_news.store(false, Ordering::Relaxed);
        state.withdrawing.push(this_thread());
        self.capacity.forget_left();
        let mut queue = std::mem::take(outbox);
        queue.append(&mut state.inbox);
        queue
    }

    /// Cancels what has not started.
    pub(super) fn cancel_pending(&self) -> usize {
        self.cancel(|_| ())
    }

    /// Cancels what has not started, and asks running tasks to stop.
    pub(super) fn cancel_all(&self) -> usize {
        self.cancel(|stoppable| stoppable.iter().for_each(WeakTask::stop))
    }

    /// Cancels what has not started, and calls `then` before the callbacks, which may
    /// take their time.
    fn cancel(&self, then: impl FnOnce(&[WeakTask<'scope>])) -> usize {
        let mut outbox = self.outbox.lock();
        let mut state = self.state.lock();
        let mut queue = self.drain(&mut outbox, &mut state);
        // Left in place: another call at the same moment reaches them too, and
        // those that go on running can be asked again.
        let stoppable = state.stoppable.clone();
        drop((outbox, state));
        // Some are not in the queue any more: on their way to a worker, or parked by
        // a limit. These must be final before a running task is asked to stop, since
        // its end would start them.
        queue.extend(stoppable.iter().filter_map(WeakTask::upgrade_pending));
        self.withdraw(queue, None, || then(&stoppable))
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
        let refuses_all = matches!(phase, Phase::ShutDown);
        state.phase = phase;
        let unattended = std::mem::take(&mut state.unattended);
        // Else a searcher would spin to the end of its time.
        self.has_news.store(true, Ordering::Relaxed);
        drop(state);
        hand_over(unattended);
        self.wake.notify_all();
        if refuses_all {
            self.capacity.close();
        }
    }

    /// Blocks until all workers have ended; returns at once on one of them.
    pub(super) fn join(&self, timeout: Option<Duration>) -> Result<(), JoinTimeoutError> {
        if thread_of() == self.id {
            return Ok(());
        }
        let here = this_thread();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state.lock();
        while !state.has_ended(here) {
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
