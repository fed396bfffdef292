//! `Executor`: what all executors have in common, and `Inline`.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/executor.py`.

use crate::support::{ON_PURPOSE, alarm, eventually, expect_panics, occupy};
use as_completed::{
    Executor, ExecutorExt, Inline, JoinError, JoinHandle, Rejected, RejectedTask, SubmitError,
    Task, ThreadPool, as_completed,
};
use std::sync::Arc;
use std::thread;

// Three programs of the crate's front page.

#[test]
fn a_trait_object_submits_without_an_import_of_its_methods() {
    mod user {
        use as_completed::Executor;

        pub(super) fn submit(executor: &dyn Executor) -> i32 {
            executor.submit(|| 1).join().unwrap()
        }
    }
    let _alarm = alarm();
    let boxed: Box<dyn Executor> = Box::new(ThreadPool::new(1));
    let shared = Arc::new(ThreadPool::new(1));
    assert_eq!(user::submit(&ThreadPool::new(1)), 1);
    assert_eq!(user::submit(&Inline), 1);
    assert_eq!(user::submit(&boxed), 1);
    assert_eq!(user::submit(&*boxed), 1);
    assert_eq!(user::submit(&shared), 1);
    assert_eq!(boxed.submit(|| 2).join().unwrap(), 2);
    assert_eq!(shared.submit(|| 3).join().unwrap(), 3);
}

#[test]
fn executors_are_executors_behind_any_pointer() {
    fn generic(executor: impl Executor) -> usize {
        let handles = (1..=4).map(|number| executor.submit(move || number));
        as_completed(handles).map(|one| one.join().unwrap()).sum()
    }
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    assert_eq!(generic(&pool), 10);
    assert_eq!(generic(&pool as &dyn Executor), 10);
    let pool = Arc::new(pool);
    assert_eq!(generic(Arc::clone(&pool)), 10);
    assert_eq!(generic(Arc::clone(&pool) as Arc<dyn Executor>), 10);
    assert_eq!(
        generic(Box::new(Arc::clone(&pool)) as Box<dyn Executor>),
        10
    );
    assert_eq!(generic(Inline), 10);
}

#[test]
fn the_five_methods_work_on_a_trait_object() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for executor in [&pool as &dyn Executor, &Inline] {
        assert_eq!(executor.submit(|| 1).join().unwrap(), 1);
        assert_eq!(executor.try_submit(|| 2).unwrap().join().unwrap(), 2);
        let token = executor.submit_cancellable(|token| token.is_cancelled());
        assert!(!token.join().unwrap());
        let squares: Result<Vec<_>, _> = executor.map(0..5, |n| n * n).collect();
        assert_eq!(squares.unwrap(), [0, 1, 4, 9, 16]);
        let mut squares: Vec<_> = executor
            .map_unordered(0..5, |n| n * n)
            .collect::<Result<_, _>>()
            .unwrap();
        squares.sort_unstable();
        assert_eq!(squares, [0, 1, 4, 9, 16]);
    }
}

#[test]
fn submit_after_shutdown_resolves_to_rejected() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    pool.shutdown();
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let handle = pool.submit(move || drop(held));
    assert!(handle.is_finished());
    assert_eq!(Arc::strong_count(&captured), 1, "the closure is gone");
    let error = handle.join().unwrap_err();
    assert!(error.is_rejected());
    assert_eq!(
        error.to_string(),
        "cannot schedule new tasks after shutdown"
    );
    let token = pool.submit_cancellable(|_| ());
    assert!(token.join().unwrap_err().is_rejected());
}

#[test]
fn try_submit_gives_the_closure_back_after_shutdown() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    pool.shutdown();
    let text = String::from("kept");
    let error = pool.try_submit(move || text).unwrap_err();
    assert!(matches!(error.reason(), Rejected::ShutDown));
    assert_eq!(
        error.to_string(),
        "cannot schedule new tasks after shutdown"
    );
    assert_eq!(error.into_closure()(), "kept");
}

