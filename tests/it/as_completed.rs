//! `as_completed`: every handle once, in the order in which tasks end.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/test_as_completed.py`,
//! dask's `distributed/tests/test_as_completed.py`, tokio's `task_join_set.rs` and
//! tokio-util's `task_join_map.rs`, and the JDK's `ExecutorCompletionServiceTest`.

#[cfg(target_os = "linux")]
use crate::pool::{own_thread_number, ticks};
use crate::support::{Gate, ON_PURPOSE, PATIENCE, SHORT, alarm, expect_panics, occupy};
use as_completed::{
    Inline, JoinError, JoinHandle, Rejected, ThreadPool, WaitTimeoutError, as_completed,
};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A handle of each kind of end, in the order returned, panicked, cancelled,
/// rejected.
fn one_of_each_end() -> Vec<JoinHandle<u32>> {
    expect_panics();
    let pool = ThreadPool::new(1);
    let returned = pool.submit(|| 42);
    let panicked = pool.submit(|| panic!("{ON_PURPOSE}"));
    let _ = returned.wait_timeout(Duration::MAX);
    let _ = panicked.wait_timeout(Duration::MAX);
    let busy = occupy(&pool, 1);
    let cancelled = pool.submit(|| 0);
    assert!(cancelled.cancel());
    busy.release();
    pool.shutdown();
    let rejected = pool.submit(|| 0);
    vec![returned, panicked, cancelled, rejected]
}

fn ids<T>(handles: &[JoinHandle<T>]) -> Vec<as_completed::TaskId> {
    handles.iter().map(JoinHandle::id).collect()
}

#[test]
fn every_handle_comes_once_whatever_its_end() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let mut handles = one_of_each_end();
    handles.push(pool.submit(|| 2 * 21));
    handles.push(pool.submit(|| 7 * 6));
    let expected: HashSet<_> = ids(&handles).into_iter().collect();

    let mut seen = HashSet::new();
    for handle in as_completed(handles) {
        assert!(handle.is_finished());
        assert!(seen.insert(handle.id()), "a handle came twice");
    }
    assert_eq!(seen, expected);
}

#[test]
fn results_and_errors_come_with_their_handles() {
    let _alarm = alarm();
    let ends: Vec<_> = as_completed(one_of_each_end())
        .map(JoinHandle::join)
        .collect();
    assert_eq!(ends.len(), 4);
    assert!(matches!(ends[0], Ok(42)));
    assert!(ends[1].as_ref().is_err_and(JoinError::is_panic));
    assert!(ends[2].as_ref().is_err_and(JoinError::is_cancelled));
    assert!(matches!(
        ends[3],
        Err(JoinError::Rejected(Rejected::ShutDown))
    ));
}

#[test]
fn finished_handles_come_first_in_the_order_given() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let pending = pool.submit(|| 0);
    let mut handles = vec![pending];
    handles.extend(one_of_each_end());
    let expected = ids(&handles);

    let mut all = as_completed(&handles);
    let first: Vec<_> = all.by_ref().take(4).map(JoinHandle::id).collect();
    assert_eq!(first, expected[1..]);
    busy.release();
    assert_eq!(all.next().map(JoinHandle::id), Some(expected[0]));
    assert!(all.next().is_none());
}

#[test]
fn tasks_that_end_before_the_first_next_still_come_in_the_order_of_their_ends() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let gates: Vec<_> = (0..4).map(|_| Gate::new()).collect();
    let handles: Vec<_> = gates
        .iter()
        .map(|gate| {
            let turnstile = gate.turnstile();
            pool.submit(move || turnstile.pass())
        })
        .collect();
    let all = as_completed(&handles);
    let order = [2, 0, 3, 1];
    for place in order {
        gates[place].open();
        handles[place].wait();
    }
    let seen: Vec<_> = all.map(JoinHandle::id).collect();
    assert_eq!(seen, order.map(|place| handles[place].id()));
}

#[test]
fn next_returns_when_one_task_ends_though_others_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 1);
    let quick = pool.submit(|| ());
    let id = quick.id();
    let mut all = as_completed(busy.handles().iter().chain([&quick]));
    assert_eq!(all.next().map(JoinHandle::id), Some(id));
    assert_eq!(all.len(), 1);
    drop(all);
    busy.release();
}

#[test]
fn empty_input_ends_at_once() {
    let mut none = as_completed(Vec::<JoinHandle<()>>::new());
    assert_eq!(none.len(), 0);
    assert!(none.next().is_none());
    assert_eq!(none.next_timeout(Duration::MAX).unwrap().map(drop), None);
    assert!(none.timeout(Duration::ZERO).next().is_none());
}

