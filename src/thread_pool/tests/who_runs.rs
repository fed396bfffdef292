//! Who runs a task that a worker waits for; and what waits, failed starts and reserved
//! workers leave behind.

use super::{A_MOMENT, MOST, must_end, pool_of, spawner};
use crate::error::Rejected;
use crate::sync::spawn;
use crate::task::{CancelToken, JoinHandle};
use crate::thread_pool::core::Body;
use crate::thread_pool::reserve::Reserved;
use crate::{Limit, ThreadPool, as_completed};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

/// Has a task wait for another of the pool; says whether one thread ran both.
fn runs_what_it_waits_for(pool: &Arc<ThreadPool>) -> bool {
    let inner = Arc::clone(pool);
    let outer = pool.submit(move || {
        let awaited = inner.submit(|| thread::current().id());
        awaited.join().unwrap() == thread::current().id()
    });
    outer.join().unwrap()
}

fn asleep(pool: &ThreadPool) -> usize {
    pool.core.state.lock().sleeping
}

#[test]
fn an_awaited_task_is_left_to_the_worker_that_is_started_for_it() {
    must_end(|| {
        let pool = Arc::new(pool_of(2, spawner(|_| false)));
        assert!(!runs_what_it_waits_for(&pool));
    });
}

#[test]
fn an_awaited_task_is_left_to_a_worker_that_sleeps() {
    must_end(|| {
        let pool = Arc::new(pool_of(2, spawner(|_| false)));
        let both = Arc::new(Barrier::new(2));
        let needing_each_other = [Arc::clone(&both), both].map(|both| {
            pool.submit(move || {
                both.wait();
            })
        });
        for task in needing_each_other {
            task.join().unwrap();
        }
        for _ in 0..20 {
            while asleep(&pool) < 2 {
                thread::yield_now();
            }
            assert!(!runs_what_it_waits_for(&pool));
        }
    });
}

#[test]
fn an_awaited_task_whose_thread_cannot_be_started_runs_where_it_is_awaited() {
    must_end(|| {
        let pool = Arc::new(pool_of(2, spawner(|n| n == 1)));
        assert!(runs_what_it_waits_for(&pool));
        while asleep(&pool) == 0 {
            thread::yield_now();
        }
        // The next thread can be started, and the task is left to it.
        assert!(!runs_what_it_waits_for(&pool));
        assert!(!pool.core.state.lock().cannot_start);
    });
}

#[test]
fn an_awaited_task_runs_where_it_is_awaited_while_the_other_worker_is_being_initialized() {
    must_end(|| {
        let (number, (let_in, entered)) = (AtomicUsize::new(0), mpsc::channel::<()>());
        let entered = crate::sync::Mutex::new(entered);
        let pool = ThreadPool::builder()
            .max_workers(2)
            .initializer(move || {
                if number.fetch_add(1, Ordering::SeqCst) == 1 {
                    let _ = entered.lock().recv();
                }
                Ok(())
            })
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        assert!(runs_what_it_waits_for(&pool));
        drop(let_in);
    });
}

#[test]
fn the_index_of_a_worker_that_could_not_be_started_is_used_again() {
    must_end(|| {
        let (sender, indices) = mpsc::channel();
        let starts = AtomicUsize::new(0);
        let pool = pool_of(
            MOST,
            Box::new(move |index, body| {
                sender.send(index).unwrap();
                if starts.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err(io::Error::from(io::ErrorKind::WouldBlock));
                }
                Ok(Some(spawn(format!("worker-{index}"), None, body)?))
            }),
        );
        assert!(pool.submit(|| ()).join().is_err());
        pool.submit(|| ()).join().unwrap();
        assert_eq!(indices.try_iter().collect::<Vec<_>>(), [0, 0]);
    });
}

#[test]
fn a_task_that_is_given_back_with_its_thread_frees_its_place_in_the_queue() {
    let pool = ThreadPool::builder()
        .max_workers(1)
        .queue_capacity(1)
        .spawner(spawner(|_| true))
        .build()
        .unwrap();
    for _ in 0..2 {
        let error = pool.try_submit(|| ()).unwrap_err();
        assert!(matches!(error.reason(), Rejected::Thread(_)));
    }
}

