//! `Limit`: so many tasks at the same time, and otherwise like its executor.

use crate::support::{Gate, ON_PURPOSE, PATIENCE, SHORT, alarm, eventually, expect_panics, occupy};
use as_completed::{
    Executor, ExecutorExt, Inline, JoinError, JoinHandle, Limit, Rejected, RejectedTask, Task,
    ThreadPool, as_completed,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock, mpsc};
use std::time::Duration;

/// How many tasks run, and how many have at most.
#[derive(Default)]
struct Running {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Running {
    fn within<T>(&self, body: impl FnOnce() -> T) -> T {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let result = body();
        self.now.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Runs what waits for others, and does not count meanwhile.
    fn waiting<T>(&self, body: impl FnOnce() -> T) -> T {
        self.now.fetch_sub(1, Ordering::SeqCst);
        let result = body();
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        result
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[test]
fn exactly_as_many_run_side_by_side_as_the_limit_says() {
    let _alarm = alarm();
    for (workers, limit) in [(1, 1), (3, 1), (8, 3), (4, 4), (3, 100)] {
        let pool = ThreadPool::new(workers);
        let limited = pool.limit(limit);
        let side_by_side = workers.min(limit);
        let together = Arc::new(Barrier::new(side_by_side));
        let running = Arc::new(Running::default());
        let handles: Vec<_> = (0..40 * side_by_side)
            .map(|_| {
                let (together, running) = (Arc::clone(&together), Arc::clone(&running));
                limited.submit(move || running.within(|| together.wait().is_leader()))
            })
            .collect();
        for handle in handles {
            handle.join().unwrap();
        }
        assert_eq!(running.most(), side_by_side);
    }
}

#[test]
fn a_task_that_waits_for_the_limit_holds_no_worker() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let limited = pool.limit(1);
    let busy = occupy(&limited, 1);
    let waiting: Vec<_> = (0..10).map(|n| limited.submit(move || n)).collect();
    assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
    assert!(waiting.iter().all(|handle| !handle.is_finished()));
    busy.release();
    for (n, handle) in waiting.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), n);
    }
}

#[test]
fn nested_waits_end_at_any_size_of_the_pool_and_the_limit() {
    let _alarm = alarm();
    for workers in [1, 2, 4] {
        for limit in [1, 2, 3] {
            for is_limited in [true, false] {
                let pool = Arc::new(ThreadPool::new(workers));
                let limited = Limit::new(pool, limit);
                assert_eq!(submit(&limited, is_limited, 4).join().unwrap(), 16);
            }
        }
    }
}

fn submit<E: Executor + Clone + 'static>(
    limited: &Limit<E>,
    is_limited: bool,
    depth: u32,
) -> JoinHandle<u32> {
    let inner = limited.clone();
    let task = move || descend(&inner, is_limited, depth);
    if is_limited {
        limited.submit(task)
    } else {
        limited.executor().submit(task)
    }
}

/// Two tasks a level, awaited in either way. A limited task waits for limited ones only:
/// others could wait for its place.
fn descend<E: Executor + Clone + 'static>(limited: &Limit<E>, is_limited: bool, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let both = [true, is_limited].map(|is_limited| submit(limited, is_limited, depth - 1));
    if depth % 2 == 0 {
        both.map(|task| task.join().unwrap()).iter().sum()
    } else {
        as_completed(both).map(|task| task.join().unwrap()).sum()
    }
}

#[test]
fn a_task_lends_its_place_to_what_it_waits_for_and_to_nothing_else() {
    let _alarm = alarm();
    for workers in [1, 3] {
        let pool = Arc::new(ThreadPool::new(workers));
        let limited = Limit::new(Arc::clone(&pool), 1);
        let running = Arc::new(Running::default());
        let handles: Vec<_> = (0..50)
            .map(|_| {
                let (inner, running) = (limited.clone(), Arc::clone(&running));
                limited.submit(move || {
                    running.within(|| {
                        let counted = Arc::clone(&running);
                        let inner = inner.submit(move || counted.within(|| 1));
                        running.waiting(|| inner.join().unwrap())
                    })
                })
            })
            .collect();
        let total: u32 = as_completed(handles).map(|task| task.join().unwrap()).sum();
        assert_eq!((total, running.most()), (50, 1));
    }
}

