//! `wait`: some or all of a set of tasks, at once.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/test_wait.py`.

use crate::support::{Gate, ON_PURPOSE, PATIENCE, SHORT, alarm, expect_panics, occupy};
use as_completed::{
    Inline, JoinHandle, ReturnWhen, TaskId, ThreadPool, Waited, as_completed, promise, wait,
};
use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The handles' names and how often each comes.
fn ids<T>(handles: &[&JoinHandle<T>]) -> HashMap<TaskId, usize> {
    let mut ids = HashMap::new();
    for handle in handles {
        *ids.entry(handle.id()).or_default() += 1;
    }
    ids
}

#[track_caller]
fn assert_split<T>(
    waited: &Waited<&JoinHandle<T>>,
    done: &[&JoinHandle<T>],
    rest: &[&JoinHandle<T>],
) {
    assert_eq!(ids(&waited.done), ids(done), "done");
    assert_eq!(ids(&waited.pending), ids(rest), "pending");
}

fn cancelled() -> JoinHandle<()> {
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| ());
    assert!(handle.cancel());
    busy.release();
    handle
}

fn panicked() -> JoinHandle<()> {
    expect_panics();
    Inline.submit(|| panic!("{ON_PURPOSE}"))
}

#[test]
fn first_completed_returns_when_one_is_done() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 1);
    let quick = pool.submit(|| ());
    let slow = &busy.handles()[0];
    let waited = wait([slow, &quick], ReturnWhen::FirstCompleted, None);
    assert_split(&waited, &[&quick], &[slow]);
    drop(waited);
    busy.release();
}

#[test]
fn first_completed_returns_at_once_with_all_that_are_done_already() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (cancelled, returned) = (cancelled(), Inline.submit(|| ()));
    let slow = &busy.handles()[0];
    let waited = wait(
        [slow, &cancelled, &returned],
        ReturnWhen::FirstCompleted,
        None,
    );
    assert_split(&waited, &[&cancelled, &returned], &[slow]);
    drop(waited);
    busy.release();
}

#[test]
fn first_failure_waits_past_successes() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(3);
    let busy = occupy(&pool, 1);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let good = pool.submit(|| ());
    let bad = pool.submit(move || {
        turnstile.pass();
        panic!("{ON_PURPOSE}");
    });
    good.on_done(move |_| gate.open());
    let slow = &busy.handles()[0];
    let waited = wait([&good, &bad, slow], ReturnWhen::FirstFailure, None);
    assert_split(&waited, &[&good, &bad], &[slow]);
    assert_eq!(
        waited.done.iter().map(|one| one.id()).collect::<Vec<_>>(),
        [good.id(), bad.id()],
        "in the order in which they ended"
    );
    drop(waited);
    busy.release();
}

#[test]
fn first_failure_looks_at_what_is_done_already() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let bad = panicked();
    let slow = &busy.handles()[0];
    let waited = wait([slow, &bad], ReturnWhen::FirstFailure, None);
    assert_split(&waited, &[&bad], &[slow]);
    drop(waited);
    busy.release();
}

#[test]
fn first_failure_counts_a_rejected_task() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    pool.shutdown();
    let rejected = pool.submit(|| ());
    let slow = &busy.handles()[0];
    let waited = wait([slow, &rejected], ReturnWhen::FirstFailure, None);
    assert_split(&waited, &[&rejected], &[slow]);
    drop(waited);
    busy.release();
}

#[test]
fn first_failure_overlooks_cancelled_tasks() {
    let _alarm = alarm();
    let (cancelled, returned) = (cancelled(), Inline.submit(|| ()));
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let last = &busy.handles()[0];
    thread::scope(|scope| {
        let (sender, waited) = mpsc::channel();
        let handles = [&cancelled, &returned, last];
        scope.spawn(move || sender.send(wait(handles, ReturnWhen::FirstFailure, None)));
        assert!(waited.recv_timeout(SHORT).is_err(), "nothing has failed");
        busy.open();
        let waited = waited.recv_timeout(PATIENCE).unwrap();
        assert_split(&waited, &[&cancelled, &returned, last], &[]);
    });
}

// In Python a task fails by raising. Here a task that returns an `Err` has
// returned: what it means is for the caller to say.
#[test]
fn a_returned_error_is_no_failure() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let handles = [
        pool.submit(|| Err("no such file")),
        pool.submit(|| Ok::<(), _>(())),
    ];
    let waited = wait(&handles, ReturnWhen::FirstFailure, None);
    assert_eq!(waited.done.len(), 2);
}