/// The only worker of the pool, as soon as it sleeps.
fn reserve(pool: &ThreadPool) -> Reserved {
    pool.submit(|| ()).join().unwrap();
    loop {
        if let Some(worker) = pool.reserve() {
            return worker;
        }
        thread::yield_now();
    }
}

#[test]
fn a_task_that_its_waiter_has_finished_is_forgotten_by_the_pool() {
    must_end(|| {
        let pool = ThreadPool::new(1);
        let task = reserve(&pool).begin(&CancelToken::new(), || Ok(1));
        assert_eq!(task.join().unwrap(), 1);
        assert!(pool.core.state.lock().unattended.is_empty());
    });
}

#[test]
fn a_reserved_worker_that_is_given_back_after_a_shutdown_ends() {
    must_end(|| {
        let pool = ThreadPool::new(1);
        let worker = reserve(&pool);
        pool.shutdown();
        // So that it has looked, and sleeps again, most of the time.
        thread::sleep(A_MOMENT);
        drop(worker);
        pool.join();
    });
}

/// A pool of three workers, whose second does not come before the sender is dropped: so
/// what the first waits for stays in the queue, and the others are free all the time.
fn pool_whose_second_worker_is_late() -> (Arc<ThreadPool>, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(crate::sync::Mutex::new(gate));
    let pool = pool_of(
        3,
        Box::new(move |index, body| {
            let gate = Arc::clone(&gate);
            let late = move || {
                if index == 1 {
                    let _ = gate.lock().recv();
                }
                body();
            };
            Ok(Some(spawn(format!("worker-{index}"), None, late)?))
        }),
    );
    (Arc::new(pool), open)
}

/// Waits until a watcher of the thread is there, which stays the only one however often
/// the thread is woken.
fn has_one_watcher(waiting: &thread::Thread, watchers: impl Fn() -> usize) {
    while watchers() == 0 {
        thread::yield_now();
    }
    for _ in 0..100 {
        waiting.unpark();
        thread::yield_now();
        assert!(watchers() <= 1);
    }
}

#[test]
fn a_wait_of_a_worker_leaves_no_watcher_behind() {
    let waits: [fn(JoinHandle<()>); 2] = [
        |handle| handle.join().unwrap(),
        |handle| as_completed([handle]).for_each(|handle| handle.join().unwrap()),
    ];
    for wait in waits {
        must_end(move || {
            let (pool, late) = pool_whose_second_worker_is_late();
            let (sender, threads) = mpsc::channel();
            let inner = Arc::clone(&pool);
            let outer = pool.submit(move || {
                sender.send(thread::current()).unwrap();
                wait(inner.submit(|| ()));
                inner.core.gauge.waiters()
            });
            has_one_watcher(&threads.recv().unwrap(), || pool.core.gauge.waiters());
            drop(late);
            assert_eq!(outer.join().unwrap(), 0);
        });
    }
}

/// The limit has room all the time, so that nobody else notifies the waiter.
#[test]
fn a_wait_for_a_limited_task_leaves_no_watcher_behind() {
    must_end(|| {
        let (pool, late) = pool_whose_second_worker_is_late();
        let limited = Limit::new(Arc::clone(&pool), 3);
        let (sender, threads) = mpsc::channel();
        let inner = limited.clone();
        let outer = pool.submit(move || {
            sender.send(thread::current()).unwrap();
            inner.submit(|| ()).join().unwrap();
            inner.waiters()
        });
        has_one_watcher(&threads.recv().unwrap(), || limited.waiters());
        drop(late);
        assert_eq!(outer.join().unwrap(), 0);
    });
}

