//! What only processes can promise: death, kill, cancel, and nothing left over.

use crate::functions::{
    ABORT, BECOME, EAT, EXIT, GRANDCHILD, HANG, LENGTH, OVERFLOW, PANIC, PID, SQUARE, STDIN,
};
use crate::paths::{kill, lives, path, pids_in};
use crate::support::{ON_PURPOSE, SHORT, alarm, eventually};
use crate::worker::{builder, pool};
use as_completed::function::Function;
use as_completed::process::{ProcessBuildError, ProcessPool};
use as_completed::{BuildError, CallError, Died, JoinError, JoinHandle, as_completed};
use std::path::Path;
use std::time::Duration;

const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

pub(crate) fn died<T: std::fmt::Debug>(handle: JoinHandle<T>) -> Died {
    match handle.join() {
        Err(JoinError::Died(died)) => died,
        other => panic!("not a death: {other:?}"),
    }
}

/// One death in the middle of many calls fails one call.
fn fails_alone<A>(function: Function<A, u64>, argument: &A, check: impl Fn(Died))
where
    A: serde::Serialize + Clone + Send + 'static,
{
    let _alarm = alarm();
    for workers in [1, 2] {
        let pool = pool(workers);
        let before: Vec<_> = (0..50).map(|n| pool.call(SQUARE, n)).collect();
        let dying = pool.call(function, argument.clone());
        let after: Vec<_> = (0..50).map(|n| pool.call(SQUARE, n)).collect();
        check(died(dying));
        let results = as_completed(before.into_iter().chain(after));
        assert_eq!(results.filter_map(|call| call.join().ok()).count(), 100);
        let pids = pool.pids();
        assert!(pids.len() <= workers && !pids.is_empty());
        drop(pool);
        assert!(!pids.into_iter().any(lives));
    }
}

#[test]
fn a_child_that_aborts_fails_its_call_alone() {
    fails_alone(ABORT, &(), |died| assert_eq!(died.signal(), Some(SIGABRT)));
}

#[test]
fn a_child_that_exits_fails_its_call_alone_even_with_code_0() {
    fails_alone(EXIT, &0, |died| {
        assert_eq!((died.signal(), died.exit_code()), (None, Some(0)));
    });
}

#[test]
fn a_stack_overflow_fails_its_call_alone() {
    fails_alone(OVERFLOW, &0, |died| assert!(died.signal().is_some()));
}

