//! What only the inside of a pool can bring about or show: threads that cannot be
//! started, by a spawner in the system's place; whom a burst wakes or starts; for
//! how long tasks that can be stopped are remembered.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod starts;
mod who_runs;

use super::ThreadPool;
use super::core::Spawner;
use super::reserve::Reserved;
use super::state::{Phase, Settings, State, WakePlan};
use crate::error::{JoinError, Rejected};
use crate::sync::spawn;
use crate::task::{CancelToken, Cell, ErasedTask, HookBuilder, JoinHandle, TaskEvent};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

const MOST: usize = 8;

/// Most often enough for another thread to fall asleep.
const A_MOMENT: Duration = Duration::from_millis(2);

/// Starts threads, all but those for which `fails` says so, by their number.
fn spawner(fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> Spawner<'static> {
    let started = AtomicUsize::new(0);
    Box::new(move |index, body| {
        if fails(started.fetch_add(1, Ordering::SeqCst)) {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        Ok(Some(spawn(format!("worker-{index}"), None, body)?))
    })
}

fn pool(spawner: Spawner<'static>) -> ThreadPool {
    pool_of(MOST, spawner)
}

fn pool_of(max_workers: usize, spawner: Spawner<'static>) -> ThreadPool {
    ThreadPool::builder()
        .max_workers(max_workers)
        .spawner(spawner)
        .build()
        .unwrap()
}

fn is_refused<T>(outcome: &Result<T, JoinError>) -> bool {
    matches!(outcome, Err(JoinError::Rejected(Rejected::Thread(_))))
}

/// Fails a test that hangs, and none that is slow beside much other work.
fn must_end(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let runner = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(300)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        _ => runner.join().unwrap(),
    }
}

/// Each task is submitted when the one before has started and keeps its
/// worker, so that each asks for a thread of its own.
#[test]
fn the_kth_thread_cannot_be_started_when_each_task_asks_for_one() {
    for k in 0..=MOST {
        must_end(move || {
            let pool = pool(spawner(move |n| n == k));
            let (open, gate) = mpsc::channel::<()>();
            let gate = Arc::new(crate::sync::Mutex::new(gate));
            let handles: Vec<_> = (0..MOST)
                .map(|n| {
                    let (start, started) = mpsc::channel();
                    let gate = Arc::clone(&gate);
                    let handle = pool.submit(move || {
                        let _ = start.send(());
                        let _ = gate.lock().recv();
                        n
                    });
                    // The one whose thread fails starts later, or not at all.
                    if n != k {
                        let _ = started.recv_timeout(Duration::from_millis(200));
                    }
                    handle
                })
                .collect();
            drop(open);
            for (n, handle) in handles.into_iter().enumerate() {
                let outcome = handle.join();
                // With no worker alive nobody else could run it.
                if n == 0 && k == 0 {
                    assert!(is_refused(&outcome));
                } else {
                    assert_eq!(outcome.unwrap(), n);
                }
            }
            assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
        });
    }
}

/// All tasks are submitted at once: one worker starts the next.
#[test]
fn the_kth_thread_cannot_be_started_when_workers_ask_for_the_next() {
    for k in 0..=MOST {
        must_end(move || {
            let pool = pool(spawner(move |n| n == k));
            let handles: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
            let outcomes: Vec<_> = handles.into_iter().map(JoinHandle::join).collect();
            for (n, outcome) in outcomes.into_iter().enumerate() {
                if n == 0 && k == 0 {
                    assert!(is_refused(&outcome));
                } else {
                    assert_eq!(outcome.unwrap(), n);
                }
            }
        });
    }
}

#[test]
fn no_thread_at_all_can_be_started_and_then_they_can() {
    must_end(|| {
        let pool = pool(spawner(|n| n < 3));
        assert!(is_refused(&pool.submit(|| ()).join()));
        let error = pool.try_submit(|| 42).unwrap_err();
        assert!(matches!(error.reason(), Rejected::Thread(_)));
        assert_eq!(error.into_closure()(), 42);
        let cancellable = pool.submit_cancellable(|_| ());
        assert!(is_refused(&cancellable.join()));
        assert_eq!(pool.worker_count(), 0);
        assert_eq!(pool.submit(|| 43).join().unwrap(), 43);
    });
}

/// A second submitter trusts in the thread that the first one is starting.
#[test]
fn tasks_of_others_are_refused_with_the_thread_that_they_trusted_in() {
    must_end(|| {
        let (starting, fail) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let gates = (Arc::clone(&starting), Arc::clone(&fail));
        let refusing = spawner(move |n| {
            if n == 0 {
                gates.0.wait();
                gates.1.wait();
            }
            n == 0
        });
        let pool = Arc::new(pool_of(1, refusing));
        let inside = Arc::clone(&pool);
        let first = thread::spawn(move || inside.submit(|| ()).join());
        starting.wait();
        let trusting = pool.submit(|| ());
        assert!(!trusting.is_finished());
        fail.wait();
        assert!(is_refused(&trusting.join()));
        assert!(is_refused(&first.join().unwrap()));
        assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
    });
}