#[test]
fn timeout_of_zero_yields_what_is_finished_then_reports() {
    let _alarm = alarm();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
        let pool = ThreadPool::new(1);
        let busy = occupy(&pool, 1);
        let mut handles = one_of_each_end();
        let finished = ids(&handles);
        handles.push(pool.submit(|| 0));

        let mut seen = Vec::new();
        let mut errors = Vec::new();
        for next in as_completed(handles).timeout(timeout) {
            match next {
                Ok(handle) => seen.push(handle.id()),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(seen, finished);
        let counts: Vec<_> = errors
            .iter()
            .map(|error| (error.pending, error.total))
            .collect();
        assert_eq!(counts, [(1, 5)], "reported once, then the end");
        busy.release();
    }
}

#[test]
fn timeout_is_reported_with_the_counts() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut handles = one_of_each_end();
    handles.truncate(2);
    handles.push(pool.submit(|| 0));
    handles.push(pool.submit(|| 0));
    let error = as_completed(&handles)
        .timeout(Duration::ZERO)
        .find_map(Result::err)
        .unwrap();
    assert_eq!(error.to_string(), "2 (of 4) tasks unfinished");
    busy.release();
}

// CPython starts the clock at the first `next`, which makes the bound depend on
// what the loop does before; here it starts at the call.
// Two workers: one waits, and the other is kept by a task of the limit, so that nobody
// else is free to run what the waiting one has behind a task of that limit.
#[test]
fn a_worker_runs_what_it_waits_for_behind_a_task_whose_limit_is_reached() {
    let _alarm = alarm();
    let pool = Arc::new(ThreadPool::new(2));
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let (first, second) = (inner.limit(1), inner.limit(1));
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let (sender, started) = mpsc::channel();
        let holds = first.submit(move || {
            sender.send(()).unwrap();
            turnstile.pass();
            1
        });
        started.recv_timeout(PATIENCE).unwrap();
        let (reached, in_limit) = (first.submit(|| 2), second.submit(|| 3));
        let opens = inner.submit(move || {
            gate.open();
            4
        });
        let all = as_completed([holds, reached, in_limit, opens]);
        all.map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    let order = outer.join().unwrap();
    // Each limit runs its own; what opens the gate is the second to end, or later.
    assert_eq!(order[0], 3);
    assert_eq!(order.iter().sum::<i32>(), 10);
}

#[test]
fn clock_of_a_timeout_starts_at_the_call() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    // A machine under load may be late, but not by any limit.
    let is_over_at_once = [1, 10, 100, 1000].into_iter().any(|times| {
        let limit = SHORT * times;
        let start = Instant::now();
        let mut all = as_completed(busy.handles()).timeout(limit);
        // The time is what is tested: let it run out.
        while start.elapsed() <= limit {
            thread::sleep(limit.saturating_sub(start.elapsed()) + Duration::from_millis(1));
        }
        let asked = Instant::now();
        assert!(all.next().unwrap().is_err());
        asked.elapsed() < limit
    });
    assert!(is_over_at_once, "waited all over again");
    busy.release();
}

#[test]
fn finished_handles_are_yielded_however_late() {
    let _alarm = alarm();
    let handles = one_of_each_end();
    let mut all = as_completed(&handles).timeout(Duration::from_nanos(1));
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(10) {}
    for _ in 0..4 {
        assert!(all.next().unwrap().is_ok());
    }
    assert!(all.next().is_none(), "nothing was unfinished");
}

#[test]
fn endless_timeouts_wait_for_every_task() {
    let _alarm = alarm();
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
        let pool = ThreadPool::new(1);
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let handle = pool.submit(move || turnstile.pass());
        let mut all = as_completed([&handle]).timeout(timeout);
        thread::scope(|scope| {
            let end = scope.spawn(|| all.next().map(|next| next.map(JoinHandle::id)));
            gate.open();
            assert_eq!(end.join().unwrap(), Some(Ok(handle.id())));
        });
    }
}

#[test]
fn iteration_goes_on_after_a_timeout() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    let mut timed = as_completed([handle]).timeout(Duration::ZERO);
    assert!(timed.next().unwrap().is_err());
    assert!(timed.next().is_none());
    let mut all = timed.into_inner();
    assert_eq!(all.len(), 1);
    busy.release();
    assert_eq!(all.next().unwrap().join().unwrap(), 42);
}

