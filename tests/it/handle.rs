//! `JoinHandle`: what can be asked of one task.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/test_future.py`. What it
//! tests by setting a future's state is brought about here by a pool: a handle
//! has no `set_result`, so nobody can set one twice.

use crate::support::{
    Gate, ON_PURPOSE, PATIENCE, SHORT, alarm, eventually, expect_panics, occupy, reports_of,
};
use as_completed::{
    Executor, ExecutorExt, Inline, JoinError, JoinHandle, Rejected, RejectedTask, Task, TaskId,
    ThreadPool, TryJoinError, WaitTimeoutError, as_completed, promise,
};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// What a callback can see of its task, sent on.
fn note<T>(handle: &JoinHandle<T>) -> mpsc::Receiver<(TaskId, thread::ThreadId)> {
    let (sender, notes) = mpsc::channel();
    handle.on_done(move |id| sender.send((id, thread::current().id())).unwrap());
    notes
}

#[test]
fn callback_runs_on_the_worker_that_finishes_the_task() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let worker = pool.submit(|| thread::current().id()).join().unwrap();
    let busy = occupy(&pool, 1);
    let returned = pool.submit(|| ());
    let panicked = pool.submit(|| panic!("{ON_PURPOSE}"));
    let notes = [note(&returned), note(&panicked)];
    assert!(notes.iter().all(|notes| notes.try_recv().is_err()));
    busy.release();
    for (notes, handle) in notes.iter().zip([returned, panicked]) {
        assert_eq!(notes.recv(), Ok((handle.id(), worker)));
        assert!(notes.recv().is_err(), "a callback runs once and is dropped");
    }
}

#[test]
fn callback_runs_on_the_thread_that_cancels() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| ());
    let notes = note(&handle);
    assert!(handle.cancel());
    assert_eq!(notes.try_recv(), Ok((handle.id(), thread::current().id())));
    assert!(handle.cancel(), "it still is cancelled");
    assert!(notes.try_recv().is_err(), "and nobody is told again");
    busy.release();
}

#[test]
fn callback_added_at_the_end_runs_at_once_on_the_caller() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let returned = pool.submit(|| ());
    let panicked = pool.submit(|| panic!("{ON_PURPOSE}"));
    panicked.wait();
    returned.wait();
    let busy = occupy(&pool, 1);
    let cancelled = pool.submit(|| ());
    cancelled.cancel();
    busy.release();
    pool.shutdown();
    let rejected = pool.submit(|| ());
    for handle in [returned, panicked, cancelled, rejected] {
        let notes = note(&handle);
        assert_eq!(notes.try_recv(), Ok((handle.id(), thread::current().id())));
    }
}

#[test]
fn callbacks_run_in_the_order_in_which_they_were_added() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| ());
    let (sender, order) = mpsc::channel();
    for number in 0..10 {
        let sender = sender.clone();
        handle.on_done(move |_| sender.send(number).unwrap());
    }
    drop(sender);
    busy.release();
    assert_eq!(
        order.iter().collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
}

// cpython#83371: a callback's exception kept the others from running.
#[test]
fn callbacks_that_panic_harm_nobody() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    let ran = Arc::new(AtomicUsize::new(0));
    for number in 0..9 {
        let ran = Arc::clone(&ran);
        handle.on_done(move |_| {
            ran.fetch_add(1, Ordering::SeqCst);
            assert!(number % 3 > 0, "a callback panics on purpose");
        });
    }
    busy.release();
    assert_eq!(handle.join().unwrap(), 42);
    pool.join();
    assert_eq!(ran.load(Ordering::SeqCst), 9);
    assert_eq!(reports_of("a callback panics on purpose"), 3);
}

#[test]
fn a_late_callback_that_panics_does_not_reach_the_caller() {
    expect_panics();
    let handle = Inline.submit(|| 5);
    handle.on_done(|_| panic!("a late callback panics on purpose"));
    assert_eq!(reports_of("a late callback panics on purpose"), 1);
    assert_eq!(handle.join().unwrap(), 5);
}

