//! What stands between a finished result of a map and its taker: no slow input,
//! no full queue, no input that waits for results.

#[cfg(target_os = "linux")]
use crate::pool::{own_thread_number, ticks};
#[cfg(target_os = "linux")]
use crate::support::Busy;
use crate::support::{
    Gate, PATIENCE, SHORT, alarm, ask_in_vain, eventually, expect_panics, occupy,
};
use as_completed::{
    CancelToken, Executor, ExecutorExt, Inline, JoinError, Map, MapUnordered, Rejected,
    RejectedTask, Task, ThreadPool,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn bounded(max_workers: usize) -> ThreadPool {
    ThreadPool::builder()
        .max_workers(max_workers)
        .queue_capacity(1)
        .build()
        .unwrap()
}

type Boxed<'a, T> = Box<dyn Iterator<Item = T> + 'a>;

#[test]
fn a_full_queue_keeps_no_finished_result_back() {
    let _alarm = alarm();
    for unordered in [false, true] {
        let pool = bounded(2);
        let (read, gate) = (Gate::new(), Gate::new());
        let (is_read, turnstile) = (read.turnstile(), gate.turnstile());
        let filled = &pool;
        let items = (0..2).inspect(move |&number| {
            if number == 1 {
                // Item 0 ends now. Two tasks occupy the workers and a third the queue.
                read.open();
                eventually(|| filled.active_count() == 0 && filled.queued_count() == 0);
                for started in 1..=3 {
                    let turnstile = turnstile.clone();
                    filled.submit(move || turnstile.pass()).detach();
                    eventually(|| filled.active_count() == started.min(2));
                }
            }
        });
        let work = move |number| {
            is_read.pass();
            number
        };
        let mut results: Boxed<'_, _> = if unordered {
            Box::new(pool.map_unordered(items, work))
        } else {
            Box::new(pool.map(items, work))
        };
        assert_eq!(results.next().unwrap().unwrap(), 0);
        gate.open();
        assert_eq!(results.next().unwrap().unwrap(), 1);
        assert!(results.next().is_none());
    }
}

#[test]
fn a_timeout_ends_the_wait_for_room_in_a_full_queue() {
    let _alarm = alarm();
    let pool = bounded(1);
    let busy = occupy(&pool, 1);
    let queued = pool.submit(|| ());
    let mut ordered = pool.map(0..3, |number| number).timeout(SHORT);
    let nothing = ordered.next().unwrap().unwrap_err();
    assert_eq!((nothing.pending, nothing.total), (0, 0));
    let mut unordered = pool.map_unordered(0..3, |number| number).timeout(SHORT);
    assert_eq!(unordered.next().unwrap().unwrap_err(), nothing);
    assert!(queued.cancel());
    busy.release();
    // What was read and found no room is not lost.
    let rest: Vec<_> = ordered.into_inner().map(Result::unwrap).collect();
    assert_eq!(rest, [0, 1, 2]);
    assert_eq!(unordered.into_inner().count(), 3);
}

/// Counts how often it is asked for room.
struct Asked<'a>(&'a ThreadPool, AtomicUsize);

impl Asked<'_> {
    fn count(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Executor for Asked<'_> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.execute(task)
    }

    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.try_execute(task)
    }
}

// Asked again and again, each pause longer, it would say so a dozen times.
#[test]
fn a_queue_that_stays_full_is_asked_once() {
    let _alarm = alarm();
    let pool = bounded(1);
    let busy = occupy(&pool, 1);
    let queued = pool.submit(|| ());
    for unordered in [false, true] {
        let asked = Asked(&pool, AtomicUsize::new(0));
        let timeout = 10 * SHORT;
        let unfinished = if unordered {
            asked.map_unordered(0..3, |n| n).timeout(timeout).next()
        } else {
            asked.map(0..3, |n| n).timeout(timeout).next()
        };
        assert!(unfinished.unwrap().is_err());
        // A thread may be woken for no reason.
        assert!(asked.count() <= 3, "{}", asked.count());
    }
    busy.release();
    queued.join().unwrap();
}

