//! An early end of several waits: what is left is cancelled where it was asked
//! for, and nothing of the wait stays behind in the tasks.

use crate::support::{Gate, ON_PURPOSE, PATIENCE, alarm, expect_panics, occupy};
use as_completed::{
    Inline, JoinError, JoinHandle, ReturnWhen, ThreadPool, as_completed, promise, try_join_all,
    wait,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

#[test]
fn what_is_left_is_cancelled_when_the_iterator_is_dropped() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles = [pool.submit(|| 1), pool.submit(|| 2)];
    let first = Inline.submit(|| 0);
    let mut all = as_completed(handles.iter().chain([&first])).cancel_on_drop();
    assert_eq!(all.next().map(JoinHandle::id), Some(first.id()));
    drop(all);
    assert!(handles.iter().all(JoinHandle::is_cancelled));
    assert!(handles.iter().all(JoinHandle::is_finished));
    assert!(!first.is_cancelled());
    busy.release();
}

#[test]
fn an_early_return_does_not_wait_for_what_has_not_started() {
    fn sum(pool: &ThreadPool, gate: &Gate) -> Result<u32, String> {
        let turnstile = gate.turnstile();
        let mut handles = vec![pool.submit(|| Err("no".to_owned()))];
        // Never opened before the drop of the gate, which is after the iterator's.
        handles.push(pool.submit(move || {
            turnstile.pass();
            Ok(1)
        }));
        handles.extend((0..60).map(|_| pool.submit(|| unreachable!())));
        let mut sum = 0;
        for handle in as_completed(handles).cancel_on_drop() {
            sum += handle.join().map_err(|error| error.to_string())??;
        }
        Ok(sum)
    }
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    assert_eq!(sum(&pool, &Gate::new()), Err("no".to_owned()));
    pool.join();
}

#[test]
fn a_running_task_is_asked_to_stop() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (started, start) = mpsc::channel();
    let sleeper = pool.submit_cancellable(move |token| {
        started.send(()).unwrap();
        token.sleep(Duration::MAX)
    });
    start.recv_timeout(PATIENCE).unwrap();
    drop(as_completed([&sleeper]).cancel_on_drop());
    assert!(!sleeper.join().unwrap());
}

#[test]
fn handles_taken_out_are_not_cancelled() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let all = as_completed([pool.submit(|| 1), pool.submit(|| 2)]).cancel_on_drop();
    let pending = all.into_pending();
    assert!(!pending.iter().any(JoinHandle::is_cancelled));
    busy.release();
    let sum: i32 = pending
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .sum();
    assert_eq!(sum, 3);
}

#[test]
fn a_timeout_or_a_panic_of_the_loop_cancels_too() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let late = pool.submit(|| 1);
    let mut timed = as_completed([&late])
        .cancel_on_drop()
        .timeout(Duration::ZERO);
    assert!(timed.next().unwrap().is_err());
    assert!(!late.is_cancelled());
    drop(timed);
    assert!(late.is_cancelled());

    let late = pool.submit(|| 1);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _all = as_completed([&late]).cancel_on_drop();
        panic!("{ON_PURPOSE}");
    }));
    assert!(outcome.is_err() && late.is_cancelled());
    busy.release();
}

#[test]
fn a_pushed_handle_is_cancelled_too() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let pushed = pool.submit(|| 1);
    let mut all = as_completed([]).cancel_on_drop();
    all.push(&pushed);
    drop(all);
    assert!(pushed.is_cancelled());
    busy.release();
}

// All are final before a callback of any runs, or these wait for ever: the only
// worker is busy until the callback has ended, and the promise is never settled.
#[test]
fn callback_of_one_cancelled_task_may_wait_for_another() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (_promises, promised): (Vec<_>, Vec<_>) = (0..2).map(|_| promise::<u32>()).unzip();
    let submitted = vec![pool.submit(|| 1), pool.submit(|| 2)];
    for handles in [submitted, promised] {
        let handles: Vec<_> = handles.into_iter().map(Arc::new).collect();
        let (done, is_done) = mpsc::channel();
        let second = Arc::clone(&handles[1]);
        handles[0].on_done(move |_| {
            second.wait();
            done.send(second.is_cancelled()).unwrap();
        });
        drop(as_completed(handles.iter().map(|handle| &**handle)).cancel_on_drop());
        assert_eq!(is_done.recv_timeout(PATIENCE), Ok(true));
    }
    busy.release();
}

#[test]
fn an_early_return_from_a_scope_does_not_run_what_has_not_started() {
    fn first_error(numbers: &[u32]) -> Result<u32, String> {
        ThreadPool::scope(1, |pool| {
            let gate = Gate::new();
            let turnstile = gate.turnstile();
            let failed = pool.submit(|| Err("no".to_owned()));
            let held = pool.submit(move || {
                turnstile.pass();
                Ok(0)
            });
            let rest = numbers.iter().map(|_| pool.submit(|| unreachable!()));
            let mut sum = 0;
            for handle in as_completed([failed, held].into_iter().chain(rest)).cancel_on_drop() {
                sum += handle.join().map_err(|error| error.to_string())??;
            }
            Ok(sum)
        })
    }
    let _alarm = alarm();
    assert_eq!(first_error(&[1, 2, 3]), Err("no".to_owned()));
}

#[test]
fn pending_tasks_of_a_wait_are_cancelled_on_demand() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles = [Inline.submit(|| 1), pool.submit(|| 2), pool.submit(|| 3)];
    let waited = wait(&handles, ReturnWhen::FirstCompleted, None);
    waited.cancel_pending();
    assert_eq!(waited.done.len(), 1);
    assert!(waited.pending.iter().all(|handle| handle.is_cancelled()));
    assert!(!handles[0].is_cancelled());
    busy.release();
}

#[test]
fn all_results_come_in_the_order_given() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let last_to_end = pool.submit(move || {
        turnstile.pass();
        Ok::<_, String>("first")
    });
    let opens = pool.submit(move || {
        gate.open();
        Ok("second")
    });
    let all = try_join_all([last_to_end, opens]);
    assert_eq!(all.unwrap(), Ok(vec!["first", "second"]));
    let none = try_join_all(Vec::<JoinHandle<Result<u32, String>>>::new());
    assert_eq!(none.unwrap(), Ok(vec![]));
}

#[test]
fn the_first_error_ends_all() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    for panics in [false, true] {
        let (cancelled, is_cancelled) = mpsc::channel();
        let failing = pool.submit(move || {
            assert!(!panics, "{ON_PURPOSE}");
            Err::<u32, _>("no")
        });
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let held = pool.submit(move || {
            turnstile.pass();
            Ok(1)
        });
        let pending = pool.submit(|| Ok(2));
        let id = pending.id();
        pending.on_done(move |done| cancelled.send(done == id).unwrap());
        let outcome = try_join_all([held, pending, failing]);
        assert_eq!(is_cancelled.recv_timeout(PATIENCE), Ok(true));
        match outcome {
            Ok(Err("no")) => assert!(!panics),
            Err(JoinError::Panicked(_)) => assert!(panics),
            other => panic!("{other:?}"),
        }
        gate.open();
    }
}

// Taking the watchers away one copy at a time, each at the end of a search past
// all others, took 170 seconds in a release build, past the alarm.
#[test]
fn dropping_an_iterator_over_many_copies_of_one_handle_ends() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 1);
    let all = as_completed(std::iter::repeat_n(&handle, 500_000));
    assert_eq!(all.len(), 500_000);
    drop(all);
    busy.release();
    assert_eq!(handle.join().unwrap(), 1);
}
