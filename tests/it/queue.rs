//! What has a place in the queue: tasks that have not started, and no others.
//!
//! A task leaves the queue when a worker takes it, and also when its handle
//! cancels it or a worker that waits for it runs it.

use crate::support::{PATIENCE, alarm, eventually, occupy};
use as_completed::{JoinHandle, Rejected, ThreadPool, as_completed};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn bounded(workers: usize, capacity: usize) -> ThreadPool {
    ThreadPool::builder()
        .max_workers(workers)
        .queue_capacity(capacity)
        .build()
        .unwrap()
}

#[test]
fn a_cancelled_task_makes_room_in_a_full_queue() {
    let _alarm = alarm();
    let pool = bounded(1, 2);
    let busy = occupy(&pool, 1);
    let queued = [pool.submit(|| 1), pool.submit(|| 2)];
    let full = pool.try_submit(|| 3).unwrap_err();
    assert!(matches!(full.reason(), Rejected::QueueFull));
    for handle in &queued {
        assert!(handle.cancel());
    }
    assert_eq!(pool.queued_count(), 0);
    let later = [
        pool.try_submit(|| 4).unwrap(),
        pool.try_submit(|| 5).unwrap(),
    ];
    assert!(pool.try_submit(|| 6).is_err());
    assert_eq!(pool.queued_count(), 2);
    busy.release();
    assert_eq!(later.map(|handle| handle.join().unwrap()), [4, 5]);
}

#[test]
fn cancelling_a_task_lets_a_submitter_in_that_waits_for_room() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 1));
    let busy = occupy(&*pool, 1);
    let queued = pool.submit(|| 1);
    let inside = Arc::clone(&pool);
    let (entered, entries) = mpsc::channel();
    let submitter = thread::spawn(move || {
        let handle = inside.submit(|| 2);
        entered.send(()).unwrap();
        handle.join()
    });
    // So that it waits by now, most of the time.
    assert!(entries.recv_timeout(crate::support::SHORT).is_err());
    assert!(queued.cancel());
    // The worker is busy all the time.
    entries.recv_timeout(PATIENCE).unwrap();
    busy.release();
    assert_eq!(submitter.join().unwrap().unwrap(), 2);
}

#[test]
fn tasks_cancelled_together_make_room_in_a_full_queue() {
    let _alarm = alarm();
    let pool = bounded(1, 2);
    let busy = occupy(&pool, 1);
    let queued = [pool.submit(|| 1), pool.submit(|| 2)];
    drop(as_completed(queued).cancel_on_drop());
    let later = [(); 2].map(|()| pool.try_submit(|| 4).unwrap());
    busy.release();
    assert_eq!(later.map(|handle| handle.join().unwrap()), [4, 4]);
}

/// The callback submits where there is no room but the one that the cancelled
/// task leaves.
#[test]
fn the_place_of_a_cancelled_task_is_free_when_its_callbacks_run() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 1));
    let busy = occupy(&*pool, 1);
    let queued = pool.submit(|| 1);
    let inside = Arc::clone(&pool);
    let (sender, receiver) = mpsc::channel();
    queued.on_done(move |_| sender.send(inside.try_submit(|| 2).map_err(drop)).unwrap());
    assert!(queued.cancel());
    let next: Result<JoinHandle<i32>, ()> = receiver.recv().unwrap();
    busy.release();
    assert_eq!(next.unwrap().join().unwrap(), 2);
}

#[test]
fn a_task_run_by_the_worker_that_waits_for_it_leaves_the_queue() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 4));
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        for n in 0..4 {
            assert_eq!(inner.submit(move || n).join().unwrap(), n);
        }
        assert_eq!(inner.queued_count(), 0);
        let last: Vec<_> = (0..4).map(|n| inner.try_submit(move || n)).collect();
        as_completed(last.into_iter().map(Result::unwrap)).count()
    });
    assert_eq!(outer.join().unwrap(), 4);
}

/// Nobody takes the tasks out of the queue that have run: the only worker waits
/// for the submitter, and the submitter for room.
#[test]
fn the_only_worker_may_wait_for_a_submit_after_as_many_joins_as_the_queue_holds() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 4));
    let inner = Arc::clone(&pool);
    let (go, joined) = mpsc::channel();
    let (entered, entries) = mpsc::channel();
    let outer = pool.submit(move || {
        for n in 0..4 {
            assert_eq!(inner.submit(move || n).join().unwrap(), n);
        }
        go.send(()).unwrap();
        entries.recv_timeout(PATIENCE)
    });
    joined.recv().unwrap();
    let inside = Arc::clone(&pool);
    let submitter = thread::spawn(move || {
        let handle = inside.submit(|| 5);
        entered.send(()).unwrap();
        handle.join()
    });
    assert_eq!(outer.join().unwrap(), Ok(()));
    assert_eq!(submitter.join().unwrap().unwrap(), 5);
}