// Item 0 runs until item 1 does, so that no result wakes the map. Without an end of
// the queue's silence it would wait for ever.
#[test]
fn a_place_that_becomes_free_wakes_the_map_that_waits_for_it() {
    let _alarm = alarm();
    for unordered in [false, true] {
        let pool = bounded(2);
        let (second, worker) = (Gate::new(), Gate::new());
        let (is_second, is_free) = (second.turnstile(), worker.turnstile());
        let asked = Asked(&pool, AtomicUsize::new(0));
        let filled = &pool;
        let items = (0..2).inspect(move |&number| {
            if number == 1 {
                eventually(|| filled.active_count() == 1);
                for queued in 0..2 {
                    let is_free = is_free.clone();
                    filled.submit(move || is_free.pass()).detach();
                    eventually(|| filled.active_count() == 2 && filled.queued_count() == queued);
                }
            }
        });
        let work = move |number| match number {
            0 => is_second.pass(),
            _ => second.open(),
        };
        let results: Boxed<'_, _> = if unordered {
            Box::new(asked.map_unordered(items, work))
        } else {
            Box::new(asked.map(items, work))
        };
        let results = thread::scope(|threads| {
            threads.spawn(|| {
                // Once, or more often if the thread is woken for no reason.
                eventually(|| asked.count() > 0);
                worker.open();
            });
            results.map(Result::unwrap).count()
        });
        assert_eq!(results, 2);
        assert!(asked.count() <= 6, "{}", asked.count());
    }
}

/// A pool that is full, and a thread for what must not be refused.
struct Overflow<'a>(Asked<'a>);

impl Executor for Overflow<'_> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        thread::spawn(|| task.run());
        Ok(())
    }

    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.try_execute(task)
    }
}

/// Calls `meanwhile` while item 0 of a map runs and item 1 waits for room in a pool.
fn while_a_map_waits_for_room(meanwhile: impl Fn(&ThreadPool, &Asked<'_>) + Sync) {
    for unordered in [false, true] {
        let pool = bounded(1);
        let busy = occupy(&pool, 1);
        let queued = pool.submit(|| ());
        let overflow = Overflow(Asked(&pool, AtomicUsize::new(0)));
        let first = Gate::new();
        let turnstile = first.turnstile();
        let work = move |number| {
            if number == 0 {
                turnstile.pass();
            }
            number
        };
        let mut results: Boxed<'_, _> = if unordered {
            Box::new(overflow.map_unordered(0..2, work))
        } else {
            Box::new(overflow.map(0..2, work))
        };
        thread::scope(|threads| {
            threads.spawn(|| {
                eventually(|| overflow.0.count() > 0);
                meanwhile(&pool, &overflow.0);
                first.open();
            });
            let mut seen = [(); 2].map(|()| results.next().unwrap().unwrap());
            seen.sort_unstable();
            assert_eq!(seen, [0, 1]);
        });
        busy.release();
        queued.join().unwrap();
    }
}

#[test]
fn a_result_wakes_the_map_that_waits_for_room() {
    let _alarm = alarm();
    while_a_map_waits_for_room(|_, _| ());
}

#[test]
fn a_shutdown_wakes_the_map_that_waits_for_room() {
    let _alarm = alarm();
    while_a_map_waits_for_room(|pool, asked| {
        let before = asked.count();
        pool.shutdown();
        eventually(|| asked.count() > before);
    });
}

/// Refuses the first tasks, whatever its full pool says, and tells nobody when it takes
/// them.
struct Mute<'a>(&'a ThreadPool, AtomicUsize);

impl Executor for Mute<'_> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        Inline.execute(task)
    }

    fn try_execute(&self, task: Task) -> Result<(), RejectedTask> {
        let Err(rejected) = self.0.try_execute(task) else {
            unreachable!("the pool is full");
        };
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0..3 => Err(RejectedTask::new(rejected.into_task(), Rejected::QueueFull)),
            _ => self.execute(rejected.into_task()),
        }
    }
}

#[test]
fn a_queue_that_does_not_tell_of_room_is_asked_again() {
    let _alarm = alarm();
    let pool = bounded(1);
    let busy = occupy(&pool, 1);
    let queued = pool.submit(|| ());
    for unordered in [false, true] {
        let mute = Mute(&pool, AtomicUsize::new(0));
        let mut results: Boxed<'_, _> = if unordered {
            Box::new(mute.map_unordered(0..3, |n| n).timeout(PATIENCE))
        } else {
            Box::new(mute.map(0..3, |n| n).timeout(PATIENCE))
        };
        assert!(results.all(|result| result.is_ok_and(|result| result.is_ok())));
        assert_eq!(mute.1.load(Ordering::SeqCst), 6);
    }
    busy.release();
    queued.join().unwrap();
}

