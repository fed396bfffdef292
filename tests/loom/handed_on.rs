//! Models of a task that an executor keeps, and hands on to a pool when its handle is
//! given out.

use super::{Event, explore, pool};
use as_completed::{Executor, ExecutorExt, RejectedTask, Task, ThreadPool, as_completed};
use std::sync::{Arc, Mutex};

/// Keeps its tasks for somebody to hand on.
#[derive(Clone, Default)]
struct Later(Arc<Mutex<Vec<Task>>>);

impl Executor for Later {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.lock().unwrap().push(task);
        Ok(())
    }
}

impl Later {
    fn hand_on(&self, pool: &ThreadPool) {
        let task = self.0.lock().unwrap().pop().unwrap();
        pool.execute(task).unwrap();
    }
}

#[test]
fn a_task_handed_on_to_the_pool_whose_only_worker_waits_for_it_runs() {
    explore(3, || {
        let (pool, later) = (pool(1), Later::default());
        let awaited = later.submit(|| 4);
        let outer = pool.submit(move || awaited.join().unwrap());
        later.hand_on(&pool);
        assert_eq!(outer.join().unwrap(), 4);
    });
}

#[test]
fn a_task_handed_on_to_the_pool_whose_only_worker_iterates_over_it_runs() {
    explore(3, || {
        let (pool, later) = (pool(1), Later::default());
        let awaited = later.submit(|| 4);
        let outer = pool.submit(move || as_completed([awaited]).next().unwrap().join().unwrap());
        later.hand_on(&pool);
        assert_eq!(outer.join().unwrap(), 4);
    });
}

/// The other worker is not free to run it any more when it comes.
#[test]
fn a_task_handed_on_when_both_workers_wait_for_it_runs_once() {
    explore(2, || {
        let (pool, later) = (pool(2), Later::default());
        let (gate, done) = (Event::default(), Event::default());
        let opened = gate.clone();
        let awaited = later.submit(move || opened.happen());
        let first = pool.submit(move || gate.wait());
        let over = done.clone();
        let second = pool.submit(move || {
            awaited.join().unwrap();
            over.happen();
        });
        later.hand_on(&pool);
        first.join().unwrap();
        second.join().unwrap();
        done.wait();
    });
}

#[test]
fn a_task_handed_on_that_is_cancelled_meanwhile_is_either_run_or_cancelled() {
    explore(2, || {
        let (pool, later) = (pool(1), Later::default());
        let awaited = Arc::new(later.submit(|| 4));
        let waited = Arc::clone(&awaited);
        let outer = pool.submit(move || waited.wait());
        later.hand_on(&pool);
        let is_cancelled = awaited.cancel();
        outer.join().unwrap();
        assert_eq!(is_cancelled, awaited.is_cancelled());
    });
}
