//! `submit_with_timeout`: tasks that may run for so long.

use crate::support::{Gate, ON_PURPOSE, PATIENCE, SHORT, alarm, expect_panics, occupy};
use as_completed::{
    CancelToken, Executor, ExecutorExt, Inline, JoinError, JoinHandle, RejectedTask, ReturnWhen,
    Task, ThreadPool, wait,
};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn timed_out<T>(outcome: &Result<T, JoinError>, timeout: Duration) -> bool {
    matches!(outcome, Err(JoinError::TimedOut(after)) if after.limit() == timeout)
}

#[test]
fn token_is_set_when_the_time_is_over_and_the_handle_says_so() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let executors: [&dyn Executor; 2] = [&pool, &Inline];
    for executor in executors {
        for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
            let start = Instant::now();
            let handle = executor.submit_with_timeout(timeout, |token| {
                assert!(!token.sleep(Duration::MAX));
            });
            let outcome = handle.join();
            assert!(timed_out(&outcome, timeout), "{outcome:?}");
            assert!(start.elapsed() >= timeout);
        }
    }
    assert_eq!(pool.submit(|| 4).join().unwrap(), 4);
}

#[test]
fn task_that_ends_in_time_returns() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    for timeout in [
        PATIENCE * 60,
        Duration::from_secs(u64::MAX / 4),
        Duration::MAX,
    ] {
        let handle = pool.submit_with_timeout(timeout, |token| !token.sleep(SHORT));
        assert!(!handle.join().unwrap());
    }
}

/// Keeps a task until it is run.
#[derive(Default)]
struct Hand(Mutex<Option<Task>>);

impl Hand {
    fn run(&self) {
        self.0.lock().unwrap().take().unwrap().run();
    }
}

impl Executor for Hand {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        *self.0.lock().unwrap() = Some(task);
        Ok(())
    }
}

// A machine under load may take longer than a timeout from the start of the clock to
// the look at the token, but not than any.
#[test]
fn the_clock_starts_with_the_task() {
    let _alarm = alarm();
    let (hand, pool) = (Hand::default(), ThreadPool::new(1));
    let began_in_time = [1, 10, 100, 1000].into_iter().any(|times| {
        let timeout = SHORT * times;
        let handle = hand.submit_with_timeout(timeout, |token| !token.is_cancelled());
        let longer = pool.submit_with_timeout(timeout, |token| token.sleep(Duration::MAX));
        assert!(timed_out(&longer.join(), timeout));
        assert!(!handle.is_finished());
        hand.run();
        handle.join().unwrap_or(false)
    });
    assert!(began_in_time);
}

#[test]
fn callback_of_the_token_ends_what_cannot_look_at_it() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let handle = pool.submit_with_timeout(SHORT, |token| {
        let (kill, killed) = mpsc::channel();
        let _on_cancel = token.on_cancel(move || kill.send(()).unwrap());
        killed.recv_timeout(PATIENCE).unwrap();
    });
    assert!(timed_out(&handle.join(), SHORT));
}

/// All timeouts share the thread that sets the tokens, and here another task's callback
/// holds it up.
#[test]
fn what_a_task_returns_after_its_time_is_dropped_though_its_token_is_late() {
    let _alarm = alarm();
    let (pool, gate) = (ThreadPool::new(2), Gate::new());
    let (turnstile, passed) = (gate.turnstile(), Gate::new());
    let (held, is_held) = mpsc::channel();
    let last = passed.turnstile();
    let holds_up = pool.submit_with_timeout(SHORT, move |token| {
        let held_up = move || {
            held.send(()).unwrap();
            turnstile.pass();
        };
        token.on_cancel(held_up).detach();
        last.pass();
    });
    is_held.recv_timeout(PATIENCE).unwrap();
    let (tell, told) = mpsc::channel();
    let late = pool.submit_with_timeout(SHORT, move |token| {
        token.on_cancel(move || tell.send(()).unwrap()).detach();
        thread::sleep(SHORT);
        42
    });
    assert!(timed_out(&late.join(), SHORT));
    told.try_recv()
        .expect("the token is set before the task ends");
    gate.open();
    passed.open();
    assert!(timed_out(&holds_up.join(), SHORT));
}

#[test]
fn cancel_comes_before_and_during_the_run() {
    let _alarm = alarm();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let pending = pool.submit_with_timeout(PATIENCE, move |_| drop(held));
    assert!(pending.cancel());
    assert_eq!(Arc::strong_count(&captured), 1);
    busy.release();
    let (started, start) = mpsc::channel();
    let running = pool.submit_with_timeout(PATIENCE * 60, move |token| {
        started.send(()).unwrap();
        token.sleep(Duration::MAX)
    });
    start.recv_timeout(PATIENCE).unwrap();
    assert!(!running.cancel());
    assert!(
        !running.join().unwrap(),
        "it was cancelled, and its time not over"
    );
}

#[test]
fn other_ends_are_what_they_are() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::new(1);
    let panicked = pool.submit_with_timeout(Duration::ZERO, |token: CancelToken| {
        token.sleep(Duration::MAX);
        panic!("{ON_PURPOSE}");
    });
    assert!(panicked.join().unwrap_err().is_panic());
    pool.shutdown();
    let rejected = pool.submit_with_timeout(SHORT, |_| ());
    assert!(rejected.join().unwrap_err().is_rejected());
}

#[test]
fn a_timeout_is_a_failure_to_those_who_wait_for_the_first() {
    let _alarm = alarm();
    let pool = ThreadPool::new(2);
    let busy = occupy(&pool, 1);
    let late = pool.submit_with_timeout(SHORT, |token| {
        token.sleep(Duration::MAX);
    });
    let id = late.id();
    let waited = wait(
        busy.handles().iter().chain([&late]),
        ReturnWhen::FirstFailure,
        None,
    );
    assert_eq!(
        waited
            .done
            .iter()
            .map(|handle| handle.id())
            .collect::<Vec<_>>(),
        [id]
    );
    assert!(format!("{late:?}").contains("failed"));
    busy.release();
}

#[test]
fn each_of_many_has_its_own_time() {
    let _alarm = alarm();
    let pool = ThreadPool::new(8);
    let handles: Vec<JoinHandle<bool>> = (0..200)
        .map(|number| {
            let timeout = match number % 4 {
                0 => PATIENCE * 60,
                early => Duration::from_millis(4 - early),
            };
            pool.submit_with_timeout(timeout, move |token| {
                number % 4 == 0 || token.sleep(Duration::MAX)
            })
        })
        .collect();
    for (number, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().is_ok(), number % 4 == 0);
    }
}

#[test]
fn scoped_tasks_have_timeouts_too() {
    let _alarm = alarm();
    let text = String::from("four");
    let (length, late) = ThreadPool::scope(2, |pool| {
        let length = pool.submit_with_timeout(PATIENCE, |_| text.len());
        let late = pool.submit_with_timeout(SHORT, |token| {
            token.sleep(Duration::MAX);
            text.len()
        });
        (length.join(), late.join())
    });
    assert_eq!(length.unwrap(), 4);
    assert!(timed_out(&late, SHORT));
}