#[test]
fn a_map_on_a_worker_goes_through_the_full_queue_of_its_own_pool() {
    let _alarm = alarm();
    for max_workers in [1, 2] {
        let pool = Arc::new(bounded(max_workers));
        let inner = Arc::clone(&pool);
        let sum = pool.submit(move || -> u64 {
            let ordered: u64 = inner.map(0..100, |n: u64| n).map(Result::unwrap).sum();
            let unordered = inner.map_unordered(0..100, |n: u64| n);
            ordered + unordered.map(Result::unwrap).sum::<u64>()
        });
        assert_eq!(sum.join().unwrap(), 9900);
    }
}

#[test]
fn workers_go_on_while_results_are_taken_one_by_one() {
    let _alarm = alarm();
    for unordered in [false, true] {
        let pool = ThreadPool::new(1);
        let gate = Gate::new();
        let turnstile = gate.turnstile();
        let (sender, started) = mpsc::channel();
        let work = move |number| {
            sender.send(number).unwrap();
            turnstile.pass();
        };
        // Item 0 ends when item 1 has been read, and fills the buffer.
        let items = (0..3).inspect(move |&number| {
            if number == 1 {
                gate.open();
            }
        });
        let mut results: Boxed<'_, _> = if unordered {
            Box::new(pool.map_unordered(items, work).buffer(2))
        } else {
            Box::new(pool.map(items, work).buffer(2))
        };
        for number in 0..2 {
            results.next().unwrap().unwrap();
            assert_eq!(started.recv_timeout(PATIENCE), Ok(number));
            eventually(|| pool.active_count() == 0 || number == 0);
        }
        // Nobody asks for it yet.
        assert_eq!(started.recv_timeout(PATIENCE), Ok(2));
        assert_eq!(results.count(), 1);
    }
}

// The subject is time: each item takes longer to read than a map waits for one.
#[test]
fn an_input_that_was_slow_stands_before_no_finished_result() {
    let _alarm = alarm();
    for unordered in [false, true] {
        let pool = ThreadPool::new(1);
        let gate = Gate::new();
        let (read, turnstile) = (AtomicUsize::new(0), gate.turnstile());
        let items = (0..8).inspect(|&number| {
            thread::sleep(Duration::from_millis(2));
            read.fetch_add(1, Ordering::SeqCst);
            // The buffer is full then, and no result is there before.
            if number == 3 {
                gate.open();
            }
        });
        let work = move |_| turnstile.pass();
        let mut results: Boxed<'_, _> = if unordered {
            Box::new(pool.map_unordered(items, work).buffer(4))
        } else {
            Box::new(pool.map(items, work).buffer(4))
        };
        let mut read_after = || {
            assert!(results.next().is_some());
            eventually(|| pool.active_count() == 0 && pool.queued_count() == 0);
            read.load(Ordering::SeqCst)
        };
        assert_eq!(read_after(), 4);
        // In the place of the first, and found to be slow.
        assert_eq!(read_after(), 5);
        assert_eq!(read_after(), 5);
        assert_eq!(read_after(), 5);
    }
}

#[test]
fn no_item_of_a_chunk_is_read_after_the_timeout() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (both_read, end) = (Gate::new(), Gate::new());
    let (first, second) = (both_read.turnstile(), end.turnstile());
    let timeout = 10 * SHORT;
    // Not before that of the map.
    let deadline = OnceLock::new();
    let is_over = || Instant::now() >= *deadline.get().expect("the map is lazy");
    let late = AtomicUsize::new(0);
    let items = (0..400).inspect(|&number| {
        late.fetch_add(usize::from(is_over()), Ordering::SeqCst);
        match number {
            199 => both_read.open(),
            // In the chunk that is read in the place of the first.
            250 => eventually(is_over),
            _ => {}
        }
    });
    let work = move |number| match number {
        0..100 => first.pass(),
        _ => second.pass(),
    };
    let map = pool.map(items, work).chunk_size(100).buffer(2);
    let mut results = map.timeout(timeout);
    deadline.set(Instant::now() + timeout).unwrap();
    assert!(results.any(|result| result.is_err()));
    // One that was about to be read at that moment.
    let late = late.load(Ordering::SeqCst);
    assert!(late <= 1, "{late}");
    end.open();
}

