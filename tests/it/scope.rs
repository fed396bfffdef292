//! `ThreadPool::scope`: tasks that borrow.
//!
//! Behaviours ported from rayon-core's `scope/test.rs` and `tests/scope_join.rs`
//! (its forbidden programs are in `tests/compile_fail`), and from `CPython`'s
//! `test_context_manager_shutdown`.

use crate::support::{Gate, ON_PURPOSE, PATIENCE, alarm, eventually, expect_panics};
use as_completed::{JoinError, Rejected, ReturnWhen, ScopedPool, ThreadPool, as_completed, wait};
use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

#[test]
fn an_empty_scope_returns_what_its_body_does() {
    let _alarm = alarm();
    assert_eq!(ThreadPool::scope(4, |_| 22), 22);
    ThreadPool::scope(1, |pool| drop(pool));
}

#[test]
#[should_panic(expected = "at least one worker")]
fn a_scope_needs_a_worker() {
    ThreadPool::scope(0, |_| ());
}

#[test]
fn tasks_borrow_locals_and_results_borrow_them_too() {
    let _alarm = alarm();
    let text = String::from("to be\nor\nnot to be");
    let lines: Vec<&str> = ThreadPool::scope(2, |pool| {
        let handles: Vec<_> = text
            .lines()
            .map(|line| pool.submit(move || line.trim_start_matches("not ")))
            .collect();
        handles.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(lines, ["to be", "or", "to be"]);
}

#[test]
fn tasks_write_to_separate_parts_of_a_local() {
    let _alarm = alarm();
    let mut numbers = (0..100).collect::<Vec<u64>>();
    ThreadPool::scope(3, |pool| {
        for chunk in numbers.chunks_mut(7) {
            drop(pool.submit(move || chunk.iter_mut().for_each(|number| *number *= 2)));
        }
    });
    assert!(
        numbers
            .iter()
            .zip(0..)
            .all(|(number, place)| *number == 2 * place)
    );
}

#[test]
fn all_tasks_have_run_when_the_scope_is_over_though_their_handles_are_gone() {
    let _alarm = alarm();
    let counter = AtomicUsize::new(0);
    ThreadPool::scope(2, |pool| {
        for number in 0..50 {
            let handle = pool.submit(|| counter.fetch_add(1, Ordering::SeqCst));
            if number % 2 == 0 {
                std::mem::forget(handle);
            }
        }
    });
    assert_eq!(counter.load(Ordering::SeqCst), 50);
}

#[test]
fn tasks_submit_more_with_a_pool_of_their_own() {
    fn count_down<'scope>(pool: &ScopedPool<'scope, '_>, left: &'scope AtomicUsize) {
        if left.fetch_sub(1, Ordering::SeqCst) > 1 {
            let inside = pool.clone();
            drop(pool.submit(move || count_down(&inside, left)));
        }
    }
    let _alarm = alarm();
    let left = AtomicUsize::new(1000);
    ThreadPool::scope(2, |pool| {
        let inside = pool.clone();
        let left = &left;
        drop(pool.submit(move || count_down(&inside, left)));
    });
    assert_eq!(left.load(Ordering::SeqCst), 0);
}

#[test]
fn divide_and_conquer_counts_every_leaf() {
    fn divide<'scope>(pool: &ScopedPool<'scope, '_>, counter: &'scope AtomicUsize, size: usize) {
        if size <= 1 {
            counter.fetch_add(1, Ordering::SeqCst);
            return;
        }
        for half in [size / 2, size - size / 2] {
            let inside = pool.clone();
            drop(pool.submit(move || divide(&inside, counter, half)));
        }
    }
    let _alarm = alarm();
    for workers in [1, 2, 8] {
        let counter = AtomicUsize::new(0);
        ThreadPool::scope(workers, |pool| divide(&pool, &counter, 1000));
        assert_eq!(counter.load(Ordering::SeqCst), 1000);
    }
}

#[test]
fn quicksort_by_tasks_that_wait_for_their_halves() {
    fn sort<'scope, 'env>(pool: &ScopedPool<'scope, 'env>, numbers: &'scope mut [u32])
    where
        'env: 'scope,
    {
        if numbers.len() <= 1 {
            return;
        }
        let pivot = numbers.len() - 1;
        let mut middle = 0;
        for place in 0..pivot {
            if numbers[place] <= numbers[pivot] {
                numbers.swap(middle, place);
                middle += 1;
            }
        }
        numbers.swap(middle, pivot);
        let (low, high) = numbers.split_at_mut(middle);
        let inside = pool.clone();
        let lower = pool.submit(move || sort(&inside, low));
        sort(pool, &mut high[1..]);
        lower.join().unwrap();
    }
    let _alarm = alarm();
    let mut state = 12_345_u32;
    let mut numbers: Vec<_> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        state >> 8
    })
    .take(2_000)
    .collect();
    let mut expected = numbers.clone();
    expected.sort_unstable();
    ThreadPool::scope(3, |pool| sort(&pool, &mut numbers));
    assert_eq!(numbers, expected);
}

