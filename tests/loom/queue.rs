//! Models of a pool's queue: who gives up a place in it, and who waits for one.

use super::{Count, Event, explore};
use as_completed::{JoinError, Rejected, ThreadPool};
use loom::thread;
use std::sync::Arc;

fn bounded(workers: usize, capacity: usize) -> Arc<ThreadPool> {
    let pool = ThreadPool::builder()
        .max_workers(workers)
        .queue_capacity(capacity)
        .build()
        .unwrap();
    Arc::new(pool)
}

/// Occupies the only worker, which runs the task when this returns, until the
/// event happens.
fn occupy(pool: &ThreadPool) -> Event {
    let (started, gate) = (Event::default(), Event::default());
    let (start, opened) = (started.clone(), gate.clone());
    drop(pool.submit(move || {
        start.happen();
        opened.wait();
    }));
    started.wait();
    gate
}

/// Each place is free once: as many tasks as the queue holds find room, and no more.
fn holds_one(pool: &ThreadPool) {
    let gate = occupy(pool);
    let first = pool.try_submit(|| ()).unwrap();
    let second = pool.try_submit(|| ()).map(drop).unwrap_err();
    assert!(matches!(second.reason(), Rejected::QueueFull));
    gate.happen();
    first.join().unwrap();
}

#[test]
fn a_task_cancelled_while_dequeuing_gives_up_its_place_once() {
    explore(2, || {
        let pool = bounded(1, 1);
        let handle = pool.submit(|| ());
        let canceller = thread::spawn(move || {
            handle.cancel();
            handle.wait();
        });
        // Waits for that place, whoever gives it up.
        pool.submit(|| ()).join().unwrap();
        canceller.join().unwrap();
        holds_one(&pool);
    });
}

#[test]
fn a_task_claimed_while_dequeuing_gives_up_its_place_once() {
    explore(2, || {
        let pool = bounded(1, 1);
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let one = inner.submit(|| ());
            one.join().unwrap();
            // There is room again, though no worker has taken the task out.
            let next = inner.try_submit(|| ()).unwrap();
            drop(inner);
            next.join().unwrap();
        });
        outer.join().unwrap();
        holds_one(&pool);
    });
}

#[test]
fn a_submitter_that_waits_for_room_is_let_in_by_a_cancel() {
    explore(2, || {
        let pool = bounded(1, 1);
        let gate = occupy(&pool);
        let queued = pool.submit(|| ());
        let entered = Event::default();
        let submitter = {
            let (pool, entered) = (Arc::clone(&pool), entered.clone());
            thread::spawn(move || {
                let handle = pool.submit(|| ());
                entered.happen();
                handle.join().unwrap();
            })
        };
        assert!(queued.cancel());
        // The worker is busy all the time.
        entered.wait();
        gate.happen();
        submitter.join().unwrap();
    });
}

#[test]
fn all_who_wait_for_room_are_let_in_when_the_queue_is_cancelled() {
    explore(1, || {
        let pool = bounded(1, 2);
        let gate = occupy(&pool);
        let queued = [(); 2].map(|()| pool.submit(|| ()));
        let submitters = [(); 2].map(|()| {
            let (pool, entered) = (Arc::clone(&pool), Event::default());
            let told = entered.clone();
            let submitter = thread::spawn(move || {
                let handle = pool.submit(|| ());
                told.happen();
                handle.wait();
            });
            (submitter, entered)
        });
        // Those that have come in before are cancelled, too.
        assert!(pool.cancel_pending() >= 2);
        for (_, entered) in &submitters {
            entered.wait();
        }
        gate.happen();
        for (submitter, _) in submitters {
            submitter.join().unwrap();
        }
        assert!(queued.iter().all(|handle| handle.is_cancelled()));
    });
}

#[test]
fn all_who_wait_for_room_are_refused_by_a_shutdown() {
    explore(1, || {
        let pool = bounded(1, 1);
        let gate = occupy(&pool);
        let queued = pool.submit(|| ());
        let submitters = [(); 2].map(|()| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || match pool.submit(|| ()).join() {
                Err(JoinError::Rejected(Rejected::ShutDown)) => {}
                other => panic!("{other:?}"),
            })
        });
        pool.shutdown();
        for submitter in submitters {
            submitter.join().unwrap();
        }
        gate.happen();
        queued.join().unwrap();
    });
}

#[test]
fn two_who_try_to_submit_share_one_place() {
    explore(3, || {
        let pool = bounded(1, 1);
        let gate = occupy(&pool);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || usize::from(pool.try_submit(|| ()).is_ok()))
        };
        let here = usize::from(pool.try_submit(|| ()).is_ok());
        assert_eq!(here + other.join().unwrap(), 1);
        gate.happen();
    });
}

/// The look at the queue sweeps it.
#[test]
fn a_queue_swept_while_a_task_is_pushed_and_another_is_taken_loses_none() {
    explore(2, || {
        let pool = Arc::new(ThreadPool::new(1));
        let gate = occupy(&pool);
        let (ran, cancelled) = (Count::default(), pool.submit(|| ()));
        assert!(cancelled.cancel());
        let other = {
            let (pool, ran) = (Arc::clone(&pool), ran.clone());
            thread::spawn(move || pool.submit(move || ran.add()).join().unwrap())
        };
        gate.happen();
        assert!(pool.queued_count() <= 1);
        other.join().unwrap();
        ran.assert(1);
    });
}

/// Item 0 ends when item 1 runs, so that no result wakes the map that waits for room:
/// only the worker does that takes item 0 out of the queue.
fn one_after_the_other() -> impl Fn(u32) + Send + Sync + 'static {
    let second = Event::default();
    move |item| match item {
        0 => second.wait(),
        _ => second.happen(),
    }
}

#[test]
fn a_map_that_waits_for_room_is_woken_by_the_place_that_becomes_free() {
    explore(2, || {
        let pool = bounded(2, 1);
        let results = pool.map(0..2, one_after_the_other());
        assert_eq!(results.map(Result::unwrap).count(), 2);
    });
}

#[test]
fn an_unordered_map_that_waits_for_room_is_woken_by_the_place_that_becomes_free() {
    explore(2, || {
        let pool = bounded(2, 1);
        let results = pool.map_unordered(0..2, one_after_the_other());
        assert_eq!(results.map(Result::unwrap).count(), 2);
    });
}
