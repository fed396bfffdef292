//! `CancelToken`, and `cancel` of handles and pools.
//!
//! Behaviours ported from tokio's `task_join_set.rs` (`abort_tasks`, `abort_all`)
//! and tokio-util's `task_join_map.rs` (`abort_by_key`). A running thread cannot
//! be aborted, so a running task sees a token instead.

use crate::support::{ON_PURPOSE, PATIENCE, SHORT, alarm, expect_panics, occupy};
use as_completed::{CancelToken, Inline, JoinError, JoinHandle, ThreadPool, as_completed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_token_and_its_clones_are_one_and_stay_cancelled() {
    let token = CancelToken::new();
    let clone = token.clone();
    let other = CancelToken::default();
    assert!(!token.is_cancelled());
    assert!(format!("{token:?}").contains("is_cancelled: false"));
    clone.cancel();
    clone.cancel();
    assert!(token.is_cancelled() && clone.is_cancelled());
    assert!(!other.is_cancelled());
    assert!(format!("{token:?}").contains("is_cancelled: true"));
}

#[test]
fn sleep_says_whether_it_slept_in_full() {
    let _alarm = alarm();
    let token = CancelToken::new();
    assert!(token.sleep(Duration::ZERO));
    let start = Instant::now();
    assert!(token.sleep(SHORT));
    assert!(start.elapsed() >= SHORT);
    token.cancel();
    for duration in [Duration::ZERO, SHORT, Duration::MAX] {
        assert!(!token.sleep(duration));
    }
}

#[test]
fn cancel_ends_every_sleep() {
    let _alarm = alarm();
    let token = CancelToken::new();
    let (started, starts) = mpsc::channel();
    thread::scope(|scope| {
        let long = [
            Duration::MAX,
            Duration::from_secs(u64::MAX / 4),
            PATIENCE * 60,
        ];
        let sleepers = long.map(|duration| {
            let (token, started) = (token.clone(), started.clone());
            scope.spawn(move || {
                started.send(()).unwrap();
                token.sleep(duration)
            })
        });
        for _ in 0..3 {
            starts.recv().unwrap();
        }
        token.cancel();
        for sleeper in sleepers {
            assert!(!sleeper.join().unwrap());
        }
    });
}

#[test]
fn cancelling_a_handle_reaches_the_running_task() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (started, start) = mpsc::channel();
    let handle = pool.submit_cancellable(move |token| {
        started.send(()).unwrap();
        let slept = token.sleep(Duration::MAX);
        (slept, token.is_cancelled())
    });
    start.recv().unwrap();
    assert!(!handle.cancel(), "it runs: the task decides itself");
    assert!(!handle.is_cancelled());
    assert_eq!(handle.join().unwrap(), (false, true));
}

#[test]
fn a_pending_cancellable_task_is_cancelled_like_any_other() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit_cancellable(|_| unreachable!());
    assert!(handle.cancel());
    let outcome: Result<(), _> = handle.join();
    assert!(matches!(outcome, Err(JoinError::Cancelled)));
    busy.release();
}

#[test]
fn a_finished_cancellable_task_is_not_cancelled() {
    let handle = Inline.submit_cancellable(|token| token);
    assert!(!handle.cancel());
    assert!(!handle.join().unwrap().is_cancelled());
}

#[test]
fn each_task_has_a_token_of_its_own() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let (started, starts) = mpsc::channel();
    let handles = [0, 1].map(|_| {
        let started = started.clone();
        pool.submit_cancellable(move |token| {
            started.send(token.clone()).unwrap();
            assert!(!token.sleep(Duration::MAX));
        })
    });
    let tokens = [starts.recv().unwrap(), starts.recv().unwrap()];
    handles[0].cancel();
    handles[0].wait();
    assert_eq!(
        tokens.iter().filter(|token| token.is_cancelled()).count(),
        1
    );
    assert!(!handles[1].is_finished());
    handles[1].cancel();
}