#[test]
fn try_submit_gives_the_closure_back_when_the_queue_is_full() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .queue_capacity(1)
        .build()
        .unwrap();
    let busy = occupy(&pool, 1);
    let queued = pool.try_submit(|| 1).unwrap();
    let error = pool.try_submit(|| 2).unwrap_err();
    assert!(matches!(error.reason(), Rejected::QueueFull));
    let through_pointers: SubmitError<_> = Box::new(&pool as &dyn Executor)
        .try_submit(|| 3)
        .unwrap_err();
    assert!(matches!(through_pointers.reason(), Rejected::QueueFull));
    assert_eq!(through_pointers.into_closure()(), 3);
    busy.release();
    assert_eq!(queued.join().unwrap(), 1);
    // What came back can be submitted again.
    assert_eq!(pool.submit(error.into_closure()).join().unwrap(), 2);
}

#[test]
fn inline_runs_in_order_on_the_caller_and_keeps_panics_in_handles() {
    expect_panics();
    let here = thread::current().id();
    let mut order = Vec::new();
    for number in 0..3 {
        let handle = Inline.submit(move || (number, thread::current().id()));
        assert!(handle.is_finished());
        order.push(handle.join().unwrap());
    }
    assert_eq!(order, [(0, here), (1, here), (2, here)]);
    let panicked = Inline.submit(|| panic!("{ON_PURPOSE}"));
    assert!(panicked.join().unwrap_err().is_panic());
    let nested = Inline.submit(|| Inline.submit(|| 42).join().unwrap());
    assert_eq!(nested.join().unwrap(), 42);
}

/// Gives each task the treatment it was made with.
struct Treating<F>(F);

impl<F: Fn(Task) -> Result<(), RejectedTask> + Send + Sync> Executor for Treating<F> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        (self.0)(task)
    }
}

#[test]
fn a_task_that_is_dropped_is_lost_to_its_handle() {
    let loses = Treating(|task: Task| {
        drop(task);
        Ok(())
    });
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let error = loses.submit(move || drop(held)).join().unwrap_err();
    assert!(matches!(error, JoinError::Rejected(Rejected::Lost)));
    assert_eq!(Arc::strong_count(&captured), 1);
    let error = loses.try_submit(|| 1).unwrap().join().unwrap_err();
    assert!(matches!(error, JoinError::Rejected(Rejected::Lost)));
}

#[test]
fn an_executors_reason_reaches_the_handle_and_the_closure_comes_back() {
    let declines = Treating(|task| Err(RejectedTask::new(task, Rejected::QueueFull)));
    let error = declines.submit(|| 1).join().unwrap_err();
    assert!(matches!(error, JoinError::Rejected(Rejected::QueueFull)));
    let error = declines.try_submit(|| 2).unwrap_err();
    assert!(matches!(error.reason(), Rejected::QueueFull));
    assert_eq!(error.into_closure()(), 2);
}

#[test]
fn a_refused_task_can_be_run_elsewhere_or_dropped_with_its_reason() {
    let _alarm = alarm();
    let closed = ThreadPool::new(1);
    closed.shutdown();
    let open = ThreadPool::new(1);
    let falls_back = Treating(move |task: Task| {
        closed.execute(task).or_else(|rejected| {
            assert!(matches!(rejected.reason(), Rejected::ShutDown));
            open.execute(rejected.into_task())
        })
    });
    assert_eq!(falls_back.submit(|| 1).join().unwrap(), 1);
    assert_eq!(falls_back.try_submit(|| 2).unwrap().join().unwrap(), 2);

    let drops = Treating(|task: Task| {
        let rejected = RejectedTask::new(task, Rejected::ShutDown);
        assert_eq!(rejected.to_string(), Rejected::ShutDown.to_string());
        drop(rejected);
        Ok(())
    });
    let error = drops.submit(|| 3).join().unwrap_err();
    assert!(matches!(error, JoinError::Rejected(Rejected::ShutDown)));
}