#[test]
fn a_callback_may_use_its_pool_and_handles() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let busy = occupy(&*pool, 1);
    let first = pool.submit(|| 1);
    let doomed = pool.submit(|| 2);
    let (sender, results) = mpsc::channel();
    let again = Arc::clone(&pool);
    first.on_done(move |_| {
        // Submits, cancels, adds a callback, and waits for a task of this pool.
        assert!(doomed.cancel());
        let nested = again.submit(|| 3);
        let inner = sender.clone();
        nested.on_done(move |_| inner.send(0).unwrap());
        sender.send(nested.join().unwrap()).unwrap();
    });
    busy.release();
    assert_eq!(results.recv_timeout(PATIENCE), Ok(0));
    assert_eq!(results.recv_timeout(PATIENCE), Ok(3));
    assert_eq!(first.join().unwrap(), 1);
}

#[test]
fn a_callback_sees_its_task_final_and_its_closure_gone() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let handle = Arc::new(pool.submit(move || drop(held.clone())));
    let (sender, seen) = mpsc::channel();
    let same = Arc::clone(&handle);
    let held = Arc::downgrade(&captured);
    handle.on_done(move |_| {
        sender
            .send((same.is_finished(), held.strong_count()))
            .unwrap();
    });
    busy.release();
    assert_eq!(seen.recv(), Ok((true, 1)));

    // The same when it is cancelled.
    let busy = occupy(&pool, 1);
    let held = Arc::clone(&captured);
    let handle = pool.submit(move || drop(held));
    let (sender, seen) = mpsc::channel();
    let held = Arc::downgrade(&captured);
    handle.on_done(move |_| sender.send(held.strong_count()).unwrap());
    assert!(handle.cancel());
    assert_eq!(seen.recv(), Ok(1));
    busy.release();
}

// As in CPython, whose `set_result` tells the waiters before the callbacks.
#[test]
fn a_slow_callback_holds_up_nobody_who_waits() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let (ended, end) = mpsc::channel::<()>();
    handle.on_done(move |_| {
        let _until_it_ends = ended;
        turnstile.pass();
    });
    let mut all = as_completed([&handle]);
    assert!(all.next_timeout(Duration::ZERO).is_err());
    busy.release();
    assert!(all.next().is_some_and(JoinHandle::is_finished));
    assert_eq!(end.try_recv(), Err(mpsc::TryRecvError::Empty));
    gate.open();
}

#[test]
fn cancel_table() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let pending = pool.submit(|| ());
    assert!(!pending.is_finished() && !pending.is_cancelled());
    assert!(pending.cancel());
    assert!(pending.is_finished() && pending.is_cancelled());
    assert!(pending.cancel());

    let running = &busy.handles()[0];
    assert!(!running.cancel());
    assert!(!running.is_finished() && !running.is_cancelled());
    busy.release();

    let returned = Inline.submit(|| ());
    let panicked = Inline.submit(|| panic!("{ON_PURPOSE}"));
    pool.shutdown();
    let rejected = pool.submit(|| ());
    for handle in [returned, panicked, rejected] {
        assert!(!handle.cancel());
        assert!(handle.is_finished() && !handle.is_cancelled());
    }
}

#[test]
fn a_cancelled_task_never_runs_and_drops_its_closure_at_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let captured = Arc::new(AtomicUsize::new(0));
    let held = Arc::clone(&captured);
    let handle = pool.submit(move || held.fetch_add(1, Ordering::SeqCst));
    assert!(handle.cancel());
    assert_eq!(Arc::strong_count(&captured), 1);
    assert!(matches!(handle.join(), Err(JoinError::Cancelled)));
    busy.release();
    pool.join();
    assert_eq!(captured.load(Ordering::SeqCst), 0);
}

