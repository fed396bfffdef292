//! Tasks and callbacks that are nested more deeply than a stack is.

use crate::support::alarm;
use as_completed::{JoinHandle, ThreadPool, as_completed, promise, wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

const DEPTH: usize = 100_000;

/// How a task waits for the one that it has submitted.
type Gather = fn(JoinHandle<usize>) -> usize;

const GATHERERS: [Gather; 4] = [
    |handle| handle.join().unwrap(),
    |handle| as_completed([handle]).map(|one| one.join().unwrap()).sum(),
    |handle| {
        let waited = wait([handle], as_completed::ReturnWhen::FirstCompleted, None);
        waited.done.into_iter().map(|one| one.join().unwrap()).sum()
    },
    |handle| {
        handle.wait();
        handle.join().unwrap()
    },
];

fn nest(pool: &Arc<ThreadPool>, depth: usize, gather: Gather) -> usize {
    if depth == 0 {
        return 0;
    }
    let inner = Arc::clone(pool);
    gather(pool.submit(move || nest(&inner, depth - 1, gather))) + 1
}

#[test]
fn a_hundred_thousand_nested_joins_end_on_one_worker() {
    let _alarm = alarm();
    for gather in GATHERERS {
        let pool = Arc::new(ThreadPool::new(1));
        let inner = Arc::clone(&pool);
        let depth = pool.submit(move || nest(&inner, DEPTH, gather));
        assert_eq!(depth.join().unwrap(), DEPTH);
        assert!(pool.worker_count() <= 1);
    }
}

#[test]
fn nested_joins_end_on_a_small_stack() {
    let _alarm = alarm();
    let pool = ThreadPool::builder().max_workers(1).stack_size(128 << 10);
    let pool = Arc::new(pool.build().unwrap());
    let inner = Arc::clone(&pool);
    let depth = pool.submit(move || nest(&inner, 1000, GATHERERS[0]));
    assert_eq!(depth.join().unwrap(), 1000);
}

#[test]
fn a_hundred_thousand_callbacks_that_each_cancel_the_next_end() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (open, gate) = mpsc::channel::<()>();
    let busy = pool.submit(move || gate.recv());
    let called = Arc::new(AtomicUsize::new(0));
    let mut next: Option<JoinHandle<()>> = None;
    for _ in 0..DEPTH {
        let handle = pool.submit(|| ());
        let called = Arc::clone(&called);
        handle.on_done(move |_| {
            called.fetch_add(1, Ordering::SeqCst);
            if let Some(next) = next {
                assert!(next.cancel());
                assert!(next.is_finished());
            }
        });
        next = Some(handle);
    }
    assert!(next.unwrap().cancel());
    // On this thread, and before the first call has returned.
    assert_eq!(called.load(Ordering::SeqCst), DEPTH);
    drop(open);
    assert!(busy.join().unwrap().is_err());
}

#[test]
fn a_hundred_thousand_callbacks_that_each_settle_the_next_end() {
    let _alarm = alarm();
    let (first, last) = promise();
    let mut settle = first;
    for _ in 0..DEPTH {
        let (promise, handle) = promise();
        handle.on_done(move |_| settle.settle(Ok(4)));
        settle = promise;
    }
    settle.settle(Ok(4));
    assert_eq!(last.join().unwrap(), 4);
}