#[test]
fn an_executor_that_evicts_an_older_task_keeps_the_newer_one() {
    let shelf = Arc::new(std::sync::Mutex::new(None));
    let kept = Arc::clone(&shelf);
    let evicts = Treating(move |task: Task| match kept.lock().unwrap().replace(task) {
        Some(older) => Err(RejectedTask::new(older, Rejected::QueueFull)),
        None => Ok(()),
    });
    let older = evicts.submit(|| 1);
    let newer = evicts.try_submit(|| 2).unwrap();
    assert!(matches!(
        older.join(),
        Err(JoinError::Rejected(Rejected::QueueFull))
    ));
    shelf.lock().unwrap().take().unwrap().run();
    assert_eq!(newer.join().unwrap(), 2);
}

#[test]
fn a_task_that_was_taken_can_still_be_lost() {
    let shelf = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&shelf);
    let keeps = Treating(move |task: Task| {
        kept.lock().unwrap().push(task);
        Ok(())
    });
    let handles = [1, 2].map(|n| keeps.try_submit(move || n).unwrap());
    assert!(handles.iter().all(|handle| !handle.is_finished()));
    let mut shelf = shelf.lock().unwrap();
    shelf.pop().unwrap().run();
    shelf.clear();
    let [lost, run] = handles.map(JoinHandle::join);
    assert_eq!(run.unwrap(), 2);
    assert!(matches!(lost, Err(JoinError::Rejected(Rejected::Lost))));
}

#[test]
fn a_task_kept_for_later_is_pending_until_it_is_run_or_dropped() {
    let shelf = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&shelf);
    let keeps = Treating(move |task: Task| {
        kept.lock().unwrap().push(task);
        Ok(())
    });
    let run = keeps.submit(|| 1);
    let dropped = keeps.submit(|| 2);
    let cancelled = keeps.try_submit(|| 3).unwrap();
    let mut tasks: Vec<Task> = std::mem::take(&mut *shelf.lock().unwrap());
    assert_eq!(tasks[0].id(), run.id());
    assert!(format!("{:?}", tasks[0]).contains(&run.id().to_string()));
    assert!(!run.is_finished() && !dropped.is_finished());

    assert!(cancelled.cancel());
    tasks.pop().unwrap().run();
    assert!(matches!(cancelled.join(), Err(JoinError::Cancelled)));
    drop(tasks.pop());
    assert!(dropped.join().unwrap_err().is_rejected());
    tasks.pop().unwrap().run();
    assert_eq!(run.join().unwrap(), 1);
}

#[test]
fn an_executor_that_panics_loses_no_handle_of_others() {
    expect_panics();
    let panics = Treating(|_: Task| panic!("{ON_PURPOSE}"));
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        panics.submit(move || drop(held))
    }));
    assert!(outcome.is_err());
    assert_eq!(Arc::strong_count(&captured), 1);
}

// bpo-16284: a worker kept the last work item alive until the next came.
#[test]
fn nothing_is_held_after_a_task_whose_handle_is_gone() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let object = Arc::new(());
    let weak = Arc::downgrade(&object);
    drop(pool.submit(move || drop(object)));
    eventually(|| weak.strong_count() == 0);
}

#[test]
fn closures_may_return_anything_that_can_be_sent() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    // `Cell` is `Send`, not `Sync`.
    let cell = pool.submit(|| std::cell::Cell::new(7));
    assert_eq!(cell.join().unwrap().get(), 7);
    let function = pool.submit(|| Box::new(|n: i32| n + 1) as Box<dyn Fn(i32) -> i32 + Send>);
    assert_eq!(function.join().unwrap()(1), 2);
    let large = pool.submit(|| [7_u8; 10_000]);
    assert_eq!(large.join().unwrap()[9_999], 7);
}