#[test]
fn workers_that_wait_for_limited_tasks_keep_to_the_limit() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(4));
    let limited = Limit::new(Arc::clone(&pool), 2);
    let running = Arc::new(Running::default());
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let (limited, running) = (limited.clone(), Arc::clone(&running));
            pool.submit(move || {
                let counted = (0..3).map(|_| {
                    let running = Arc::clone(&running);
                    limited.submit(move || running.within(std::thread::yield_now))
                });
                as_completed(counted).for_each(|task| task.join().unwrap());
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    assert!(running.most() <= 2);
}

#[test]
fn what_waits_for_the_limit_can_be_cancelled_alone_and_with_the_pool() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let limited = pool.limit(1);
    let busy = occupy(&limited, 1);
    let waiting = [
        limited.submit(|| 1),
        limited.submit(|| 2),
        limited.submit(|| 3),
    ];
    // The second worker has taken them from the queue, and parked them.
    pool.submit(|| ()).join().unwrap();
    assert_eq!(pool.queued_count(), 0);
    assert!(waiting[1].cancel());
    assert_eq!(pool.cancel_pending(), 2);
    assert!(waiting.iter().all(JoinHandle::is_cancelled));
    busy.release();
    assert_eq!(limited.submit(|| 4).join().unwrap(), 4);

    let started = Arc::new(Barrier::new(2));
    let starts = Arc::clone(&started);
    let runs = limited.submit_cancellable(move |token| {
        starts.wait();
        token.sleep(Duration::MAX)
    });
    started.wait();
    let waits = limited.submit(|| 5);
    pool.cancel_all();
    assert!(!runs.join().unwrap());
    assert!(matches!(waits.join(), Err(JoinError::Cancelled)));
}

#[test]
fn the_end_of_a_task_that_is_asked_to_stop_starts_none_that_is_cancelled_with_it() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let limited = pool.limit(1);
    let (has_started, started) = mpsc::channel();
    let (give, given) = mpsc::channel::<JoinHandle<i32>>();
    let (hand_over, handed) = mpsc::channel();
    let runs = limited.submit_cancellable(move |token| {
        let (stop, stopped) = mpsc::channel();
        // Holds up `cancel_all` until the task has ended and its place was used.
        let _on_cancel = token.on_cancel(move || {
            stop.send(()).unwrap();
            let waits = given.recv().unwrap();
            waits.wait();
            hand_over.send(waits).unwrap();
        });
        has_started.send(()).unwrap();
        stopped.recv()
    });
    started.recv().unwrap();
    let waits = limited.submit(|| 5);
    // The second worker has taken it from the queue, and parked it.
    pool.submit(|| ()).join().unwrap();
    assert_eq!(pool.queued_count(), 0);
    give.send(waits).unwrap();
    assert_eq!(pool.cancel_all(), 1);
    assert_eq!(runs.join().unwrap(), Ok(()));
    let waited = handed.recv().unwrap();
    assert!(matches!(waited.join(), Err(JoinError::Cancelled)));
}

#[test]
fn dropping_the_pool_runs_what_waits_for_the_limit() {
    let _alarm = alarm();
    let ran = Arc::new(AtomicUsize::new(0));
    let pool = ThreadPool::new(3);
    let limited = pool.limit(1);
    for _ in 0..100 {
        let ran = Arc::clone(&ran);
        limited
            .submit(move || ran.fetch_add(1, Ordering::SeqCst))
            .detach();
    }
    drop(limited);
    drop(pool);
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}

#[test]
fn a_panic_frees_the_place() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(2);
    let limited = pool.limit(1);
    let handles: Vec<_> = (0..10)
        .map(|n| limited.submit(move || assert!(n % 2 == 0, "{ON_PURPOSE}")))
        .collect();
    let panics = as_completed(handles).filter_map(|handle| handle.join().err());
    assert_eq!(panics.count(), 5);
}