#[test]
fn a_tree_is_updated_in_place() {
    struct Tree {
        value: u32,
        children: Vec<Tree>,
    }
    fn tree(depth: u32) -> Tree {
        let children = (0..depth).map(|_| tree(depth - 1)).collect();
        Tree {
            value: depth,
            children,
        }
    }
    fn total(tree: &Tree) -> u32 {
        tree.value + tree.children.iter().map(total).sum::<u32>()
    }
    fn size(tree: &Tree) -> u32 {
        1 + tree.children.iter().map(size).sum::<u32>()
    }
    fn update<'scope>(pool: &ScopedPool<'scope, '_>, tree: &'scope mut Tree) {
        tree.value += 1;
        for child in &mut tree.children {
            let inside = pool.clone();
            drop(pool.submit(move || update(&inside, child)));
        }
    }
    let _alarm = alarm();
    let mut tree = tree(6);
    let (before, nodes) = (total(&tree), size(&tree));
    ThreadPool::scope(4, |pool| update(&pool, &mut tree));
    assert_eq!(total(&tree), before + nodes);
}

#[test]
fn handles_feed_as_completed_and_wait() {
    let _alarm = alarm();
    let words = ["one", "three", "eleven"].map(str::to_owned);
    ThreadPool::scope(2, |pool| {
        let keyed = words.iter().map(|word| (word, pool.submit(|| word.len())));
        for (word, length) in as_completed(keyed) {
            assert_eq!(length.join().unwrap(), word.len());
        }
        let handles: Vec<_> = words
            .iter()
            .map(|word| pool.submit(|| word.len()))
            .collect();
        let waited = wait(handles, ReturnWhen::AllCompleted, None);
        assert_eq!(waited.done.len(), 3);
        let total: usize = pool.map(&words, String::len).map(Result::unwrap).sum();
        assert_eq!(total, 14);
        assert_eq!(pool.map_unordered(&words, String::len).count(), 3);
        assert_eq!(pool.try_submit(|| words.len()).unwrap().join().unwrap(), 3);
        let listened = pool.submit_cancellable(|token| token.is_cancelled() || words.is_empty());
        assert!(!listened.join().unwrap());
        assert!(format!("{pool:?}").contains("max_workers: 2"));
    });
}

// In rayon a task that panics makes its scope panic. Here its panic is in its
// handle, as with any pool, and the scope goes on.
#[test]
fn a_panic_in_a_task_is_in_its_handle_and_the_others_run() {
    let _alarm = alarm();
    expect_panics();
    let counter = AtomicUsize::new(0);
    ThreadPool::scope(2, |pool| {
        drop(pool.submit(|| panic!("{ON_PURPOSE}")));
        let handle = pool.submit(|| panic!("{ON_PURPOSE}"));
        let outcome: Result<(), _> = handle.join();
        assert!(outcome.is_err_and(|error| error.is_panic()));
        for _ in 0..10 {
            drop(pool.submit(|| counter.fetch_add(1, Ordering::SeqCst)));
        }
    });
    assert_eq!(counter.load(Ordering::SeqCst), 10);
}

#[test]
fn a_panic_in_the_body_still_runs_everything_then_goes_on() {
    let _alarm = alarm();
    expect_panics();
    let counter = AtomicUsize::new(0);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        ThreadPool::scope(2, |pool| {
            for _ in 0..10 {
                let inside = pool.clone();
                let counter = &counter;
                drop(pool.submit(move || {
                    drop(inside.submit(|| counter.fetch_add(1, Ordering::SeqCst)));
                    counter.fetch_add(1, Ordering::SeqCst)
                }));
            }
            panic!("the body panics on purpose");
        })
    }));
    let payload = outcome.unwrap_err();
    assert_eq!(
        payload.downcast_ref(),
        Some(&"the body panics on purpose"),
        "not that of std's scope"
    );
    assert_eq!(counter.load(Ordering::SeqCst), 20);
}

