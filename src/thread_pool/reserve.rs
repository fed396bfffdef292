//! [`Reserved`]: an idle worker that is held for a task whose work is done elsewhere.
//!
//! Such a task needs a thread of this process only to wait for its end. The thread
//! that waits for the handle can do that itself, and then no worker is woken at all.
//! But the task counts as one that a worker runs: so never more than `max_workers`
//! run, and what is queued meanwhile stays pending.
//!
//! # States of a worker
//!
//! ```text
//! sleeping ─► reserved ─► sleeping (the task was finished by another thread)
//!                 ├─────► searching (likewise, and there is a task in the queue)
//!                 └─────► searching, and runs what is left of the task
//! ```
//!
//! # Invariants
//!
//! - A reserved worker sleeps as a sleeping one does, but is not counted as one: it is
//!   not woken for the queue, and does not end with the pool.
//! - What is handed over to it is in `duties`, which neither cancelling nor shutting
//!   down empties, and for each of which a worker was woken.
//! - A task that nobody has taken on yet is in `unattended`. It is handed over when
//!   another task is queued, when the pool is shut down, and when somebody looks at
//!   its counts: else it would keep its place though its work may long have ended.

use super::ThreadPool;
use super::core::Core;
use super::state::{Phase, WakePlan};
use crate::error::{JoinError, Panic};
use crate::task::{
    CancelToken, ErasedTask, JoinHandle, Promise, Rest, TaskId, WeakTask, launch, unattended,
};
use crate::unwind;
use std::sync::Arc;

/// An idle worker that is held for a task. Dropping it gives the worker back.
pub(crate) struct Reserved {
    /// `None` once it has been given back, or has something to run.
    core: Option<Arc<Core<'static>>>,
    task: Option<TaskId>,
}

impl ThreadPool {
    /// Holds an idle worker, if there is one that stays.
    pub(crate) fn reserve(&self) -> Option<Reserved> {
        self.core.reserve().then(|| Reserved {
            core: Some(Arc::clone(&self.core)),
            task: None,
        })
    }
}

impl Reserved {
    /// Returns the handle of a task that has begun elsewhere; `rest` blocks until it
    /// has ended, and cancelling the token ends it.
    ///
    /// `rest` runs on the first thread that waits for the handle without a limit; on
    /// the reserved worker if anything else is done with the handle, or the pool
    /// needs the worker.
    pub(crate) fn begin<T: Send + 'static>(
        mut self,
        token: &CancelToken,
        rest: impl FnOnce() -> Result<T, JoinError> + Send + 'static,
    ) -> JoinHandle<T> {
        let token = token.clone();
        let core = self.core.clone();
        let (task, handle) = unattended(move |promise| {
            self.task = Some(promise.id());
            promise.on_cancel(move || token.cancel());
            Box::new(Begun {
                worker: self,
                promise,
                rest,
            })
        });
        if !core.is_some_and(|core| core.watch_unattended(handle.id(), task.clone())) {
            task.hand_over();
        }
        handle
    }

    /// Has the worker run the task.
    fn run(mut self, task: ErasedTask<'static>) {
        if let Some(core) = self.core.take() {
            core.run_on_reserved(self.task, task);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            core.release(self.task);
        }
    }
}

/// What is left of a task that has begun elsewhere.
struct Begun<T: Send + 'static, F> {
    worker: Reserved,
    promise: Promise<T>,
    rest: F,
}

impl<T, F> Rest for Begun<T, F>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, JoinError> + Send + 'static,
{
    fn finish(self: Box<Self>) {
        let Self {
            worker,
            promise,
            rest,
        } = *self;
        let outcome = run(rest);
        // Before the task is final: whoever learns of that finds the worker idle.
        drop(worker);
        promise.settle(outcome);
    }

    fn hand_over(self: Box<Self>) {
        let Self {
            worker,
            promise,
            rest,
        } = *self;
        let finish = move || promise.settle(run(rest));
        let duty = launch(finish, (), |task| {
            worker.run(task);
            Ok(())
        });
        drop(duty);
    }
}

fn run<T>(rest: impl FnOnce() -> Result<T, JoinError>) -> Result<T, JoinError> {
    unwind::catch(rest).unwrap_or_else(|payload| Err(JoinError::Panicked(Panic::new(payload))))
}

impl Core<'static> {
    /// Counts an idle worker as one that runs, and leaves it asleep; says whether
    /// there was one.
    fn reserve(&self) -> bool {
        let mut state = self.state.lock();
        // While nobody searches and somebody sleeps, the queue is empty.
        let is_idle = matches!(state.phase, Phase::Open)
            && state.sleeping > 0
            && state.searching == 0
            // One that may end for want of work does not sleep on.
            && self.settings.keep_alive.is_none();
        if is_idle {
            state.sleeping -= 1;
            state.reserved += 1;
            state.measure(&self.settings, &self.gauge);
        }
        is_idle
    }

    /// Notes a task that nobody has taken on, for the pool to hand over; says whether
    /// it is not to be handed over at once.
    fn watch_unattended(&self, id: TaskId, task: WeakTask<'static>) -> bool {
        let outbox = self.outbox.lock();
        let mut state = self.state.lock();
        state.remember_stoppable(task.clone());
        // What was queued since the worker was reserved has not handed it over.
        let is_empty = outbox.is_empty() && state.inbox.is_empty();
        let may_wait = is_empty && matches!(state.phase, Phase::Open);
        if may_wait {
            state.unattended.push((id, task));
        }
        may_wait
    }

    /// Gives a reserved worker back.
    fn release(self: &Arc<Self>, task: Option<TaskId>) {
        let outbox = self.outbox.lock();
        let mut state = self.state.lock();
        state.forget_unattended(task);
        state.reserved -= 1;
        state.sleeping += 1;
        let is_empty = outbox.is_empty() && state.inbox.is_empty();
        let plan = if is_empty {
            WakePlan::None
        } else {
            state.plan_wake(&self.settings)
        };
        let is_over = state.is_over();
        state.measure(&self.settings, &self.gauge);
        drop((outbox, state));
        self.carry_out(plan);
        if is_over {
            self.wake.notify_all();
        }
    }

    /// Has a reserved worker run the task.
    fn run_on_reserved(&self, unattended: Option<TaskId>, task: ErasedTask<'static>) {
        let mut state = self.state.lock();
        state.forget_unattended(unattended);
        state.reserved -= 1;
        state.duties.push_back(task);
        state.permits += 1;
        state.searching += 1;
        state.measure(&self.settings, &self.gauge);
        drop(state);
        self.wake.notify_one();
    }
}

#[cfg(as_completed_loom)]
impl ThreadPool {
    /// For the models, which have no other processes: work that is done elsewhere, if
    /// a worker is idle.
    #[doc(hidden)]
    pub fn begin_elsewhere<T: Send + 'static>(
        &self,
        token: &CancelToken,
        rest: impl FnOnce() -> Result<T, JoinError> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        Some(self.reserve()?.begin(token, rest))
    }
}
