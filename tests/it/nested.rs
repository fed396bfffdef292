//! Tasks that wait for tasks of their own pool, at any pool size.
//!
//! The behaviours come from what deadlocks or misbehaves elsewhere: a worker
//! that waits (`CPython`, `threadpool`, `BS::thread_pool`'s deadlock checks), and a
//! worker that runs whatever is queued while it waits (rayon#592, rayon#1174).
//! The model is the JDK's `ForkJoinPool.tryRemoveAndExec`.

use crate::support::{Gate, alarm, eventually, occupy};
use as_completed::{JoinHandle, ReturnWhen, ThreadPool, as_completed, wait};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const SIZES: [usize; 3] = [1, 2, 8];

/// How a task waits for those that it has submitted, and takes their sum.
type Gather = fn(&Arc<ThreadPool>, Vec<JoinHandle<u64>>) -> u64;

fn by_join(_: &Arc<ThreadPool>, handles: Vec<JoinHandle<u64>>) -> u64 {
    handles.into_iter().map(|one| one.join().unwrap()).sum()
}

fn by_as_completed(_: &Arc<ThreadPool>, handles: Vec<JoinHandle<u64>>) -> u64 {
    as_completed(handles).map(|one| one.join().unwrap()).sum()
}

fn by_wait(_: &Arc<ThreadPool>, handles: Vec<JoinHandle<u64>>) -> u64 {
    let waited = wait(handles, ReturnWhen::AllCompleted, None);
    assert!(waited.pending.is_empty());
    waited.done.into_iter().map(|one| one.join().unwrap()).sum()
}

fn by_first_completed(_: &Arc<ThreadPool>, mut handles: Vec<JoinHandle<u64>>) -> u64 {
    let mut sum = 0;
    while !handles.is_empty() {
        let waited = wait(handles, ReturnWhen::FirstCompleted, None);
        sum += waited
            .done
            .into_iter()
            .map(|one| one.join().unwrap())
            .sum::<u64>();
        handles = waited.pending;
    }
    sum
}

const GATHERERS: [Gather; 4] = [by_join, by_as_completed, by_wait, by_first_completed];

/// Counts tasks that run, and the most at a time.
///
/// A task that waits counts as running: its worker is not free, though it may
/// be running the awaited task.
#[derive(Default)]
struct Census {
    threads: Mutex<std::collections::HashMap<thread::ThreadId, usize>>,
    most: AtomicUsize,
    tasks: AtomicUsize,
}

impl Census {
    fn within<T>(&self, task: impl FnOnce() -> T) -> T {
        self.tasks.fetch_add(1, Ordering::SeqCst);
        let here = thread::current().id();
        let mut threads = self.threads.lock().unwrap();
        *threads.entry(here).or_default() += 1;
        self.most.fetch_max(threads.len(), Ordering::SeqCst);
        drop(threads);
        let result = task();
        let mut threads = self.threads.lock().unwrap();
        let depth = threads.get_mut(&here).unwrap();
        *depth -= 1;
        if *depth == 0 {
            threads.remove(&here);
        }
        result
    }
}

/// A tree of tasks, each of which waits for its children.
fn grow(
    pool: &Arc<ThreadPool>,
    census: &Arc<Census>,
    (width, depth): (u64, u32),
    gather: Gather,
) -> u64 {
    if depth == 0 {
        return 1;
    }
    let children = (0..width)
        .map(|_| {
            let (inner, counted) = (Arc::clone(pool), Arc::clone(census));
            pool.submit(move || {
                counted.within(|| grow(&inner, &counted, (width, depth - 1), gather))
            })
        })
        .collect();
    gather(pool, children)
}

#[test]
fn trees_of_tasks_deep_and_wide_are_gathered_at_any_size() {
    let _alarm = alarm();
    for workers in SIZES {
        for gather in GATHERERS {
            for (width, depth) in [(1, 100), (2, 7), (10, 2), (300, 1)] {
                let pool = Arc::new(ThreadPool::new(workers));
                let census = Arc::new(Census::default());
                let (inner, counted) = (Arc::clone(&pool), Arc::clone(&census));
                let root = pool.submit(move || {
                    counted.within(|| grow(&inner, &counted, (width, depth), gather))
                });
                assert_eq!(root.join().unwrap(), width.pow(depth));
                let most = census.most.load(Ordering::SeqCst);
                assert!(most <= workers, "{most} ran on {workers} workers");
                let tasks: u64 = (0..=depth).map(|level| width.pow(level)).sum();
                assert_eq!(census.tasks.load(Ordering::SeqCst) as u64, tasks);
                assert!(pool.worker_count() <= workers);
            }
        }
    }
}

