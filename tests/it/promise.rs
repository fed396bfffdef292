//! Tasks that are settled from outside.

use crate::support::{ON_PURPOSE, SHORT, alarm, expect_panics, reports_of};
use as_completed::{
    Inline, JoinError, Rejected, ReturnWhen, ThreadPool, as_completed, promise, wait,
};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;

#[test]
fn a_thread_that_joins_is_woken_by_the_value() {
    let _alarm = alarm();
    let (promise, handle) = promise();
    let joiner = thread::spawn(move || handle.join());
    promise.settle(Ok("done"));
    assert_eq!(joiner.join().unwrap().unwrap(), "done");
}

#[test]
fn an_error_is_what_join_returns() {
    let (promise, handle) = promise::<u32>();
    promise.settle(Err(JoinError::Rejected(Rejected::QueueFull)));
    assert!(handle.is_finished());
    assert!(matches!(
        handle.join(),
        Err(JoinError::Rejected(Rejected::QueueFull))
    ));
}

#[test]
fn dropped_unsettled_it_is_lost() {
    let (promise, handle) = promise::<u32>();
    drop(promise);
    assert!(matches!(
        handle.join(),
        Err(JoinError::Rejected(Rejected::Lost))
    ));
}

#[test]
fn cancelled_while_pending_it_never_starts_and_what_settles_it_later_is_dropped() {
    let (promise, handle) = promise();
    let (told, tells) = mpsc::channel();
    promise.on_cancel(move || told.send(()).unwrap());
    let (alive, gone) = mpsc::channel::<()>();
    assert!(handle.cancel() && handle.is_cancelled());
    assert_eq!(tells.recv(), Ok(()));
    assert!(!promise.start() && promise.is_cancelled());
    promise.settle(Ok(alive));
    assert_eq!(gone.recv(), Err(mpsc::RecvError));
    assert!(handle.join().unwrap_err().is_cancelled());
}

#[test]
fn cancel_while_it_runs_only_asks_and_a_value_still_counts() {
    let (promise, handle) = promise();
    assert!(promise.start());
    assert!(!handle.cancel());
    assert!(promise.is_cancelled() && !handle.is_finished());
    promise.settle(Ok(4));
    assert!(!handle.is_cancelled());
    assert_eq!(handle.join().unwrap(), 4);
}

#[test]
fn a_callback_that_answers_at_once_makes_cancel_return_true() {
    let (promise, handle) = promise::<u32>();
    assert!(promise.start());
    let (keep, kept) = mpsc::channel();
    promise.on_cancel(move || {
        let promise: as_completed::Promise<u32> = kept.recv().unwrap();
        promise.settle(Err(JoinError::Cancelled));
    });
    keep.send(promise).unwrap();
    assert!(handle.cancel());
    assert!(handle.join().unwrap_err().is_cancelled());
}

#[test]
fn a_callback_added_after_the_cancel_runs_at_once() {
    let (promise, handle) = promise::<u32>();
    assert!(promise.start());
    handle.cancel();
    let (told, tells) = mpsc::channel();
    promise.on_cancel(move || told.send(()).unwrap());
    assert_eq!(tells.try_recv(), Ok(()));
}

#[test]
fn a_callback_is_dropped_unrun_when_it_is_settled() {
    let (promise, handle) = promise();
    let (told, tells) = mpsc::channel();
    promise.on_cancel(move || told.send(()).unwrap());
    promise.settle(Ok(1));
    assert!(!handle.cancel());
    assert_eq!(tells.recv(), Err(mpsc::RecvError));
}

#[test]
fn a_callback_that_panics_keeps_nobody_from_being_cancelled() {
    const MESSAGE: &str = "a cancel callback on purpose";
    assert!(MESSAGE.contains(ON_PURPOSE));
    expect_panics();
    let (promise, handle) = promise::<u32>();
    promise.on_cancel(|| panic!("{MESSAGE}"));
    assert!(handle.cancel());
    assert_eq!(reports_of(MESSAGE), 1);
}