#[test]
fn all_completed_waits_for_all_whatever_their_ends() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(2);
    let ends = [
        Inline.submit(|| ()),
        cancelled(),
        panicked(),
        pool.submit(|| panic!("{ON_PURPOSE}")),
        pool.submit(|| ()),
    ];
    let all: Vec<_> = ends.iter().collect();
    let waited = wait(&ends, ReturnWhen::AllCompleted, None);
    assert_split(&waited, &all, &[]);
}

#[test]
fn a_timeout_returns_what_there_is_and_fails_nothing() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let done = [Inline.submit(|| ()), cancelled(), panicked()];
    let slow = &busy.handles()[0];
    for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
        let waited = wait(
            done.iter().chain([slow]),
            ReturnWhen::AllCompleted,
            Some(timeout),
        );
        assert_split(&waited, &[&done[0], &done[1], &done[2]], &[slow]);
    }
    busy.release();
}

#[test]
fn an_endless_timeout_waits_for_all() {
    let _alarm = alarm();
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
        let pool = ThreadPool::new(1);
        let busy = occupy(&pool, 1);
        let handle = pool.submit(|| ());
        let (started, start) = mpsc::channel();
        let waiter = thread::spawn(move || {
            started.send(()).unwrap();
            wait([handle], ReturnWhen::AllCompleted, Some(timeout))
        });
        start.recv().unwrap();
        busy.release();
        let Waited { done, pending, .. } = waiter.join().unwrap();
        assert_eq!((done.len(), pending.len()), (1, 0));
    }
}

#[test]
fn pending_handles_can_be_waited_for_again() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    let waited = wait([handle], ReturnWhen::AllCompleted, Some(Duration::ZERO));
    assert!(waited.done.is_empty());
    busy.release();
    let mut waited = wait(waited.pending, ReturnWhen::FirstCompleted, None);
    assert_eq!(waited.done.pop().unwrap().join().unwrap(), 42);
    assert!(waited.pending.is_empty());
}

#[test]
fn nothing_to_wait_for_returns_at_once() {
    for when in [
        ReturnWhen::FirstCompleted,
        ReturnWhen::FirstFailure,
        ReturnWhen::AllCompleted,
    ] {
        let waited = wait(Vec::<JoinHandle<()>>::new(), when, None);
        assert!(waited.done.is_empty() && waited.pending.is_empty());
    }
}

// bpo-20369. Python's sets make one of the two; two references stay two here.
#[test]
fn a_handle_given_twice_is_waited_for_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let handle = pool.submit(|| 3);
    let waited = wait([&handle, &handle], ReturnWhen::AllCompleted, None);
    assert_split(&waited, &[&handle, &handle], &[]);
}

#[test]
fn keys_stay_with_their_handles() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 1);
    let quick = pool.submit(|| ());
    let pairs = [("slow", &busy.handles()[0]), ("quick", &quick)];
    let waited = wait(pairs, ReturnWhen::FirstCompleted, None);
    assert_eq!(waited.done[0].0, "quick");
    assert_eq!(waited.pending[0].0, "slow");
    drop(waited);
    busy.release();
}

// bpo-14406: with many tasks ending at once a count went wrong.
#[test]
fn all_of_many_that_end_together_are_seen() {
    let _alarm = alarm();
    let pool = ThreadPool::new(8);
    for _ in 0..20 {
        let gate = Gate::new();
        let handles: Vec<_> = (0..100)
            .map(|_| {
                let turnstile = gate.turnstile();
                pool.submit(move || turnstile.pass())
            })
            .collect();
        gate.open();
        let waited = wait(handles, ReturnWhen::AllCompleted, None);
        assert_eq!((waited.done.len(), waited.pending.len()), (100, 0));
        assert_eq!(as_completed(waited.done).count(), 100);
    }
}

#[test]
fn a_wait_with_a_timeout_goes_on_until_all_are_final() {
    let _alarm = alarm();
    let (promise, handle) = promise();
    let settler = thread::spawn(move || {
        // So that the wait has begun, most of the time.
        thread::sleep(SHORT);
        promise.settle(Ok(1));
    });
    let handles = [Inline.submit(|| 2), handle];
    let waited = wait(handles, ReturnWhen::AllCompleted, Some(PATIENCE));
    assert_eq!((waited.done.len(), waited.pending.len()), (2, 0));
    settler.join().unwrap();
}
