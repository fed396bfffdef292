//! `ThreadPool` and its builder: how many threads, which, and when.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/test_thread_pool.py` and
//! `test_shutdown.py` (names of threads), from the tests of the `threadpool`
//! crate, and from `BS::thread_pool`'s.

use crate::support::{PATIENCE, SHORT, alarm, eventually, occupy};
use as_completed::{
    BuildError, JoinError, JoinHandle, Rejected, ThreadPool, ThreadPoolBuilder, as_completed,
};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn bounded(workers: usize, capacity: usize) -> ThreadPool {
    ThreadPool::builder()
        .max_workers(workers)
        .queue_capacity(capacity)
        .build()
        .unwrap()
}

/// The names of the threads that run tasks when all workers are needed.
fn names_of_all_workers(pool: &ThreadPool) -> Vec<String> {
    let together = Arc::new(Barrier::new(pool.max_workers()));
    let handles = (0..pool.max_workers()).map(|_| {
        let together = Arc::clone(&together);
        pool.submit(move || {
            together.wait();
            thread::current().name().unwrap().to_owned()
        })
    });
    let mut names: Vec<_> = as_completed(handles)
        .map(|handle| handle.join().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let build = |builder: ThreadPoolBuilder| builder.build().unwrap_err();
    let none = build(ThreadPool::builder().max_workers(0));
    assert_eq!(none, BuildError::NoWorkers);
    assert_eq!(
        none.to_string(),
        "a pool needs at least one worker: max_workers is 0"
    );
    let no_room = build(ThreadPool::builder().queue_capacity(0));
    assert_eq!(no_room, BuildError::NoCapacity);
    assert_eq!(
        no_room.to_string(),
        "a queue needs room for at least one task: queue_capacity is 0"
    );
    let name = build(ThreadPool::builder().thread_name("nul\0"));
    assert_eq!(name, BuildError::ThreadName);
}

#[test]
#[should_panic(expected = "at least one worker")]
fn new_refuses_no_workers() {
    let _ = ThreadPool::new(0);
}

#[test]
fn default_is_pythons() {
    let processors = thread::available_parallelism().unwrap().get();
    let expected = 32.min(processors + 4);
    assert_eq!(ThreadPool::default().max_workers(), expected);
    let built = ThreadPool::builder().build().unwrap();
    assert_eq!(built.max_workers(), expected);
    assert_eq!(ThreadPool::new(3).max_workers(), 3);
}

#[test]
fn workers_are_numbered_after_the_name_given() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(3)
        .thread_name("special")
        .build()
        .unwrap();
    assert_eq!(
        names_of_all_workers(&pool),
        ["special-0", "special-1", "special-2"]
    );
    let plain = ThreadPool::new(2);
    let names = names_of_all_workers(&plain);
    let pool_of = |name: &str| name.rsplit_once("-worker-").unwrap().0.to_owned();
    assert!(names[0].ends_with("-worker-0") && names[1].ends_with("-worker-1"));
    assert_eq!(pool_of(&names[0]), pool_of(&names[1]));
    let other = names_of_all_workers(&ThreadPool::new(1));
    assert_ne!(pool_of(&names[0]), pool_of(&other[0]));
}

#[test]
fn threads_start_when_there_is_work_for_them() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    assert_eq!(pool.worker_count(), 0);
    let one = occupy(&pool, 1);
    assert_eq!(pool.worker_count(), 1);
    let two = occupy(&pool, 2);
    assert_eq!(pool.worker_count(), 3);
    assert_eq!(pool.active_count(), 3);
    one.release();
    two.release();
}

#[test]
fn an_idle_worker_is_used_before_a_new_one() {
    let _alarm = alarm();
    let pool = ThreadPool::new(8);
    for _ in 0..100 {
        pool.submit(|| ()).join().unwrap();
        eventually(|| pool.active_count() == 0);
    }
    assert_eq!(pool.worker_count(), 1);
}

#[test]
fn workers_never_outnumber_the_bound() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let busy = occupy(&pool, 4);
    let handles: Vec<_> = (0..60).map(|_| pool.submit(|| ())).collect();
    assert_eq!(pool.worker_count(), 4);
    assert_eq!(pool.queued_count(), 60);
    busy.release();
    assert_eq!(as_completed(handles).count(), 60);
    assert_eq!(pool.worker_count(), 4);
}