#[test]
fn a_rejected_task_comes_back_without_its_limit() {
    let _alarm = alarm();
    let closed = ThreadPool::new(1);
    closed.shutdown();
    let limited = closed.limit(1);
    let error = limited.try_submit(|| 1).unwrap_err();
    assert!(matches!(error.reason(), Rejected::ShutDown));
    assert_eq!(error.into_closure()(), 1);
    assert!(limited.submit(|| 2).join().unwrap_err().is_rejected());

    // Also from behind a limit of a limit: then it is in neither.
    let outer = closed.limit(1);
    let nested = outer.limit(1);
    let error = nested.try_submit(|| 3).unwrap_err();
    assert!(matches!(error.reason(), Rejected::ShutDown));
    assert_eq!(error.into_closure()(), 3);
}

/// Hands its tasks to two executors in turn.
struct Turns<E>([E; 2], AtomicUsize);

impl<E: Executor> Executor for Turns<E> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0[self.1.fetch_add(1, Ordering::SeqCst) % 2].execute(task)
    }
}

#[test]
fn tasks_of_one_limit_go_to_one_further_limit_only() {
    let _alarm = alarm();
    let limits = [Inline.limit(1), Inline.limit(1)];
    let limit = Limit::new(Turns(limits, AtomicUsize::new(0)), 1);
    assert_eq!(limit.submit(|| 1).join().unwrap(), 1);
    let error = limit.try_submit(|| 2).unwrap_err();
    assert!(matches!(error.reason(), Rejected::Limited));
    assert_eq!(error.into_closure()(), 2);
    assert_eq!(limit.submit(|| 3).join().unwrap(), 3);
}

#[test]
fn inline_runs_limited_tasks_at_once_also_nested() {
    let _alarm = alarm();
    let nested = Inline
        .limit(1)
        .submit(|| Inline.limit(1).submit(|| 1).join().unwrap());
    assert!(nested.is_finished());
    let limit = Limit::new(Inline, 1);
    let inner = limit.clone();
    let nested = limit.submit(move || inner.submit(|| 2).join().unwrap());
    assert_eq!(nested.join().unwrap(), 2);
}

#[test]
fn maps_and_bounded_pools_go_through_a_limit() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(3)
        .queue_capacity(1)
        .build()
        .unwrap();
    let limited = Limit::new(Arc::new(pool), 2);
    let sum: u64 = limited.map(0..300, |n: u64| n).map(Result::unwrap).sum();
    assert_eq!(sum, 44_850);
    let inner = limited.clone();
    let nested = limited.submit(move || {
        let handles = (0..100_u64).map(|n| inner.submit(move || n));
        as_completed(handles)
            .map(|n| n.join().unwrap())
            .sum::<u64>()
    });
    assert_eq!(nested.join().unwrap(), 4950);
    assert!(format!("{limited:?}").contains("max_tasks: 2"));
}

#[test]
fn cancelled_tasks_that_wait_for_the_limit_are_let_go_of() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let limited = pool.limit(1);
    let busy = occupy(&limited, 1);
    let object = Arc::new(());
    for _ in 0..1000 {
        let held = Arc::clone(&object);
        let handle = limited.submit(move || held);
        assert!(handle.cancel());
    }
    eventually(|| pool.queued_count() == 0);
    assert_eq!(Arc::strong_count(&object), 1);
    busy.release();
}

#[test]
#[should_panic(expected = "at least one task")]
fn a_limit_of_nothing_is_refused() {
    let _ = Inline.limit(0);
}

#[test]
fn a_trait_object_has_a_limit_too() {
    let _alarm = alarm();
    let pool: Arc<dyn Executor> = Arc::new(ThreadPool::new(2));
    assert_eq!(pool.limit(1).submit(|| 1).join().unwrap(), 1);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let limited = Limit::new(Arc::clone(&pool), 1);
    let waits = limited.submit(move || turnstile.pass());
    gate.open();
    waits.join().unwrap();
}

