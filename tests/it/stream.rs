//! `AsCompleted` turned into a `Stream`.
//!
//! Behaviours ported from dask's `distributed/tests/test_as_completed.py` where it
//! iterates asynchronously, and from tokio's `task_join_set.rs`.

use crate::bombs::{self as drops, Counted};
use crate::support::{Gate, alarm, eventually, occupy};
use as_completed::{AsCompletedStream, Awaited, Inline, JoinHandle, ThreadPool};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

fn as_completed<I>(handles: I) -> AsCompletedStream<I::Item>
where
    I: IntoIterator<Item: Awaited>,
{
    as_completed::as_completed(handles).into_stream()
}

async fn next<T>(all: &mut AsCompletedStream<JoinHandle<T>>) -> Option<JoinHandle<T>> {
    poll_fn(|context| Pin::new(&mut *all).poll_next(context)).await
}

fn poll<T>(
    all: &mut AsCompletedStream<JoinHandle<T>>,
    waker: &Waker,
) -> Poll<Option<JoinHandle<T>>> {
    Pin::new(all).poll_next(&mut Context::from_waker(waker))
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn sum_of(mut all: AsCompletedStream<JoinHandle<u64>>) -> u64 {
    let mut sum = 0;
    while let Some(handle) = next(&mut all).await {
        sum += handle.join().unwrap();
    }
    assert!(next(&mut all).await.is_none(), "the end stays the end");
    sum
}

#[test]
fn all_handles_are_streamed_on_two_runtimes() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let all = || as_completed((0..500).map(|number| pool.submit(move || number)));
    assert_eq!(pollster::block_on(sum_of(all())), 124_750);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (one, two) = runtime.block_on(async {
        let (one, two) = (tokio::spawn(sum_of(all())), tokio::spawn(sum_of(all())));
        (one.await.unwrap(), two.await.unwrap())
    });
    assert_eq!((one, two), (124_750, 124_750));
}

#[test]
fn finished_handles_need_no_waker_and_the_end_is_none() {
    let mut all = as_completed([Inline.submit(|| 1), Inline.submit(|| 2)]);
    assert_eq!(Stream::size_hint(&all), (2, Some(2)));
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for expected in [1, 2] {
        match poll(&mut all, &waker) {
            Poll::Ready(Some(handle)) => assert_eq!(handle.join().unwrap(), expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(poll(&mut all, &waker), Poll::Ready(None)));
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn the_poller_is_woken_by_ends_and_by_cancellations() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut all = as_completed([pool.submit(|| 1), pool.submit(|| 2)]);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert!(poll(&mut all, &waker).is_pending());
    assert_eq!(pool.cancel_pending(), 2);
    assert!(count.0.load(Ordering::SeqCst) >= 1);
    for _ in 0..2 {
        match poll(&mut all, &waker) {
            Poll::Ready(Some(handle)) => assert!(handle.is_cancelled()),
            other => panic!("{other:?}"),
        }
    }
    busy.release();
}

#[test]
fn the_last_waker_is_woken() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut all = as_completed([pool.submit(|| 1)]);
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    assert!(poll(&mut all, &Waker::from(Arc::clone(&first))).is_pending());
    assert!(poll(&mut all, &Waker::from(Arc::clone(&second))).is_pending());
    assert_eq!(Arc::strong_count(&first), 1, "the first waker is let go");
    busy.release();
    eventually(|| second.0.load(Ordering::SeqCst) > 0);
    assert_eq!(first.0.load(Ordering::SeqCst), 0);
}

#[test]
fn handles_pushed_while_streaming_are_streamed() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let visited = pollster::block_on(async {
        let mut all = as_completed([pool.submit(|| 32_u32)]);
        let mut visited = 0;
        while let Some(handle) = next(&mut all).await {
            visited += 1;
            let number = handle.await.unwrap();
            if number > 1 {
                all.push(pool.submit(move || number / 2));
                all.push(pool.submit(move || number / 2));
            }
        }
        visited
    });
    assert_eq!(visited, 63);
}