#[test]
fn maps_within_maps_end_at_any_size() {
    let _alarm = alarm();
    for workers in SIZES {
        let pool = Arc::new(ThreadPool::new(workers));
        let inner = Arc::clone(&pool);
        let sums = pool.map(0..6_u64, move |base| {
            let ordered = inner.map(0..5, move |n: u64| base * n);
            let unordered = inner.map_unordered(0..5, move |n: u64| base + n);
            ordered.chain(unordered).map(Result::unwrap).sum::<u64>()
        });
        let total: u64 = sums.buffer(2).map(Result::unwrap).sum();
        assert_eq!(total, 15 * 10 + 5 * 15 + 6 * 10);
    }
}

#[test]
fn fibonacci_by_tasks() {
    fn fibonacci(pool: &Arc<ThreadPool>, n: u32) -> u64 {
        if n < 2 {
            return u64::from(n);
        }
        let inner = Arc::clone(pool);
        let left = pool.submit(move || fibonacci(&inner, n - 1));
        let right = fibonacci(pool, n - 2);
        left.join().unwrap() + right
    }
    let _alarm = alarm();
    for workers in SIZES {
        let pool = Arc::new(ThreadPool::new(workers));
        assert_eq!(fibonacci(&pool, 15), 610);
    }
}

#[test]
fn the_front_page_one_worker_and_no_deadlock() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let answer = pool.submit(move || inner.submit(|| 42).join().unwrap());
    assert_eq!(answer.join().unwrap(), 42);
}

#[test]
fn the_awaited_task_runs_on_the_worker_that_waits_and_once() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let runs = Arc::new(AtomicUsize::new(0));
    let (inner, counted) = (Arc::clone(&pool), Arc::clone(&runs));
    let same = pool.submit(move || {
        let nested = inner.submit(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::current().id()
        });
        assert_eq!(inner.queued_count(), 1);
        nested.join().unwrap() == thread::current().id()
    });
    assert!(same.join().unwrap());
    // The worker comes across the task that it has run already.
    eventually(|| pool.queued_count() == 0);
    pool.join();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

// rayon#592: a worker that waits runs what is queued before, which may want a
// lock that the waiting task holds.
#[test]
fn a_worker_that_waits_runs_the_awaited_task_and_nothing_else() {
    let _alarm = alarm();
    for gather in GATHERERS {
        let pool = Arc::new(ThreadPool::new(1));
        let busy = occupy(&*pool, 1);
        let (lock, inner) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&pool));
        let held = Arc::clone(&lock);
        let outer = pool.submit(move || {
            let mut order = held.lock().unwrap();
            let awaited = vec![inner.submit(|| 1), inner.submit(|| 2)];
            order.push("outer");
            gather(&inner, awaited)
        });
        let wanted = Arc::clone(&lock);
        let earlier = pool.submit(move || {
            wanted
                .try_lock()
                .map(|mut order| order.push("other"))
                .is_ok()
        });
        busy.release();
        assert_eq!(outer.join().unwrap(), 3);
        assert!(earlier.join().unwrap(), "it ran while the lock was held");
        assert_eq!(*lock.lock().unwrap(), ["outer", "other"]);
    }
}

#[test]
fn waits_with_a_timeout_only_wait() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let soon = Duration::from_millis(1);
        let nested = inner.submit(|| 42);
        assert!(nested.wait_timeout(soon).is_err());
        let mut all = as_completed([&nested]);
        assert!(all.next_timeout(soon).is_err());
        drop(all);
        assert!(
            as_completed([&nested])
                .timeout(soon)
                .all(|next| next.is_err())
        );
        let waited = wait([&nested], ReturnWhen::AllCompleted, Some(soon));
        assert!(waited.done.is_empty());
        let mapped = inner.map([1], |n| n).timeout(soon).next();
        assert!(mapped.unwrap().is_err());
        nested
    });
    let nested = outer.join().unwrap();
    assert_eq!(nested.join().unwrap(), 42);
}

/// However long the timeout: the other worker runs the task when it is free.
#[test]
fn waits_with_an_endless_timeout_only_wait() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(2));
    let other = occupy(&*pool, 1);
    let (waiting, waits) = mpsc::channel();
    let inner = Arc::clone(&pool);
    let waiter = pool.submit(move || {
        let task = inner.submit(|| thread::current().id());
        let mut handles = as_completed([task]).timeout(Duration::MAX);
        waiting.send(()).unwrap();
        let task = handles.next().unwrap().unwrap();
        (thread::current().id(), task.join().unwrap())
    });
    waits.recv().unwrap();
    other.release();
    let (mine, ran_on) = waiter.join().unwrap();
    assert_ne!(mine, ran_on);
}

