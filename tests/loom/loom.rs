//! Models of everything that races: loom runs each through all interleavings,
//! up to a number of preemptions, of the crate's own code.
//!
//! ```sh
//! RUSTFLAGS="--cfg as_completed_loom" \
//!     cargo test --release -p models --features stream
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS=4` explores more and takes long. A model that fails, hangs
//! (loom reports a deadlock) or leaves a thread behind fails its test. A model that
//! checks a documented promise is named after the schedule that could break it.
#![cfg(as_completed_loom)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod handed_on;
mod life;
mod log;
mod queue;
mod reserve;

use as_completed::{
    AsCompleted, CancelToken, Executor, ExecutorExt, JoinError, JoinHandle, Rejected, RejectedTask,
    ReturnWhen, Task, ThreadPool, as_completed, promise, wait,
};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Over as soon as it is looked at, which in a model is when time passes.
const BRIEFLY: Duration = Duration::from_nanos(1);

/// Explores `model` with `preemptions`, unless the environment asks for more.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Counts what happens, in the sight of loom.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    #[track_caller]
    fn assert(&self, expected: usize) {
        assert_eq!(self.0.load(Ordering::SeqCst), expected);
    }

    fn so_far(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts its own drop.
    fn on_drop(&self) -> OnDrop {
        OnDrop(self.clone())
    }
}

struct OnDrop(Count);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Something that happens once and can be waited for, by loom's means.
#[derive(Clone, Default)]
struct Event(Arc<(Mutex<bool>, Condvar)>);

impl Event {
    fn happen(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let mut happened = self.0.0.lock().unwrap();
        while !*happened {
            happened = self.0.1.wait(happened).unwrap();
        }
    }
}

/// A task in the hands of the model, and its handle.
fn by_hand<T: Send + 'static>(
    closure: impl FnOnce() -> T + Send + 'static,
) -> (Task, JoinHandle<T>) {
    let hand = Hand::default();
    let handle = hand.submit(closure);
    (hand.take(), handle)
}

/// An executor that keeps a task until the model takes it.
#[derive(Default)]
struct Hand(std::sync::Mutex<Option<Task>>);

impl Hand {
    fn take(&self) -> Task {
        self.0.lock().unwrap().take().unwrap()
    }
}

impl Executor for Hand {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        *self.0.lock().unwrap() = Some(task);
        Ok(())
    }
}

fn pool(max_workers: usize) -> ThreadPool {
    ThreadPool::new(max_workers)
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.add();
    }
}

/// Polls once; the count of the waker's calls is the caller's.
fn poll<T>(handle: &mut JoinHandle<T>, woken: &Arc<Count>) -> Poll<Result<T, JoinError>> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(handle).poll(&mut Context::from_waker(&waker))
}

// A task and those who wait for it.

#[test]
fn join_while_finishing_gets_the_result_after_the_closure_is_dropped() {
    explore(3, || {
        let dropped = Count::default();
        let captured = dropped.on_drop();
        let (task, handle) = by_hand(move || {
            let _captured = &captured;
            42
        });
        let runner = thread::spawn(move || task.run());
        assert_eq!(handle.join().unwrap(), 42);
        dropped.assert(1);
        runner.join().unwrap();
    });
}

#[test]
fn join_while_panicking_gets_the_panic_after_the_closure_is_dropped() {
    explore(3, || {
        let dropped = Count::default();
        let captured = dropped.on_drop();
        let (task, handle) = by_hand(move || {
            let _captured = &captured;
            std::panic::resume_unwind(Box::new("bang"))
        });
        let runner = thread::spawn(move || task.run());
        let error: JoinError = handle.join().map(|()| ()).unwrap_err();
        assert!(error.is_panic());
        dropped.assert(1);
        runner.join().unwrap();
    });
}

#[test]
fn join_while_the_executor_loses_the_task_is_told_so() {
    explore(3, || {
        let dropped = Count::default();
        let captured = dropped.on_drop();
        let (task, handle) = by_hand(move || drop(captured));
        let loser = thread::spawn(move || drop(task));
        assert!(matches!(
            handle.join(),
            Err(JoinError::Rejected(Rejected::Lost))
        ));
        dropped.assert(1);
        loser.join().unwrap();
    });
}

#[test]
fn cancel_while_finishing_reaches_the_running_task() {
    explore(3, || {
        let hand = Hand::default();
        let handle = hand.submit_cancellable(|token| token.sleep(Duration::MAX));
        let task = hand.take();
        let runner = thread::spawn(move || task.run());
        // Whatever it finds, the task does not sleep on.
        if handle.cancel() {
            assert!(handle.is_cancelled());
            assert!(handle.join().unwrap_err().is_cancelled());
        } else {
            assert!(!handle.join().unwrap());
        }
        runner.join().unwrap();
    });
}

#[test]
fn cancel_while_starting_means_that_it_never_ran_and_waiters_are_told() {
    explore(3, || {
        let (ran, dropped) = (Count::default(), Count::default());
        let (inside, captured) = (ran.clone(), dropped.on_drop());
        let (task, handle) = by_hand(move || {
            let _captured = &captured;
            inside.add();
        });
        let handle = Arc::new(handle);
        let runner = thread::spawn(move || task.run());
        let canceller = {
            let (handle, dropped) = (Arc::clone(&handle), dropped.clone());
            thread::spawn(move || {
                let cancelled = handle.cancel();
                if cancelled {
                    dropped.assert(1);
                }
                cancelled
            })
        };
        handle.wait();
        dropped.assert(1);
        let cancelled = canceller.join().unwrap();
        runner.join().unwrap();
        assert_eq!(handle.is_cancelled(), cancelled);
        ran.assert(usize::from(!cancelled));
    });
}

#[test]
fn cancel_while_being_lost_says_what_the_handle_says() {
    explore(3, || {
        let (task, handle) = by_hand(|| ());
        let loser = thread::spawn(move || drop(task));
        let cancelled = handle.cancel();
        let error = handle.join().unwrap_err();
        assert_eq!(error.is_cancelled(), cancelled);
        assert_eq!(error.is_rejected(), !cancelled);
        loser.join().unwrap();
    });
}

// Both cancel while one of them still drops the closure: who is told that the task
// is cancelled sees that it is.
#[test]
fn cancel_by_two_is_seen_by_both_who_are_told_so() {
    explore(3, || {
        let (task, handle) = by_hand(|| ());
        let handle = Arc::new(handle);
        let canceller = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || assert!(handle.cancel() && handle.is_cancelled()))
        };
        assert!(handle.cancel() && handle.is_cancelled());
        assert!(format!("{handle:?}").contains("cancelled"));
        canceller.join().unwrap();
        assert!(handle.is_finished());
        task.run();
    });
}

#[test]
fn cancel_of_all_that_is_left_while_one_runs_and_one_ends() {
    explore(2, || {
        let ran = Count::default();
        let inside = ran.clone();
        let (task, handle) = by_hand(move || inside.add());
        let runner = thread::spawn(move || task.run());
        let (promise, promised) = promise::<()>();
        let settler = thread::spawn(move || promise.settle(Ok(())));
        let handles = [&handle, &promised];
        drop(as_completed(handles).cancel_on_drop());
        // Nobody needs to do more for either.
        promised.wait();
        handle.wait();
        runner.join().unwrap();
        settler.join().unwrap();
        ran.assert(usize::from(!handle.is_cancelled()));
    });
}

#[test]
fn token_set_while_a_callback_comes_and_another_goes_runs_the_one_and_at_most_once() {
    explore(3, || {
        let (token, called, taken_back) = (CancelToken::new(), Count::default(), Count::default());
        let callback = taken_back.clone();
        let goes = token.on_cancel(move || callback.add());
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        drop(goes);
        let callback = called.clone();
        let comes = token.on_cancel(move || callback.add());
        canceller.join().unwrap();
        drop(comes);
        called.assert(1);
        assert!(taken_back.so_far() <= 1);
    });
}

// The time is over as soon as the closure starts: the timer's thread may be first,
// or the closure's end.
#[test]
fn timeout_while_the_closure_ends_sets_the_token_or_is_taken_back() {
    explore(2, || {
        let hand = Hand::default();
        let handle = hand.submit_with_timeout(Duration::ZERO, |token| token.is_cancelled());
        hand.take().run();
        match handle.join() {
            Ok(saw_it) => assert!(!saw_it, "a value means that the alarm was taken back"),
            Err(JoinError::TimedOut(error)) => assert!(error.limit().is_zero()),
            Err(error) => panic!("{error:?}"),
        }
    });
}

#[test]
fn timer_whose_last_user_goes_while_another_comes_serves_it() {
    explore(2, || {
        let hand = Hand::default();
        drop(hand.submit_with_timeout(Duration::MAX, |_| ()));
        let task = hand.take();
        let goes = thread::spawn(move || drop(task));
        let handle = hand.submit_with_timeout(Duration::ZERO, |token| {
            assert!(!token.sleep(Duration::MAX));
        });
        hand.take().run();
        assert!(matches!(handle.join(), Err(JoinError::TimedOut(_))));
        goes.join().unwrap();
    });
}

#[test]
fn cancel_by_two_counts_once_for_the_pool() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let started = Event::default();
        let (begin, gate) = (started.clone(), Event::default());
        let opened = gate.clone();
        let blocker = pool.submit(move || {
            begin.happen();
            opened.wait();
        });
        started.wait();
        let handle = pool.submit(|| ());
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.cancel_pending())
        };
        let here = pool.cancel_pending();
        assert_eq!(here + other.join().unwrap(), 1);
        assert!(handle.join().unwrap_err().is_cancelled());
        gate.happen();
        blocker.join().unwrap();
    });
}

#[test]
fn callback_added_while_finishing_is_called_once() {
    explore(3, || {
        let called = Count::default();
        let (task, handle) = by_hand(|| ());
        let runner = thread::spawn(move || task.run());
        for _ in 0..2 {
            let called = called.clone();
            handle.on_done(move |_| called.add());
        }
        runner.join().unwrap();
        called.assert(2);
    });
}

#[test]
fn callback_may_use_its_handle_and_cancel() {
    explore(3, || {
        let called = Count::default();
        let (task, handle) = by_hand(|| ());
        let handle = Arc::new(handle);
        let (seen, inside) = (called.clone(), Arc::clone(&handle));
        handle.on_done(move |id| {
            assert_eq!(inside.id(), id);
            assert!(inside.is_finished());
            inside.cancel();
            let again = seen.clone();
            inside.on_done(move |_| again.add());
        });
        let runner = thread::spawn(move || task.run());
        handle.cancel();
        runner.join().unwrap();
        called.assert(1);
    });
}

#[test]
fn handle_dropped_while_finishing_detaches() {
    explore(3, || {
        let (ran, closure, result) = (Count::default(), Count::default(), Count::default());
        let (inside, captured, returned) = (ran.clone(), closure.on_drop(), result.on_drop());
        let (task, handle) = by_hand(move || {
            let _captured = &captured;
            inside.add();
            returned
        });
        let runner = thread::spawn(move || task.run());
        drop(handle);
        runner.join().unwrap();
        ran.assert(1);
        closure.assert(1);
        result.assert(1);
    });
}

#[test]
fn two_waiters_are_both_woken() {
    explore(3, || {
        let (task, handle) = by_hand(|| ());
        let handle = Arc::new(handle);
        let runner = thread::spawn(move || task.run());
        let other = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle.wait())
        };
        handle.wait();
        other.join().unwrap();
        runner.join().unwrap();
    });
}

#[test]
fn a_wait_that_times_out_leaves_the_other_waiter_alone() {
    explore(3, || {
        let (task, handle) = by_hand(|| 42);
        let handle = Arc::new(handle);
        let runner = thread::spawn(move || task.run());
        let other = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle.wait())
        };
        if handle.wait_timeout(BRIEFLY).is_ok() {
            assert!(handle.is_finished());
        }
        other.join().unwrap();
        assert!(handle.is_finished());
        runner.join().unwrap();
    });
}

#[test]
fn poll_while_finishing_is_ready_or_woken_by_the_last_waker() {
    explore(3, || {
        let (task, mut handle) = by_hand(|| 42);
        let runner = thread::spawn(move || task.run());
        let woken: [Arc<Count>; 2] = Default::default();
        if poll(&mut handle, &woken[0]).is_pending() && poll(&mut handle, &woken[1]).is_pending() {
            runner.join().unwrap();
            woken[1].assert(1);
            assert!(matches!(poll(&mut handle, &woken[1]), Poll::Ready(Ok(42))));
        } else {
            runner.join().unwrap();
        }
        assert!(woken[0].so_far() <= 1);
    });
}

#[test]
fn a_task_offered_to_an_executor_that_drops_it_is_lost() {
    /// Gives the task to another thread, which drops it.
    #[derive(Default)]
    struct Careless(std::sync::Mutex<Option<thread::JoinHandle<()>>>);

    impl Executor for Careless {
        fn execute(&self, task: Task) -> Result<(), RejectedTask> {
            let loser = thread::spawn(move || drop(task));
            *self.0.lock().unwrap() = Some(loser);
            Ok(())
        }
    }

    explore(3, || {
        let dropped = Count::default();
        let captured = dropped.on_drop();
        let careless = Careless::default();
        let handle = careless.try_submit(move || drop(captured)).unwrap();
        assert!(matches!(
            handle.join(),
            Err(JoinError::Rejected(Rejected::Lost))
        ));
        dropped.assert(1);
        let loser = careless.0.lock().unwrap().take().unwrap();
        loser.join().unwrap();
    });
}

// Many tasks and those who wait for them.

#[test]
fn as_completed_registers_while_they_finish_and_yields_each_once() {
    explore(2, || {
        let (tasks, handles): (Vec<_>, Vec<_>) = (0..2).map(|n| by_hand(move || n)).unzip();
        let runners: Vec<_> = tasks
            .into_iter()
            .map(|task| thread::spawn(move || task.run()))
            .collect();
        let all: AsCompleted<_> = as_completed(handles);
        assert_eq!(all.len(), 2);
        let mut results: Vec<i32> = all
            .map(|handle| {
                assert!(handle.is_finished());
                handle.join().unwrap()
            })
            .collect();
        results.sort_unstable();
        assert_eq!(results, [0, 1]);
        for runner in runners {
            runner.join().unwrap();
        }
    });
}

#[test]
fn as_completed_sees_cancelled_tasks_whoever_runs_them() {
    explore(2, || {
        let (task, handle) = by_hand(|| ());
        let runner = thread::spawn(move || task.run());
        let mut all = as_completed([&handle]);
        handle.cancel();
        assert!(all.next().is_some_and(JoinHandle::is_finished));
        assert!(all.next().is_none());
        runner.join().unwrap();
    });
}

// Whoever sees that a task is final finds it in the iterator at once.
#[test]
fn as_completed_asked_for_a_moment_has_whatever_is_seen_to_be_final() {
    explore(3, || {
        let (task, handle) = by_hand(|| ());
        let (promise, promised) = promise();
        let runner = thread::spawn(move || {
            task.run();
            promise.settle(Ok(()));
        });
        let mut all = as_completed([&handle, &promised]);
        for handle in [&handle, &promised] {
            if handle.is_finished() {
                // The one that ended before may come first.
                while all.next_timeout(Duration::ZERO).unwrap().unwrap().id() != handle.id() {}
            }
        }
        drop(all);
        runner.join().unwrap();
    });
}

// A task that ends after it has seen another final comes after it.
#[test]
fn as_completed_yields_in_the_order_in_which_ends_are_seen() {
    explore(2, || {
        let (first, one) = by_hand(|| ());
        let (second, two) = by_hand(|| ());
        let one = Arc::new(one);
        let seen = Arc::clone(&one);
        let runner = thread::spawn(move || first.run());
        let other = thread::spawn(move || {
            let saw_the_first = seen.is_finished();
            second.run();
            saw_the_first
        });
        let order: Vec<_> = as_completed([&*one, &two]).map(JoinHandle::id).collect();
        if other.join().unwrap() {
            assert_eq!(order, [one.id(), two.id()]);
        }
        runner.join().unwrap();
    });
}

#[test]
fn as_completed_dropped_while_they_finish_gives_back_what_it_has() {
    explore(2, || {
        let (tasks, handles): (Vec<_>, Vec<_>) = (0..2).map(|n| by_hand(move || n)).unzip();
        let runners: Vec<_> = tasks
            .into_iter()
            .map(|task| thread::spawn(move || task.run()))
            .collect();
        let mut all = as_completed(handles);
        let first = all.next_timeout(BRIEFLY).ok().flatten();
        let pending = all.into_pending();
        assert_eq!(pending.len(), 2 - usize::from(first.is_some()));
        let mut results: Vec<i32> = pending
            .into_iter()
            .chain(first)
            .map(|handle| handle.join().unwrap())
            .collect();
        results.sort_unstable();
        assert_eq!(results, [0, 1]);
        for runner in runners {
            runner.join().unwrap();
        }
    });
}

#[test]
fn as_completed_dropped_while_it_finishes_detaches() {
    explore(3, || {
        let (ran, result) = (Count::default(), Count::default());
        let (inside, returned) = (ran.clone(), result.on_drop());
        let (task, handle) = by_hand(move || {
            inside.add();
            returned
        });
        let runner = thread::spawn(move || task.run());
        drop(as_completed([handle]));
        runner.join().unwrap();
        ran.assert(1);
        result.assert(1);
    });
}

#[test]
fn wait_for_the_first_while_both_finish() {
    explore(2, || {
        let (tasks, handles): (Vec<_>, Vec<_>) = (0..2).map(|n| by_hand(move || n)).unzip();
        let runners: Vec<_> = tasks
            .into_iter()
            .map(|task| thread::spawn(move || task.run()))
            .collect();
        let waited = wait(&handles, ReturnWhen::FirstCompleted, None);
        assert!(!waited.done.is_empty());
        assert_eq!(waited.done.len() + waited.pending.len(), 2);
        assert!(waited.done.iter().all(|handle| handle.is_finished()));
        for runner in runners {
            runner.join().unwrap();
        }
    });
}

#[cfg(feature = "stream")]
#[test]
fn stream_polled_while_finishing_is_ready_or_woken() {
    use futures_core::Stream;

    explore(3, || {
        let (task, handle) = by_hand(|| 42);
        let runner = thread::spawn(move || task.run());
        let mut all = as_completed([handle]).into_stream();
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let first = Pin::new(&mut all).poll_next(&mut context);
        runner.join().unwrap();
        if first.is_pending() {
            assert!(woken.so_far() >= 1);
            let next = Pin::new(&mut all).poll_next(&mut context);
            assert!(matches!(next, Poll::Ready(Some(_))));
        }
    });
}

// Pools: loom's threads are its workers, and one that is left behind, asleep,
// is a deadlock to loom.

#[test]
fn submit_while_shutting_down_is_refused_or_run() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let ran = Count::default();
        let submitter = {
            let (pool, ran) = (Arc::clone(&pool), ran.clone());
            thread::spawn(move || match pool.submit(move || ran.add()).join() {
                Ok(()) => 1,
                Err(JoinError::Rejected(Rejected::ShutDown)) => 0,
                Err(other) => panic!("{other}"),
            })
        };
        pool.shutdown();
        let expected = submitter.join().unwrap();
        ran.assert(expected);
    });
}

#[test]
fn submit_while_the_last_owner_drops_the_pool() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let ran = Count::default();
        let submitter = {
            let (pool, ran) = (Arc::clone(&pool), ran.clone());
            thread::spawn(move || {
                let handle = pool.submit(move || ran.add());
                drop(pool);
                handle.join().unwrap();
            })
        };
        drop(pool);
        submitter.join().unwrap();
        ran.assert(1);
    });
}

#[test]
fn pool_dropped_inside_its_own_task_while_another_waits_there() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let inside = Arc::clone(&pool);
        let dropping = pool.submit(move || drop(inside));
        let queued = pool.submit(|| 42);
        drop(pool);
        dropping.join().unwrap();
        assert_eq!(queued.join().unwrap(), 42);
    });
}

#[test]
fn cancel_pending_while_dequeuing_cancels_or_lets_run() {
    explore(2, || {
        let pool = pool(1);
        let (ran, dropped) = (Count::default(), Count::default());
        let (inside, captured) = (ran.clone(), dropped.on_drop());
        let handle = Arc::new(pool.submit(move || {
            let _captured = &captured;
            inside.add();
        }));
        let waiter = {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle.wait())
        };
        pool.shutdown();
        let cancelled = pool.cancel_pending();
        if cancelled > 0 {
            dropped.assert(1);
        }
        waiter.join().unwrap();
        drop(pool);
        dropped.assert(1);
        assert_eq!(usize::from(handle.is_cancelled()), cancelled);
        ran.assert(1 - cancelled);
    });
}

#[test]
fn cancel_all_while_dequeuing_counts_what_it_cancels_among_the_stoppable() {
    explore(2, || {
        let pool = pool(1);
        let handle = pool.submit_cancellable(|token| token.sleep(Duration::MAX));
        let cancelled = pool.cancel_all();
        assert_eq!(usize::from(handle.is_cancelled()), cancelled);
        match handle.join() {
            Ok(slept) => assert!(!slept),
            Err(error) => assert!(error.is_cancelled()),
        }
    });
}

#[test]
fn worker_falling_asleep_while_its_next_task_comes() {
    explore(3, || {
        let pool = pool(1);
        assert_eq!(pool.submit(|| 1).join().unwrap(), 1);
        assert_eq!(pool.submit(|| 2).join().unwrap(), 2);
    });
}

#[test]
fn two_tasks_that_need_each_other_both_start_at_the_cap() {
    explore(2, || {
        let pool = pool(2);
        // The second worker may be asleep, on its way there, or not started.
        pool.submit(|| ()).join().unwrap();
        let (here, there) = (Event::default(), Event::default());
        let (one, other) = ((here.clone(), there.clone()), (there, here));
        let [one, other] = [one, other].map(|(mine, yours)| {
            pool.submit(move || {
                mine.happen();
                yours.wait();
            })
        });
        one.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn worker_leaving_for_want_of_work_while_a_task_comes() {
    explore(3, || {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .keep_alive(Duration::ZERO)
            .build()
            .unwrap();
        assert_eq!(pool.submit(|| 1).join().unwrap(), 1);
        assert_eq!(pool.submit(|| 2).join().unwrap(), 2);
    });
}

#[test]
fn worker_leaving_for_want_of_work_while_another_is_blocked_by_the_task_that_comes() {
    explore(2, || {
        let pool = ThreadPool::builder()
            .max_workers(2)
            .keep_alive(BRIEFLY)
            .build()
            .unwrap();
        let done = Event::default();
        let wanted = done.clone();
        let waiting = pool.submit(move || wanted.wait());
        pool.submit(|| ()).join().unwrap();
        pool.submit(move || done.happen()).join().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn nested_claim_while_dequeuing_runs_it_once() {
    explore(2, || {
        let pool = Arc::new(pool(2));
        let (ran, inside) = (Count::default(), Arc::clone(&pool));
        let counted = ran.clone();
        let outer = pool.submit(move || {
            let inner = inside.submit(move || counted.add());
            drop(inside);
            inner.join().unwrap();
        });
        outer.join().unwrap();
        ran.assert(1);
    });
}

#[test]
fn nested_wait_on_one_worker_ends() {
    explore(3, || {
        let pool = Arc::new(pool(1));
        let inside = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let inner: Vec<_> = (0..2).map(|n| inside.submit(move || n)).collect();
            drop(inside);
            as_completed(inner)
                .map(|handle| handle.join().unwrap())
                .sum::<i32>()
        });
        assert_eq!(outer.join().unwrap(), 1);
    });
}

#[test]
fn two_pools_that_wait_for_each_other_end() {
    explore(2, || {
        let (one, other) = (Arc::new(pool(1)), Arc::new(pool(1)));
        let (there, back) = (Arc::clone(&other), Arc::clone(&one));
        let outer = one.submit(move || {
            let middle = there.submit(move || {
                let inner = back.submit(|| 42);
                inner.cancel();
            });
            middle.join().unwrap();
        });
        outer.join().unwrap();
    });
}

#[test]
fn full_queue_lets_both_submitters_in() {
    explore(2, || {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .queue_capacity(1)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let ran = Count::default();
        let other = {
            let (pool, ran) = (Arc::clone(&pool), ran.clone());
            thread::spawn(move || {
                let ran = ran.clone();
                pool.submit(move || ran.add()).join().unwrap();
            })
        };
        let handles = [(); 2].map(|()| {
            let ran = ran.clone();
            pool.submit(move || ran.add())
        });
        for handle in handles {
            handle.join().unwrap();
        }
        other.join().unwrap();
        ran.assert(3);
    });
}

#[test]
fn submitter_waiting_for_room_while_shutting_down_is_refused_or_run() {
    explore(2, || {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .queue_capacity(1)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                for _ in 0..2 {
                    match pool.submit(|| ()).join() {
                        Ok(()) | Err(JoinError::Rejected(Rejected::ShutDown)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        };
        let _ = pool.submit(|| ());
        pool.shutdown();
        other.join().unwrap();
    });
}

#[test]
fn two_submitters_whose_thread_cannot_be_started_are_told() {
    explore(3, || {
        let pool = ThreadPool::builder()
            .max_workers(2)
            .stack_size(1 << 40)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let submit = |pool: &ThreadPool| match pool.submit(|| ()).join() {
            Err(JoinError::Rejected(Rejected::Thread(_))) => {}
            other => panic!("{other:?}"),
        };
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || submit(&pool))
        };
        submit(&pool);
        other.join().unwrap();
    });
}

#[test]
fn result_dropped_while_the_pool_looks_at_its_stoppable_tasks_may_use_the_pool() {
    struct UsesPool(Arc<ThreadPool>);

    impl Drop for UsesPool {
        fn drop(&mut self) {
            let _ = self.0.queued_count();
        }
    }

    // So many that the next one makes the pool look which are final.
    const BEFORE: usize = 15;

    explore(2, || {
        let pool = Arc::new(pool(1));
        let used = UsesPool(Arc::clone(&pool));
        let handle = pool.submit_cancellable(|_| used);
        for _ in 0..BEFORE {
            drop(Inlined(&pool).submit_cancellable(|_| ()));
        }
        let dropper = thread::spawn(move || drop(handle));
        pool.submit_cancellable(|_| ()).join().unwrap();
        dropper.join().unwrap();
    });

    /// Registers a task with the pool and loses it at once.
    struct Inlined<'a>(&'a ThreadPool);

    impl Executor for Inlined<'_> {
        fn execute(&self, task: Task) -> Result<(), RejectedTask> {
            self.0.execute(task)
        }
    }
}

#[test]
fn promise_settled_while_joined_cancelled_and_polled_is_final_once() {
    explore(3, || {
        let (promise, handle) = promise();
        let (told, woken) = (Count::default(), Arc::new(Count::default()));
        let callback = told.clone();
        promise.on_cancel(move || callback.add());
        let settler = thread::spawn(move || {
            let started = promise.start();
            promise.settle(Ok(4));
            started
        });
        let mut handle = handle;
        let ready = poll(&mut handle, &woken);
        let cancelled = ready.is_pending() && handle.cancel();
        let started = settler.join().unwrap();
        match ready {
            Poll::Ready(result) => assert_eq!(result.unwrap(), 4),
            Poll::Pending => {
                woken.assert(1);
                assert_eq!(cancelled, handle.is_cancelled());
                match handle.join() {
                    Ok(4) => assert!(started && !cancelled),
                    Err(JoinError::Cancelled) => {
                        assert!(!started && cancelled);
                        told.assert(1);
                    }
                    other => unreachable!("{other:?}"),
                }
            }
        }
        assert!(told.so_far() <= 1);
    });
}

#[test]
fn promise_dropped_while_joined_is_lost() {
    explore(3, || {
        let (promise, handle) = promise::<u32>();
        let dropper = thread::spawn(move || drop(promise));
        assert!(matches!(
            handle.join(),
            Err(JoinError::Rejected(Rejected::Lost))
        ));
        dropper.join().unwrap();
    });
}

#[test]
fn promise_settled_while_as_completed_registers_is_yielded_once() {
    explore(3, || {
        let (first, one) = promise();
        let (second, two) = promise();
        let settler = thread::spawn(move || {
            first.settle(Ok(1));
            second.settle(Ok(2));
        });
        let sum: u32 = as_completed([one, two])
            .map(|done| {
                assert!(done.is_finished());
                done.join().unwrap()
            })
            .sum();
        assert_eq!(sum, 3);
        settler.join().unwrap();
    });
}

#[test]
fn promise_asked_to_cancel_while_the_callback_is_added_tells_it_once() {
    explore(3, || {
        let (promise, handle) = promise::<u32>();
        assert!(promise.start());
        let told = Count::default();
        let callback = told.clone();
        let settler = thread::spawn(move || {
            promise.on_cancel(move || callback.add());
            promise
        });
        assert!(!handle.cancel());
        let promise = settler.join().unwrap();
        told.assert(1);
        promise.settle(Err(JoinError::Cancelled));
        assert!(handle.is_cancelled());
    });
}

#[test]
fn callback_of_a_task_cancelled_with_the_queue_while_another_thread_joins_the_pool() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let called = Count::default();
        let gate = Event::default();
        let opened = gate.clone();
        let blocker = pool.submit(move || opened.wait());
        let [first, second] = [(); 2].map(|()| pool.submit(|| ()));
        let counted = called.clone();
        first.on_done(move |_| {
            second.wait();
            assert!(second.is_finished());
            counted.add();
        });
        let canceller = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.cancel_pending())
        };
        gate.happen();
        pool.join();
        assert!(first.is_finished());
        blocker.wait(); // it may have been cancelled, too
        canceller.join().unwrap();
        called.assert(1);
    });
}

#[test]
fn two_who_join_a_pool_whose_last_worker_ends_are_both_woken() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let handle = pool.submit(|| ());
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.join())
        };
        pool.join();
        assert!(handle.is_finished());
        other.join().unwrap();
    });
}

// A limit.

#[test]
fn limited_tasks_on_two_workers_run_one_at_a_time_and_none_is_left() {
    explore(2, || {
        let pool = pool(2);
        let limited = pool.limit(1);
        let running = Count::default();
        let handles = [(); 2].map(|()| {
            let running = running.clone();
            limited.submit(move || {
                running.assert(0);
                running.add();
                running.0.fetch_sub(1, Ordering::SeqCst);
            })
        });
        for handle in handles {
            handle.join().unwrap();
        }
    });
}

#[test]
fn limited_task_that_waits_for_another_lends_its_place_whoever_takes_it_first() {
    explore(2, || {
        let pool = Arc::new(pool(2));
        let limited = as_completed::Limit::new(Arc::clone(&pool), 1);
        let inner = limited.clone();
        let outer = limited.submit(move || inner.submit(|| 42).join().unwrap());
        assert_eq!(outer.join().unwrap(), 42);
        drop(limited);
        drop(pool);
    });
}

#[test]
fn limited_task_claimed_while_another_worker_takes_it_runs_once_and_frees_its_place() {
    explore(2, || {
        let pool = Arc::new(pool(1));
        let limited = as_completed::Limit::new(Arc::clone(&pool), 1);
        let inner = limited.clone();
        let outer = pool.submit(move || inner.submit(|| 1).join().unwrap());
        let other = limited.submit(|| 2);
        assert_eq!(outer.join().unwrap() + other.join().unwrap(), 3);
        drop(limited);
        drop(pool);
    });
}

#[test]
fn tasks_of_a_limit_in_a_limit_keep_to_both_and_none_is_left() {
    explore(1, || {
        let pool = pool(2);
        let outer = pool.limit(1);
        let inner = as_completed::Limit::new(&outer, 1);
        let running = Count::default();
        let task = || {
            let running = running.clone();
            move || {
                running.assert(0);
                running.add();
                running.0.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let handles = [
            inner.submit(task()),
            outer.submit(task()),
            inner.submit(task()),
        ];
        for handle in handles {
            handle.join().unwrap();
        }
    });
}

// What is parked at the inner limit relies on what is parked at the outer one.
#[test]
fn task_cancelled_while_it_may_wait_for_the_outer_limit_keeps_none_of_the_inner_one() {
    explore(2, || {
        let pool = pool(2);
        let outer = pool.limit(1);
        let inner = as_completed::Limit::new(&outer, 1);
        let other = outer.submit(|| ());
        let cancelled = inner.submit(|| ());
        let last = inner.submit(|| 42);
        cancelled.cancel();
        assert_eq!(last.join().unwrap(), 42);
        other.join().unwrap();
    });
}

#[test]
fn task_of_the_outer_limit_lends_its_place_to_one_of_the_inner_limit() {
    explore(2, || {
        let pool = Arc::new(pool(2));
        let outer = as_completed::Limit::new(Arc::clone(&pool), 1);
        let inner = as_completed::Limit::new(outer.clone(), 1);
        let (own, other) = (inner.clone(), inner);
        let waits = outer.submit(move || own.submit(|| 42).join().unwrap());
        let last = other.submit(|| 43);
        assert_eq!(waits.join().unwrap() + last.join().unwrap(), 85);
        drop((outer, other, pool));
    });
}