#[test]
fn iterating_goes_on_where_streaming_stopped() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let slow = pool.submit(move || turnstile.pass());
    let mut all = as_completed([slow, Inline.submit(|| ())]);
    pollster::block_on(next(&mut all)).unwrap().join().unwrap();
    assert!(poll(&mut all, Waker::noop()).is_pending());
    gate.open();
    assert_eq!(all.into_inner().count(), 1);
}

#[test]
fn an_early_drop_lets_go_of_the_waker_though_tasks_go_on() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles = [pool.submit(|| 1), pool.submit(|| 2)];
    let count = Arc::new(Count::default());
    for pending in [false, true] {
        let mut all = as_completed(&handles);
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut all).poll_next(&mut context).is_pending());
        if pending {
            drop(all.into_inner().into_pending());
        } else {
            drop(all);
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "no task knows of it");
    }
    busy.release();
    handles.iter().for_each(JoinHandle::wait);
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
}

/// When woken, takes the handle that is there, asks for the next one with
/// another waker, and drops the iterator.
struct LastPoll {
    all: Mutex<Option<AsCompletedStream<JoinHandle<u32>>>>,
    bomb: Mutex<Option<Waker>>,
}

impl Wake for LastPoll {
    fn wake(self: Arc<Self>) {
        let mut all = self.all.lock().unwrap().take().unwrap();
        let bomb = self.bomb.lock().unwrap().take().unwrap();
        assert!(matches!(poll(&mut all, &bomb), Poll::Ready(Some(_))));
        assert!(matches!(poll(&mut all, &bomb), Poll::Pending));
    }
}

/// A waker that panics when its last clone is dropped.
struct Bomb {
    _dropped: Counted,
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn waker_left_by_an_iterator_that_is_gone_panics_when_the_worker_drops_it() {
    let _alarm = alarm();
    let (pool, other) = (ThreadPool::new(1), ThreadPool::new(1));
    let (busy, for_good) = (occupy(&pool, 1), occupy(&other, 1));
    let dropped = drops::Count::default();
    let bomb = Bomb {
        _dropped: dropped.bomb(),
    };
    let last_poll = Arc::new(LastPoll {
        all: Mutex::new(None),
        bomb: Mutex::new(Some(Waker::from(Arc::new(bomb)))),
    });
    let mut all = as_completed([pool.submit(|| 1), other.submit(|| 2)]);
    let waker = Waker::from(Arc::clone(&last_poll));
    let mut guard = last_poll.all.lock().unwrap();
    assert!(matches!(poll(&mut all, &waker), Poll::Pending));
    *guard = Some(all);
    drop(guard);
    busy.release();
    assert_eq!(pool.submit(|| 3).join().unwrap(), 3);
    assert_eq!(dropped.so_far(), 1);
    for_good.release();
}

#[test]
fn waker_that_panics_when_it_is_replaced_does_not_reach_the_poller() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut all = as_completed([pool.submit(|| 1)]);
    let dropped = drops::Count::default();
    let bomb = Bomb {
        _dropped: dropped.bomb(),
    };
    assert!(poll(&mut all, &Waker::from(Arc::new(bomb))).is_pending());
    let count = Arc::new(Count::default());
    assert!(poll(&mut all, &Waker::from(Arc::clone(&count))).is_pending());
    assert_eq!(dropped.so_far(), 1);
    busy.release();
    eventually(|| count.0.load(Ordering::SeqCst) == 1);
}

#[test]
fn a_push_of_a_final_handle_wakes_whoever_polls() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut all = as_completed([pool.submit(|| 1)]);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert!(poll(&mut all, &waker).is_pending());
    all.push(Inline.submit(|| 2));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut all, &waker).is_ready());
    busy.release();
}