/// Nobody waits for the task; each of these has the worker finish it.
#[test]
fn a_reserved_worker_finishes_a_task_that_is_looked_at_or_in_the_way() {
    let looks: [fn(&ThreadPool, &JoinHandle<u32>); 8] = [
        |pool, _| assert_eq!(pool.active_count(), 1),
        |pool, _| pool.submit(|| ()).detach(),
        |pool, _| pool.shutdown(),
        |_, task| assert!(!task.is_finished()),
        |_, task| assert!(task.is_running()),
        |_, task| assert!(!task.cancel()),
        |_, task| task.on_done(|_| ()),
        |_, task| assert!(task.wait_timeout(Duration::ZERO).is_err()),
    ];
    for look in looks {
        must_end(move || {
            let pool = ThreadPool::new(1);
            let (sender, finished) = mpsc::channel();
            let (open, gate) = mpsc::channel::<()>();
            let task = reserve(&pool).begin(&CancelToken::new(), move || {
                let _ = gate.recv();
                sender.send(thread::current().id()).unwrap();
                Ok(1)
            });
            look(&pool, &task);
            drop(open);
            assert_ne!(finished.recv().unwrap(), thread::current().id());
            assert_eq!(task.join().unwrap(), 1);
            assert!(pool.core.state.lock().unattended.is_empty());
        });
    }
}

/// As [`a_reserved_worker_finishes_a_task_that_is_looked_at_or_in_the_way`].
#[test]
fn a_reserved_worker_finishes_a_task_whose_handle_is_polled_or_dropped() {
    type End = fn(JoinHandle<u32>) -> Option<JoinHandle<u32>>;
    let ends: [End; 2] = [
        |task| {
            drop(task);
            None
        },
        |mut task| {
            let mut context = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut task).poll(&mut context).is_pending());
            Some(task)
        },
    ];
    for end in ends {
        must_end(move || {
            let pool = ThreadPool::new(1);
            let (sender, finished) = mpsc::channel();
            let (open, gate) = mpsc::channel::<()>();
            let task = reserve(&pool).begin(&CancelToken::new(), move || {
                let _ = gate.recv();
                sender.send(()).unwrap();
                Ok(1)
            });
            let task = end(task);
            drop(open);
            finished.recv().unwrap();
            drop(task);
        });
    }
}

#[test]
fn cancelled_tasks_that_wait_for_a_limit_are_looked_for_and_let_go_of() {
    must_end(|| {
        let pool = Arc::new(pool_of(2, spawner(|_| false)));
        let limited = Limit::new(Arc::clone(&pool), 1);
        let ((start, started), (open, gate)) = (mpsc::channel(), mpsc::channel::<()>());
        let busy = limited.submit(move || {
            start.send(()).unwrap();
            gate.recv()
        });
        started.recv().unwrap();
        let waiting: Vec<_> = (0..300).map(|_| limited.submit(|| ())).collect();
        while limited.parked() < 300 {
            thread::yield_now();
        }
        assert!(waiting.iter().all(JoinHandle::cancel));
        // The 512th is one too many.
        let others: Vec<_> = (0..212).map(|_| limited.submit(|| ())).collect();
        while limited.parked() != 212 {
            thread::yield_now();
        }
        drop(open);
        assert!(busy.join().unwrap().is_err());
        assert!(others.into_iter().all(|handle| handle.join().is_ok()));
    });
}

/// The other takes the last place of the limit, and ends only after the awaited task.
#[test]
fn a_limited_task_that_waits_is_told_when_another_takes_the_last_place() {
    must_end(|| {
        let (gates, lates): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel::<()>()).unzip();
        let lates = crate::sync::Mutex::new(lates);
        let spawner = move |index: usize, body: Body<'static>| {
            let late = (index > 0).then(|| lates.lock().remove(0));
            let late = move || {
                let _ = late.map(|late| late.recv());
                body();
            };
            Ok(Some(spawn(format!("worker-{index}"), None, late)?))
        };
        let pool = Arc::new(pool_of(3, Box::new(spawner)));
        let limited = Limit::new(Arc::clone(&pool), 2);
        let inner = limited.clone();
        let outer = limited.submit(move || {
            let (open, gate) = mpsc::channel::<()>();
            let ahead = inner.submit(move || gate.recv());
            let answer = inner.submit(|| 42).join().unwrap();
            drop(open);
            assert!(ahead.join().unwrap().is_err());
            answer
        });
        while limited.waiters() == 0 {
            thread::yield_now();
        }
        let [one, other] = <[_; 2]>::try_from(gates).unwrap();
        drop(one);
        assert_eq!(outer.join().unwrap(), 42);
        drop(other);
    });
}