#[test]
fn next_timeout_keeps_the_handles_and_counts_those_yielded() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let finished = Inline.submit(|| 1);
    let busy = occupy(&pool, 1);
    let pending = pool.submit(|| 2);
    let mut all = as_completed([pending, finished]);
    let first = all.next_timeout(Duration::ZERO).unwrap().unwrap();
    assert_eq!(first.join().unwrap(), 1);
    for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
        let error = all.next_timeout(timeout).unwrap_err();
        assert_eq!((error.pending, error.total), (1, 2));
    }
    busy.release();
    let second = all.next_timeout(Duration::MAX).unwrap().unwrap();
    assert_eq!(second.join().unwrap(), 2);
    assert!(all.next_timeout(Duration::ZERO).unwrap().is_none());
}

#[test]
fn into_pending_gives_back_the_rest_and_cancels_nothing() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let finished = Inline.submit(|| 0);
    let busy = occupy(&pool, 1);
    let handles = [finished, pool.submit(|| 1), pool.submit(|| 2)];
    let mut all = as_completed(handles);
    assert_eq!(all.next().unwrap().join().unwrap(), 0);
    let rest = all.into_pending();
    assert_eq!(rest.len(), 2);
    busy.release();
    let mut results: Vec<_> = rest.into_iter().map(|rest| rest.join().unwrap()).collect();
    results.sort_unstable();
    assert_eq!(results, [1, 2]);
}

#[test]
fn completions_bring_new_work() {
    let _alarm = alarm();
    // Each number brings its two halves, down to one: a crawl in miniature.
    let pool = ThreadPool::new(3);
    let mut all = as_completed([pool.submit(|| 64_u32)]);
    let mut visited = 0;
    while let Some(handle) = all.next() {
        let number = handle.join().unwrap();
        visited += 1;
        if number > 1 {
            for _ in 0..2 {
                all.push(pool.submit(move || number / 2));
            }
        }
    }
    assert_eq!(visited, 127);
}

#[test]
fn handles_in_batches_while_others_are_taken() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let mut to_do = (0..10).collect::<Vec<u32>>();
    let mut all = as_completed([]);
    let mut total = 0;
    while !to_do.is_empty() || all.len() > 0 {
        let batch = to_do.split_off(to_do.len().saturating_sub(4));
        for number in batch {
            all.push(pool.submit(move || number + 1));
        }
        total += all.next().unwrap().join().unwrap();
    }
    assert_eq!(total, 55);
}

#[test]
fn a_handle_pushed_after_the_end_is_yielded() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let mut all = as_completed([pool.submit(|| 1)]);
    assert_eq!(all.next().unwrap().join().unwrap(), 1);
    assert!(all.next().is_none());
    all.push(pool.submit(|| 2));
    assert_eq!(all.next().unwrap().join().unwrap(), 2);
    all.push(Inline.submit(|| 3));
    assert_eq!(all.next().unwrap().join().unwrap(), 3);
    assert!(all.next().is_none());
}

#[test]
fn len_counts_down_and_up() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let mut all = as_completed([pool.submit(|| ()), pool.submit(|| ())]);
    for _ in 0..16 {
        assert_eq!(all.len(), 2);
        all.next().unwrap().join().unwrap();
        assert_eq!(all.size_hint(), (1, Some(1)));
        all.push(pool.submit(|| ()));
    }
    assert_eq!(all.count(), 2);
}

// CPython yields a future that is given twice once; it has one object, and a
// set of them. Here two references are two items, as in dask.
#[test]
fn a_handle_given_twice_is_yielded_twice() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| ());
    let mut all = as_completed(std::iter::repeat_n(&handle, 3));
    assert_eq!(all.len(), 3);
    assert!(all.next_timeout(Duration::ZERO).is_err());
    busy.release();
    assert!(all.by_ref().all(|same| same.id() == handle.id()));
    all.push(&handle);
    assert_eq!(all.next().map(JoinHandle::id), Some(handle.id()));
    assert!(all.next().is_none());
}

#[test]
fn keys_come_back_with_their_handles() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let codes = ["BR", "FR", "IN"];
    let mut seen = HashMap::new();
    let keyed = codes
        .iter()
        .map(|&code| (code, pool.submit(move || code.to_lowercase())));
    for (code, handle) in as_completed(keyed) {
        seen.insert(code, handle.join().unwrap());
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(code, low)| code.to_lowercase() == *low));
}

