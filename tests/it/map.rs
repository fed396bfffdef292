//! `map` and `map_unordered`: lazily, within bounds, past failures.
//!
//! Behaviours ported from `CPython`'s `test_concurrent_futures/executor.py` and
//! `test_thread_pool.py` (`map` and its `buffersize`).

use crate::support::{Gate, ON_PURPOSE, SHORT, alarm, ask_in_vain, expect_panics, occupy};
use as_completed::{
    Executor, Inline, JoinError, Map, MapUnordered, Rejected, ThreadPool, UnfinishedError,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

#[test]
fn results_come_in_the_order_of_the_items() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    for chunk_size in [1, 3, 100] {
        let results: Vec<u64> = pool
            .map(0..10, |number: u64| number.pow(2))
            .chunk_size(chunk_size)
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(results, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
    }
    assert_eq!(pool.map(Vec::<u8>::new(), drop).count(), 0);
    assert_eq!(pool.map_unordered(Vec::<u8>::new(), drop).count(), 0);
}

#[test]
fn order_holds_though_the_first_item_is_the_last_to_end() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let (sender, second) = mpsc::channel::<()>();
    let (sender, second) = (Mutex::new(Some(sender)), Mutex::new(second));
    let results = pool.map([0, 1], move |number| {
        if number == 0 {
            assert!(second.lock().unwrap().recv().is_err(), "nothing is sent");
        } else {
            drop(sender.lock().unwrap().take());
        }
        number
    });
    assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn unordered_results_do_not_wait_for_a_slow_first() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let mut results = pool.map_unordered(0..4, move |number| {
        if number == 0 {
            turnstile.pass();
        }
        number
    });
    let mut quick: Vec<_> = results.by_ref().take(3).map(Result::unwrap).collect();
    quick.sort_unstable();
    assert_eq!(quick, [1, 2, 3]);
    gate.open();
    assert_eq!(results.next().unwrap().unwrap(), 0);
    assert!(results.next().is_none());
}

// Python's `map` ends at the first exception, and what came after is lost.
#[test]
fn a_failed_item_is_one_result_and_the_others_follow() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(2);
    let divide = |divisor: u32| {
        assert!(divisor > 0, "{ON_PURPOSE}");
        60 / divisor
    };
    for chunk_size in [1, 2, 4] {
        let results: Vec<_> = pool
            .map([2, 3, 0, 5], divide)
            .chunk_size(chunk_size)
            .collect();
        assert_eq!(results.len(), 4);
        for (result, expected) in results
            .into_iter()
            .zip([Some(30), Some(20), None, Some(12)])
        {
            match (result, expected) {
                (Ok(result), Some(expected)) => assert_eq!(result, expected),
                (Err(JoinError::Panicked(panic)), None) => assert_eq!(panic.message(), ON_PURPOSE),
                other => panic!("{other:?}"),
            }
        }
        let unordered = pool
            .map_unordered([2, 3, 0, 5], divide)
            .chunk_size(chunk_size);
        let (good, bad): (Vec<_>, Vec<_>) = unordered.partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (3, 1));
    }
}

// Python's `map` submits everything at the call (bpo-11777), whence its appetite
// for memory (cpython#74028). Here the iterator is as lazy as any other.
#[test]
fn nothing_is_read_before_the_first_result_is_asked_for() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let items = (0..10).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mut results = pool.map(items, |number| number).buffer(4);
    assert_eq!(read.load(Ordering::SeqCst), 0);
    assert_eq!(pool.worker_count(), 0);
    assert_eq!(results.next().unwrap().unwrap(), 0);
    // How far it reads ahead depends on how soon the first result is there.
    assert!((1..=4).contains(&read.load(Ordering::SeqCst)));
}

#[test]
fn endless_input_is_read_only_as_far_as_the_buffer_goes() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for (buffer, chunk_size) in [(1, 1), (4, 1), (3, 5)] {
        let read = Arc::new(AtomicUsize::new(0));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let items = (0_u64..).inspect(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let mut results = pool
            .map(items, |number| number)
            .buffer(buffer)
            .chunk_size(chunk_size);
        for taken in 0..100 {
            assert_eq!(results.next().unwrap().unwrap(), taken as u64);
            // The chunk that is being taken is in no task any more.
            let ahead = read.load(Ordering::SeqCst) - taken;
            assert!(ahead <= (buffer + 1) * chunk_size, "{ahead} items ahead");
        }
        drop(results);
        let items = 0_u64..;
        let most = Arc::clone(&in_flight);
        let unordered = pool.map_unordered(items, move |_| {
            // One in flight more than those who wait here.
            most.fetch_add(1, Ordering::SeqCst)
        });
        let seen = unordered.buffer(buffer).take(50).map(Result::unwrap);
        assert_eq!(seen.count(), 50);
        assert!(in_flight.load(Ordering::SeqCst) <= 50 + buffer);
    }
}