#[test]
fn all_workers_can_run_at_once() {
    let _alarm = alarm();
    for workers in [1, 2, 8] {
        let pool = ThreadPool::new(workers);
        // Twice: first on new threads, then on idle ones.
        for _ in 0..2 {
            assert_eq!(names_of_all_workers(&pool).len(), workers);
        }
    }
}

#[test]
fn one_worker_starts_tasks_in_the_order_of_submission() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let (sender, order) = mpsc::channel();
    for number in 0..100 {
        let sender = sender.clone();
        drop(pool.submit(move || sender.send(number)));
    }
    drop(sender);
    busy.release();
    assert_eq!(
        order.iter().collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

#[test]
fn counts_tell_what_goes_on() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 2);
    let queued = [pool.submit(|| ()), pool.submit(|| ()), pool.submit(|| ())];
    assert_eq!((pool.active_count(), pool.queued_count()), (2, 3));
    let text = format!("{pool:?}");
    for part in [
        "max_workers: 2",
        "worker_count: 2",
        "active_count: 2",
        "queued_count: 3",
    ] {
        assert!(text.contains(part), "{text}");
    }
    busy.release();
    assert_eq!(as_completed(queued).count(), 3);
    eventually(|| (pool.active_count(), pool.queued_count()) == (0, 0));
    assert_eq!(pool.worker_count(), 2);
    pool.join();
    assert_eq!(pool.worker_count(), 0);
}

#[test]
fn builder_shows_its_settings() {
    let builder = ThreadPool::builder().max_workers(3).thread_name("x");
    let text = format!("{builder:?}");
    assert!(text.contains("max_workers: 3"), "{text}");
    assert!(text.contains("\"x\""), "{text}");
}

#[test]
fn submit_waits_for_room_in_a_full_queue() {
    let _alarm = alarm();
    let pool = bounded(1, 2);
    let busy = occupy(&pool, 1);
    let first = [pool.submit(|| 0), pool.submit(|| 1)];
    assert!(pool.try_submit(|| ()).is_err());
    thread::scope(|scope| {
        let (sender, submitted) = mpsc::channel();
        let pool = &pool;
        scope.spawn(move || {
            for number in 2..10 {
                sender.send(pool.submit(move || number)).unwrap();
            }
        });
        assert!(submitted.recv_timeout(SHORT).is_err(), "there was no room");
        assert_eq!(pool.queued_count(), 2);
        busy.release();
        let later: Vec<i32> = submitted.iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(later, (2..10).collect::<Vec<_>>());
    });
    assert_eq!(first.map(|handle| handle.join().unwrap()), [0, 1]);
}

#[test]
fn the_queue_never_holds_more_than_its_capacity() {
    let _alarm = alarm();
    let pool = bounded(2, 3);
    let most = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    drop(pool.submit(|| ()));
                    most.fetch_max(pool.queued_count(), Ordering::SeqCst);
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    pool.join();
}

#[test]
fn a_worker_that_submits_to_its_own_full_pool_runs_the_task_itself() {
    let _alarm = alarm();
    let pool = Arc::new(bounded(1, 1));
    let inner = Arc::clone(&pool);
    let order = pool.submit(move || {
        let here = thread::current().id();
        let queued = inner.submit(|| "queued");
        let refused = inner.try_submit(|| ()).is_err();
        let direct = inner.submit(move || thread::current().id() == here);
        let ran_here = direct.is_finished();
        (
            refused,
            ran_here,
            direct.join().unwrap(),
            queued.is_finished(),
        )
    });
    assert_eq!(order.join().unwrap(), (true, true, true, false));
}

#[test]
fn a_tree_of_tasks_passes_through_a_queue_of_one() {
    fn sum(pool: &Arc<ThreadPool>, depth: u32) -> u32 {
        if depth == 0 {
            return 1;
        }
        let halves = [0, 1].map(|_| {
            let inner = Arc::clone(pool);
            pool.submit(move || sum(&inner, depth - 1))
        });
        halves.map(|half| half.join().unwrap()).iter().sum()
    }
    let _alarm = alarm();
    for workers in [1, 2, 8] {
        let pool = Arc::new(bounded(workers, 1));
        assert_eq!(sum(&pool, 8), 256);
    }
}