#[test]
fn timeouts_of_nothing_look_and_endless_ones_wait() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
        assert_eq!(handle.wait_timeout(timeout), Err(WaitTimeoutError));
    }
    thread::scope(|scope| {
        let waiters = [Duration::MAX, Duration::from_secs(u64::MAX / 4)].map(|timeout| {
            let handle = &handle;
            scope.spawn(move || handle.wait_timeout(timeout))
        });
        busy.release();
        for waiter in waiters {
            assert!(waiter.join().unwrap().is_ok());
        }
    });
    assert_eq!(handle.wait_timeout(Duration::ZERO), Ok(()));
    assert_eq!(handle.join().unwrap(), 42);
}

#[test]
fn final_tasks_of_all_kinds_answer_a_timeout_of_zero() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let cancelled = pool.submit(|| ());
    cancelled.cancel();
    busy.release();
    pool.shutdown();
    let handles = [
        Inline.submit(|| ()),
        Inline.submit(|| panic!("{ON_PURPOSE}")),
        cancelled,
        pool.submit(|| ()),
    ];
    for handle in &handles {
        assert_eq!(handle.wait_timeout(Duration::ZERO), Ok(()));
        handle.wait();
    }
    let ends = handles.map(JoinHandle::join);
    assert!(matches!(
        ends,
        [
            Ok(()),
            Err(JoinError::Panicked(_)),
            Err(JoinError::Cancelled),
            Err(JoinError::Rejected(Rejected::ShutDown)),
        ]
    ));
}

#[test]
fn try_join_gives_the_handle_back_until_the_task_is_final() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    let id = handle.id();
    let error: TryJoinError<JoinHandle<i32>> = handle.try_join().unwrap_err();
    assert_eq!(error.to_string(), "task unfinished");
    let handle = error.into_handle();
    assert_eq!(handle.id(), id);
    busy.release();
    handle.wait();
    assert_eq!(handle.try_join().unwrap().unwrap(), 42);
}

#[test]
fn join_wakes_when_the_result_comes_and_when_the_task_is_cancelled() {
    let _alarm = alarm();
    for cancel in [false, true] {
        let pool = ThreadPool::new(1);
        let busy = occupy(&pool, 1);
        let handle = pool.submit(|| 42);
        thread::scope(|scope| {
            let (started, start) = mpsc::channel();
            let waiter = scope.spawn({
                let handle = &handle;
                move || {
                    started.send(()).unwrap();
                    handle.wait();
                    handle.is_cancelled()
                }
            });
            start.recv().unwrap();
            if cancel {
                assert!(handle.cancel());
                assert!(waiter.join().unwrap());
                busy.release();
            } else {
                busy.release();
                assert!(!waiter.join().unwrap());
            }
        });
    }
}

#[test]
fn several_threads_wait_for_one_task() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    thread::scope(|scope| {
        let timed: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| handle.wait_timeout(Duration::MAX)))
            .collect();
        for _ in 0..4 {
            scope.spawn(|| handle.wait());
        }
        busy.release();
        for waiter in timed {
            assert_eq!(waiter.join().unwrap(), Ok(()));
        }
    });
    assert_eq!(handle.join().unwrap(), 42);
}

#[test]
fn a_thread_that_gives_up_waiting_can_wait_again() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    for _ in 0..1000 {
        assert!(handle.wait_timeout(Duration::from_nanos(1)).is_err());
    }
    busy.release();
    assert_eq!(handle.join().unwrap(), 42);
}

#[test]
fn a_stray_unpark_does_not_end_a_wait() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            handle.wait();
            handle.is_finished()
        });
        for _ in 0..100 {
            waiter.thread().unpark();
            thread::yield_now();
        }
        busy.release();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn dropping_a_handle_detaches_its_task() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (sender, ran) = mpsc::channel();
    drop(pool.submit(move || sender.send(42)));
    busy.release();
    assert_eq!(ran.recv(), Ok(42));
}

#[test]
fn a_result_nobody_wants_is_dropped() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let result = Arc::new(());
    let weak = Arc::downgrade(&result);
    let busy = occupy(&pool, 1);
    drop(pool.submit(move || result));
    busy.release();
    pool.join();
    assert_eq!(weak.strong_count(), 0);
}

