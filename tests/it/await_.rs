//! Handles as futures, on two runtimes.
//!
//! Behaviours ported from tokio's `task_join_set.rs` where it speaks of join
//! handles: results, panics and cancellations arrive by `.await`, a dropped
//! future detaches, a runtime that is gone leaves nobody waiting.

use crate::bombs::{self as drops, Counted};
use crate::support::{Gate, ON_PURPOSE, alarm, catch_quietly, eventually, expect_panics, occupy};
use as_completed::{Inline, JoinError, JoinHandle, Rejected, ThreadPool};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

/// Drives a future to its end on each of two runtimes.
fn on_each_runtime<F: Future>(future: impl Fn() -> F) -> [F::Output; 2] {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    [pollster::block_on(future()), tokio.block_on(future())]
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting_waker() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn results_panics_cancellations_and_rejections_are_awaited() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(2);
    for result in on_each_runtime(|| pool.submit(|| 42)) {
        assert_eq!(result.unwrap(), 42);
    }
    for result in on_each_runtime(|| pool.submit(|| panic!("{ON_PURPOSE}"))) {
        let result: Result<(), _> = result;
        assert!(result.unwrap_err().is_panic());
    }
    let busy = occupy(&pool, 2);
    let cancelled = || {
        let handle = pool.submit(|| ());
        handle.cancel();
        handle
    };
    for result in on_each_runtime(cancelled) {
        assert!(matches!(result, Err(JoinError::Cancelled)));
    }
    busy.release();
    pool.shutdown();
    for result in on_each_runtime(|| pool.submit(|| ())) {
        assert!(matches!(
            result,
            Err(JoinError::Rejected(Rejected::ShutDown))
        ));
    }
}

#[test]
fn many_handles_are_awaited_at_once_by_tasks_of_a_runtime() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(4));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let sum = runtime.block_on(async {
        let tasks: Vec<_> = (0..200_u64)
            .map(|number| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    let doubled = pool.submit(move || number * 2).await.unwrap();
                    pool.submit(move || doubled + 1).await.unwrap()
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 2 * 19_900 + 200);
}

#[test]
fn a_pending_task_wakes_its_poller_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| 42);
    let (count, waker) = counting_waker();
    assert!(poll(&mut handle, &waker).is_pending());
    assert!(poll(&mut handle, &waker).is_pending());
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    busy.release();
    handle.wait();
    crate::support::eventually(|| count.0.load(Ordering::SeqCst) == 1);
    assert!(matches!(poll(&mut handle, &waker), Poll::Ready(Ok(42))));
}

#[test]
fn the_last_waker_counts() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| 42);
    let ((first, first_waker), (second, second_waker)) = (counting_waker(), counting_waker());
    assert!(poll(&mut handle, &first_waker).is_pending());
    assert!(poll(&mut handle, &second_waker).is_pending());
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1, "the first waker is let go");
    busy.release();
    crate::support::eventually(|| second.0.load(Ordering::SeqCst) == 1);
    assert_eq!(first.0.load(Ordering::SeqCst), 0);
    assert!(handle.is_finished());
}

#[test]
fn cancelling_wakes_the_poller_at_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| ());
    let (count, waker) = counting_waker();
    assert!(poll(&mut handle, &waker).is_pending());
    assert_eq!(pool.cancel_pending(), 1);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    busy.release();
}

#[test]
fn a_dropped_future_detaches_its_task() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (sender, ran) = mpsc::channel();
    let mut handle = pool.submit(move || sender.send(42));
    let (count, waker) = counting_waker();
    assert!(poll(&mut handle, &waker).is_pending());
    drop(handle);
    busy.release();
    assert_eq!(ran.recv(), Ok(42));
    pool.join();
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1, "no waker is kept");
}

#[test]
fn a_future_given_up_half_way_is_joined_in_the_end() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let mut handle = pool.submit(move || {
        turnstile.pass();
        42
    });
    // As `select!` does: polls a borrowed future, and drops the borrow.
    let lost = pollster::block_on(std::future::poll_fn(|context| {
        Poll::Ready(Pin::new(&mut handle).poll(context).is_pending())
    }));
    assert!(lost);
    gate.open();
    assert_eq!(pollster::block_on(&mut handle).unwrap(), 42);
}

#[test]
fn polling_never_runs_the_task() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    // `join` would claim the task here; a poll must not block its runtime.
    let outer = pool.submit(move || {
        let mut nested = inner.submit(|| 42);
        let pending = poll(&mut nested, Waker::noop()).is_pending();
        (pending, nested.is_finished(), nested)
    });
    let (pending, finished, nested) = outer.join().unwrap();
    assert!(pending && !finished);
    assert_eq!(pollster::block_on(nested).unwrap(), 42);
}

#[test]
fn a_result_is_ready_once() {
    let mut handle = Inline.submit(|| Arc::new(()));
    let Poll::Ready(Ok(result)) = poll(&mut handle, Waker::noop()) else {
        panic!("the task is final");
    };
    assert_eq!(Arc::strong_count(&result), 1, "taken, not shared");
    for again in [
        catch_quietly(|| drop(poll(&mut handle, Waker::noop()))),
        catch_quietly(|| drop(handle.join())),
    ] {
        let message = again.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.contains("was not taken"), "{message}");
    }
}

#[test]
fn handles_outlive_their_pool_and_their_first_runtime() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| 42);
    let first = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    first.block_on(std::future::poll_fn(|context| {
        assert!(Pin::new(&mut handle).poll(context).is_pending());
        Poll::Ready(())
    }));
    drop(first);
    busy.release();
    drop(pool);
    assert_eq!(pollster::block_on(handle).unwrap(), 42);
}

#[test]
fn waiting_and_polling_the_same_handle() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| 42);
    let (count, waker) = counting_waker();
    assert!(poll(&mut handle, &waker).is_pending());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| handle.wait());
        busy.release();
        waiter.join().unwrap();
    });
    crate::support::eventually(|| count.0.load(Ordering::SeqCst) == 1);
    assert_eq!(handle.join().unwrap(), 42);
}

#[test]
fn scoped_handles_are_futures_too() {
    let _alarm = alarm();
    let text = String::from("borrowed");
    ThreadPool::scope(2, |pool| {
        let length = pollster::block_on(pool.submit(|| text.len()));
        assert_eq!(length.unwrap(), 8);
    });
}

/// A waker that panics when its last clone is dropped.
struct Bomb {
    _dropped: Counted,
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn waker_that_panics_when_it_is_replaced_does_not_reach_the_poller() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handle = pool.submit(|| 42);
    let dropped = drops::Count::default();
    let bomb = Bomb {
        _dropped: dropped.bomb(),
    };
    assert!(poll(&mut handle, &Waker::from(Arc::new(bomb))).is_pending());
    let (count, waker) = counting_waker();
    assert!(poll(&mut handle, &waker).is_pending());
    assert_eq!(dropped.so_far(), 1);
    busy.release();
    eventually(|| count.0.load(Ordering::SeqCst) == 1);
    assert_eq!(handle.join().unwrap(), 42);
}

#[test]
fn a_handle_that_is_given_up_lets_go_of_its_waker() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (count, waker) = counting_waker();
    let mut handle = pool.submit(|| ());
    assert!(poll(&mut handle, &waker).is_pending());
    assert_eq!(Arc::strong_count(&count), 3);
    drop(handle);
    assert_eq!(Arc::strong_count(&count), 2);
    busy.release();
    pool.join();
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
}