/// The pool counts the thread that is being started, so whoever joins waits
/// for it.
#[test]
fn join_ends_when_the_thread_that_it_waits_for_cannot_be_started() {
    must_end(|| {
        let (starting, fail) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let gates = (Arc::clone(&starting), Arc::clone(&fail));
        let pool = Arc::new(pool_of(
            1,
            spawner(move |_| {
                gates.0.wait();
                gates.1.wait();
                true
            }),
        ));
        let inside = Arc::clone(&pool);
        let refused = thread::spawn(move || inside.submit(|| ()).join());
        starting.wait();
        let inside = Arc::clone(&pool);
        let joining = thread::spawn(move || inside.join());
        while matches!(pool.core.state.lock().phase, Phase::Open) {
            thread::yield_now();
        }
        // So that it waits by now, most of the time.
        thread::sleep(A_MOMENT);
        fail.wait();
        joining.join().unwrap();
        assert!(is_refused(&refused.join().unwrap()));
    });
}

/// A worker that has fallen asleep while another was being started runs what
/// trusted in that one.
#[test]
fn a_sleeper_takes_over_when_the_next_thread_cannot_be_started() {
    must_end(|| {
        let (starting, fail) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let gates = (Arc::clone(&starting), Arc::clone(&fail));
        let pool = Arc::new(pool(spawner(move |n| {
            if n == 1 {
                gates.0.wait();
                gates.1.wait();
            }
            n == 1
        })));
        let (open, gate) = mpsc::channel::<()>();
        let busy = pool.submit(move || gate.recv());
        let inside = Arc::clone(&pool);
        let second = thread::spawn(move || inside.submit(|| ()).join());
        starting.wait();
        drop(open);
        assert!(busy.join().unwrap().is_err());
        // The worker takes the second task, then has nothing to do.
        second_is_taken(&pool);
        let trusting = pool.submit(|| 42);
        fail.wait();
        assert_eq!(trusting.join().unwrap(), 42);
        second.join().unwrap().unwrap();
    });
}

#[test]
fn a_worker_that_falls_asleep_after_a_failed_start_is_woken() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .max_workers(MOST)
            .initializer(|| Ok(()))
            .spawner(spawner(|n| n == 1))
            .build()
            .unwrap();
        the_first_worker_runs_two_and_sleeps(&pool);
        assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
        assert_eq!(pool.worker_count(), 1);
    });
}

/// The second task asks for a second worker, which must not come to take it.
fn the_first_worker_runs_two_and_sleeps(pool: &ThreadPool) {
    let (open, gate) = mpsc::channel::<()>();
    let busy = pool.submit(move || gate.recv());
    while pool.active_count() == 0 {
        thread::yield_now();
    }
    let second = pool.submit(|| ());
    drop(open);
    second.join().unwrap();
    assert!(busy.join().unwrap().is_err());
    second_is_taken(pool);
}

/// The first worker has taken it, and sleeps.
fn second_is_taken(pool: &ThreadPool) {
    while pool.queued_count() > 0 || pool.core.state.lock().sleeping == 0 {
        thread::yield_now();
    }
}

/// The threads come to nothing until all tasks are submitted.
#[test]
fn threads_that_a_burst_needs_are_started_side_by_side() {
    must_end(|| {
        let (starts, open) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(Barrier::new(MOST + 1)),
        );
        let (counted, gate) = (Arc::clone(&starts), Arc::clone(&open));
        let pool = pool(Box::new(move |index, body| {
            counted.fetch_add(1, Ordering::SeqCst);
            let gate = Arc::clone(&gate);
            let held = move || {
                gate.wait();
                body();
            };
            Ok(Some(spawn(format!("worker-{index}"), None, held)?))
        }));
        let mut handles = Vec::new();
        for task in 1..=2 * MOST {
            handles.push(pool.submit(|| ()));
            assert_eq!(starts.load(Ordering::SeqCst), task.min(MOST));
        }
        open.wait();
        assert!(handles.into_iter().all(|handle| handle.join().is_ok()));
    });
}

#[test]
fn sleepers_are_woken_one_by_the_other() {
    let settings = Settings {
        max_workers: MOST,
        queue_capacity: usize::MAX,
        keep_alive: None,
        initializer: None,
        stack_size: 2 << 20,
        hook: None,
    };
    let mut state = State::new();
    (state.workers, state.sleeping) = (3, 3);
    for first in [true, false, false] {
        let task = ErasedTask::new(Arc::new(Cell::new(|| (), ())));
        state.inbox.push_back(task);
        assert_eq!(matches!(state.plan_wake(&settings), WakePlan::Wake), first);
    }
    assert_eq!((state.sleeping, state.searching, state.permits), (2, 1, 1));
}

