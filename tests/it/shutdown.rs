//! Shutting down: what is let in, what is run, who is waited for.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/test_shutdown.py`, from
//! the tests of the `threadpool` crate (`repeated join`, `multi join`, `join
//! wavesurfer`), and from `BS::thread_pool`'s checks of deadlocks and of `purge`.

use crate::support::{Gate, PATIENCE, SHORT, alarm, eventually, occupy};
use as_completed::{JoinError, JoinHandle, Rejected, ThreadPool, as_completed};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn later_tasks_are_rejected_in_words() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    assert_eq!(pool.submit(|| 1).join().unwrap(), 1);
    pool.shutdown();
    let error = pool.submit(|| 2).join().unwrap_err();
    let JoinError::Rejected(reason) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        reason.to_string(),
        "cannot schedule new tasks after shutdown"
    );
}

// bpo-12364: futures submitted before the shutdown were never resolved.
#[test]
fn tasks_queued_before_the_shutdown_are_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    let handles: Vec<_> = (0..50).map(|number| pool.submit(move || number)).collect();
    pool.shutdown();
    assert!(handles.iter().all(|handle| !handle.is_finished()));
    busy.release();
    let sum: i32 = handles.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!(sum, 1225);
}

#[test]
fn shutdown_ends_the_workers_without_a_join() {
    let _alarm = alarm();
    let pool = ThreadPool::new(3);
    occupy(&pool, 3).release();
    pool.shutdown();
    eventually(|| pool.worker_count() == 0);
}

#[test]
fn shutdown_and_join_are_idempotent() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let handle = pool.submit(|| 1);
    for _ in 0..3 {
        pool.shutdown();
        pool.join();
        assert_eq!(pool.join_timeout(Duration::ZERO), Ok(()));
    }
    assert_eq!(handle.join().unwrap(), 1);
}

#[test]
fn a_pool_that_never_worked_shuts_down() {
    let _alarm = alarm();
    ThreadPool::new(4).shutdown();
    ThreadPool::new(4).join();
    assert_eq!(ThreadPool::new(4).join_timeout(Duration::ZERO), Ok(()));
    drop(ThreadPool::new(4));
}

#[test]
fn join_waits_for_tasks_and_for_threads() {
    struct Late(Arc<AtomicUsize>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }
    let _alarm = alarm();
    let pool = ThreadPool::new(3);
    let ended = Arc::new(AtomicUsize::new(0));
    let busy = occupy(&pool, 2);
    for _ in 0..2 {
        let ended = Arc::clone(&ended);
        drop(pool.submit(move || LATE.set(Some(Late(ended)))));
    }
    busy.release();
    pool.join();
    assert_eq!(pool.worker_count(), 0);
    // Both tasks may have run on one thread, where the second replaced the
    // first: either way both are gone when the threads are.
    assert_eq!(ended.load(Ordering::SeqCst), 2);
}

#[test]
fn drop_runs_what_is_queued_and_joins() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let ran = Arc::clone(&ran);
        drop(pool.submit(move || ran.fetch_add(1, Ordering::SeqCst)));
    }
    drop(pool);
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}

#[test]
fn join_timeout_says_what_is_left_and_can_be_called_again() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    let queued: Vec<_> = (0..3).map(|_| pool.submit(|| ())).collect();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
        let error = pool.join_timeout(timeout).unwrap_err();
        assert_eq!((error.running, error.queued), (2, 3));
        assert_eq!(error.to_string(), "pool unfinished: 2 running, 3 queued");
    }
    assert!(pool.submit(|| ()).join().unwrap_err().is_rejected());
    busy.release();
    assert_eq!(pool.join_timeout(Duration::MAX), Ok(()));
    assert!(queued.iter().all(JoinHandle::is_finished));
}

#[test]
fn endless_join_timeouts_wait() {
    let _alarm = alarm();
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
        let pool = ThreadPool::new(1);
        let busy = occupy(&pool, 1);
        thread::scope(|scope| {
            let joiner = scope.spawn(|| pool.join_timeout(timeout));
            busy.release();
            assert_eq!(joiner.join().unwrap(), Ok(()));
        });
    }
}

#[test]
fn several_threads_join_one_pool() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                pool.join();
                assert_eq!(pool.worker_count(), 0);
            });
        }
        busy.release();
    });
}