/// A channel whose next item comes when the result of the last is there.
fn in_lockstep<R>(mut results: impl Iterator<Item = Result<R, JoinError>>, next: mpsc::Sender<u64>)
where
    R: Into<u64>,
{
    let mut next = Some(next);
    let mut last = 0;
    for result in results.by_ref() {
        last = result.unwrap().into();
        match &next {
            Some(sender) if last < 64 => sender.send(last).unwrap(),
            _ => drop(next.take()),
        }
    }
    assert_eq!(last, 64);
}

fn lockstep_input() -> (mpsc::Sender<u64>, mpsc::Receiver<u64>) {
    let (sender, items) = mpsc::channel();
    sender.send(1).unwrap();
    (sender, items)
}

#[test]
fn an_input_read_in_the_background_may_wait_for_each_result() {
    let _alarm = alarm();
    for max_workers in [1, 4] {
        let pool = ThreadPool::new(max_workers);
        for chunk_size in [1, 5] {
            let (sender, items) = lockstep_input();
            let results = pool.map(items, |n| 2 * n).buffer(8).chunk_size(chunk_size);
            in_lockstep(results.read_in_background(), sender);
            let (sender, items) = lockstep_input();
            let results = pool.map_unordered(items, |n| 2 * n).chunk_size(chunk_size);
            in_lockstep(results.read_in_background(), sender);
        }
    }
    let (sender, items) = lockstep_input();
    in_lockstep(Inline.map(items, |n| 2 * n).read_in_background(), sender);
}

#[test]
fn an_input_that_waits_for_results_read_here_needs_a_buffer_of_one() {
    let _alarm = alarm();
    let pool = ThreadPool::new(4);
    let (sender, items) = lockstep_input();
    in_lockstep(pool.map(items, |n| 2 * n).buffer(1), sender);
    let (sender, items) = lockstep_input();
    in_lockstep(pool.map_unordered(items, |n| 2 * n).buffer(1), sender);
}

#[test]
fn an_input_that_waits_for_the_result_before_the_last_eight_needs_a_buffer_of_eight() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let (sender, items) = mpsc::channel();
    for number in 0..8_u64 {
        sender.send(number).unwrap();
    }
    let mut sender = Some(sender);
    let mut seen = Vec::new();
    for result in pool.map(items, |number| number).buffer(8) {
        seen.push(result.unwrap());
        match &sender {
            Some(open) if seen.len() < 50 => open.send(seen.len() as u64 + 7).unwrap(),
            _ => drop(sender.take()),
        }
    }
    assert_eq!(seen, (0..57).collect::<Vec<_>>());
}

#[test]
fn a_worker_waits_for_the_background_and_runs_what_nobody_else_is_free_to() {
    let _alarm = alarm();
    for max_workers in [1, 2] {
        let pool = Arc::new(ThreadPool::new(max_workers));
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let (sender, items) = lockstep_input();
            in_lockstep(inner.map(items, |n| 2 * n).read_in_background(), sender);
            let (sender, items) = lockstep_input();
            let results = inner.map_unordered(items, |n| 2 * n).read_in_background();
            in_lockstep(results, sender);
            let all = inner.map(0..500_u64, |n| n).read_in_background();
            all.map(Result::unwrap).sum::<u64>()
        });
        assert_eq!(outer.join().unwrap(), 124_750);
    }
}

#[test]
fn the_background_reads_everything_in_order_and_within_the_buffer() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for (buffer, chunk_size) in [(1_usize, 1_usize), (4, 1), (3, 5), (2, usize::MAX)] {
        let (read, given) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, taken) = (Arc::clone(&read), Arc::clone(&given));
        let items = (0..200_usize).inspect(move |_| {
            let read = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let ahead = read - taken.load(Ordering::SeqCst);
            let most = (buffer + 1).saturating_mul(chunk_size).saturating_add(1);
            assert!(ahead <= most, "{ahead} items ahead");
        });
        let results = pool
            .map(items, |number| number)
            .buffer(buffer)
            .chunk_size(chunk_size)
            .read_in_background();
        assert_eq!(read.load(Ordering::SeqCst), 0, "lazy");
        let seen: Vec<_> = results
            .inspect(|_| {
                given.fetch_add(1, Ordering::SeqCst);
            })
            .map(Result::unwrap)
            .collect();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn a_timeout_cuts_a_read_in_the_background_short() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let (sender, items) = mpsc::channel();
    let mut results = pool
        .map(items, |number: u32| number)
        .read_in_background()
        .timeout(SHORT);
    assert!(results.next().unwrap().is_err());
    let mut results = results.into_inner();
    sender.send(1).unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 1);
    drop(sender);
    assert!(results.next().is_none() && results.next().is_none());
}