#[test]
fn threads_outside_the_pool_only_wait() {
    let _alarm = alarm();
    let (pool, other) = (Arc::new(ThreadPool::new(1)), ThreadPool::new(1));
    for from_worker_of_other in [false, true] {
        let busy = occupy(&*pool, 1);
        let handle = pool.submit(|| thread::current().id());
        let (sender, waiting) = mpsc::channel();
        let wait = move || {
            sender.send(()).unwrap();
            (handle.join().unwrap(), thread::current().id())
        };
        let waiter = if from_worker_of_other {
            other.submit(wait)
        } else {
            let (result, handle) = mpsc::channel();
            thread::spawn(move || result.send(wait()));
            other.submit(move || handle.recv().unwrap())
        };
        waiting.recv().unwrap();
        assert!(!waiter.is_finished());
        busy.release();
        let worker = pool.submit(|| thread::current().id()).join().unwrap();
        let (ran_on, waited_on) = waiter.join().unwrap();
        assert_eq!(ran_on, worker);
        assert_ne!(waited_on, worker);
    }
}

#[test]
fn a_task_that_another_worker_has_started_is_waited_for() {
    let _alarm = alarm();
    for gather in GATHERERS {
        let pool = Arc::new(ThreadPool::new(2));
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let (sender, started) = mpsc::channel();
        let running = pool.submit(move || {
            sender.send(()).unwrap();
            turnstile.pass();
            42
        });
        started.recv().unwrap();
        let inner = Arc::clone(&pool);
        let (sender, waiting) = mpsc::channel();
        let outer = pool.submit(move || {
            sender.send(()).unwrap();
            gather(&inner, vec![running])
        });
        waiting.recv().unwrap();
        gate.open();
        assert_eq!(outer.join().unwrap(), 42);
    }
}

#[test]
fn a_chain_of_tasks_each_waiting_for_the_one_before() {
    let _alarm = alarm();
    for workers in SIZES {
        let pool = ThreadPool::new(workers);
        let busy = occupy(&pool, workers);
        let mut last = pool.submit(|| 0);
        for _ in 0..500 {
            last = pool.submit(move || last.join().unwrap() + 1);
        }
        busy.release();
        assert_eq!(last.join().unwrap(), 500);
    }
}

#[test]
fn several_tasks_wait_for_one_and_it_runs_once() {
    let _alarm = alarm();
    for workers in SIZES {
        let pool = ThreadPool::new(workers);
        let busy = occupy(&pool, workers);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let shared = Arc::new(pool.submit(move || counted.fetch_add(1, Ordering::SeqCst)));
        let waiters: Vec<_> = (0..16)
            .map(|number| {
                let shared = Arc::clone(&shared);
                pool.submit(move || match number % 3 {
                    0 => shared.wait(),
                    1 => assert_eq!(as_completed([&*shared]).count(), 1),
                    _ => {
                        let all = wait([&*shared], ReturnWhen::AllCompleted, None);
                        assert_eq!(all.done.len(), 1);
                    }
                })
            })
            .collect();
        busy.release();
        for waiter in as_completed(waiters) {
            waiter.join().unwrap();
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_worker_that_iterates_takes_pushed_tasks_too() {
    let _alarm = alarm();
    for workers in SIZES {
        let pool = Arc::new(ThreadPool::new(workers));
        let inner = Arc::clone(&pool);
        let visited = pool.submit(move || {
            let mut all = as_completed([inner.submit(|| 32_u32)]);
            let mut visited = 0;
            while let Some(handle) = all.next() {
                visited += 1;
                let number = handle.join().unwrap();
                if number > 1 {
                    all.push(inner.submit(move || number / 2));
                    all.push(inner.submit(move || number / 2));
                }
            }
            visited
        });
        assert_eq!(visited.join().unwrap(), 63);
    }
}

#[test]
fn an_iterator_handed_to_a_worker_claims_from_there() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    // The outer task comes first, so its worker is the only one for the rest.
    let (sender, handed) = mpsc::channel();
    let outer = pool.submit(move || {
        let all: as_completed::AsCompleted<JoinHandle<i32>> = handed.recv().unwrap();
        all.map(|handle| handle.join().unwrap()).sum::<i32>()
    });
    let mut all = as_completed([pool.submit(|| 1), pool.submit(|| 2)]);
    assert!(all.next_timeout(Duration::ZERO).is_err());
    sender.send(all).unwrap();
    busy.release();
    assert_eq!(outer.join().unwrap(), 3);
}

#[test]
fn cancelling_an_awaited_task_ends_the_wait_of_a_worker() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let other = ThreadPool::new(1);
    let busy = occupy(&other, 1);
    let foreign = Arc::new(other.submit(|| ()));
    let awaited = Arc::clone(&foreign);
    let waiter = pool.submit(move || {
        awaited.wait();
        awaited.is_cancelled()
    });
    assert!(foreign.cancel());
    assert!(waiter.join().unwrap());
    busy.release();
}

#[test]
fn scoped_tasks_wait_for_scoped_tasks() {
    let _alarm = alarm();
    let numbers: Vec<u64> = (0..64).collect();
    for workers in SIZES {
        let sum = ThreadPool::scope(workers, |pool| {
            let inside = pool.clone();
            let numbers = &numbers;
            pool.submit(move || {
                let parts = numbers.chunks(4).map(|part| {
                    let deeper = inside.clone();
                    inside.submit(move || {
                        let handles = part.iter().map(|number| deeper.submit(move || *number));
                        as_completed(handles)
                            .map(|one| one.join().unwrap())
                            .sum::<u64>()
                    })
                });
                as_completed(parts)
                    .map(|one| one.join().unwrap())
                    .sum::<u64>()
            })
            .join()
            .unwrap()
        });
        assert_eq!(sum, 2016);
    }
}

#[test]
fn the_first_completed_of_several_costs_a_worker_one_task() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let split = pool.submit(move || {
        let handles = [0; 3].map(|_| inner.submit(|| ()));
        let waited = wait(handles, ReturnWhen::FirstCompleted, None);
        (waited.done.len(), waited.pending.len())
    });
    assert_eq!(split.join().unwrap(), (1, 2));
}