#[test]
fn a_child_killed_from_outside_fails_its_call_with_its_pid() {
    let _alarm = alarm();
    let (pool, path) = (pool(1), path("killed"));
    let hanging = pool.call(HANG, path.display().to_string());
    let pid = pids_in(&path)[0];
    assert_eq!(pool.pids(), [pid]);
    kill(pid);
    let died = died(hanging);
    assert_eq!((died.pid(), died.signal()), (pid, Some(SIGKILL)));
    let text = format!("process {pid} was killed by signal 9 (SIGKILL) while it ran the task");
    assert_eq!(died.to_string(), text);
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn a_child_killed_while_idle_is_replaced_unnoticed() {
    let _alarm = alarm();
    let pool = pool(1);
    let pid = pool.call(PID, ()).join().unwrap();
    kill(pid);
    eventually(|| !Path::new(&format!("/proc/{pid}")).exists());
    assert_ne!(pool.call(PID, ()).join().unwrap(), pid);
}

#[test]
fn cancel_of_a_running_call_kills_its_whole_group_at_once() {
    let _alarm = alarm();
    let (pool, path) = (pool(1), path("grandchild"));
    let call = pool.call(GRANDCHILD, path.display().to_string());
    let pids = pids_in(&path);
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().copied().all(lives));
    call.cancel();
    assert!(call.join().unwrap_err().is_cancelled());
    // Long before they would end by themselves.
    eventually(|| !pids.iter().copied().any(lives));
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn cancel_of_a_queued_call_leaves_the_running_one_alone() {
    let _alarm = alarm();
    let (pool, path) = (pool(1), path("queued"));
    let running = pool.call(HANG, path.display().to_string());
    let pids = pids_in(&path);
    let queued = pool.call(SQUARE, 1);
    assert!(queued.cancel());
    assert!(pids.into_iter().all(lives) && !running.is_finished());
    pool.kill();
    assert!(running.join().unwrap_err().is_cancelled());
}

#[test]
fn a_call_past_its_timeout_is_killed_and_says_so() {
    let _alarm = alarm();
    let timeout = Duration::from_millis(500);
    let (pool, path) = (
        builder(1).call_timeout(timeout).build().unwrap(),
        path("timeout"),
    );
    match pool.call(HANG, path.display().to_string()).join() {
        Err(JoinError::TimedOut(after)) => assert_eq!(after.limit(), timeout),
        other => unreachable!("{other:?}"),
    }
    // A call that stands still for as long is killed too.
    eventually(|| match pool.call(SQUARE, 2).join() {
        Ok(square) => square == 4,
        Err(JoinError::TimedOut(_)) => false,
        other => unreachable!("{other:?}"),
    });
    let _ = std::fs::remove_file(path);
}

/// It lives on, but nothing reaches it any more.
#[test]
fn a_child_that_becomes_another_program_fails_its_call_and_is_killed() {
    let _alarm = alarm();
    let pool = builder(1).stop_grace(SHORT).build().unwrap();
    for chunk_size in [0, 1, 2] {
        let died = if chunk_size == 0 {
            died(pool.call(BECOME, "sleep".to_owned()))
        } else {
            let programs = ["sleep".to_owned(), "sleep".to_owned()];
            let mut results = pool.call_map(BECOME, programs).chunk_size(chunk_size);
            match results.next() {
                Some(Err(JoinError::Died(died))) => died,
                other => panic!("not a death: {other:?}"),
            }
        };
        assert_eq!(died.signal(), Some(SIGKILL));
        assert_eq!(pool.call(SQUARE, 3).join().unwrap(), 9);
    }
}

#[test]
fn an_allocation_past_the_memory_limit_fails_its_call_alone() {
    let _alarm = alarm();
    let pool = builder(1).memory_limit(1 << 30).build().unwrap();
    assert_eq!(pool.call(EAT, 1 << 20).join().unwrap(), 1 << 20);
    died(pool.call(EAT, 1 << 31));
    assert_eq!(pool.call(EAT, 1 << 20).join().unwrap(), 1 << 20);
}

#[test]
fn a_child_is_replaced_after_its_most_calls() {
    let _alarm = alarm();
    let pool = builder(1).max_tasks_per_child(2).build().unwrap();
    let pids: Vec<_> = pool.call_map(PID, [(); 6]).map(Result::unwrap).collect();
    assert!(pids[0] == pids[1] && pids[2] == pids[3] && pids[4] == pids[5]);
    assert!(pids[1] != pids[2] && pids[3] != pids[4]);
}

#[test]
fn a_panic_crosses_with_its_place_and_the_child_lives_on() {
    let _alarm = alarm();
    let pool = pool(1);
    let pid = pool.call(PID, ()).join().unwrap();
    match pool.call(PANIC, ON_PURPOSE.to_owned()).join() {
        Err(JoinError::Panicked(panic)) => {
            assert_eq!(panic.message(), ON_PURPOSE);
            assert!(panic.location().unwrap().contains("functions.rs:"));
            assert!(panic.thread_name().is_some());
            assert_eq!(
                panic.into_payload().downcast_ref::<String>().unwrap(),
                ON_PURPOSE
            );
        }
        other => unreachable!("{other:?}"),
    }
    assert_eq!(pool.call(PID, ()).join().unwrap(), pid);
}

#[test]
fn large_arguments_and_results_do_not_deadlock() {
    let _alarm = alarm();
    let pool = pool(2);
    let large: Vec<u64> = (u64::MAX - 2_000_000..u64::MAX).collect();
    let calls = [
        pool.call(LENGTH, large.clone()),
        pool.call(LENGTH, large.clone()),
    ];
    for call in calls {
        assert!(call.join().unwrap() == large);
    }
}

#[test]
fn standard_input_is_empty_and_what_is_printed_does_not_disturb() {
    let _alarm = alarm();
    let pool = pool(1);
    assert_eq!(pool.call(STDIN, ()).join().unwrap(), 0);
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn a_program_that_cannot_be_started_fails_each_call() {
    let _alarm = alarm();
    let pool = builder(1).program("/nonexistent/program").build().unwrap();
    match pool.call(SQUARE, 2).join() {
        Err(JoinError::Call(error)) => assert!(matches!(*error, CallError::Start(_))),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_pool_without_workers_is_an_error_and_shutdown_refuses_calls() {
    let error = builder(0).build().unwrap_err();
    assert_eq!(error, ProcessBuildError::Settings(BuildError::NoWorkers));
    let pool: ProcessPool = pool(1);
    pool.shutdown();
    assert!(pool.call(SQUARE, 1).join().unwrap_err().is_rejected());
}