/// How many of the tasks of one limit, and of all, run.
#[test]
fn a_limit_of_a_limit_keeps_to_both() {
    let _alarm = alarm();
    for (workers, outer, inner) in [(4, 2, 1), (4, 3, 2), (8, 2, 4), (2, 1, 1), (1, 2, 2)] {
        let pool = Arc::new(ThreadPool::new(workers));
        let all = Limit::new(pool, outer);
        let hosts = [0, 1, 2].map(|_| Limit::new(all.clone(), inner));
        let running = Arc::new(Running::default());
        let each = [(); 3].map(|()| Arc::new(Running::default()));
        let handles: Vec<_> = (0..300)
            .map(|n| {
                let (running, own) = (Arc::clone(&running), Arc::clone(&each[n % 3]));
                let task = move || running.within(|| own.within(std::thread::yield_now));
                // Some in the outer limit alone.
                if n % 7 == 0 {
                    all.submit(task)
                } else {
                    hosts[n % 3].submit(task)
                }
            })
            .collect();
        // Those that were cancelled while they wait keep nobody from anything.
        let cancelled = handles
            .iter()
            .step_by(5)
            .filter(|handle| handle.cancel())
            .count();
        let ended = as_completed(handles).filter(|handle| !handle.is_cancelled());
        assert_eq!(ended.count() + cancelled, 300);
        assert!(running.most() <= outer.min(workers));
    }
}

#[test]
fn tasks_that_wait_for_a_limit_do_not_use_up_the_limit_around_it() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let all = pool.limit(2);
    let host = Limit::new(&all, 1);
    let busy = occupy(&host, 1);
    let waiting: Vec<_> = (0..10).map(|n| host.submit(move || n)).collect();
    // The other place of the outer limit is free, whoever waits for the host.
    assert_eq!(all.submit(|| 42).join().unwrap(), 42);
    busy.release();
    for (n, handle) in waiting.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), n);
    }
}

/// It has moved on from the inner limit, where the next one relies on it.
#[test]
fn a_task_cancelled_while_it_waits_for_the_outer_limit_lets_the_next_of_the_inner_one_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(3);
    let all = pool.limit(2);
    let host = Limit::new(&all, 1);
    let (in_host, in_all) = (occupy(&host, 1), occupy(&all, 1));
    let (gate, started) = (Gate::new(), Arc::new(Barrier::new(2)));
    let (turnstile, starts) = (gate.turnstile(), Arc::clone(&started));
    // The third worker parks them all.
    let next = all.submit(move || {
        starts.wait();
        turnstile.pass();
    });
    let waiting: Vec<_> = (0..3).map(|n| host.submit(move || n)).collect();
    eventually(|| pool.queued_count() == 0);
    pool.submit(|| ()).join().unwrap();
    in_host.release();
    started.wait();
    // The first of the host's waits for the outer limit now.
    assert!(waiting[0].cancel());
    // So many that those which were cancelled are looked for.
    let others: Vec<_> = (0..100).map(|n| all.submit(move || n)).collect();
    eventually(|| pool.queued_count() == 0);
    gate.open();
    for handle in &waiting[1..] {
        handle.wait();
    }
    in_all.release();
    next.join().unwrap();
    for (n, handle) in others.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), n);
    }
}

/// It must not be parked: the one that runs serves nobody but who waits for it.
#[test]
fn a_task_waits_for_the_place_of_one_that_a_worker_has_claimed() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(2));
    let limited = Limit::new(Arc::clone(&pool), 1);
    let busy = occupy(&*pool, 1);
    let (gate, started) = (Gate::new(), Arc::new(Barrier::new(2)));
    let (turnstile, starts, inner) = (gate.turnstile(), Arc::clone(&started), limited.clone());
    let outer = pool.submit(move || {
        // Nobody else is free to run it.
        inner
            .submit(move || {
                starts.wait();
                turnstile.pass();
            })
            .join()
            .unwrap();
    });
    started.wait();
    let next = limited.submit(|| 42);
    busy.release();
    eventually(|| pool.queued_count() == 0);
    // So that the other worker waits by now, most of the time.
    std::thread::sleep(SHORT);
    gate.open();
    assert_eq!(next.join().unwrap(), 42);
    outer.join().unwrap();
}