#[test]
fn a_task_that_was_claimed_is_not_cancelled_with_the_queue() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let counts = pool.submit(move || {
        inner.submit(|| ()).join().unwrap();
        let pending = inner.submit(|| ());
        (inner.cancel_pending(), pending.is_cancelled())
    });
    assert_eq!(counts.join().unwrap(), (1, true));
}

/// How a worker takes the first of several to end.
type TakeFirst = fn(Vec<JoinHandle<u64>>) -> (JoinHandle<u64>, Vec<JoinHandle<u64>>);

const TAKERS: [TakeFirst; 2] = [
    |handles| {
        let mut waited = wait(handles, ReturnWhen::FirstCompleted, None);
        (waited.done.remove(0), waited.pending)
    },
    |handles| {
        let mut all = as_completed(handles);
        (all.next().unwrap(), all.into_pending())
    },
];

// A worker that claims the first of the awaited tasks, though others are free to
// run it, makes a deadlock that a pool without claims does not have.
#[test]
fn a_worker_that_waits_leaves_the_awaited_tasks_to_free_workers() {
    let _alarm = alarm();
    for take_first in TAKERS {
        let pool = Arc::new(ThreadPool::new(8));
        for _ in 0..50 {
            // A worker that is held up after its task is not free, and of such there may
            // be many.
            eventually(|| pool.active_count() == 0);
            let inner = Arc::clone(&pool);
            let outer = pool.submit(move || {
                let gate = Gate::new();
                let turnstile = gate.turnstile();
                let blocked = inner.submit(move || {
                    turnstile.pass();
                    1
                });
                let quick = inner.submit(|| 2);
                let (first, rest) = take_first(vec![blocked, quick]);
                gate.open();
                (first.join().unwrap(), by_join(&inner, rest))
            });
            assert_eq!(outer.join().unwrap(), (2, 1));
        }
    }
}

#[test]
fn a_worker_that_waits_takes_over_when_the_last_free_worker_is_not_free_any_more() {
    let _alarm = alarm();
    for gather in GATHERERS {
        for _ in 0..50 {
            let pool = Arc::new(ThreadPool::new(2));
            let inner = Arc::clone(&pool);
            let outer = pool.submit(move || {
                let gate = Gate::new();
                let turnstile = gate.turnstile();
                // Queued first, for the other worker; ends after the awaited one.
                let other = inner.submit(move || turnstile.pass());
                let awaited = inner.submit(move || {
                    gate.open();
                    42
                });
                let sum = gather(&inner, vec![awaited]);
                other.join().unwrap();
                sum
            });
            assert_eq!(outer.join().unwrap(), 42);
        }
    }
}

/// On each worker it runs what nobody else can, whichever has looked before.
#[test]
fn an_iterator_handed_from_the_worker_of_one_pool_to_that_of_another_claims_there() {
    let _alarm = alarm();
    let (one, other) = (Arc::new(ThreadPool::new(1)), Arc::new(ThreadPool::new(1)));
    let (sender, handed) = mpsc::channel();
    let second = other.submit(move || {
        let all: as_completed::AsCompleted<JoinHandle<i32>> = handed.recv().unwrap();
        all.map(|handle| handle.join().unwrap()).sum::<i32>()
    });
    let (own, others) = (Arc::clone(&one), Arc::clone(&other));
    let first = one.submit(move || {
        // The other worker waits for the iterator, and its task behind it.
        let mut all = as_completed([others.submit(|| 1), own.submit(|| 2)]);
        let first = all.next().unwrap().join().unwrap();
        sender.send(all).unwrap();
        first
    });
    assert_eq!(first.join().unwrap(), 2);
    assert_eq!(second.join().unwrap(), 1);
}