#[test]
fn no_more_tasks_are_queued_than_the_buffer_allows() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let ordered = pool.map(0.., |n: u32| n).buffer(5);
    let _ordered = ask_in_vain(ordered, Map::timeout, || pool.queued_count() >= 5);
    assert_eq!(pool.queued_count(), 5);
    let unordered = pool.map_unordered(0.., |n: u32| n).buffer(7);
    let _unordered = ask_in_vain(unordered, MapUnordered::timeout, || {
        pool.queued_count() >= 12
    });
    assert_eq!(pool.queued_count(), 12);
    busy.release();
}

#[test]
#[should_panic(expected = "at least one task")]
fn a_buffer_of_nothing_is_refused() {
    let _ = Inline.map([1], |n| n).buffer(0);
}

#[test]
#[should_panic(expected = "at least one item")]
fn a_chunk_of_nothing_is_refused() {
    let _ = Inline.map_unordered([1], |n| n).chunk_size(0);
}

#[test]
fn chunks_make_one_task_each() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let results = pool.map(0..10, |n| n).chunk_size(3);
    let (results, error) = ask_in_vain(results, Map::timeout, || pool.queued_count() >= 4);
    let counts = (error.pending, error.total);
    assert_eq!(counts, (4, 4), "tasks are counted, not items");
    assert_eq!(pool.queued_count(), 4);
    busy.release();
    let rest: Vec<_> = results.map(Result::unwrap).collect();
    assert_eq!(rest, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_timeout_is_reported_once_after_the_results_in_time() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for timeout in [SHORT, Duration::from_nanos(1)] {
        let (gate, all_read) = (Gate::new(), Gate::new());
        let (turnstile, is_read) = (gate.turnstile(), all_read.turnstile());
        // A map reads only while its next result is not there: the first two come when
        // the last item has been read.
        let items = (0..3).inspect(move |number| {
            if *number == 2 {
                all_read.open();
            }
        });
        let mut results = pool
            .map(items, move |number| {
                match number {
                    2 => turnstile.pass(),
                    _ => is_read.pass(),
                }
                number
            })
            .timeout(Duration::MAX);
        assert_eq!(results.next().unwrap().unwrap().unwrap(), 0);
        assert_eq!(results.next().unwrap().unwrap().unwrap(), 1);
        let mut rest = results.into_inner().timeout(timeout);
        let error = rest.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "1 (of 3) tasks unfinished");
        assert!(rest.next().is_none());
        gate.open();
        let last = rest.into_inner().next();
        assert_eq!(last.unwrap().unwrap(), 2);
    }
    let all: Vec<_> = pool
        .map_unordered(0..3, |number| number)
        .timeout(Duration::MAX)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(all.len(), 3);
}

// CPython's `test_executor_map_current_future_cancel`.
#[test]
fn dropping_the_iterator_cancels_what_has_not_started() {
    let _alarm = alarm();
    for unordered in [false, true] {
        let pool = ThreadPool::new(1);
        let busy = occupy(&pool, 1);
        let started = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&started);
        let count = move |_| counted.fetch_add(1, Ordering::SeqCst);
        let is_filled = || pool.queued_count() == 2;
        if unordered {
            let results = pool.map_unordered(0..2, count);
            drop(ask_in_vain(results, MapUnordered::timeout, is_filled));
        } else {
            drop(ask_in_vain(pool.map(0..2, count), Map::timeout, is_filled));
        }
        busy.release();
        pool.join();
        assert_eq!(started.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_running_item_runs_on_after_the_drop() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let (sender, steps) = mpsc::channel();
    let results = pool.map(0..2, move |number| {
        sender.send(number).unwrap();
        turnstile.pass();
        sender.send(number + 10).unwrap();
    });
    let results = ask_in_vain(results, Map::timeout, || {
        (pool.active_count(), pool.queued_count()) == (1, 1)
    });
    assert_eq!(steps.recv(), Ok(0));
    drop(results);
    gate.open();
    assert_eq!(
        steps.iter().collect::<Vec<_>>(),
        [10],
        "item 1 never starts"
    );
}

// bpo-14406 and pythonfutures#16: the iterator kept what it had yielded.
#[test]
fn nothing_yielded_is_kept_alive() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for result in pool.map(0..10, |_| Arc::new(())) {
        let weak = Arc::downgrade(&result.unwrap());
        assert_eq!(weak.strong_count(), 0);
    }
    for result in pool.map_unordered(0..10, |_| Arc::new(())).chunk_size(4) {
        let weak = Arc::downgrade(&result.unwrap());
        assert_eq!(weak.strong_count(), 0);
    }
}

