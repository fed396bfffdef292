//! The life of a worker: one thread of a pool.

use super::core::Core;
use super::state::{Phase, State, WakePlan};
use crate::error::{InitializerError, Rejected};
use crate::sync::{MutexGuard, Ordering, spin_until};
use crate::task::{ErasedTask, Worker, become_worker};
use crate::unwind;
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
        self.withdraw(queue, Some(&reason));
        unwind::discard(reason);
        self.retire(self.state.lock(), index);
    }

    /// Takes tasks and runs them until the pool is over, or, with a
    /// `keep_alive`, until there have been none for so long.
    fn work(self: &Arc<Self>, index: usize) {
        // As whoever started this thread has counted it.
        let mut searching = true;
        loop {
            let mut outbox = self.outbox.lock();
            if !searching {
                if let Some(task) = outbox.pop_front() {
                    drop(outbox);
                    self.run(task, false);
                    continue;
                }
            }
            let mut state = self.state.lock();
            if outbox.is_empty() {
                state.take_over(&mut outbox);
                self.has_news.store(false, Ordering::Relaxed);
            }
            if let Some(task) = outbox.pop_front() {
                let mut plan = WakePlan::None;
                let mut has_left = false;
                if searching {
                    searching = false;
                    // Before the gauge can say that nobody is free.
                    has_left = task.leave_pool();
                    state.searching -= 1;
                    if !outbox.is_empty() || !state.inbox.is_empty() {
                        plan = state.plan_wake(&self.settings);
                    }
                    state.measure(&self.settings, &self.gauge);
                }
                drop((outbox, state));
                self.carry_out(plan);
                self.run(task, has_left);
                continue;
            }
            // Nothing is pushed or taken over while `state` is locked.
            drop(outbox);
            if !searching {
                searching = true;
                state.searching += 1;
                state.measure(&self.settings, &self.gauge);
                if state.searching == 1 && !state.is_over() {
                    drop(state);
                    // Another look under the locks follows, whatever it found.
                    spin_until(|| self.has_news.load(Ordering::Relaxed));
                    continue;
                }
            }
            // Asked while this worker counts as searching, not as running.
            let is_over = state.is_over();
            state.searching -= 1;
            if is_over {
                self.retire(state, index);
                // Others may have slept until the last task ended.
                self.wake.notify_all();
                return;
            }
            if !self.sleep(&mut state) {
                self.retire(state, index);
                return;
            }
        }
    }

    /// Runs a task from the queue, which may have left it.
    fn run(&self, task: ErasedTask<'scope>, has_left: bool) {
        if self.is_bounded() && (has_left || task.leave_pool()) {
            self.capacity.free(1);
        }
        task.run(self.settings.hook.as_deref());
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
    fn retire(&self, mut state: MutexGuard<'_, State<'scope>>, index: usize) {
        state.workers -= 1;
        state.free_indices.push(index);
        state.measure(&self.settings, &self.gauge);
        self.notify_if_ended(state);
    }
}