#[test]
fn as_completed_yields_promises_in_the_order_in_which_they_are_settled() {
    let _alarm = alarm();
    let (first, one) = promise();
    let (second, two) = promise();
    let (third, three) = promise();
    let mut done = as_completed([one, two, three]);
    second.settle(Ok(2));
    assert_eq!(done.next().unwrap().join().unwrap(), 2);
    third.settle(Ok(3));
    drop(first);
    assert_eq!(done.next().unwrap().join().unwrap(), 3);
    assert!(done.next().unwrap().join().unwrap_err().is_rejected());
    assert!(done.next().is_none());
}

#[test]
fn wait_for_the_first_failure_sees_a_lost_promise() {
    let _alarm = alarm();
    let (lost, one) = promise::<u32>();
    let (_kept, two) = promise::<u32>();
    drop(lost);
    let waited = wait([one, two], ReturnWhen::FirstFailure, None);
    assert_eq!((waited.done.len(), waited.pending.len()), (1, 1));
}

#[test]
fn a_worker_that_waits_for_a_promise_only_waits() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (promise, handle) = promise();
    let waiting = pool.submit(move || handle.join());
    promise.settle(Ok(4));
    assert_eq!(waiting.join().unwrap().unwrap(), 4);
}

#[test]
fn an_awaited_promise_wakes_its_task() {
    let _alarm = alarm();
    let (promise, handle) = promise();
    let settler = thread::spawn(move || promise.settle(Ok(4)));
    assert_eq!(pollster::block_on(handle).unwrap(), 4);
    settler.join().unwrap();
}

#[test]
fn each_end_has_its_name_and_is_a_failure_or_not() {
    let _alarm = alarm();
    expect_panics();
    let panicked = Inline.submit(|| panic!("{ON_PURPOSE}")).join();
    let ends = [
        (Ok(()), "returned", false),
        (panicked, "panicked", true),
        (Err(JoinError::Cancelled), "cancelled", false),
        (
            Err(JoinError::Rejected(Rejected::QueueFull)),
            "rejected",
            true,
        ),
    ];
    for (end, name, is_failure) in ends {
        let (promise, handle) = promise();
        assert!(!handle.is_running());
        assert!(promise.start() && handle.is_running());
        assert!(format!("{handle:?}").contains("running"));
        promise.settle(end);
        assert!(!handle.is_running());
        assert!(format!("{handle:?}").contains(name));
        assert_eq!(handle.is_cancelled(), name == "cancelled");

        let (other, pending) = as_completed::promise::<()>();
        let settler = thread::spawn(move || {
            if is_failure {
                return Some(other);
            }
            // So that the wait has begun, most of the time.
            thread::sleep(SHORT);
            other.settle(Ok(()));
            None
        });
        let waited = wait([handle, pending], ReturnWhen::FirstFailure, None);
        assert_eq!(waited.pending.len(), usize::from(is_failure), "{name}");
        drop(settler.join().unwrap());
    }
}

#[test]
fn a_callback_that_is_added_after_the_cancel_may_use_the_handle() {
    let _alarm = alarm();
    let (promise, handle) = promise::<()>();
    assert!(promise.start() && !handle.cancel());
    let (sender, answers) = mpsc::channel();
    promise.on_cancel(move || sender.send(handle.cancel()).unwrap());
    assert_eq!(answers.recv(), Ok(false));
}

#[test]
fn a_handle_that_was_polled_and_dropped_leaves_no_waker() {
    struct Noop;
    impl std::task::Wake for Noop {
        fn wake(self: Arc<Self>) {}
    }
    let (promise, mut handle) = promise::<()>();
    let noop = Arc::new(Noop);
    let waker = Waker::from(Arc::clone(&noop));
    let poll = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&noop), 2);
    drop(handle);
    assert_eq!(Arc::strong_count(&noop), 1);
    promise.settle(Ok(()));
}
