//! The initializer of a pool's workers, and what its failure breaks.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/test_init.py`.

use crate::support::{Gate, ON_PURPOSE, PATIENCE, alarm, eventually, expect_panics};
use as_completed::{JoinError, Rejected, ThreadPool, ThreadPoolBuilder, as_completed};
use std::cell::Cell;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

fn assert_broken(outcome: Result<(), JoinError>, message: &str) {
    match outcome {
        Err(JoinError::Rejected(Rejected::Initializer(error))) => {
            let cause = error.source().map(ToString::to_string);
            let text = format!("{error}: {}", cause.unwrap_or_default());
            assert!(text.contains(message), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

fn one_worker() -> ThreadPoolBuilder {
    ThreadPool::builder().max_workers(1)
}

#[test]
fn each_worker_is_initialized_once_before_its_first_task() {
    thread_local!(static READY: Cell<u32> = const { Cell::new(0) });
    let _alarm = alarm();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let pool = ThreadPool::builder()
        .max_workers(2)
        .initializer(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            READY.set(READY.get() + 1);
            Ok(())
        })
        .build()
        .unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0, "no thread has started");
    for _ in 0..10 {
        let together = Arc::new(Barrier::new(2));
        let handles = [0, 1].map(|_| {
            let together = Arc::clone(&together);
            pool.submit(move || {
                together.wait();
                READY.get()
            })
        });
        assert_eq!(handles.map(|handle| handle.join().unwrap()), [1, 1]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_failure_breaks_the_pool_for_pending_and_later_tasks() {
    let _alarm = alarm();
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let pool = one_worker()
        .initializer(move || {
            turnstile.pass();
            Err("no database".into())
        })
        .build()
        .unwrap();
    let (sender, called) = mpsc::channel();
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let pending = vec![
        pool.submit(move || drop(held)),
        pool.submit(|| ()),
        pool.submit_cancellable(|_| ()),
        pool.try_submit(|| ()).unwrap(),
    ];
    pending[0].on_done(move |id| sender.send(id).unwrap());
    let id = pending[0].id();
    let all = as_completed(pending);
    gate.open();
    for handle in all {
        assert_broken(handle.join(), "no database");
    }
    assert_eq!(called.recv_timeout(PATIENCE), Ok(id));
    assert_eq!(Arc::strong_count(&captured), 1, "the closure is gone");

    assert_broken(pool.submit(|| ()).join(), "no database");
    let error = pool.try_submit(|| 7).unwrap_err();
    assert_eq!(error.to_string(), "initializer of a worker failed");
    assert_eq!(error.source().unwrap().to_string(), "no database");
    assert_eq!(error.into_closure()(), 7);
    eventually(|| pool.worker_count() == 0);
    pool.join();
}

#[test]
fn a_panic_is_a_failure_with_its_message() {
    let _alarm = alarm();
    expect_panics();
    let pool = one_worker()
        .thread_name("unready")
        .initializer(|| panic!("{ON_PURPOSE}"))
        .build()
        .unwrap();
    let outcome = pool.submit(|| ()).join();
    assert_broken(outcome, ON_PURPOSE);
    assert_broken(pool.submit(|| ()).join(), "unready-0");
}

#[test]
fn the_cause_of_a_failure_is_kept() {
    let _alarm = alarm();
    let pool = one_worker()
        .initializer(|| {
            "forty-two".parse::<u8>()?;
            Ok(())
        })
        .build()
        .unwrap();
    let error = pool.submit(|| ()).join().unwrap_err();
    let expected = "forty-two".parse::<u8>().unwrap_err().to_string();
    let cause = error.source().unwrap();
    assert_eq!(cause.to_string(), expected);
    assert!(cause.is::<std::num::ParseIntError>());
}

#[test]
fn the_failure_of_a_second_worker_breaks_the_pool_and_spares_what_runs() {
    let _alarm = alarm();
    let calls = AtomicUsize::new(0);
    let pool = ThreadPool::builder()
        .max_workers(2)
        .initializer(move || match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err("only once".into()),
        })
        .build()
        .unwrap();
    let busy = crate::support::occupy(&pool, 1);
    assert_broken(pool.submit(|| ()).join(), "only once");
    assert_broken(pool.submit(|| ()).join(), "only once");
    busy.release();
    pool.join();
}

#[test]
fn submitters_that_wait_for_room_are_told() {
    let _alarm = alarm();
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let pool = one_worker()
        .queue_capacity(1)
        .initializer(move || {
            turnstile.pass();
            Err("no database".into())
        })
        .build()
        .unwrap();
    let first = pool.submit(|| ());
    thread::scope(|scope| {
        let waiting = [0; 3].map(|_| scope.spawn(|| pool.submit(|| ())));
        gate.open();
        for submitter in waiting {
            assert_broken(submitter.join().unwrap().join(), "no database");
        }
    });
    assert_broken(first.join(), "no database");
}

#[test]
fn an_initializer_may_use_another_pool() {
    let _alarm = alarm();
    let other = ThreadPool::new(1);
    let pool = one_worker()
        .initializer(move || {
            other.submit(|| ()).join()?;
            Ok(())
        })
        .build()
        .unwrap();
    assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
}

// A callback of a rejected task waits for another: it must not run there.
#[test]
fn no_task_runs_on_a_worker_whose_initializer_failed() {
    let _alarm = alarm();
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let pool = one_worker()
        .initializer(move || {
            turnstile.pass();
            Err("no database".into())
        })
        .build()
        .unwrap();
    let [first, second] = [(); 2].map(|()| pool.submit(|| ()));
    let (sender, joined) = mpsc::channel();
    first.on_done(move |_| sender.send(second.join()).unwrap());
    gate.open();
    assert_broken(joined.recv_timeout(PATIENCE).unwrap(), "no database");
    pool.join();
}

#[test]
fn an_initializer_that_submits_to_its_own_pool_is_refused() {
    let _alarm = alarm();
    let (give, given) = mpsc::channel::<Arc<ThreadPool>>();
    let (sender, outcomes) = mpsc::channel();
    let given = std::sync::Mutex::new(given);
    let pool = one_worker()
        .queue_capacity(1)
        .initializer(move || {
            let own = given.lock().unwrap().recv()?;
            sender.send(own.submit(|| ()).join())?;
            let refused = own
                .try_submit(|| ())
                .map(drop)
                .map_err(|error| error.to_string());
            assert!(refused.is_err_and(|error| error.contains("own pool")));
            Ok(())
        })
        .build()
        .unwrap();
    let pool = Arc::new(pool);
    // It fills the queue, too.
    let first = pool.submit(|| 42);
    give.send(Arc::clone(&pool)).unwrap();
    assert_broken(outcomes.recv_timeout(PATIENCE).unwrap(), "own pool");
    assert_eq!(first.join().unwrap(), 42);
}

#[test]
fn what_an_initializer_submits_in_vain_takes_no_place_in_the_queue() {
    let _alarm = alarm();
    let (give, given) = mpsc::channel::<Arc<ThreadPool>>();
    let given = std::sync::Mutex::new(given);
    let pool = one_worker()
        .queue_capacity(2)
        .initializer(move || {
            let own = given.lock().unwrap().recv()?;
            assert!(own.try_submit(|| ()).is_err());
            assert_broken(own.submit(|| ()).join(), "own pool");
            Ok(())
        })
        .build()
        .unwrap();
    let pool = Arc::new(pool);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let first = pool.submit(move || turnstile.pass());
    give.send(Arc::clone(&pool)).unwrap();
    eventually(|| pool.active_count() == 1 && pool.queued_count() == 0);
    let two = [(); 2].map(|()| pool.try_submit(|| ()).unwrap());
    assert!(pool.try_submit(|| ()).is_err());
    gate.open();
    first.join().unwrap();
    for task in two {
        task.join().unwrap();
    }
}
