//! The life of a worker: one thread of a pool.

use super::core::Core;
use super::pace::Pace;
use super::state::{Phase, State, WakePlan};
use crate::error::{InitializerError, Rejected};
use crate::sync::{MutexGuard, Ordering, pause, spin_until};
use crate::task::{ErasedTask, Worker, become_worker};
use crate::unwind;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Enters the pool, works until there is no more to do, and has left.
///
/// Never panics: all foreign code runs behind [`unwind`].
pub(super) fn live(core: Arc<Core<'_>>, index: usize) {
    if core.enter(index) {
        core.work(index);
    }
    // The last to leave drops the pool, its initializer included.
    unwind::discard(core);
}

/// What a look at the queue has brought.
enum Look<'a, 'scope> {
    Found {
        task: ErasedTask<'scope>,
        /// Whether the task gave up its place in the queue on the way.
        has_left: bool,
    },
    /// Something may have come since.
    Again,
    /// Nothing, under the lock of the counts, which is still held.
    Nothing(MutexGuard<'a, State<'scope>>),
}

impl<'scope> Core<'scope> {
    /// Makes the current thread a worker and initializes it; says whether it
    /// may take tasks, else it has left.
    fn enter(&self, index: usize) -> bool {
        let worker = Worker {
            pool: self.id,
            gauge: Arc::clone(&self.gauge),
            capacity: Arc::clone(&self.capacity),
            initializer: self.settings.initializer.as_ref().map(Arc::downgrade),
            stack_size: self.settings.stack_size,
            hook: self.settings.hook.clone(),
            index,
        };
        if let Err(cause) = become_worker(worker) {
            self.break_down(cause, index);
            return false;
        }
        if self.settings.initializer.is_some() {
            let mut state = self.state.lock();
            state.initializing -= 1;
            state.measure(&self.settings, &self.gauge);
        }
        true
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
        state.searching -= 1;
        state.initializing -= 1;
        drop((outbox, state));
        self.wake.notify_all();
        self.capacity.close();
        let reason = Rejected::Initializer(cause);
        self.withdraw(queue, Some(&reason), || ());
        unwind::discard(reason);
        self.retire(self.state.lock(), index);
    }

    /// Takes tasks and runs them until the pool is over, or, with a
    /// `keep_alive`, until there have been none for so long.
    fn work(self: &Arc<Self>, index: usize) {
        // As whoever started this thread has counted it.
        let mut searching = true;
        let mut pace = Pace::new();
        loop {
            match self.look(searching, &mut pace) {
                Look::Found { task, has_left } => {
                    searching = false;
                    self.run(task, has_left);
                }
                Look::Again => searching = true,
                Look::Nothing(state) => {
                    if !self.wait_for_work(state, index) {
                        return;
                    }
                    searching = true;
                }
            }
        }
    }

    /// Takes the next task out of the queue. Finding none, a worker that runs
    /// becomes a searching one.
    fn look(self: &Arc<Self>, searching: bool, pace: &mut Pace) -> Look<'_, 'scope> {
        let mut outbox = self.outbox.lock();
        if !searching {
            // Most tasks: the counts do not change, so their lock is not needed.
            if let Some(task) = outbox.pop_front() {
                return Look::Found {
                    task,
                    has_left: false,
                };
            }
            if pace.pauses() {
                drop(outbox);
                pause();
                outbox = self.outbox.lock();
            }
        }
        let mut state = self.state.lock();
        if outbox.is_empty() {
            state.take_over(&mut outbox);
            if !searching {
                pace.took(outbox.len());
            }
            self.has_news.store(false, Ordering::Relaxed);
        }
        let duty = if searching {
            state.duties.pop_front()
        } else {
            None
        };
        if let Some(task) = duty.or_else(|| outbox.pop_front()) {
            if !searching {
                return Look::Found {
                    task,
                    has_left: false,
                };
            }
            let has_left = self.stop_searching(&task, outbox, state);
            return Look::Found { task, has_left };
        }
        // Nothing is pushed or taken over while `state` is locked.
        drop(outbox);
        if !searching {
            state.searching += 1;
            state.measure(&self.settings, &self.gauge);
            if state.searching == 1 && !state.is_over() {
                drop(state);
                // Another look under the locks follows, whatever it found.
                spin_until(|| self.has_news.load(Ordering::Relaxed));
                return Look::Again;
            }
        }
        Look::Nothing(state)
    }

    /// Counts a searching worker that has found this task as running, and wakes or
    /// starts the next if need be; says whether the task left its place in the queue.
    fn stop_searching(
        self: &Arc<Self>,
        task: &ErasedTask<'scope>,
        outbox: MutexGuard<'_, VecDeque<ErasedTask<'scope>>>,
        mut state: MutexGuard<'_, State<'scope>>,
    ) -> bool {
        // Before the gauge can say that nobody is free.
        let has_left = task.leave_pool();
        state.searching -= 1;
        let is_more = !outbox.is_empty() || !state.inbox.is_empty();
        let plan = if is_more {
            state.plan_wake(&self.settings)
        } else {
            WakePlan::None
        };
        state.measure(&self.settings, &self.gauge);
        drop((outbox, state));
        self.carry_out(plan);
        has_left
    }

    /// Sleeps until there may be work; says whether the worker goes on. Else it has
    /// been counted out.
    fn wait_for_work(&self, mut state: MutexGuard<'_, State<'scope>>, index: usize) -> bool {
        // Asked while this worker counts as searching, not as running.
        let is_over = state.is_over();
        state.searching -= 1;
        if is_over {
            self.retire(state, index);
            // Others may have slept until the last task ended.
            self.wake.notify_all();
            return false;
        }
        let goes_on = self.sleep(&mut state);
        if !goes_on {
            self.retire(state, index);
        }
        goes_on
    }

    /// Runs a task from the queue, which may have left it.
    fn run(&self, task: ErasedTask<'scope>, has_left: bool) {
        if self.is_bounded() && (has_left || task.leave_pool()) {
            self.capacity.free(1);
        }
        task.run(self.settings.hook.as_ref());
    }

    /// Sleeps until woken or until the pool is over, and is searching then;
    /// says whether it was not the time to end for want of work.
    fn sleep(&self, state: &mut MutexGuard<'_, State<'scope>>) -> bool {
        let deadline = self
            .settings
            .keep_alive
            .and_then(|idle| Instant::now().checked_add(idle));
        state.sleeping += 1;
        state.measure(&self.settings, &self.gauge);
        loop {
            if state.permits > 0 {
                state.permits -= 1;
                return true;
            }
            // Those that are reserved sleep on.
            if state.is_over() && state.sleeping > 0 {
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
    fn retire(&self, mut state: MutexGuard<'_, State<'scope>>, index: usize) {
        state.workers -= 1;
        state.free_indices.push(index);
        state.measure(&self.settings, &self.gauge);
        self.notify_if_ended(state);
    }
}
