//! Panics: each is reported, and none harms a worker or another task.
//!
//! Behaviours ported from the tests of the `threadpool` crate (recovery from
//! panics of tasks) and from `CPython`'s `test_concurrent_futures/executor.py`.

use crate::support::{
    Bomb, Gate, ON_PURPOSE, PATIENCE, alarm, eventually, expect_panics, occupy, reports_of,
};
use as_completed::{Inline, JoinError, JoinHandle, Panic, ThreadPool, as_completed};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::mpsc;
use std::task::Wake;

fn panic_of<T: std::fmt::Debug>(outcome: Result<T, JoinError>) -> Panic {
    match outcome {
        Err(JoinError::Panicked(panic)) => panic,
        other => panic!("{other:?}"),
    }
}

/// Runs tasks on every worker of a pool and counts them.
#[track_caller]
fn assert_unharmed(pool: &ThreadPool) {
    occupy(pool, pool.max_workers()).release();
    assert_eq!(pool.worker_count(), pool.max_workers());
}

#[test]
fn message_payload_and_thread_reach_the_handle() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .thread_name("risky")
        .build()
        .unwrap();
    let text = panic_of(pool.submit(|| panic!("on purpose, as text")).join());
    assert_eq!(text.message(), "on purpose, as text");
    assert_eq!(text.thread_name(), Some("risky-0"));
    assert_eq!(
        text.to_string(),
        "task panicked on thread \"risky-0\": on purpose, as text"
    );
    assert!(format!("{text:?}").contains("on purpose, as text"));
    assert!(text.into_payload().is::<&'static str>());

    let number = 7;
    let formatted = panic_of(pool.submit(move || panic!("{ON_PURPOSE} {number}")).join());
    assert_eq!(formatted.message(), "on purpose 7");
    assert!(formatted.into_payload().is::<String>());

    let other = panic_of(pool.submit(|| panic_any(42_u8)).join());
    assert_eq!(other.message(), "panic payload is not a string");
    assert_eq!(other.into_payload().downcast_ref(), Some(&42_u8));
}

#[test]
fn a_thread_without_a_name_has_none() {
    expect_panics();
    let outcome = std::thread::spawn(|| Inline.submit(|| panic!("{ON_PURPOSE}")).join());
    let panic = panic_of::<()>(outcome.join().unwrap());
    assert_eq!(panic.thread_name(), None);
    assert_eq!(panic.to_string(), "task panicked: on purpose");
}

#[test]
fn join_error_says_what_the_panic_says() {
    expect_panics();
    let error = Inline.submit(|| panic!("{ON_PURPOSE}")).join().unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled() && !error.is_rejected());
    assert!(error.to_string().ends_with(": on purpose"), "{error}");
    assert!(error.source().is_none());
    let boxed: Box<dyn Error + Send + Sync> = error.into();
    assert!(boxed.downcast_ref::<JoinError>().unwrap().is_panic());
}

#[test]
fn resume_goes_on_panicking_with_the_same_payload_and_no_second_report() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let panic = panic_of(pool.submit(|| panic!("resumed on purpose")).join());
    assert_eq!(reports_of("resumed on purpose"), 1);
    let again = catch_unwind(AssertUnwindSafe(|| panic.resume())).unwrap_err();
    assert_eq!(again.downcast_ref(), Some(&"resumed on purpose"));
    assert_eq!(reports_of("resumed on purpose"), 1);
}

#[test]
fn a_pool_recovers_from_a_panic_in_every_worker() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(4);
    let handles: Vec<_> = (0..20)
        .map(|_| pool.submit(|| panic!("{ON_PURPOSE}")))
        .collect();
    let mut panics = 0;
    for handle in as_completed(handles) {
        assert_eq!(panic_of::<()>(handle.join()).message(), ON_PURPOSE);
        panics += 1;
    }
    assert_eq!(panics, 20);
    assert_unharmed(&pool);
}

#[test]
fn a_pool_is_dropped_while_its_tasks_panic() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(4);
    let gate = Gate::new();
    let handles = [0; 4].map(|_| {
        let turnstile = gate.turnstile();
        pool.submit(move || {
            turnstile.pass();
            panic!("{ON_PURPOSE}");
        })
    });
    gate.open();
    drop(pool);
    for handle in handles {
        assert_eq!(panic_of::<()>(handle.join()).message(), ON_PURPOSE);
    }
}

#[test]
fn a_closure_that_panics_in_drop_while_it_runs_is_a_panic_of_its_task() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let bomb = Bomb("a closure's drop panics on purpose");
    let panic = panic_of(
        pool.submit(move || {
            let _bomb = &bomb;
        })
        .join(),
    );
    assert_eq!(panic.message(), "a closure's drop panics on purpose");
    assert_unharmed(&pool);
}