#[test]
fn tasks_that_left_an_unbounded_queue_are_not_counted() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        for n in 0..1000 {
            assert_eq!(inner.submit(move || n).join().unwrap(), n);
        }
        let one = inner.submit(|| ());
        let count = inner.queued_count();
        one.join().unwrap();
        count
    });
    assert_eq!(outer.join().unwrap(), 1);
    let busy = occupy(&*pool, 1);
    let queued: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
    for handle in queued.iter().step_by(2) {
        handle.cancel();
    }
    assert_eq!(pool.queued_count(), 50);
    busy.release();
    for (n, handle) in queued.into_iter().enumerate() {
        assert_eq!(handle.join().ok(), (n % 2 == 1).then_some(n));
    }
}

#[test]
fn cancel_pending_makes_room_for_all_who_wait() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 3));
    let busy = occupy(&*pool, 1);
    let queued: Vec<_> = (0..3).map(|n| pool.submit(move || n)).collect();
    let (entered, entries) = mpsc::channel();
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let (pool, entered) = (Arc::clone(&pool), entered.clone());
            thread::spawn(move || {
                let handle = pool.submit(|| ());
                entered.send(()).unwrap();
                handle.join().unwrap();
            })
        })
        .collect();
    assert!(entries.recv_timeout(crate::support::SHORT).is_err());
    assert_eq!(pool.cancel_pending(), 3);
    // All of them, though the only worker is busy all the time.
    for _ in 0..3 {
        entries.recv_timeout(PATIENCE).unwrap();
    }
    busy.release();
    for submitter in submitters {
        submitter.join().unwrap();
    }
    assert!(queued.iter().all(JoinHandle::is_cancelled));
}

#[test]
fn try_submit_by_many_threads_never_exceeds_the_capacity() {
    const THREADS: usize = 4;

    let _alarm = alarm();
    // Enough to fail where one too many is let in, on an idle machine.
    let start = Instant::now();
    for _ in 0..200 {
        if start.elapsed() > Duration::from_secs(2) {
            break;
        }
        let pool = bounded(1, 2);
        let busy = occupy(&pool, 1);
        let start = std::sync::Barrier::new(THREADS);
        let taken = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..2 {
                        if pool.try_submit(|| ()).is_ok() {
                            taken.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::SeqCst), 2);
        busy.release();
    }
}

/// Producers keep the queue full, so that each submit of the job itself finds no
/// room.
#[test]
fn a_job_that_submits_itself_to_a_full_queue_does_not_nest_without_end() {
    const TIMES: usize = 20_000;

    fn job(pool: &Arc<ThreadPool>, left: usize, done: mpsc::Sender<()>) {
        if left == 0 {
            done.send(()).unwrap();
            return;
        }
        let inner = Arc::clone(pool);
        pool.submit(move || job(&inner, left - 1, done)).detach();
    }

    let _alarm = alarm();
    for workers in [1, 2] {
        let pool = Arc::new(bounded(workers, 2));
        let busy = occupy(&*pool, workers);
        let (done, over) = mpsc::channel();
        let inner = Arc::clone(&pool);
        pool.submit(move || job(&inner, TIMES, done)).detach();
        let (filling, filled) = mpsc::channel();
        let inner = Arc::clone(&pool);
        let producer = thread::spawn(move || {
            let mut count = 0_usize;
            // Until the job is done, there is no place but for a moment.
            while over.try_recv() == Err(mpsc::TryRecvError::Empty) {
                inner.submit(|| ()).detach();
                count += 1;
                if count == 1 {
                    filling.send(()).unwrap();
                }
            }
        });
        filled.recv().unwrap();
        busy.release();
        producer.join().unwrap();
        eventually(|| pool.queued_count() == 0);
    }
}

/// The worker knows the queue of its own pool best.
#[test]
fn a_task_cancelled_by_a_worker_of_another_pool_makes_room_in_its_own() {
    let _alarm = alarm();
    let (pool, other) = (bounded(1, 1), bounded(1, 1));
    let busy = occupy(&pool, 1);
    let queued = pool.submit(|| 1);
    let cancelled = other.submit(move || queued.cancel());
    assert!(cancelled.join().unwrap());
    let later = pool.try_submit(|| 2).unwrap();
    busy.release();
    assert_eq!(later.join().unwrap(), 2);
}

struct UsesPool(Arc<ThreadPool>, Arc<AtomicUsize>);

impl Drop for UsesPool {
    fn drop(&mut self) {
        assert_eq!(self.0.max_workers(), self.0.worker_count());
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// Run by the worker that waits for them, they leave empty entries behind, which hold
/// the results that nobody took.
#[test]
fn a_result_that_is_dropped_with_its_entry_in_the_queue_may_use_the_pool() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 1000));
    let inner = Arc::clone(&pool);
    let dropped = Arc::new(AtomicUsize::new(0));
    let outer = pool.submit(move || {
        for _ in 0..200 {
            let result = UsesPool(Arc::clone(&inner), Arc::clone(&dropped));
            inner.submit(move || result).wait();
        }
        let by_submitting = dropped.load(Ordering::SeqCst);
        assert_eq!(inner.queued_count(), 0);
        (by_submitting, dropped.load(Ordering::SeqCst))
    });
    let (by_submitting, in_the_end) = outer.join().unwrap();
    assert!(by_submitting > 0);
    assert_eq!(in_the_end, 200);
}