/// Two workers wait for the place of one that a worker has claimed. When one of them has
/// it, the other is free for other tasks.
#[test]
fn of_two_that_wait_for_a_claimed_place_one_has_it_and_the_other_holds_no_worker() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(3));
    let limited = Limit::new(Arc::clone(&pool), 1);
    let busy = occupy(&*pool, 2);
    let (claimed, goes_on, places) = (Gate::new(), Gate::new(), Gate::new());
    let (turnstile, last, inner) = (claimed.turnstile(), goes_on.turnstile(), limited.clone());
    let (start, started) = mpsc::channel();
    let outer = pool.submit(move || {
        // Nobody else is free to run it.
        let claimed = inner.submit(move || {
            start.send(()).unwrap();
            turnstile.pass();
        });
        claimed.join().unwrap();
        last.pass();
    });
    started.recv().unwrap();
    let two = [places.turnstile(), places.turnstile()]
        .map(|turnstile| limited.submit(move || turnstile.pass()));
    busy.release();
    eventually(|| pool.queued_count() == 0);
    // So that both wait by now, most of the time.
    std::thread::sleep(SHORT);
    claimed.open();
    assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
    goes_on.open();
    places.open();
    for task in two {
        task.join().unwrap();
    }
    outer.join().unwrap();
}

/// The task is in no queue: the worker that submitted it to its own full pool was to run
/// it at once, and found the limit reached.
#[test]
fn a_task_lends_its_place_to_one_that_a_worker_submitted_to_its_own_full_pool() {
    let _alarm = alarm();
    let pool = ThreadPool::builder().max_workers(2).queue_capacity(1);
    let pool = Arc::new(pool.build().unwrap());
    let limited = Limit::new(Arc::clone(&pool), 1);
    let (give, given) = mpsc::channel::<JoinHandle<i32>>();
    let (start, started) = mpsc::channel();
    let waits = limited.submit(move || {
        start.send(()).unwrap();
        given.recv().unwrap().join().unwrap()
    });
    started.recv().unwrap();
    let inner = Arc::clone(&pool);
    let submits = pool.submit(move || {
        let fills = inner.submit(|| ());
        give.send(limited.submit(|| 42)).unwrap();
        fills
    });
    assert_eq!(waits.join().unwrap(), 42);
    submits.join().unwrap().join().unwrap();
}

#[test]
fn nested_waits_end_in_a_limit_of_a_limit() {
    let _alarm = alarm();
    for workers in [1, 2, 4] {
        for (outer, inner) in [(1, 1), (2, 1), (1, 2), (3, 2)] {
            for is_limited in [true, false] {
                let pool = Arc::new(ThreadPool::new(workers));
                let limited = Limit::new(Limit::new(pool, outer), inner);
                assert_eq!(submit(&limited, is_limited, 4).join().unwrap(), 16);
            }
        }
    }
}

#[test]
fn a_worker_of_another_pool_only_waits_for_a_limited_task() {
    let _alarm = alarm();
    let (pool, other) = (Arc::new(ThreadPool::new(1)), ThreadPool::new(1));
    let worker = pool.submit(|| std::thread::current().id()).join().unwrap();
    let busy = occupy(&*pool, 1);
    let limited = Limit::new(Arc::clone(&pool), 2);
    let awaited = limited.submit(|| std::thread::current().id());
    let (waiting, is_waiting) = mpsc::channel();
    let waiter = other.submit(move || {
        waiting.send(()).unwrap();
        awaited.join().unwrap()
    });
    is_waiting.recv_timeout(PATIENCE).unwrap();
    // So that it waits by now, most of the time.
    std::thread::sleep(SHORT);
    busy.release();
    assert_eq!(waiter.join().unwrap(), worker);
}

/// Of the three, one is free all the time.
#[test]
fn a_worker_that_waits_for_a_limited_task_leaves_it_to_others_that_are_free() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(3));
    let limited = Limit::new(Arc::clone(&pool), 1);
    let outer = pool.submit(move || {
        let awaited = limited.submit(|| std::thread::current().id());
        (awaited.join().unwrap(), std::thread::current().id())
    });
    let (inner, outer) = outer.join().unwrap();
    assert_ne!(inner, outer);
}

/// The other worker has the only place, and what it takes next ends only with the wait.
#[test]
fn a_worker_that_waits_for_a_limited_task_runs_it_when_its_limit_has_room() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(2));
    let limited = Limit::new(Arc::clone(&pool), 1);
    let busy = occupy(&limited, 1);
    let (waiting, is_waiting) = mpsc::channel();
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let ahead = inner.submit(move || turnstile.pass());
        let awaited = limited.submit(|| 42);
        waiting.send(()).unwrap();
        let answer = awaited.join().unwrap();
        gate.open();
        ahead.join().unwrap();
        answer
    });
    is_waiting.recv_timeout(PATIENCE).unwrap();
    // So that it waits by now, most of the time.
    std::thread::sleep(SHORT);
    busy.release();
    assert_eq!(outer.join().unwrap(), 42);
}