// BS::thread_pool throws when a task waits for its own pool; Python says
// "cannot join current thread". Here it is the same as `shutdown`.
#[test]
fn a_worker_that_joins_its_own_pool_only_shuts_it_down() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inside = Arc::clone(&pool);
    let handle = pool.submit(move || {
        inside.join();
        assert_eq!(inside.join_timeout(Duration::MAX), Ok(()));
        inside.shutdown();
        inside.submit(|| ()).join().unwrap_err().is_rejected()
    });
    assert!(handle.join().unwrap());
    pool.join();
}

#[test]
fn shutting_down_in_a_callback() {
    let _alarm = alarm();
    // Once on the worker that finishes, once on the thread that cancels.
    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let handle = pool.submit(|| ());
    let queued = pool.submit(|| 1);
    let inside = Arc::clone(&pool);
    let (sender, done) = mpsc::channel();
    handle.on_done(move |_| {
        inside.join();
        sender.send(()).unwrap();
    });
    busy.release();
    done.recv_timeout(PATIENCE).unwrap();
    assert_eq!(queued.join().unwrap(), 1, "it was let in before");
    assert!(pool.submit(|| ()).join().unwrap_err().is_rejected());

    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let handle = pool.submit(|| ());
    let (sender, joined) = mpsc::channel();
    let inside = Arc::clone(&pool);
    handle.on_done(move |_| {
        sender.send(()).unwrap();
        inside.join();
    });
    thread::scope(|scope| {
        let canceller = scope.spawn(|| pool.cancel_pending());
        joined.recv_timeout(PATIENCE).unwrap();
        busy.release();
        assert_eq!(canceller.join().unwrap(), 1);
    });
}

// libcoro#420: the last owner goes away on a worker of the pool.
#[test]
fn the_last_owner_is_dropped_inside_a_task_of_the_pool() {
    let _alarm = alarm();
    for workers in [1, 2] {
        let pool = Arc::new(ThreadPool::new(workers));
        let gate = Gate::new();
        let (turnstile, last) = (gate.turnstile(), Arc::clone(&pool));
        let handle = pool.submit(move || {
            turnstile.pass();
            drop(last);
            42
        });
        let queued: Vec<_> = (0..5).map(|_| pool.submit(|| ())).collect();
        drop(pool);
        gate.open();
        assert_eq!(handle.join().unwrap(), 42);
        assert_eq!(as_completed(queued).count(), 5, "drop drains");
    }
}

#[test]
fn the_last_owner_is_dropped_in_a_callback_and_with_a_result() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let handle = pool.submit(|| 1);
    let (sender, dropped) = mpsc::channel();
    let last = Arc::clone(&pool);
    handle.on_done(move |_| {
        drop(last);
        sender.send(()).unwrap();
    });
    let queued = pool.submit(|| 2);
    drop(pool);
    busy.release();
    dropped.recv_timeout(PATIENCE).unwrap();
    assert_eq!(handle.join().unwrap() + queued.join().unwrap(), 3);

    // A detached result that owns the pool is dropped by its worker.
    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let weak = Arc::downgrade(&pool);
    let result = Arc::clone(&pool);
    drop(pool.submit(move || result));
    drop(pool);
    busy.release();
    eventually(|| weak.strong_count() == 0);
}

#[test]
fn a_pool_owned_by_its_own_queued_closure_is_freed() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let (weak, owned) = (Arc::downgrade(&pool), Arc::clone(&pool));
    let handle = pool.submit(move || drop(owned));
    drop(pool);
    // Cancelled by this thread, which so becomes the last owner, drops the
    // pool, and waits for the busy worker.
    thread::scope(|scope| {
        let canceller = scope.spawn(|| handle.cancel());
        busy.release();
        // The worker may have been faster.
        let _ = canceller.join().unwrap();
    });
    eventually(|| weak.strong_count() == 0);
}

#[test]
fn shutting_down_in_the_drop_of_a_closure_and_of_a_result() {
    struct ShutsDown(Arc<ThreadPool>);
    impl Drop for ShutsDown {
        fn drop(&mut self) {
            self.0.join();
        }
    }
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let guard = ShutsDown(Arc::clone(&pool));
    let handle = pool.submit(move || drop(guard));
    handle.join().unwrap();
    assert!(pool.submit(|| ()).join().unwrap_err().is_rejected());

    let pool = Arc::new(ThreadPool::new(1));
    let guard = ShutsDown(Arc::clone(&pool));
    drop(pool.submit(move || guard));
    eventually(|| pool.worker_count() == 0 || pool.try_submit(|| ()).is_err());
    pool.join();
}