#[test]
fn closures_that_panic_in_drop_when_cancelled_or_rejected_are_reported() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let bomb = || Bomb("an unrun closure panics on purpose");
    let submit = |bomb: Bomb| pool.submit(move || drop(bomb));
    let by_handle = submit(bomb());
    assert!(by_handle.cancel());
    let by_pool = [submit(bomb()), submit(bomb())];
    assert_eq!(pool.cancel_pending(), 2);
    pool.shutdown();
    let rejected = submit(bomb());
    assert!(by_handle.join().unwrap_err().is_cancelled());
    for handle in by_pool {
        assert!(handle.join().unwrap_err().is_cancelled());
    }
    assert!(rejected.join().unwrap_err().is_rejected());
    assert_eq!(reports_of("an unrun closure panics on purpose"), 4);
    busy.release();
    pool.join();
}

#[test]
fn a_detached_result_that_panics_in_drop_costs_no_worker() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    for _ in 0..6 {
        drop(pool.submit(|| Bomb("a result's drop panics on purpose")));
    }
    busy.release();
    eventually(|| reports_of("a result's drop panics on purpose") == 6);
    assert_unharmed(&pool);
}

// rust#86027: a payload that panics when it is dropped.
#[test]
fn a_detached_payload_that_panics_in_drop_costs_no_worker() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    for _ in 0..6 {
        drop(pool.submit(|| panic_any(Bomb("a payload's drop panics on purpose"))));
    }
    busy.release();
    eventually(|| reports_of("a payload's drop panics on purpose") == 6);
    assert_unharmed(&pool);

    // Whoever holds the payload has its drop.
    let panic = panic_of::<()>(
        pool.submit(|| panic_any(Bomb("a kept payload panics on purpose")))
            .join(),
    );
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    assert!(dropped.is_err());
}

#[test]
fn callbacks_with_bombs_are_called_all_the_same() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 1);
    let (sender, calls) = mpsc::channel();
    for number in 0..3 {
        let (bomb, sender) = (Bomb("a callback's drop panics on purpose"), sender.clone());
        handle.on_done(move |_| {
            sender.send(number).unwrap();
            drop(bomb);
        });
    }
    handle.on_done(|_| panic_any(Bomb("a callback's payload panics on purpose")));
    handle.on_done(move |_| sender.send(3).unwrap());
    busy.release();
    assert_eq!(calls.iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(reports_of("a callback's drop panics on purpose"), 3);
    assert_eq!(reports_of("a callback's payload panics on purpose"), 1);
    assert_eq!(handle.join().unwrap(), 1);
    assert_unharmed(&pool);
}

#[test]
fn a_callback_that_panics_while_its_thread_cancels_does_not_reach_the_canceller() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles = [0; 3].map(|_| pool.submit(|| ()));
    for handle in &handles {
        handle.on_done(|_| panic!("{ON_PURPOSE}"));
    }
    assert_eq!(pool.cancel_pending(), 3);
    assert!(handles.iter().all(JoinHandle::is_cancelled));
    busy.release();
}

#[test]
fn a_waker_that_panics_costs_no_worker() {
    struct Alarming;
    impl Wake for Alarming {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker panics on purpose");
        }
    }
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| 42);
    let waker = std::sync::Arc::new(Alarming).into();
    let mut context = std::task::Context::from_waker(&waker);
    assert!(
        std::pin::Pin::new(&mut handle)
            .poll(&mut context)
            .is_pending()
    );
    busy.release();
    assert_eq!(handle.join().unwrap(), 42);
    eventually(|| reports_of("a waker panics on purpose") == 1);
    assert_unharmed(&pool);
}

#[test]
fn an_initializer_with_a_bomb_for_a_payload_breaks_its_pool_in_good_order() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .initializer(|| panic_any(Bomb("an initializer's payload panics on purpose")))
        .build()
        .unwrap();
    let outcome = pool.submit(|| ()).join();
    assert!(outcome.as_ref().is_err_and(JoinError::is_rejected));
    // The cause is shared by the pool and its errors: the last one drops it.
    pool.join();
    drop(pool);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(outcome))).is_err());
}

#[test]
fn a_panic_in_a_nested_task_stays_in_its_handle() {
    let _alarm = alarm();
    expect_panics();
    let pool = std::sync::Arc::new(ThreadPool::new(1));
    let inner = std::sync::Arc::clone(&pool);
    let outer = pool.submit(move || {
        let nested = inner.submit(|| panic!("{ON_PURPOSE}"));
        panic_of::<()>(nested.join()).message().to_owned()
    });
    assert_eq!(outer.join().unwrap(), ON_PURPOSE);
    let (sender, results) = mpsc::channel();
    drop(pool.submit(move || sender.send(42)));
    assert_eq!(results.recv_timeout(PATIENCE), Ok(42));
}

#[test]
fn a_detached_task_that_panics_is_reported_once() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    drop(pool.submit(|| panic!("nobody joins, on purpose")));
    pool.join();
    assert_eq!(reports_of("nobody joins, on purpose"), 1);
}