#[test]
fn items_are_given_away_one_by_one() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let items: Vec<_> = (0..6).map(|_| Arc::new(())).collect();
    let kept = items.clone();
    let mut results = pool.map(items, drop).chunk_size(6);
    assert!(results.next().unwrap().is_ok());
    assert!(kept.iter().all(|item| Arc::strong_count(item) == 1));
}

#[test]
fn size_hint_counts_what_is_here_and_what_may_come() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let mut results = pool.map(0..10, |n| n).buffer(2).chunk_size(2);
    for left in (0..10).rev() {
        assert_eq!(results.size_hint(), (left + 1, Some(left + 1)));
        assert!(results.next().is_some());
    }
    assert_eq!(results.size_hint(), (0, Some(0)));
    let mut unordered = pool.map_unordered(0..10, |n| n).buffer(3);
    for left in (0..10).rev() {
        assert!(unordered.next().is_some());
        assert_eq!(unordered.size_hint(), (left, Some(left)));
    }
    assert_eq!(pool.map(0_u64.., |n| n).size_hint().1, None);
}

#[test]
fn a_pool_that_was_shut_down_rejects_each_item() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    pool.shutdown();
    for chunk_size in [1, 3] {
        let results: Vec<_> = pool.map(0..5, |n| n).chunk_size(chunk_size).collect();
        assert_eq!(results.len(), 5);
        for result in results {
            assert!(matches!(
                result,
                Err(JoinError::Rejected(Rejected::ShutDown))
            ));
        }
    }
}

#[test]
fn items_cancelled_by_the_pool_say_so_and_later_ones_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let results = pool.map(0..6, |n| n).buffer(1).chunk_size(3);
    let (results, _) = ask_in_vain(results, Map::timeout, || pool.queued_count() == 1);
    assert_eq!(pool.cancel_pending(), 1);
    busy.release();
    let results: Vec<_> = results.collect();
    assert_eq!(results.len(), 6);
    for cancelled in &results[..3] {
        assert!(matches!(cancelled, Err(JoinError::Cancelled)));
    }
    for (result, expected) in results[3..].iter().zip(3..) {
        assert!(matches!(result, Ok(result) if *result == expected));
    }
}

#[test]
fn items_run_side_by_side() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let together = std::sync::Barrier::new(4);
    let together = Arc::new(together);
    let results = pool.map(0..8, move |number| {
        together.wait();
        number
    });
    assert_eq!(results.map(Result::unwrap).sum::<i32>(), 28);
}

#[test]
fn a_map_through_a_full_queue_waits_for_room() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .max_workers(2)
        .queue_capacity(1)
        .build()
        .unwrap();
    let sum: u64 = pool.map(0..500, |n: u64| n).map(Result::unwrap).sum();
    assert_eq!(sum, 124_750);
}

#[test]
fn every_executor_maps_and_the_iterator_crosses_threads() {
    let _alarm = alarm();
    let pool: Arc<dyn Executor> = Arc::new(ThreadPool::new(2));
    let text = String::from("lives as long as the executor is borrowed");
    let results = pool.map(text.split(' ').map(str::to_owned), |word| word.len());
    let lengths = std::thread::scope(|scope| {
        let consumer = scope.spawn(move || results.map(Result::unwrap).collect::<Vec<_>>());
        consumer.join().unwrap()
    });
    assert_eq!(lengths.iter().sum::<usize>(), text.len() - 7);
    assert_eq!(lengths.len(), 8);
    assert!(format!("{:?}", Inline.map(0..3, |n| n)).contains("in_flight: 0"));
}

#[test]
fn input_that_panics_reaches_the_caller_and_harms_no_worker() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let items = (0..4).inspect(|number| assert!(*number < 2, "{ON_PURPOSE}"));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.map(items, |number| number).count()
    }));
    assert!(outcome.is_err());
    assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
}

#[test]
fn the_function_is_dropped_with_its_map() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let mut results = pool.map(0..10, move |_| drop(Arc::clone(&held)));
    assert!(results.next().unwrap().is_ok());
    drop(results);
    pool.join();
    assert_eq!(Arc::strong_count(&captured), 1);
}