// JoinMap replaces, and aborts, the task of a key that comes again; here a key
// is only carried along.
#[test]
fn equal_keys_and_nested_keys_are_only_carried_along() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let one = pool.submit(|| 1);
    let two = pool.submit(|| 2);
    let pairs = [("same", (0, &one)), ("same", (1, &two))];
    let mut numbers: Vec<_> = as_completed(pairs)
        .map(|(key, (number, handle))| {
            assert_eq!(key, "same");
            assert!(handle.is_finished());
            number
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn handles_of_different_executors_mix() {
    let _alarm = alarm();
    let (small, large) = (ThreadPool::new(1), ThreadPool::new(8));
    let handles = [
        small.submit(|| 1),
        large.submit(|| 2),
        Inline.submit(|| 4),
        small.submit(|| 8),
    ];
    let sum: i32 = as_completed(handles).map(|one| one.join().unwrap()).sum();
    assert_eq!(sum, 15);
}

#[test]
fn nothing_yielded_is_kept_alive() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let handles: Vec<_> = (0..10).map(|_| pool.submit(|| Arc::new(()))).collect();
    let all = as_completed(handles);
    let mut yielded = Vec::new();
    for handle in all {
        let result = handle.join().unwrap();
        yielded.push(Arc::downgrade(&result));
        drop(result);
        assert!(yielded.iter().all(|weak| weak.strong_count() == 0));
    }
}

#[test]
fn early_drop_lets_go_of_keys_and_detaches_tasks() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let key = Arc::new(());
    let (ran, runs) = std::sync::mpsc::channel();
    let handles = (0..4).map(|number| {
        let ran = ran.clone();
        let handle = pool.submit(move || ran.send(number).unwrap());
        (Arc::clone(&key), handle)
    });
    let all = as_completed(handles);
    assert_eq!(Arc::strong_count(&key), 5);
    drop(all);
    assert_eq!(Arc::strong_count(&key), 1);
    // JoinSet aborts what it still holds when dropped; here, as in Python,
    // nothing is cancelled unless that is said.
    busy.release();
    drop(ran);
    assert_eq!(runs.iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn early_drop_leaves_other_waiters_of_the_same_task_alone() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handle = pool.submit(|| 42);
    let (first, mut second) = (as_completed([&handle]), as_completed([&handle]));
    drop(first);
    busy.release();
    assert_eq!(second.next().map(JoinHandle::id), Some(handle.id()));
}

#[test]
fn two_iterators_over_the_same_tasks_both_see_all_of_them() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let gate = Gate::new();
    let handles: Vec<_> = (0..200)
        .map(|_| {
            let turnstile = gate.turnstile();
            pool.submit(move || turnstile.pass())
        })
        .collect();
    let (one, two) = (as_completed(&handles), as_completed(&handles));
    gate.open();
    thread::scope(|scope| {
        let one = scope.spawn(|| one.map(JoinHandle::id).collect::<HashSet<_>>());
        let two = two.map(JoinHandle::id).collect::<HashSet<_>>();
        assert_eq!(two.len(), 200);
        assert_eq!(one.join().unwrap(), two);
    });
}

// cpython#87893: cancelling at shutdown tells nobody there, and the loop hangs.
#[test]
fn cancelling_what_is_queued_wakes_a_waiting_iterator_at_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles: Vec<_> = (0..3).map(|_| pool.submit(|| ())).collect();
    let (counted, counts) = std::sync::mpsc::channel();
    let waiter = thread::spawn(move || {
        let mut all = as_completed(handles);
        counted.send(()).unwrap();
        all.all(|handle| handle.is_cancelled())
    });
    counts.recv().unwrap();
    assert_eq!(pool.cancel_pending(), 3);
    assert!(waiter.join().unwrap(), "the worker is busy all the while");
    busy.release();
}

#[test]
fn cancelled_one_by_one_they_come_in_that_order() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles: Vec<_> = (0..3).map(|_| pool.submit(|| ())).collect();
    let mut all = as_completed(&handles);
    for place in [1, 2, 0] {
        assert!(handles[place].cancel());
    }
    for place in [1, 2, 0] {
        assert_eq!(all.next().unwrap().id(), handles[place].id());
    }
    busy.release();
}

#[test]
fn handles_outlive_their_pool() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let handles: Vec<_> = (0..20).map(|number| pool.submit(move || number)).collect();
    let all = as_completed(handles);
    drop(pool);
    let sum: i32 = all.map(|handle| handle.join().unwrap()).sum();
    assert_eq!(sum, 190);
}