#[test]
fn tasks_that_are_gone_are_not_watched_for_a_stop() {
    let mut state = State::new();
    for _ in 0..1000 {
        let task = ErasedTask::new(Arc::new(Cell::new(|| (), CancelToken::new())));
        state.watch_for_stop(&task);
    }
    assert!(state.stoppable.len() < 20);
}

/// Else each of many running tasks would cost a look at all the others.
#[test]
fn tasks_watched_for_a_stop_are_looked_through_ever_more_rarely() {
    let mut state = State::new();
    let mut watch = || {
        let task = ErasedTask::new(Arc::new(Cell::new(|| (), CancelToken::new())));
        state.watch_for_stop(&task);
        task
    };
    // The sixteen first are looked through, and next when they are 32.
    let mut tasks: Vec<_> = std::iter::repeat_with(&mut watch).take(24).collect();
    tasks.truncate(14);
    tasks.extend(std::iter::repeat_with(&mut watch).take(4));
    assert_eq!(state.stoppable.len(), 28);
}

/// Each of the two waits in its initializer until the other is there.
#[test]
fn initializers_run_side_by_side() {
    must_end(|| {
        let both = Barrier::new(2);
        let pool = ThreadPool::builder()
            .max_workers(2)
            .initializer(move || {
                both.wait();
                Ok(())
            })
            .build()
            .unwrap();
        let handles = [1, 2].map(|n| pool.submit(move || n));
        assert_eq!(handles.map(|handle| handle.join().unwrap()), [1, 2]);
    });
}

#[test]
fn a_worker_that_sleeps_ends_when_the_initializer_of_another_fails() {
    must_end(|| {
        let (number, (fail, failing)) = (AtomicUsize::new(0), mpsc::channel::<()>());
        let failing = crate::sync::Mutex::new(failing);
        let pool = ThreadPool::builder()
            .max_workers(2)
            .initializer(move || {
                if number.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Ok(());
                }
                let _ = failing.lock().recv();
                Err("no database".into())
            })
            .build()
            .unwrap();
        the_first_worker_runs_two_and_sleeps(&pool);
        drop(fail);
        // Left alone: a shutdown would wake the worker too.
        while pool.worker_count() > 0 {
            thread::yield_now();
        }
    });
}

#[test]
fn an_idle_worker_is_woken_while_another_is_being_initialized() {
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
        the_first_worker_runs_two_and_sleeps(&pool);
        assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
        drop(let_in);
    });
}

/// The thread runs, and has left the pool, before its starter goes on.
#[test]
fn join_waits_for_a_thread_that_is_not_yet_recorded() {
    must_end(|| {
        let (over, (go_on, gate)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel::<()>());
        let (counted, gate) = (Arc::clone(&over), Arc::new(crate::sync::Mutex::new(gate)));
        let (left, has_left) = mpsc::channel::<()>();
        let (record, may_record) = mpsc::channel::<()>();
        let may_record = crate::sync::Mutex::new(may_record);
        let pool = Arc::new(pool_of(
            1,
            Box::new(move |index, body| {
                let (over, left) = (Arc::clone(&counted), left.clone());
                let gate = Arc::clone(&gate);
                let slow = move || {
                    body();
                    let _ = left.send(());
                    let _ = gate.lock().recv();
                    over.fetch_add(1, Ordering::SeqCst);
                };
                let thread = spawn(format!("worker-{index}"), None, slow)?;
                let _ = may_record.lock().recv();
                Ok(Some(thread))
            }),
        ));
        let inside = Arc::clone(&pool);
        let submitter = thread::spawn(move || inside.submit(|| ()).join());
        while pool.worker_count() == 0 {
            thread::yield_now();
        }
        pool.shutdown();
        has_left.recv().unwrap();
        assert_eq!(pool.worker_count(), 0);
        assert!(pool.join_timeout(Duration::ZERO).is_err());
        let joiner = thread::spawn(move || {
            pool.join();
            over.load(Ordering::SeqCst)
        });
        record.send(()).unwrap();
        submitter.join().unwrap().unwrap();
        go_on.send(()).unwrap();
        assert_eq!(joiner.join().unwrap(), 1);
    });
}