#[test]
fn cancelling_what_is_queued_makes_room() {
    let _alarm = alarm();
    let pool = bounded(1, 1);
    let busy = occupy(&pool, 1);
    let first = pool.submit(|| 1);
    thread::scope(|scope| {
        let (sender, submitted) = mpsc::channel();
        let pool = &pool;
        scope.spawn(move || sender.send(pool.submit(|| 2)));
        assert!(submitted.recv_timeout(SHORT).is_err(), "there was no room");
        assert_eq!(pool.cancel_pending(), 1);
        let second = submitted.recv_timeout(PATIENCE).unwrap();
        assert!(first.is_cancelled());
        busy.release();
        assert_eq!(second.join().unwrap(), 2);
    });
}

#[test]
fn workers_idle_for_long_enough_end_and_come_back() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(3)
        .keep_alive(Duration::from_millis(1))
        .thread_name("brief")
        .build()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(
            names_of_all_workers(&pool),
            ["brief-0", "brief-1", "brief-2"],
            "indices are used again"
        );
        eventually(|| pool.worker_count() == 0);
    }
    assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
}

#[test]
fn workers_stay_for_an_endless_keep_alive() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .keep_alive(Duration::MAX)
        .build()
        .unwrap();
    pool.submit(|| ()).join().unwrap();
    thread::sleep(SHORT);
    assert_eq!(pool.worker_count(), 1);
}