#[test]
fn cancel_all_cancels_what_is_queued_and_asks_what_runs() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let (started, start) = mpsc::channel();
    let listening = pool.submit_cancellable(move |token| {
        started.send(()).unwrap();
        token.sleep(Duration::MAX)
    });
    start.recv().unwrap();
    let busy = occupy(&pool, 1);
    let queued: Vec<_> = (0..5).map(|_| pool.submit(|| ())).collect();
    let queued_cancellable = pool.submit_cancellable(|_| ());
    assert!(queued[4].cancel());

    assert_eq!(pool.cancel_all(), 5, "one of six was cancelled before");
    assert!(queued.iter().all(JoinHandle::is_cancelled));
    assert!(queued_cancellable.is_cancelled());
    assert!(!listening.join().unwrap(), "the sleep ended early");
    assert_eq!(pool.queued_count(), 0);
    assert!(!busy.handles()[0].is_finished(), "the others just run");

    busy.release();
    assert_eq!(pool.submit(|| 1).join().unwrap(), 1, "the pool stays open");
}

#[test]
fn cancel_pending_of_an_idle_pool_does_nothing() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    assert_eq!(pool.cancel_pending(), 0);
    pool.submit_cancellable(|_| ()).join().unwrap();
    assert_eq!(pool.cancel_pending(), 0);
    pool.join();
    assert_eq!(pool.cancel_pending(), 0);
}

#[test]
fn odd_ones_cancelled_even_ones_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles: Vec<_> = (0..16).map(|n| (n, pool.submit(move || n))).collect();
    for (number, handle) in &handles {
        if number % 2 == 1 {
            assert!(handle.cancel());
        }
    }
    busy.release();
    let (mut cancelled, mut completed) = (0, 0);
    for (number, handle) in as_completed(handles) {
        match handle.join() {
            Ok(result) => {
                assert_eq!((result, number % 2), (number, 0));
                completed += 1;
            }
            Err(error) => {
                assert!(error.is_cancelled() && number % 2 == 1);
                cancelled += 1;
            }
        }
    }
    assert_eq!((cancelled, completed), (8, 8));
}

#[test]
fn a_task_that_races_with_its_cancelling_runs_or_is_cancelled_and_never_both() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for _ in 0..2_000 {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let handle = pool.submit(move || counted.fetch_add(1, Ordering::SeqCst));
        let cancelled = handle.cancel();
        handle.wait();
        assert_eq!(handle.is_cancelled(), cancelled);
        assert_eq!(runs.load(Ordering::SeqCst), usize::from(!cancelled));
        assert_eq!(handle.join().is_err(), cancelled);
    }
}

#[test]
fn of_two_that_cancel_at_once_both_hear_that_it_is_cancelled() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    for _ in 0..200 {
        let handle = pool.submit(|| ());
        let told = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    assert!(handle.cancel());
                    told.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(told.load(Ordering::SeqCst), 2);
        assert!(handle.is_cancelled());
    }
    busy.release();
}

#[test]
fn cancelling_from_within_a_task_and_from_a_closures_drop() {
    struct CancelsOnDrop(ThreadPool);
    impl Drop for CancelsOnDrop {
        fn drop(&mut self) {
            self.0.cancel_pending();
        }
    }
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let inside = Arc::clone(&pool);
    let canceller = pool.submit(move || inside.cancel_pending());
    let doomed = pool.submit(|| ());
    busy.release();
    assert_eq!(canceller.join().unwrap(), 1);
    assert!(doomed.is_cancelled());

    let other = CancelsOnDrop(ThreadPool::new(1));
    let busy = occupy(&other.0, 1);
    let victim = other.0.submit(|| ());
    let holder = pool.submit(move || drop(other));
    victim.wait();
    assert!(victim.is_cancelled());
    busy.release();
    holder.join().unwrap();
}