#[test]
fn scopes_within_scopes_borrow_from_both() {
    let _alarm = alarm();
    let outer = [1, 2, 3];
    let sum = ThreadPool::scope(2, |pool| {
        let handles: Vec<_> = outer
            .iter()
            .map(|number| {
                pool.submit(move || {
                    let inner = [10, 20].map(|ten| ten * number);
                    ThreadPool::scope(1, |nested| {
                        let handles = [0, 1].map(|place| {
                            let inner = &inner;
                            nested.submit(move || inner[place] + number)
                        });
                        handles
                            .map(|handle| handle.join().unwrap())
                            .iter()
                            .sum::<i32>()
                    })
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|one| one.join().unwrap())
            .sum::<i32>()
    });
    assert_eq!(sum, 192);
}

// rayon's `mixed_lifetime_scope`: increments both what lives long and what
// lives a little less long.
#[test]
fn lifetimes_mix() {
    fn increment(counters: &[&AtomicUsize]) {
        ThreadPool::scope(2, move |pool| {
            for &counter in counters {
                drop(pool.submit(move || counter.fetch_add(1, Ordering::SeqCst)));
            }
        });
    }
    let _alarm = alarm();
    let counter = AtomicUsize::new(0);
    increment(&[&counter; 100]);
    assert_eq!(counter.load(Ordering::SeqCst), 100);
}

#[test]
fn cancelling_what_is_queued_in_a_scope() {
    let _alarm = alarm();
    let gate = Gate::new();
    let ran = Mutex::new(0);
    ThreadPool::scope(1, |pool| {
        let (sender, started) = mpsc::channel();
        let turnstile = gate.turnstile();
        let running = pool.submit(move || {
            sender.send(()).unwrap();
            turnstile.pass();
        });
        started.recv().unwrap();
        let queued: Vec<_> = (0..3)
            .map(|_| pool.submit(|| *ran.lock().unwrap() += 1))
            .collect();
        assert_eq!(pool.cancel_pending(), 3);
        for handle in as_completed(queued) {
            assert!(matches!(handle.join(), Err(JoinError::Cancelled)));
        }
        gate.open();
        running.join().unwrap();
    });
    assert_eq!(*ran.lock().unwrap(), 0);
}

/// Leaves a task that runs for ever, and behind it what counts that it ran, and asks
/// for all to be cancelled when the body ends.
fn leave_much<'scope>(pool: &ScopedPool<'scope, '_>, ran: &'scope AtomicUsize) {
    pool.cancel_on_return();
    let (sender, started) = mpsc::channel();
    let endless = pool.submit_cancellable(move |token| {
        sender.send(()).unwrap();
        token.sleep(Duration::MAX)
    });
    endless.detach();
    started.recv_timeout(PATIENCE).unwrap();
    for _ in 0..60 {
        pool.submit(|| ran.fetch_add(1, Ordering::SeqCst)).detach();
    }
}

#[test]
fn an_early_return_from_the_body_cancels_what_is_left_where_asked_to() {
    let _alarm = alarm();
    let ran = AtomicUsize::new(0);
    let next = |number: &str| -> Result<u32, ParseIntError> {
        ThreadPool::scope(1, |pool| {
            leave_much(&pool, &ran);
            Ok(number.parse::<u32>()? + 1)
        })
    };
    assert!(next("no").is_err());
    assert_eq!(next("4"), Ok(5));
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn a_panic_in_the_body_cancels_what_is_left_where_asked_to() {
    let _alarm = alarm();
    expect_panics();
    let ran = AtomicUsize::new(0);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        ThreadPool::scope(1, |pool| {
            // Of a clone: it holds for the scope.
            leave_much(&pool.clone(), &ran);
            panic!("{ON_PURPOSE}");
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn what_a_task_brings_after_a_body_that_cancels_is_rejected() {
    let _alarm = alarm();
    let brought = Mutex::new(None);
    ThreadPool::scope(2, |pool| {
        pool.cancel_on_return();
        let (inside, brought) = (pool.clone(), &brought);
        let (sender, started) = mpsc::channel();
        let asked = pool.submit_cancellable(move |token| {
            sender.send(()).unwrap();
            assert!(!token.sleep(PATIENCE));
            let late = inside.submit(|| ()).join().unwrap_err();
            *brought.lock().unwrap() = Some(late);
        });
        asked.detach();
        started.recv_timeout(PATIENCE).unwrap();
    });
    let late = brought.into_inner().unwrap();
    assert!(matches!(
        late,
        Some(JoinError::Rejected(Rejected::ShutDown))
    ));
}

// A task may hand its pool to threads of its own, which are part of what it
// does; the body may be over by then.
#[test]
fn a_thread_started_by_a_task_submits_after_the_body_is_over() {
    let _alarm = alarm();
    let ran = AtomicUsize::new(0);
    ThreadPool::scope(1, |pool| {
        let over = Gate::new();
        let (inside, turnstile, ran) = (pool.clone(), over.turnstile(), &ran);
        drop(pool.submit(move || {
            thread::scope(|threads| {
                threads.spawn(|| {
                    turnstile.pass();
                    for _ in 0..100 {
                        let count = || ran.fetch_add(1, Ordering::SeqCst);
                        assert!(inside.try_submit(count).is_ok());
                        thread::yield_now();
                    }
                });
            });
        }));
        // Dropped with the body, the gate opens.
    });
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}

#[test]
fn workers_are_gone_when_the_scope_is_over() {
    thread_local! {
        static LATE: std::cell::RefCell<Option<Arc<()>>> = const { std::cell::RefCell::new(None) };
    }
    let _alarm = alarm();
    let alive = Arc::new(());
    ThreadPool::scope(4, |pool| {
        for _ in 0..8 {
            let alive = Arc::clone(&alive);
            drop(pool.submit(move || LATE.set(Some(alive))));
        }
    });
    // std's scope waits for the ends of closures; destructors of thread-locals
    // follow soon.
    eventually(|| Arc::strong_count(&alive) == 1);
}