#[test]
fn ids_name_tasks_for_good() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        let handle = pool.submit(|| ());
        let id: TaskId = handle.id();
        assert_eq!(id, handle.id());
        assert!(seen.insert(id));
    }
    let (one, two) = (Inline.submit(|| ()).id(), Inline.submit(|| ()).id());
    assert_ne!(one, two);
    assert_ne!(one.to_string(), two.to_string());
    assert_eq!(format!("{one:?}"), format!("TaskId({one})"));
}

#[test]
fn debug_shows_the_id_and_whether_it_is_finished() {
    let handle = Inline.submit(|| ());
    let text = format!("{handle:?}");
    assert!(text.contains(&handle.id().to_string()), "{text}");
    assert!(text.contains("state: returned"), "{text}");
}

#[test]
fn handles_and_errors_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    fn is_error<E: std::error::Error + Send + Sync + 'static>() {}

    // A result need not be `Sync` for its handle to be.
    crosses::<JoinHandle<std::cell::Cell<u8>>>();
    crosses::<as_completed::Panic>();
    crosses::<as_completed::CancelToken>();
    crosses::<ThreadPool>();
    is_error::<JoinError>();
    is_error::<Rejected>();
    is_error::<as_completed::Panic>();
    is_error::<as_completed::UnfinishedError>();
    is_error::<as_completed::BuildError>();
    is_error::<as_completed::JoinTimeoutError>();
    is_error::<as_completed::InitializerError>();
    is_error::<as_completed::SpawnError>();
    is_error::<WaitTimeoutError>();
    is_error::<as_completed::SubmitError<fn()>>();
    is_error::<TryJoinError<JoinHandle<()>>>();
}

#[test]
fn each_of_many_callbacks_added_while_the_task_ends_runs_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for _ in 0..200 {
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let handle = pool.submit(move || turnstile.pass());
        let ran = Arc::new(Mutex::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let ran = Arc::clone(&ran);
                        handle.on_done(move |_| *ran.lock().unwrap() += 1);
                    }
                });
            }
            gate.open();
        });
        handle.wait();
        // Who waits and who is called back are told one after the other.
        eventually(|| *ran.lock().unwrap() == 20);
    }
}

#[test]
fn debug_and_is_running_tell_the_state() {
    fn shows<T>(handle: &JoinHandle<T>, state: &str) -> bool {
        format!("{handle:?}") == format!("JoinHandle {{ id: {:?}, state: {state} }}", handle.id())
    }
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let pending = pool.submit(|| ());
    assert!(shows(&pending, "pending") && !pending.is_running());
    let running = &busy.handles()[0];
    assert!(shows(running, "running") && running.is_running());
    assert!(pending.cancel());
    assert!(shows(&pending, "cancelled") && !pending.is_running());
    busy.release();
    assert!(shows(&Inline.submit(|| ()), "returned"));
    assert!(shows(&Inline.submit(|| panic!("{ON_PURPOSE}")), "panicked"));
    pool.shutdown();
    assert!(shows(&pool.submit(|| ()), "rejected"));
}

#[test]
fn a_detached_task_runs() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (sender, receiver) = mpsc::channel();
    pool.submit(move || sender.send(4).unwrap()).detach();
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(4));
}

#[test]
fn ids_are_keys_of_ordered_maps() {
    let handles = [1, 2, 3].map(|n| (n, Inline.submit(move || n)));
    let numbers: std::collections::BTreeMap<TaskId, i32> = handles
        .iter()
        .map(|(n, handle)| (handle.id(), *n))
        .collect();
    for (n, handle) in &handles {
        assert_eq!(numbers[&handle.id()], *n);
    }
}