#[test]
fn cancel_all_stops_all_of_many_running_tasks() {
    let _alarm = alarm();
    let pool = ThreadPool::new(40);
    let (start, started) = mpsc::channel();
    let handles: Vec<_> = (0..40)
        .map(|_| {
            let start = start.clone();
            pool.submit_cancellable(move |token| {
                start.send(()).unwrap();
                token.sleep(Duration::MAX)
            })
        })
        .collect();
    started.iter().take(40).for_each(drop);
    assert_eq!(pool.cancel_all(), 0);
    // `sleep` says that it was cut short.
    assert!(handles.into_iter().all(|handle| !handle.join().unwrap()));
}

#[test]
fn callbacks_of_a_token_run_once_in_their_order_on_the_thread_that_cancels() {
    let token = CancelToken::new();
    let (sender, calls) = mpsc::channel();
    let registered: Vec<_> = (0..4)
        .map(|number| {
            let sender = sender.clone();
            token.on_cancel(move || sender.send((number, thread::current().id())).unwrap())
        })
        .collect();
    let mut registered = registered.into_iter();
    registered.next().unwrap().detach();
    drop(registered.next());
    let canceller = token.clone();
    let on = thread::spawn(move || {
        canceller.cancel();
        canceller.cancel();
        thread::current().id()
    });
    let on = on.join().unwrap();
    let here = thread::current().id();
    token
        .on_cancel(move || sender.send((4, thread::current().id())).unwrap())
        .detach();
    let calls: Vec<_> = calls.iter().collect();
    assert_eq!(calls, [(0, on), (2, on), (3, on), (4, here)]);
    assert!(format!("{:?}", registered.next()).contains("OnCancel"));
}

#[test]
fn a_callback_of_a_token_may_panic_and_may_use_the_token() {
    let _alarm = alarm();
    expect_panics();
    let token = CancelToken::new();
    let (sender, calls) = mpsc::channel();
    let _panics = token.on_cancel(|| panic!("{ON_PURPOSE}"));
    let again = token.clone();
    let _uses = token.on_cancel(move || {
        again.cancel();
        let at_once = sender.clone();
        drop(again.on_cancel(move || at_once.send("at once").unwrap()));
        sender.send("later").unwrap();
        panic!("{ON_PURPOSE}");
    });
    token.cancel();
    assert_eq!(calls.iter().collect::<Vec<_>>(), ["at once", "later"]);
    token.on_cancel(|| panic!("{ON_PURPOSE}")).detach();
}

#[test]
fn a_callback_of_a_token_may_take_itself_back_while_it_runs() {
    let _alarm = alarm();
    let token = CancelToken::new();
    let (sender, receiver) = mpsc::channel::<as_completed::OnCancel>();
    let own = token.on_cancel(move || drop(receiver.recv_timeout(PATIENCE).unwrap()));
    sender.send(own).unwrap();
    token.cancel();
}

#[test]
fn cancelling_a_running_task_runs_the_callbacks_of_its_token() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (killed, kill) = mpsc::channel();
    let (started, start) = mpsc::channel();
    let handle = pool.submit_cancellable(move |token| {
        let on_cancel = token.on_cancel(move || killed.send(()).unwrap());
        started.send(()).unwrap();
        kill.recv_timeout(PATIENCE).unwrap();
        drop(on_cancel);
        4
    });
    start.recv_timeout(PATIENCE).unwrap();
    assert!(!handle.cancel());
    assert_eq!(handle.join().unwrap(), 4);
}

/// Uses its token when it is dropped.
struct UsesToken(CancelToken);

impl Drop for UsesToken {
    fn drop(&mut self) {
        self.0.on_cancel(|| ()).detach();
    }
}

#[test]
fn what_a_callback_holds_may_use_the_token_when_the_callback_is_taken_back() {
    let _alarm = alarm();
    let token = CancelToken::new();
    let held = UsesToken(token.clone());
    drop(token.on_cancel(move || drop(held)));
    assert!(!token.is_cancelled());
    // And when it runs at once.
    token.cancel();
    let held = UsesToken(token.clone());
    token.on_cancel(move || drop(held)).detach();
}