#[test]
fn a_panic_of_an_input_in_the_background_reaches_the_taker_and_loses_nothing() {
    let _alarm = alarm();
    expect_panics();
    let mut has_panicked = false;
    let items = (0..6).inspect(move |&number| {
        let is_fine = number != 4 || std::mem::replace(&mut has_panicked, true);
        assert!(is_fine, "{}", crate::support::ON_PURPOSE);
    });
    let pool = ThreadPool::new(2);
    let mut results = pool.map(items, |n| n).chunk_size(3).read_in_background();
    let (mut seen, mut panics) = (Vec::new(), 0);
    loop {
        let next = std::panic::AssertUnwindSafe(|| results.next());
        match std::panic::catch_unwind(next) {
            Ok(Some(result)) => seen.push(result.unwrap()),
            Ok(None) => break,
            Err(_) => panics += 1,
        }
    }
    assert_eq!((seen, panics), (vec![0, 1, 2, 3, 5], 1));
}

#[test]
fn an_input_in_the_background_is_dropped_with_its_map() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let object = Arc::new(());
    let held = Arc::clone(&object);
    let items = (0..).inspect(move |_| drop(Arc::clone(&held)));
    let mut results = pool.map(items, |n: u32| n).read_in_background();
    assert_eq!(results.next().unwrap().unwrap(), 0);
    drop(results);
    eventually(|| Arc::strong_count(&object) == 1);
}

#[test]
fn dropping_a_map_cancels_its_token_after_what_is_pending() {
    let _alarm = alarm();
    for unordered in [false, true] {
        let pool = ThreadPool::new(1);
        let token = CancelToken::new();
        let (seen, ran) = (token.clone(), Arc::new(AtomicUsize::new(0)));
        let (sender, started) = mpsc::channel();
        let counted = Arc::clone(&ran);
        let work = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            sender.send(()).unwrap();
            seen.sleep(Duration::MAX)
        };
        let is_filled = || (pool.active_count(), pool.queued_count()) == (1, 1);
        let results: Boxed<'_, _> = if unordered {
            let results = pool.map_unordered(0..2, work).cancel_on_drop(token.clone());
            Box::new(ask_in_vain(results, MapUnordered::timeout, is_filled).0)
        } else {
            let results = pool.map(0..2, work).cancel_on_drop(token.clone());
            Box::new(ask_in_vain(results, Map::timeout, is_filled).0)
        };
        started.recv_timeout(PATIENCE).unwrap();
        assert!(!token.is_cancelled());
        drop(results);
        assert!(token.is_cancelled());
        pool.join();
        assert_eq!(ran.load(Ordering::SeqCst), 1, "item 1 never starts");
    }
}

/// Counts the tasks that it hands to a pool.
struct Counting(ThreadPool, AtomicUsize);

impl Executor for Counting {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.execute(task)
    }
}

#[test]
fn input_that_is_slow_to_come_costs_a_task_for_each_item_and_no_more() {
    let _alarm = alarm();
    let pool = Counting(ThreadPool::new(1), AtomicUsize::new(0));
    let (sender, numbers) = mpsc::channel();
    let mut doubled = pool.map(numbers, |n| 2 * n).read_in_background();
    for n in 0..3 {
        let late = sender.clone();
        let sending = thread::spawn(move || {
            // So that it is waited for, most of the time.
            thread::sleep(SHORT);
            late.send(n).unwrap();
        });
        assert_eq!(doubled.next().unwrap().unwrap(), 2 * n);
        sending.join().unwrap();
    }
    assert_eq!(doubled.size_hint(), (0, None));
    drop(sender);
    assert!(doubled.next().is_none());
    assert_eq!(doubled.size_hint(), (0, Some(0)));
    assert_eq!(pool.1.load(Ordering::SeqCst), 3);
}