// The last worker of a pool ends while a task is being submitted: the task
// must not be left to it.
#[test]
fn a_task_submitted_while_the_last_worker_ends_is_run() {
    let _alarm = alarm();
    for keep_alive in [Duration::ZERO, Duration::from_micros(10)] {
        for workers in [1, 2] {
            let pool = ThreadPool::builder()
                .max_workers(workers)
                .keep_alive(keep_alive)
                .build()
                .unwrap();
            // Enough to fail where a task could be lost, on an idle machine; a
            // busy one starts fewer threads in the time.
            let start = Instant::now();
            for number in 0..4_000 {
                if start.elapsed() > Duration::from_secs(2) {
                    break;
                }
                let handle = pool.submit(move || number);
                assert_eq!(handle.wait_timeout(PATIENCE), Ok(()), "task {number}");
                // Another moment of the worker's end each time.
                for _ in 0..number % 2_000 {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

#[test]
fn stack_size_is_what_a_task_has() {
    #[inline(never)]
    fn deep(levels: usize) -> usize {
        let frame = std::hint::black_box([levels; 128]);
        match levels {
            0 => frame[0],
            _ => deep(levels - 1) + frame[127] - levels + 1,
        }
    }
    let _alarm = alarm();
    // A kilobyte and more a level: 16 MiB, where 2 MiB are usual.
    let pool = ThreadPool::builder()
        .max_workers(1)
        .stack_size(256 << 20)
        .build()
        .unwrap();
    assert_eq!(pool.submit(|| deep(16_000)).join().unwrap(), 16_000);
}

#[test]
fn no_thread_to_be_had_is_said_to_every_handle() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(2)
        .stack_size(1 << 46)
        .build()
        .unwrap();
    for _ in 0..3 {
        match pool.submit(|| ()).join() {
            Err(JoinError::Rejected(Rejected::Thread(error))) => {
                assert!(!error.to_string().is_empty());
                assert_ne!(error.kind(), std::io::ErrorKind::NotFound);
            }
            other => panic!("{other:?}"),
        }
    }
    let error = pool.try_submit(|| 42).unwrap_err();
    assert!(matches!(error.reason(), Rejected::Thread(_)));
    assert_eq!(error.into_closure()(), 42);
    assert_eq!((pool.worker_count(), pool.queued_count()), (0, 0));
    pool.join();
}

#[test]
fn a_mass_of_tasks_is_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(8);
    let together = Arc::new(Barrier::new(9));
    for _ in 0..8 {
        let together = Arc::clone(&together);
        drop(pool.submit(move || {
            together.wait();
            together.wait();
        }));
    }
    together.wait();
    let (sender, numbers) = mpsc::channel();
    for number in 0..4_200 {
        let sender = sender.clone();
        drop(pool.submit(move || sender.send(number)));
    }
    drop(sender);
    together.wait();
    let seen: HashSet<_> = numbers.iter().collect();
    assert_eq!(seen.len(), 4_200);
}

#[test]
fn a_pool_is_shared_by_threads_that_submit_and_wait() {
    let _alarm = alarm();
    let pool = ThreadPool::new(3);
    thread::scope(|scope| {
        for thread in 0..6 {
            let pool = &pool;
            scope.spawn(move || {
                for number in 0..200 {
                    let handle: JoinHandle<i32> = pool.submit(move || thread * number);
                    assert_eq!(handle.join().unwrap(), thread * number);
                }
            });
        }
    });
}

// rust#74875 and its like: destructors of thread-locals run late in a thread's
// life, when others of them are gone.
#[test]
fn a_destructor_of_a_thread_local_submits_and_joins() {
    struct Submits(Arc<ThreadPool>, mpsc::Sender<i32>);
    impl Drop for Submits {
        fn drop(&mut self) {
            let handle = self.0.submit(|| 42);
            let result = as_completed([handle]).map(|handle| handle.join().unwrap());
            self.1.send(result.sum()).unwrap();
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<Submits>> = const { std::cell::RefCell::new(None) };
    }
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let (sender, results) = mpsc::channel();
    let (inside, sent) = (Arc::clone(&pool), sender.clone());
    thread::spawn(move || LATE.set(Some(Submits(inside, sent))));
    assert_eq!(results.recv_timeout(PATIENCE), Ok(42));

    // The same from a worker of another pool, while that is joined.
    let other = ThreadPool::new(1);
    other
        .submit(move || LATE.set(Some(Submits(pool, sender))))
        .join()
        .unwrap();
    other.join();
    assert_eq!(results.try_recv(), Ok(42), "joined with its destructors");

    // And from a worker of the same pool, which it has left by then.
    let own = ThreadPool::builder()
        .max_workers(1)
        .keep_alive(Duration::from_millis(1))
        .build()
        .unwrap();
    let own = Arc::new(own);
    let (sender, results) = mpsc::channel();
    let inside = Arc::clone(&own);
    own.submit(move || LATE.set(Some(Submits(inside, sender))))
        .join()
        .unwrap();
    assert_eq!(results.recv_timeout(PATIENCE), Ok(42));
    own.join();
}

/// Processor time of a thread in ticks, a hundred of which make a second.
#[cfg(target_os = "linux")]
pub(crate) fn ticks(thread: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[cfg(target_os = "linux")]
pub(crate) fn own_thread_number() -> String {
    let link = std::fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

// crossbeam#821: waiters that spin for as long as they wait.
#[cfg(target_os = "linux")]
#[test]
fn idle_workers_and_waiting_threads_use_no_processor_time() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let idle = pool.submit(own_thread_number).join().unwrap();
    let busy = occupy(&pool, 1);
    let handle = pool.submit(own_thread_number);
    let other = handle.join().unwrap();
    let (sender, waiters) = mpsc::channel();
    thread::scope(|scope| {
        let (joins, iterates) = (sender.clone(), sender);
        let slow = &busy.handles()[0];
        scope.spawn(move || {
            joins.send(own_thread_number()).unwrap();
            slow.wait();
        });
        scope.spawn(move || {
            iterates.send(own_thread_number()).unwrap();
            assert_eq!(as_completed([slow]).count(), 1);
        });
        let threads = [
            idle,
            other,
            waiters.recv().unwrap(),
            waiters.recv().unwrap(),
        ];
        // The quiet is what is measured. Each thread may use a tenth of it.
        thread::sleep(SHORT);
        let before = threads.each_ref().map(|thread| ticks(thread));
        thread::sleep(Duration::from_millis(500));
        let after = threads.each_ref().map(|thread| ticks(thread));
        for (before, after) in before.iter().zip(after) {
            assert!(after - before <= 5, "{} ticks", after - before);
        }
        busy.open();
    });
}