#[test]
fn input_that_panics_half_way_leaves_no_harm() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let handles = [pool.submit(|| 1), pool.submit(|| 2)];
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        as_completed(handles.iter().inspect(|handle| {
            assert!(handle.id() == handles[0].id(), "{ON_PURPOSE}");
        }))
        .count()
    }));
    assert!(panicked.is_err());
    busy.release();
    let sum: i32 = as_completed(handles).map(|one| one.join().unwrap()).sum();
    assert_eq!(sum, 3);
}

#[test]
fn many_tasks_from_many_threads_come_once_each() {
    let _alarm = alarm();
    let pool = ThreadPool::new(8);
    let handles: Vec<_> = thread::scope(|scope| {
        let submitters: Vec<_> = (0..4)
            .map(|thread| {
                let pool = &pool;
                scope.spawn(move || {
                    (0..2_500)
                        .map(|number| pool.submit(move || thread * 2_500 + number))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        submitters
            .into_iter()
            .flat_map(|submitter| submitter.join().unwrap())
            .collect()
    });
    let mut results: Vec<i32> = as_completed(handles)
        .map(|handle| handle.join().unwrap())
        .collect();
    results.sort_unstable();
    assert_eq!(results, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn a_progress_bar_learns_the_length_by_itself() {
    use indicatif::{ProgressBar, ProgressIterator};

    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let all = as_completed((0..5).map(|_| pool.submit(|| ())));
    let bar = ProgressBar::hidden();
    assert_eq!(all.progress_with(bar.clone()).count(), 5);
    assert_eq!(bar.position(), 5);
    let none: [JoinHandle<()>; 0] = [];
    assert_eq!(as_completed(none).progress().count(), 0);
}

#[test]
fn debug_tells_the_counts() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let mut all = as_completed([pool.submit(|| ()), Inline.submit(|| ())]);
    all.next().unwrap().join().unwrap();
    let text = format!("{all:?}");
    assert!(text.contains("pending: 1"), "{text}");
    assert!(text.contains("total: 2"), "{text}");
    busy.release();
}

#[test]
fn yielded_handles_never_block() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    for handle in as_completed((0..500).map(|number| pool.submit(move || number))) {
        assert_eq!(handle.wait_timeout(Duration::ZERO), Ok(()));
        assert!(handle.try_join().unwrap().is_ok());
    }
    assert_eq!(
        WaitTimeoutError.to_string(),
        "task unfinished when the timeout ended"
    );
}

#[test]
fn a_pushed_handle_that_is_final_comes_behind_those_that_ended_before() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let first = pool.submit(|| 0);
    let mut all = as_completed([("first", first)]);
    busy.release();
    pool.join();
    for _ in 0..3 {
        all.push(("pushed", Inline.submit(|| 1)));
    }
    let order: Vec<_> = all.map(|(key, _)| key).collect();
    assert_eq!(order, ["first", "pushed", "pushed", "pushed"]);
}

#[test]
fn whoever_sees_a_task_final_finds_it_in_the_iterator_at_once() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    // Enough to fail where it comes late, on an idle machine.
    let start = Instant::now();
    for _ in 0..2_000 {
        if start.elapsed() > Duration::from_secs(2) {
            break;
        }
        let handle = pool.submit(|| ());
        let mut all = as_completed([&handle]);
        while !handle.is_finished() {
            std::hint::spin_loop();
        }
        let next = all.next_timeout(Duration::ZERO);
        assert!(next.is_ok_and(|next| next.is_some()));
    }
}

/// The processor time of this thread, for what other programs take of the time is not
/// its own; nothing where nobody tells it.
fn processor_time() -> Duration {
    #[cfg(target_os = "linux")]
    return Duration::from_millis(10) * u32::try_from(ticks(&own_thread_number())).unwrap();
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}

#[test]
fn a_worker_does_not_look_again_at_what_it_cannot_run_at_each_push() {
    let _alarm = alarm();
    let (pool, other) = (Arc::new(ThreadPool::new(1)), ThreadPool::new(1));
    let busy = occupy(&other, 1);
    let foreign: Vec<_> = (0..100_000).map(|_| other.submit(|| ())).collect();
    let inner = Arc::clone(&pool);
    let rest = pool.submit(move || {
        let before = processor_time();
        let mut all = as_completed(foreign);
        for _ in 0..10_000 {
            // 10^9 looks, if each push brought them all back.
            all.push(inner.submit(|| ()));
            assert!(all.next().is_some());
        }
        (
            all.into_pending().len(),
            processor_time().saturating_sub(before),
        )
    });
    let (left, took) = rest.join().unwrap();
    assert_eq!(left, 100_000);
    assert!(took < Duration::from_secs(6), "{took:?}");
    other.cancel_pending();
    busy.release();
}