#[test]
fn a_finished_result_is_given_out_before_more_input_is_read() {
    let read = AtomicUsize::new(0);
    let items = || {
        (0_usize..).inspect(|_| {
            read.fetch_add(1, Ordering::SeqCst);
        })
    };
    for (taken, result) in Inline.map(items(), |n| n).take(5).enumerate() {
        assert_eq!(result.unwrap(), taken);
        assert_eq!(read.load(Ordering::SeqCst), taken + 1);
    }
    read.store(0, Ordering::SeqCst);
    for (taken, result) in Inline.map_unordered(items(), |n| n).take(5).enumerate() {
        assert_eq!(result.unwrap(), taken);
        assert_eq!(read.load(Ordering::SeqCst), taken + 1);
    }
}

#[test]
fn the_input_may_wait_for_the_results_of_what_it_gave_before() {
    let _alarm = alarm();
    let (sender, items) = mpsc::channel();
    sender.send(1_u64).unwrap();
    // The channel brings the next item when the last result is there.
    let mut sender = Some(sender);
    let mut last = 0;
    for result in Inline.map(items, |n| 2 * n) {
        last = result.unwrap();
        match &sender {
            Some(open) if last < 1000 => open.send(last).unwrap(),
            _ => drop(sender.take()),
        }
    }
    assert_eq!(last, 1024);
}

#[test]
fn a_timeout_ends_an_iteration_that_never_has_to_wait() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let mut inline = Inline.map(0_u64.., |n| n).timeout(SHORT);
    let mut unordered_inline = Inline.map_unordered(0_u64.., |n| n).timeout(SHORT);
    let mut ordered = pool.map(0_u64.., |n| n).buffer(4).timeout(SHORT);
    let mut unordered = pool.map_unordered(0_u64.., |n| n).buffer(4).timeout(SHORT);
    let all: [&mut dyn Iterator<Item = Result<_, UnfinishedError>>; 4] = [
        &mut inline,
        &mut unordered_inline,
        &mut ordered,
        &mut unordered,
    ];
    for mut results in all {
        assert!(Iterator::any(&mut results, |result| result.is_err()));
        assert!(results.next().is_none());
    }
}

#[test]
fn nothing_is_read_after_the_deadline() {
    let read = AtomicUsize::new(0);
    let items = || {
        (0..3).inspect(|_| {
            read.fetch_add(1, Ordering::SeqCst);
        })
    };
    let mut ordered = Inline.map(items(), |n| n).timeout(Duration::ZERO);
    assert!(ordered.next().unwrap().is_err());
    let mut unordered = Inline.map_unordered(items(), |n| n).timeout(Duration::ZERO);
    assert!(unordered.next().unwrap().is_err());
    assert_eq!(read.load(Ordering::SeqCst), 0);
    // What was not read is there for whoever goes on.
    assert_eq!(ordered.into_inner().count(), 3);
    assert_eq!(unordered.into_inner().count(), 3);
}

#[test]
fn a_timeout_that_ends_after_the_last_result_is_not_reported() {
    // A machine under load may be late for the results, but not by any limit.
    let has_been_quick = [1, 10, 100, 1000].into_iter().any(|times| {
        let (start, limit) = (Instant::now(), SHORT * times);
        let mut results = Inline.map(0..3, |n| n).timeout(limit);
        if results.by_ref().take(3).flatten().count() < 3 {
            assert!(start.elapsed() >= limit);
            return false;
        }
        // The time is what is tested: let it run out.
        while start.elapsed() <= limit {
            std::thread::sleep(limit.saturating_sub(start.elapsed()));
        }
        assert!(results.next().is_none());
        true
    });
    assert!(has_been_quick);
}

#[test]
fn input_that_panics_in_the_middle_of_a_chunk_loses_nothing() {
    expect_panics();
    let mut has_panicked = false;
    let items = (0..6).inspect(move |&number| {
        let is_fine = number != 4 || std::mem::replace(&mut has_panicked, true);
        assert!(is_fine, "{ON_PURPOSE}");
    });
    let mut results = Inline.map(items, |number| number).chunk_size(3);
    let mut seen = Vec::new();
    for _ in 0..10 {
        let next = std::panic::AssertUnwindSafe(|| results.next());
        match std::panic::catch_unwind(next) {
            Ok(Some(result)) => seen.push(result.unwrap()),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    // The input itself lost item 4 as it panicked.
    assert_eq!(seen, [0, 1, 2, 3, 5]);
}

#[test]
fn a_chunk_may_be_as_large_as_there_are_items() {
    let all: Result<Vec<_>, _> = Inline.map(0..100, |n| n).chunk_size(usize::MAX).collect();
    assert_eq!(all.unwrap(), (0..100).collect::<Vec<_>>());
    let some = Inline.map_unordered(0..100, |n| n).chunk_size(usize::MAX);
    assert_eq!(some.count(), 100);
}
