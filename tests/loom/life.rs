//! Models of a pool's life: who is woken or started, and when it is over.

use super::{Count, Event, explore, pool};
use as_completed::{JoinError, JoinHandle, Rejected, ThreadPool};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

/// Two tasks of which each ends only when the other runs.
fn needing_each_other(pool: &ThreadPool) -> [JoinHandle<()>; 2] {
    let (here, there) = (Event::default(), Event::default());
    let (one, other) = ((here.clone(), there.clone()), (there, here));
    [one, other].map(|(mine, yours)| {
        pool.submit(move || {
            mine.happen();
            yours.wait();
        })
    })
}

/// Both workers are asleep, or on their way there, when the tasks come.
#[test]
fn two_sleepers_are_woken_for_two_tasks_that_need_each_other() {
    explore(1, || {
        let pool = pool(2);
        for _ in 0..2 {
            for task in needing_each_other(&pool) {
                task.join().unwrap();
            }
        }
    });
}

/// They come from two threads, so that one may still be in the inbox when the
/// other is taken.
#[test]
fn two_tasks_from_two_threads_that_need_each_other_both_start() {
    explore(1, || {
        let pool = Arc::new(pool(2));
        for task in needing_each_other(&pool) {
            task.join().unwrap();
        }
        let (here, there) = (Event::default(), Event::default());
        let other = {
            let (pool, mine, yours) = (Arc::clone(&pool), there.clone(), here.clone());
            thread::spawn(move || {
                pool.submit(move || {
                    mine.happen();
                    yours.wait();
                })
                .join()
                .unwrap();
            })
        };
        pool.submit(move || {
            here.happen();
            there.wait();
        })
        .join()
        .unwrap();
        other.join().unwrap();
    });
}

/// A worker that is still alive holds the pool, and the initializer with it.
#[test]
fn join_waits_for_a_thread_that_another_is_starting() {
    explore(2, || {
        let dropped = Count::default();
        let captured = dropped.on_drop();
        let pool = ThreadPool::builder()
            .max_workers(1)
            .initializer(move || {
                let _ = &captured;
                Ok(())
            })
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || match pool.submit(|| ()).join() {
                Ok(()) | Err(JoinError::Rejected(Rejected::ShutDown)) => {}
                Err(other) => panic!("{other}"),
            })
        };
        pool.join();
        submitter.join().unwrap();
        drop(pool);
        dropped.assert(1);
    });
}

#[test]
fn join_waits_for_the_tasks_whose_thread_cannot_be_started() {
    explore(2, || {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .stack_size(1 << 40)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || drop(pool.submit(|| ())))
        };
        let trusting = pool.submit(|| ());
        pool.join();
        assert!(trusting.is_finished());
        assert!(trusting.join().unwrap_err().is_rejected());
        other.join().unwrap();
    });
}

#[test]
fn both_who_cancel_all_at_once_have_asked_the_running_task_to_stop() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let (started, told) = (Event::default(), Event::default());
        let (start, gate) = (started.clone(), told.clone());
        let running = pool.submit_cancellable(move |token| {
            start.happen();
            gate.wait();
            token.is_cancelled()
        });
        started.wait();
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.cancel_all())
        };
        pool.cancel_all();
        told.happen();
        assert!(running.join().unwrap());
        other.join().unwrap();
    });
}

/// The other worker takes the task before, and waits for the awaited one there.
#[test]
fn a_worker_that_waits_takes_over_when_no_other_is_free_any_more() {
    explore(2, || {
        let pool = Arc::new(pool(2));
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let gate = Event::default();
            let opened = gate.clone();
            let other = inner.submit(move || opened.wait());
            let awaited = inner.submit(move || gate.happen());
            drop(inner);
            awaited.join().unwrap();
            other.join().unwrap();
        });
        outer.join().unwrap();
    });
}

/// As if its stack were used up, so that another thread stands in for it.
#[test]
fn a_worker_without_a_stack_waits_for_its_own_tasks() {
    explore(2, || {
        let pool = ThreadPool::builder().max_workers(1).stack_size(1);
        let pool = Arc::new(pool.build().unwrap());
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let cancellable = inner.submit_cancellable(|token| token.sleep(Duration::MAX));
            let canceller = cancellable.cancel();
            let nested = inner.submit(|| 42);
            drop(inner);
            (nested.join().unwrap(), canceller)
        });
        assert_eq!(outer.join().unwrap(), (42, true));
    });
}

/// A pool of two of which only the first can be started.
fn without_a_second_thread() -> Arc<ThreadPool> {
    let pool = ThreadPool::builder().max_workers(2).thread_name("lacking");
    Arc::new(pool.build().unwrap())
}

/// The first worker may have fallen asleep because the second was on its way.
#[test]
fn tasks_whose_second_thread_cannot_be_started_run_on_the_first() {
    explore(2, || {
        let pool = without_a_second_thread();
        let submitter = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit(|| 4).join())
        };
        assert_eq!(pool.submit(|| 5).join().unwrap(), 5);
        assert_eq!(submitter.join().unwrap().unwrap(), 4);
        assert_eq!(pool.submit(|| 6).join().unwrap(), 6);
        pool.join();
    });
}

#[test]
fn an_awaited_task_whose_thread_cannot_be_started_runs_where_it_is_awaited() {
    explore(2, || {
        let pool = without_a_second_thread();
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || inner.submit(|| 4).join().unwrap());
        assert_eq!(outer.join().unwrap(), 4);
        pool.join();
    });
}