/// The second canceller comes while the first drops the closure.
#[test]
fn whoever_is_told_that_a_task_is_cancelled_sees_it_cancelled() {
    struct Slow(mpsc::Sender<()>, crate::support::Turnstile);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            self.1.pass();
        }
    }
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (sender, dropping) = mpsc::channel();
    let gate = Gate::new();
    let slow = Slow(sender, gate.turnstile());
    let handle = Arc::new(pool.submit(move || drop(slow)));
    let same = Arc::clone(&handle);
    let first = thread::spawn(move || (same.cancel(), same.is_finished()));
    dropping.recv().unwrap();
    assert!(handle.cancel());
    assert!(handle.is_cancelled());
    assert!(!handle.is_finished(), "its closure is still there");
    gate.open();
    assert_eq!(first.join().unwrap(), (true, true));
    busy.release();
    assert!(matches!(
        Arc::into_inner(handle).unwrap().join(),
        Err(JoinError::Cancelled)
    ));
}

struct NotClone(u32);

/// What `on_result` hands on, after `end` has brought it about.
fn handed_on(handle: JoinHandle<NotClone>, end: impl FnOnce()) -> Result<u32, JoinError> {
    let (sender, result) = mpsc::channel();
    handle.on_result(move |outcome| sender.send(outcome).unwrap());
    end();
    let outcome = result.recv_timeout(PATIENCE).unwrap();
    outcome.map(|NotClone(number)| number)
}

#[test]
fn result_of_a_finished_task_is_handed_on_here() {
    expect_panics();
    let pool = ThreadPool::new(1);
    pool.shutdown();
    assert_eq!(handed_on(Inline.submit(|| NotClone(4)), || ()).unwrap(), 4);
    let panicked = handed_on(Inline.submit(|| panic!("{ON_PURPOSE}")), || ());
    assert!(panicked.unwrap_err().is_panic());
    let rejected = handed_on(pool.submit(|| NotClone(4)), || ());
    assert!(rejected.unwrap_err().is_rejected());
}

// The callback takes the lock of its task: called under it, it would wait for
// itself.
#[test]
fn result_of_each_end_of_a_pending_task_is_handed_on_outside_of_its_lock() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);

    let busy = occupy(&pool, 1);
    let returned = pool.submit(|| NotClone(4));
    assert_eq!(handed_on(returned, || busy.release()).unwrap(), 4);

    let busy = occupy(&pool, 1);
    let panicked = pool.submit(|| panic!("{ON_PURPOSE}"));
    let panicked = handed_on(panicked, || busy.release());
    assert!(panicked.unwrap_err().is_panic());

    let busy = occupy(&pool, 1);
    let cancelled = pool.submit(|| NotClone(4));
    let cancelled = handed_on(cancelled, || assert_eq!(pool.cancel_pending(), 1));
    assert!(cancelled.unwrap_err().is_cancelled());
    busy.release();

    let (promise, promised) = promise();
    let settled = handed_on(promised, || promise.settle(Ok(NotClone(5))));
    assert_eq!(settled.unwrap(), 5);

    let hand = Hand::default();
    let lost = hand.submit(|| NotClone(6));
    let lost = handed_on(lost, || drop(hand.0.lock().unwrap().take()));
    assert!(matches!(lost, Err(JoinError::Rejected(Rejected::Lost))));
}

/// Keeps a task until it is taken.
#[derive(Default)]
struct Hand(Mutex<Option<Task>>);

impl Executor for Hand {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        *self.0.lock().unwrap() = Some(task);
        Ok(())
    }
}

// The task holds the callback, which holds the task.
#[test]
fn task_whose_result_is_handed_on_is_let_go() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    for cancelled in [false, true] {
        let busy = occupy(&pool, 1);
        let captured = Arc::new(());
        let (in_task, in_callback) = (Arc::clone(&captured), Arc::clone(&captured));
        pool.submit(move || in_task)
            .on_result(move |_| drop(in_callback));
        if cancelled {
            pool.cancel_pending();
        }
        busy.release();
        pool.submit(|| ()).join().unwrap();
        assert_eq!(Arc::strong_count(&captured), 1);
    }
}

#[test]
fn what_panics_when_it_is_handed_a_finished_result_does_not_reach_the_caller() {
    const MESSAGE: &str = "handed a finished result, on purpose";
    expect_panics();
    Inline.submit(|| 1).on_result(|_| panic!("{MESSAGE}"));
    assert_eq!(reports_of(MESSAGE), 1);
}