/// The only worker is the one that waits, so nothing runs unless it does that itself.
#[test]
fn a_map_with_a_timeout_runs_no_task_on_the_worker_that_waits() {
    let _alarm = alarm();
    let runs = Arc::new(AtomicUsize::new(0));
    for in_background in [false, true] {
        // A full queue, or input that does not come.
        let pool = Arc::new(bounded(1));
        let (inner, counted) = (Arc::clone(&pool), Arc::clone(&runs));
        let outer = pool.submit(move || {
            let (input, items) = mpsc::channel();
            input.send(1).unwrap();
            let work = move |_| counted.fetch_add(1, Ordering::SeqCst);
            let is_filled = || inner.queued_count() == 1;
            let error = if in_background {
                let map = inner.map(items, work).read_in_background();
                ask_in_vain(map, Map::timeout, is_filled).1
            } else {
                ask_in_vain(inner.map(0..2, work), Map::timeout, is_filled).1
            };
            drop(input);
            error
        });
        let error = outer.join().unwrap();
        assert_eq!((error.pending, error.total), (1, 1));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

/// The input of the second item waits until the first is in flight, and the first until
/// the input is asked for a fourth.
#[test]
fn part_of_a_chunk_waits_for_the_rest_while_others_are_in_flight() {
    let _alarm = alarm();
    let pool = Counting(ThreadPool::new(2), AtomicUsize::new(0));
    let (start, started) = mpsc::channel();
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let mut next = 0;
    let items = std::iter::from_fn(move || {
        match next {
            1 => started.recv().unwrap(),
            3 => {
                gate.open();
                return None;
            }
            _ => {}
        }
        next += 1;
        Some(next - 1)
    });
    let start = Mutex::new(start);
    let work = move |item| {
        if item == 0 {
            start.lock().unwrap().send(()).unwrap();
            turnstile.pass();
        }
        item
    };
    let results = pool.map(items, work).chunk_size(2).read_in_background();
    let results: Vec<_> = results.map(Result::unwrap).collect();
    assert_eq!(results, [0, 1, 2]);
    assert_eq!(pool.1.load(Ordering::SeqCst), 2);
}

#[cfg(target_os = "linux")]
type Waits<'a> = Box<dyn FnOnce() -> usize + Send + 'a>;

/// The waits of a map: for an item, for room in a queue, and for a result.
#[cfg(target_os = "linux")]
#[test]
fn a_map_that_waits_uses_no_processor_time() {
    const LONG: Duration = Duration::from_secs(3600);
    let _alarm = alarm();
    let (full, roomy) = (Arc::new(bounded(1)), Arc::new(ThreadPool::new(1)));
    let busy = [occupy(&*full, 1), occupy(&*roomy, 1)];
    full.submit(|| ()).detach();
    let mut inputs = Vec::new();
    let mut items = || {
        let (input, items) = mpsc::channel::<u64>();
        inputs.push(input);
        items
    };
    let id = |n| n;
    let [one, two, three, four] = [items(), items(), items(), items()];
    let waits: [Waits<'_>; 9] = [
        Box::new(|| roomy.map(one, id).read_in_background().count()),
        Box::new(|| {
            let results = roomy.map(two, id).read_in_background();
            results.timeout(LONG).count()
        }),
        Box::new(|| roomy.map_unordered(three, id).read_in_background().count()),
        Box::new(|| {
            let results = roomy.map_unordered(four, id).read_in_background();
            results.timeout(LONG).count()
        }),
        Box::new(|| full.map(0..2, id).timeout(LONG).count()),
        Box::new(|| full.map_unordered(0..2, id).timeout(LONG).count()),
        Box::new(|| roomy.map(0..2, id).count()),
        Box::new(|| roomy.map(0..2, id).timeout(LONG).count()),
        Box::new(|| roomy.map_unordered(0..2, id).timeout(LONG).count()),
    ];
    let (sender, threads) = mpsc::channel();
    thread::scope(|scope| {
        let waiters: Vec<_> = waits
            .into_iter()
            .map(|wait| {
                let sender = sender.clone();
                scope.spawn(move || {
                    sender.send(own_thread_number()).unwrap();
                    wait()
                })
            })
            .collect();
        let threads: Vec<_> = threads.iter().take(waiters.len()).collect();
        // The quiet is what is measured. Each thread may use a tenth of it.
        thread::sleep(SHORT);
        let before: Vec<_> = threads.iter().map(|thread| ticks(thread)).collect();
        thread::sleep(Duration::from_millis(500));
        let after = threads.iter().map(|thread| ticks(thread));
        let used: Vec<_> = before.iter().zip(after).map(|(b, a)| a - b).collect();
        drop(inputs);
        busy.iter().for_each(Busy::open);
        let counts = waiters.into_iter().map(|waiter| waiter.join().unwrap());
        assert_eq!(counts.collect::<Vec<_>>(), [0, 0, 0, 0, 2, 2, 2, 2, 2]);
        assert!(used.iter().all(|ticks| *ticks <= 5), "{used:?} ticks");
    });
}