/// The other worker is on its way when the wait begins, most of the time, and what it
/// takes ends only with the wait.
#[test]
fn a_worker_that_waits_for_a_limited_task_runs_it_when_no_other_is_free_any_more() {
    let _alarm = alarm();
    for _ in 0..20 {
        let pool = Arc::new(ThreadPool::new(2));
        let limited = Limit::new(Arc::clone(&pool), 1);
        let outer = pool.submit(move || {
            let gate = Gate::new();
            let turnstile = gate.turnstile();
            let ahead = limited.executor().submit(move || turnstile.pass());
            let answer = limited.submit(|| 42).join().unwrap();
            gate.open();
            ahead.join().unwrap();
            answer
        });
        assert_eq!(outer.join().unwrap(), 42);
    }
}

/// Hands its tasks on to what is put there later.
struct Later(OnceLock<Limit<ThreadPool>>);

impl Executor for Later {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.get().unwrap().execute(task)
    }
}

/// Else two limits could wait for each other.
#[test]
fn a_limit_in_a_newer_one_is_refused() {
    let _alarm = alarm();
    let limit = Limit::new(Later(OnceLock::new()), 1);
    let newer = Limit::new(ThreadPool::new(1), 1);
    assert!(limit.executor().0.set(newer).is_ok());
    let error = limit.try_submit(|| 1).unwrap_err();
    assert!(matches!(error.reason(), Rejected::Limited));
    assert_eq!(error.into_closure()(), 1);
}

#[test]
fn limits_are_nested_three_deep() {
    let _alarm = alarm();
    let pool = Limit::new(ThreadPool::new(4), 3);
    let innermost = Limit::new(Limit::new(pool, 2), 1);
    let handles: Vec<_> = (0..20).map(|n| innermost.submit(move || n)).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap(), n);
    }
}

#[test]
fn a_task_that_waits_for_the_limit_holds_no_worker_after_many_have_ended() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(2));
    let limited = Limit::new(Arc::clone(&pool), 1);
    for n in 0..3 {
        assert_eq!(limited.submit(move || n).join().unwrap(), n);
    }
    let busy = occupy(&limited, 1);
    let next = limited.submit(|| 1);
    assert_eq!(pool.submit(|| 2).join().unwrap(), 2);
    busy.release();
    assert_eq!(next.join().unwrap(), 1);
}

/// The places of the limit go to tasks that end only with the wait, which has begun by
/// then, most of the time.
#[test]
fn a_limited_task_runs_what_it_waits_for_when_its_limit_has_no_room_any_more() {
    let _alarm = alarm();
    for _ in 0..20 {
        let pool = Arc::new(ThreadPool::new(3));
        let limited = Limit::new(Arc::clone(&pool), 2);
        let inner = limited.clone();
        let outer = limited.submit(move || {
            let gate = Gate::new();
            let turnstile = gate.turnstile();
            let ahead = inner.submit(move || turnstile.pass());
            let answer = inner.submit(|| 42).join().unwrap();
            gate.open();
            ahead.join().unwrap();
            answer
        });
        assert_eq!(outer.join().unwrap(), 42);
    }
}

/// Hands on to the second what the first refuses.
struct Either<E>(E, ThreadPool);

impl<E: Executor> Executor for Either<E> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        let rejected = match self.0.execute(task) {
            Ok(()) => return Ok(()),
            Err(rejected) => rejected,
        };
        self.1.execute(rejected.into_task())
    }
}

#[test]
fn a_task_that_a_limit_gives_back_runs_elsewhere_without_it() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(1));
    let limited = Limit::new(Arc::clone(&pool), 1);
    // The only place is taken all the time.
    let busy = occupy(&limited, 1);
    pool.shutdown();
    let either = Either(limited.clone(), ThreadPool::new(1));
    assert_eq!(either.submit(|| 1).join().unwrap(), 1);
    // Where the inner limit is left, the outer one is, too.
    let either = Either(Limit::new(limited, 1), ThreadPool::new(1));
    assert_eq!(either.submit(|| 2).join().unwrap(), 2);
    busy.release();
}