// cpython#94440: a future that was cancelled right before the shutdown.
#[test]
fn a_task_cancelled_right_before_the_shutdown_does_not_hang_it() {
    let _alarm = alarm();
    for _ in 0..100 {
        let pool = ThreadPool::new(1);
        pool.submit(|| ()).join().unwrap();
        let _ = pool.submit(|| ()).cancel();
        pool.join();
    }
}

// Python's `shutdown(cancel_futures=True)`.
#[test]
fn shut_down_and_cancel_what_is_queued() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    let handles: Vec<_> = (0..50).map(|_| pool.submit(|| ())).collect();
    pool.shutdown();
    assert_eq!(pool.cancel_pending(), 50);
    assert!(handles.iter().all(JoinHandle::is_cancelled));
    assert!(busy.handles().iter().all(|handle| !handle.is_finished()));
    busy.release();
    pool.join();
}

// BS::thread_pool's check of `purge`: what runs, runs on; the rest is gone.
#[test]
fn purging_leaves_the_running_task_alone() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let busy = occupy(&pool, 1);
    for number in 0..9 {
        let ran = Arc::clone(&ran);
        drop(pool.submit(move || ran.lock().unwrap().push(number)));
    }
    assert_eq!(pool.queued_count(), 9);
    assert_eq!(pool.cancel_pending(), 9);
    assert_eq!(pool.queued_count(), 0);
    busy.release();
    pool.join();
    assert!(ran.lock().unwrap().is_empty());
}

// BS::thread_pool's check of deadlocks: making, using and ending pools again
// and again, with as many tasks as make a race likely.
#[test]
fn pools_come_and_go_without_a_deadlock() {
    let _alarm = alarm();
    for round in 0..200 {
        let pool = ThreadPool::new(1 + round % 4);
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let ran = Arc::clone(&ran);
            drop(pool.submit(move || ran.fetch_add(1, Ordering::SeqCst)));
        }
        match round % 3 {
            0 => pool.join(),
            1 => pool.join_timeout(PATIENCE).unwrap(),
            _ => drop(pool),
        }
        assert_eq!(ran.load(Ordering::SeqCst), 20);
    }
}

// tokio#1853 and #7499: let in while shutting down, and never run.
#[test]
fn what_is_let_in_during_a_shutdown_resolves() {
    let _alarm = alarm();
    for _ in 0..100 {
        let pool = ThreadPool::new(2);
        thread::scope(|scope| {
            let submitters: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| [0; 10].map(|_| pool.submit(|| ()))))
                .collect();
            pool.shutdown();
            for submitter in submitters {
                for handle in submitter.join().unwrap() {
                    match handle.join() {
                        Ok(()) | Err(JoinError::Rejected(Rejected::ShutDown)) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }
        });
    }
}

#[test]
fn submitters_that_wait_for_room_are_told_of_the_shutdown() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .queue_capacity(1)
        .build()
        .unwrap();
    let busy = occupy(&pool, 1);
    let queued = pool.submit(|| 1);
    thread::scope(|scope| {
        let (sender, submitted) = mpsc::channel();
        for _ in 0..3 {
            let (pool, sender) = (&pool, sender.clone());
            scope.spawn(move || sender.send(pool.submit(|| 2)));
        }
        assert!(submitted.recv_timeout(SHORT).is_err(), "there was no room");
        pool.shutdown();
        for _ in 0..3 {
            let handle = submitted.recv_timeout(PATIENCE).unwrap();
            assert!(handle.join().unwrap_err().is_rejected());
        }
    });
    busy.release();
    assert_eq!(queued.join().unwrap(), 1);
}

