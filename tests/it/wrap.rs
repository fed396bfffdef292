//! `Task::wrap`: executors that put something around a task, which stays the same.

use crate::support::{ON_PURPOSE, alarm, expect_panics, occupy};
use as_completed::{
    Executor, ExecutorExt, Inline, JoinError, Rejected, RejectedTask, Task, ThreadPool,
};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// Hands tasks on to a pool, with something around them.
struct Wrapping<E>(E, Around);

impl<E> Wrapping<E> {
    fn new(executor: E, around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        Self(executor, Arc::new(around))
    }
}

impl<E: Executor> Executor for Wrapping<E> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        let (id, around) = (task.id(), Arc::clone(&self.1));
        let task = task.wrap(move |run| around(run));
        assert_eq!(task.id(), id);
        self.0.execute(task)
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, line: &'static str) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn around(
        &self,
        before: &'static str,
        after: &'static str,
    ) -> impl Fn(&mut dyn FnMut()) + use<> {
        let log = self.clone();
        move |run| {
            log.add(before);
            run();
            log.add(after);
        }
    }
}

#[test]
fn what_was_put_around_last_is_outermost_and_ends_before_the_task_is_final() {
    let _alarm = alarm();
    let log = Log::default();
    let inner = Wrapping::new(ThreadPool::new(1), log.around("outer", "outer ends"));
    let executor = Wrapping::new(inner, log.around("inner", "inner ends"));
    let body = log.clone();
    executor.submit(move || body.add("task")).join().unwrap();
    assert_eq!(
        log.take(),
        ["outer", "inner", "task", "inner ends", "outer ends"]
    );
}

#[test]
fn a_worker_that_runs_what_it_waits_for_runs_it_within_the_same() {
    let _alarm = alarm();
    let log = Log::default();
    let executor = Arc::new(Wrapping::new(ThreadPool::new(1), log.around("in", "out")));
    let (inner, body) = (Arc::clone(&executor), log.clone());
    let (outer, nested) = executor
        .submit(move || {
            let log = body.clone();
            let nested = inner.submit(move || {
                log.add("nested");
                thread::current().id()
            });
            (thread::current().id(), nested.join().unwrap())
        })
        .join()
        .unwrap();
    assert_eq!(outer, nested, "the only worker has run it");
    assert_eq!(log.take(), ["in", "in", "nested", "out", "out"]);
}

#[test]
fn cancelling_and_tokens_reach_a_task_through_what_is_around_it() {
    let _alarm = alarm();
    let held = Arc::new(());
    let log = Log::default();
    let (in_use, around) = (Arc::clone(&held), log.around("in", "out"));
    let executor = Wrapping::new(ThreadPool::new(1), move |run| {
        let _in_use = Arc::clone(&in_use);
        around(run);
    });
    let busy = occupy(&executor, 1);
    log.take();
    let pending = executor.submit(|| ());
    let stopped = executor.submit(|| ());
    assert!(pending.cancel());
    assert_eq!(executor.0.cancel_pending(), 1);
    assert!(stopped.is_cancelled());
    busy.release();
    let (started, start) = std::sync::mpsc::channel();
    let runs = executor.submit_cancellable(move |token| {
        started.send(()).unwrap();
        token.sleep(Duration::MAX)
    });
    start.recv().unwrap();
    runs.cancel();
    assert!(!runs.join().unwrap());
    assert_eq!(log.take(), ["out", "in", "out"]);
    drop(executor);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_task_that_is_not_called_is_lost_and_one_called_twice_runs_once() {
    let _alarm = alarm();
    let forgets = Wrapping::new(ThreadPool::new(1), |_| {});
    let object = Arc::new(());
    let held = Arc::clone(&object);
    let error = forgets.submit(move || drop(held)).join().unwrap_err();
    assert!(matches!(error, JoinError::Rejected(Rejected::Lost)));
    assert_eq!(Arc::strong_count(&object), 1);

    let log = Log::default();
    let body = log.clone();
    let twice = Wrapping::new(Inline, |run| {
        run();
        run();
    });
    twice.submit(move || body.add("task")).join().unwrap();
    assert_eq!(log.take(), ["task"]);
}

#[test]
fn a_panic_around_a_task_harms_nobody() {
    let _alarm = alarm();
    expect_panics();
    let before = Wrapping::new(ThreadPool::new(1), |_| panic!("{ON_PURPOSE}"));
    match before.submit(|| 1).join() {
        Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), ON_PURPOSE),
        other => panic!("{other:?}"),
    }
    let after = Wrapping::new(ThreadPool::new(1), |run| {
        run();
        panic!("{ON_PURPOSE}");
    });
    assert_eq!(after.submit(|| 1).join().unwrap(), 1, "it has returned");
    let both = Wrapping::new(ThreadPool::new(1), |run| run());
    assert!(
        both.submit(|| panic!("{ON_PURPOSE}"))
            .join()
            .unwrap_err()
            .is_panic()
    );
    assert_eq!(both.submit(|| 2).join().unwrap(), 2);
}

#[test]
fn a_limit_and_a_wrapper_work_together() {
    let _alarm = alarm();
    let log = Log::default();
    let executor = Wrapping::new(ThreadPool::new(4), log.around("in", "out"));
    let limited = executor.limit(1);
    let sum: u32 = limited.map(0..10, |n: u32| n).map(Result::unwrap).sum();
    assert_eq!(sum, 45);
    let lines = log.take();
    assert_eq!(lines, ["in", "out"].repeat(10), "one at a time");
}