/// A result that looks at its limit when it is dropped.
struct Looks(Limit<Arc<ThreadPool>>, Arc<AtomicUsize>);

impl Drop for Looks {
    fn drop(&mut self) {
        self.0.parked();
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// They have run where they were waited for, and nobody took their results.
#[test]
fn results_that_are_dropped_with_their_tasks_at_a_limit_may_use_it() {
    must_end(|| {
        let pool = Arc::new(pool_of(2, spawner(|_| false)));
        let limited = Limit::new(Arc::clone(&pool), 1);
        let (give, given) = mpsc::channel::<Vec<JoinHandle<Looks>>>();
        let ((ran, all_ran), (open, gate)) = (mpsc::channel(), mpsc::channel::<()>());
        let busy = limited.submit(move || {
            for handle in given.recv().unwrap() {
                // Runs here: it lends its place.
                handle.wait();
            }
            ran.send(()).unwrap();
            gate.recv()
        });
        let dropped = Arc::new(AtomicUsize::new(0));
        let looks = (0..64).map(|_| {
            let result = Looks(limited.clone(), Arc::clone(&dropped));
            limited.submit(move || result)
        });
        let looks: Vec<_> = looks.collect();
        while limited.parked() < 64 {
            thread::yield_now();
        }
        give.send(looks).unwrap();
        all_ran.recv().unwrap();
        // With these, they are looked for.
        let others: Vec<_> = (0..64).map(|_| limited.submit(|| ())).collect();
        while dropped.load(Ordering::SeqCst) < 64 {
            thread::yield_now();
        }
        drop(open);
        assert!(busy.join().unwrap().is_err());
        assert!(others.into_iter().all(|handle| handle.join().is_ok()));
    });
}

#[test]
fn a_worker_that_ends_for_want_of_work_is_not_reserved() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .keep_alive(Duration::from_secs(3600))
            .build()
            .unwrap();
        pool.submit(|| ()).join().unwrap();
        while asleep(&pool) == 0 {
            thread::yield_now();
        }
        assert!(pool.reserve().is_none());
    });
}

#[test]
fn an_awaited_task_runs_where_it_is_awaited_while_the_other_worker_is_reserved() {
    must_end(|| {
        let pool = Arc::new(pool_of(2, spawner(|_| false)));
        assert!(!runs_what_it_waits_for(&pool));
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            while asleep(&inner) == 0 {
                thread::yield_now();
            }
            let runs_here = || {
                let awaited = inner.submit(|| thread::current().id());
                awaited.join().unwrap() == thread::current().id()
            };
            let worker = inner.reserve().unwrap();
            let while_reserved = runs_here();
            // The empty entry of the task, too, would be for the other worker to take.
            assert_eq!(inner.queued_count(), 0);
            drop(worker);
            (while_reserved, runs_here())
        });
        assert_eq!(outer.join().unwrap(), (true, false));
    });
}

/// Each has come between the reserving of the worker and the beginning of the task.
#[test]
fn a_reserved_worker_finishes_a_task_that_begins_when_it_is_in_the_way() {
    let ways: [fn(&ThreadPool); 2] = [|pool| pool.submit(|| ()).detach(), ThreadPool::shutdown];
    for way in ways {
        must_end(move || {
            let pool = ThreadPool::new(1);
            let worker = reserve(&pool);
            way(&pool);
            let (sender, finished) = mpsc::channel();
            let task = worker.begin(&CancelToken::new(), move || {
                sender.send(()).unwrap();
                Ok(1)
            });
            finished.recv().unwrap();
            assert_eq!(task.join().unwrap(), 1);
        });
    }
}

#[test]
fn cancelling_all_of_a_pool_reaches_a_task_that_nobody_has_taken_on() {
    must_end(|| {
        let pool = ThreadPool::new(1);
        let token = CancelToken::new();
        let seen = token.clone();
        let task = reserve(&pool).begin(&token, move || Ok(seen.sleep(Duration::MAX)));
        pool.cancel_all();
        assert!(token.is_cancelled());
        assert!(!task.join().unwrap());
    });
}
