//! Models of tasks whose work is done elsewhere: who waits for their end, and what
//! becomes of the worker that is held for them.

use super::{Count, Event, explore, poll};
use as_completed::{CancelToken, JoinError, JoinHandle, ThreadPool};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs the model in each schedule in which the worker of the pool is idle when the
/// task begins; there are such.
fn explore_begun(
    preemptions: usize,
    model: impl Fn(Arc<ThreadPool>, JoinHandle<u32>, &Count, CancelToken) + Send + Sync + 'static,
) {
    // Not loom's: it counts over all schedules.
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    let before = BEGUN.load(Ordering::Relaxed);
    explore(preemptions, move || {
        let pool = Arc::new(ThreadPool::new(1));
        pool.submit(|| ()).join().unwrap();
        let (finished, token) = (Count::default(), CancelToken::new());
        let count = finished.clone();
        let begun = pool.begin_elsewhere(&token, move || {
            count.add();
            Ok(7)
        });
        if let Some(handle) = begun {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            model(pool, handle, &finished, token);
            finished.assert(1);
        }
    });
    assert!(BEGUN.load(Ordering::Relaxed) > before);
}

#[test]
fn a_task_joined_while_another_is_queued_is_finished_once_and_both_end() {
    explore_begun(3, |pool, handle, _, _| {
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit(|| 1).join().unwrap())
        };
        assert_eq!(handle.join().unwrap(), 7);
        assert_eq!(other.join().unwrap(), 1);
        drop(pool);
    });
}

#[test]
fn a_task_whose_handle_is_dropped_is_finished_and_its_worker_goes_on() {
    explore_begun(3, |pool, handle, _, _| {
        drop(handle);
        assert_eq!(pool.submit(|| 1).join().unwrap(), 1);
        drop(pool);
    });
}

#[test]
fn a_pool_that_is_joined_waits_for_a_task_that_nobody_waits_for() {
    explore_begun(3, |pool, handle, finished, _| {
        pool.join();
        finished.assert(1);
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), 7);
    });
}

#[test]
fn a_pool_joined_while_its_task_is_joined_ends() {
    explore_begun(3, |pool, handle, _, _| {
        let joiner = thread::spawn(move || pool.join());
        assert_eq!(handle.join().unwrap(), 7);
        joiner.join().unwrap();
    });
}

#[test]
fn a_task_that_two_threads_wait_for_is_finished_once() {
    explore_begun(3, |pool, handle, _, _| {
        let handle = Arc::new(handle);
        let other = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle.wait())
        };
        handle.wait();
        other.join().unwrap();
        drop(pool);
    });
}

#[test]
fn a_task_cancelled_while_joined_hears_of_it_and_resolves() {
    explore_begun(3, |pool, handle, _, token| {
        let handle = Arc::new(handle);
        let other = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle.cancel())
        };
        handle.wait();
        let cancelled = other.join().unwrap();
        assert!(!cancelled);
        assert!(token.is_cancelled() || handle.is_finished());
        drop(pool);
    });
}

#[test]
fn a_task_with_a_callback_is_finished_by_its_worker() {
    explore_begun(3, |pool, handle, finished, _| {
        let (called, counted) = (Event::default(), finished.clone());
        let call = called.clone();
        handle.on_done(move |_| {
            counted.assert(1);
            call.happen();
        });
        called.wait();
        assert_eq!(handle.join().unwrap(), 7);
        drop(pool);
    });
}

#[test]
fn a_task_that_is_polled_wakes_its_waker() {
    explore_begun(3, |pool, mut handle, finished, _| {
        let woken = Arc::new(Count::default());
        if poll(&mut handle, &woken).is_pending() {
            pool.join();
            woken.assert(1);
            assert!(poll(&mut handle, &woken).is_ready());
        }
        finished.assert(1);
    });
}

#[test]
fn a_task_begun_while_another_is_queued_does_not_keep_it_waiting() {
    explore(3, || {
        let pool = Arc::new(ThreadPool::new(1));
        pool.submit(|| ()).join().unwrap();
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit(|| 1).join().unwrap())
        };
        let begun = pool.begin_elsewhere(&CancelToken::new(), || Ok(7));
        // Before anybody waits for what has begun.
        assert_eq!(other.join().unwrap(), 1);
        if let Some(handle) = begun {
            assert_eq!(handle.join().unwrap(), 7);
        }
        drop(pool);
    });
}

#[test]
fn a_task_begun_while_its_pool_shuts_down_is_finished() {
    explore(2, || {
        let pool = Arc::new(ThreadPool::new(1));
        pool.submit(|| ()).join().unwrap();
        let ender = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.join())
        };
        let rest = || Err::<u32, _>(JoinError::Cancelled);
        let handle = pool.begin_elsewhere(&CancelToken::new(), rest);
        // Whoever began it does not wait for it, and yet the pool ends.
        ender.join().unwrap();
        if let Some(handle) = handle {
            assert!(handle.is_cancelled());
        }
    });
}