/// The tasks of others are rejected with it, and one of them takes its time.
#[test]
fn join_waits_until_tasks_are_rejected_whose_thread_cannot_be_started() {
    struct Slow(mpsc::Sender<()>, mpsc::Receiver<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.send(());
            let _ = self.1.recv();
        }
    }
    must_end(|| {
        let (starting, fail) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let gates = (Arc::clone(&starting), Arc::clone(&fail));
        let pool = Arc::new(pool_of(
            1,
            spawner(move |_| {
                gates.0.wait();
                gates.1.wait();
                true
            }),
        ));
        let inside = Arc::clone(&pool);
        let first = thread::spawn(move || inside.submit(|| ()).join());
        starting.wait();
        let ((sender, dropping), (open, gate)) = (mpsc::channel(), mpsc::channel());
        let slow = Slow(sender, gate);
        let trusting = pool.submit(move || drop(slow));
        fail.wait();
        dropping.recv().unwrap();
        assert!(pool.join_timeout(Duration::from_millis(20)).is_err());
        drop(open);
        pool.join();
        assert!(trusting.is_finished());
        assert!(is_refused(&first.join().unwrap()));
    });
}

/// How many entries the queue has, empty ones included.
fn entries(pool: &ThreadPool) -> usize {
    let outbox = pool.core.outbox.lock();
    outbox.len() + pool.core.state.lock().inbox.len()
}

#[test]
fn tasks_that_a_worker_submits_and_awaits_leave_no_entries_behind() {
    must_end(|| {
        let pool = Arc::new(pool_of(1, spawner(|_| false)));
        let inner = Arc::clone(&pool);
        let most = pool.submit(move || {
            let mut most = 0;
            for n in 0..10_000 {
                assert_eq!(inner.submit(move || n).join().unwrap(), n);
                most = most.max(entries(&inner));
            }
            most
        });
        assert!(most.join().unwrap() <= 128);
    });
}

#[test]
fn cancelled_tasks_leave_no_more_entries_behind_than_tasks_are_queued() {
    must_end(|| {
        for capacity in [usize::MAX, 1001] {
            let pool = ThreadPool::builder()
                .max_workers(1)
                .queue_capacity(capacity)
                .build()
                .unwrap();
            let ((start, started), (open, gate)) = (mpsc::channel(), mpsc::channel::<()>());
            let busy = pool.submit(move || {
                start.send(()).unwrap();
                gate.recv()
            });
            started.recv().unwrap();
            // Some that stay, in the box of the workers' side too.
            let queued: Vec<_> = (0..1000).map(|n| pool.submit(move || n)).collect();
            for n in 0..10_000 {
                assert!(pool.submit(move || n).cancel());
                assert!(entries(&pool) <= 4 * 1001);
            }
            drop(open);
            assert!(busy.join().unwrap().is_err());
            for (n, handle) in queued.into_iter().enumerate() {
                assert_eq!(handle.join().unwrap(), n);
            }
        }
    });
}

/// Holds a worker as soon as there is an idle one.
fn reserved(pool: &ThreadPool) -> Reserved {
    loop {
        match pool.reserve() {
            Some(worker) => return worker,
            None => thread::yield_now(),
        }
    }
}

#[test]
fn what_is_left_of_a_task_is_done_by_the_thread_that_joins_it_or_by_the_worker_held_for_it() {
    must_end(|| {
        let pool = ThreadPool::new(1);
        assert!(pool.reserve().is_none());
        let worker_of_pool = pool.submit(|| thread::current().id()).join().unwrap();
        let begin = || {
            let worker = reserved(&pool);
            // It counts as one that runs.
            assert_eq!(pool.active_count(), 1);
            assert!(pool.reserve().is_none());
            worker.begin(&CancelToken::new(), || Ok(thread::current().id()))
        };
        assert_eq!(begin().join().unwrap(), thread::current().id());
        let handed_over = begin();
        let queued = pool.submit(|| ());
        assert_eq!(handed_over.join().unwrap(), worker_of_pool);
        queued.join().unwrap();

        let worker = reserved(&pool);
        // Given back, it runs what was queued meanwhile.
        let queued = pool.submit(|| ());
        assert!(!queued.is_finished());
        drop(worker);
        queued.join().unwrap();
    });
}

/// The worker has taken it, and so the queue no longer knows of it.
#[test]
fn a_task_cancelled_on_its_way_from_the_queue_is_withdrawn() {
    let (sender, events) = mpsc::channel();
    let hook = HookBuilder {
        observer: Some(Box::new(move |event| sender.send(*event).unwrap())),
        #[cfg(feature = "tracing")]
        carries_spans: false,
    };
    let hook = Arc::new(hook.build().unwrap());
    let cell = Arc::new(Cell::new(|| (), ()));
    let task = ErasedTask::new(Arc::clone(&cell) as _);
    hook.queue(task.join_pool(u32::MAX).id);
    assert!(task.leave_pool());
    assert!(JoinHandle::new(cell as _).cancel());
    task.run(Some(&hook));
    let events: Vec<_> = events.try_iter().collect();
    assert!(matches!(
        events[..],
        [TaskEvent::Queued { .. }, TaskEvent::Withdrawn { .. }]
    ));
}