// `join wavesurfer` of the `threadpool` crate: waves of tasks, each waiting for
// the one before.
#[test]
fn waves_of_tasks_of_two_pools_wait_for_each_other() {
    let _alarm = alarm();
    let (calls, answers) = (ThreadPool::new(2), Arc::new(ThreadPool::new(2)));
    for _ in 0..50 {
        let answered = Arc::new(AtomicBool::new(false));
        let handles = [0; 4].map(|_| {
            let (answers, answered) = (Arc::clone(&answers), Arc::clone(&answered));
            calls.submit(move || {
                let seen = Arc::clone(&answered);
                answers
                    .submit(move || seen.store(true, Ordering::SeqCst))
                    .join()
                    .unwrap();
                answered.load(Ordering::SeqCst)
            })
        });
        assert!(as_completed(handles).all(|handle| handle.join().unwrap()));
    }
}

/// Blocks the thread that drops it until the gate opens.
struct SlowToDrop(crate::support::Turnstile, mpsc::Sender<()>);

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        self.1.send(()).unwrap();
        self.0.pass();
    }
}

// Nobody is left to run or to cancel the other task but the thread that waits.
#[test]
fn a_callback_of_a_task_cancelled_with_the_queue_may_wait_for_another() {
    type Wait = fn(JoinHandle<()>);
    let ways: [Wait; 3] = [
        |handle| assert!(handle.join().unwrap_err().is_cancelled()),
        |handle| assert_eq!(as_completed([handle]).count(), 1),
        |handle| {
            let waited = as_completed::wait([handle], as_completed::ReturnWhen::AllCompleted, None);
            assert_eq!(waited.done.len(), 1);
        },
    ];
    let _alarm = alarm();
    for way in ways {
        let pool = ThreadPool::new(1);
        let busy = occupy(&pool, 1);
        let (sender, done) = mpsc::channel();
        let [first, second] = [(); 2].map(|()| pool.submit(|| ()));
        first.on_done(move |_| {
            way(second);
            sender.send(()).unwrap();
        });
        assert_eq!(pool.cancel_pending(), 2);
        done.recv_timeout(PATIENCE).unwrap();
        busy.release();
    }
}

#[test]
fn join_waits_for_tasks_that_another_thread_is_cancelling() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let gate = Gate::new();
    let (sender, dropping) = mpsc::channel();
    let slow = SlowToDrop(gate.turnstile(), sender);
    let handle = pool.submit(move || drop(slow));
    thread::scope(|scope| {
        scope.spawn(|| pool.cancel_pending());
        dropping.recv_timeout(PATIENCE).unwrap();
        busy.release();
        assert!(pool.join_timeout(SHORT).is_err());
        assert!(!handle.is_finished());
        let joiner = scope.spawn(|| {
            pool.join();
            handle.is_finished()
        });
        gate.open();
        assert!(joiner.join().unwrap());
    });
}

#[test]
fn cancel_pending_leaves_running_tasks_alone_and_cancel_all_asks_them_to_stop() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (sender, token) = mpsc::channel();
    let running = pool.submit_cancellable(move |token| {
        sender.send(token.clone()).unwrap();
        token.sleep(Duration::MAX)
    });
    let token = token.recv_timeout(PATIENCE).unwrap();
    let queued = [pool.submit(|| ()), pool.submit(|| ())];
    assert_eq!(pool.cancel_pending(), 2);
    assert!(queued.iter().all(JoinHandle::is_cancelled));
    assert!(!token.is_cancelled());
    let queued = pool.submit(|| ());
    assert_eq!(pool.cancel_all(), 1);
    assert!(queued.is_cancelled());
    assert!(!running.join().unwrap());
}

// The first is still busy with what was queued.
#[test]
fn a_second_cancel_all_at_the_same_moment_reaches_the_running_tasks_too() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (sender, token) = mpsc::channel();
    let running = pool.submit_cancellable(move |token| {
        sender.send(token.clone()).unwrap();
        token.sleep(Duration::MAX)
    });
    let token = token.recv_timeout(PATIENCE).unwrap();
    let gate = Gate::new();
    let (sender, dropping) = mpsc::channel();
    let slow = SlowToDrop(gate.turnstile(), sender);
    drop(pool.submit(move || drop(slow)));
    thread::scope(|scope| {
        scope.spawn(|| pool.cancel_all());
        dropping.recv_timeout(PATIENCE).unwrap();
        assert_eq!(pool.cancel_all(), 0);
        assert!(token.is_cancelled());
        assert!(!running.join().unwrap());
        gate.open();
    });
}
