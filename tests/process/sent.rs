//! Calls that the thread that makes them sends to an idle child itself, and whose
//! answers the thread that waits for them receives.

use crate::children::died;
use crate::functions::{ABORT, HANG, HOLD, PANIC, PID, SQUARE};
use crate::paths::{kill, lives, path, path_text, pids_in, stop};
use crate::support::{ON_PURPOSE, alarm, eventually};
use crate::worker::{builder, pool};
use as_completed::function::Function;
use as_completed::process::ProcessPool;
use as_completed::{JoinError, as_completed};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// The square, and the thread that has decoded it.
#[derive(Debug)]
struct Decoded(u64, ThreadId);

impl<'de> serde::Deserialize<'de> for Decoded {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            u64::deserialize(deserializer)?,
            thread::current().id(),
        ))
    }
}

/// Only the child runs it.
const SQUARE_HERE: Function<u64, Decoded> = Function::new("square", |_| unreachable!());

/// A pool of one child, which is idle, and no thread of which is about to look for a
/// call.
fn idle(pool: ProcessPool) -> (ProcessPool, u32) {
    let here = thread::current().id();
    eventually(|| pool.call(SQUARE_HERE, 3).join().unwrap().1 == here);
    let pid = pool.pids()[0];
    (pool, pid)
}

#[test]
fn a_call_of_an_idle_child_is_received_by_the_thread_that_joins_it() {
    let _alarm = alarm();
    let (pool, _) = idle(pool(1));
    for n in 0..100 {
        let square = pool.call(SQUARE_HERE, n).join().unwrap();
        assert_eq!((square.0, square.1), (n * n, thread::current().id()));
    }
}

#[test]
fn a_call_with_a_timeout_is_left_to_nobody() {
    let _alarm = alarm();
    let timeout = Duration::from_secs(60);
    let pool = builder(1).call_timeout(timeout).build().unwrap();
    for n in 0..10 {
        let square = pool.call(SQUARE_HERE, n).join().unwrap();
        assert!(square.0 == n * n && square.1 != thread::current().id());
    }
}

#[test]
fn a_call_that_nobody_waits_for_does_not_keep_the_next_one_waiting() {
    let _alarm = alarm();
    let (pool, _) = idle(pool(1));
    let (pid, gate) = (path_text("next"), path_text("next-gate"));
    std::fs::write(&gate, "open").unwrap();
    let first = pool.call(SQUARE, 3);
    let second = pool.call(HOLD, (pid.clone(), gate.clone()));
    assert_eq!(pids_in(pid.as_ref()).len(), 1);
    second.join().unwrap();
    assert_eq!(first.join().unwrap(), 9);
    std::fs::remove_file(gate).unwrap();
}

#[test]
fn however_a_call_is_waited_for_it_ends() {
    let _alarm = alarm();
    let (pool, _) = idle(pool(1));
    let call = pool.call(SQUARE, 3);
    eventually(|| call.is_finished());
    assert_eq!(call.join().unwrap(), 9);
    let call = pool.call(SQUARE, 3);
    eventually(|| !call.is_running());
    let call = pool.call(SQUARE, 3);
    call.wait_timeout(Duration::MAX).unwrap();
    let calls = as_completed([pool.call(SQUARE, 3)]);
    assert_eq!(calls.map(|call| call.join().unwrap()).sum::<u64>(), 9);
    let (sender, receiver) = std::sync::mpsc::channel();
    pool.call(SQUARE, 3)
        .on_result(move |nine| sender.send(nine.unwrap()).unwrap());
    assert_eq!(receiver.recv(), Ok(9));
    let call = pool.call(SQUARE, 3);
    thread::scope(|scope| {
        scope.spawn(|| call.wait());
        scope.spawn(|| call.wait());
    });
    assert_eq!(call.join().unwrap(), 9);
    let unseen = pool.call(SQUARE, 3);
    eventually(|| pool.active_count() == 0);
    drop(unseen);
}

#[test]
fn a_pool_that_ends_waits_for_a_call_that_nobody_waits_for() {
    let _alarm = alarm();
    let (pool, pid) = idle(pool(1));
    let call = pool.call(SQUARE, 3);
    drop(pool);
    assert!(call.is_finished() && !lives(pid));
    assert_eq!(call.join().unwrap(), 9);
    let (pool, _) = idle(crate::worker::pool(1));
    let (pid, gate) = (path_text("left"), path_text("left-gate"));
    std::fs::write(&gate, "open").unwrap();
    drop(pool.call(HOLD, (pid.clone(), gate.clone())));
    drop(pool);
    assert_eq!(pids_in(pid.as_ref()).len(), 1);
    std::fs::remove_file(gate).unwrap();
}

#[test]
fn cancel_and_kill_reach_a_call_that_nobody_waits_for() {
    let _alarm = alarm();
    let cancel_all: fn(&ProcessPool) = |pool| assert_eq!(pool.cancel_all(), 0);
    let ends = [cancel_all, ProcessPool::kill];
    for end in ends {
        let ((pool, pid), path) = (idle(pool(1)), path("unseen"));
        let call = pool.call(HANG, path.display().to_string());
        assert_eq!(pids_in(&path), [pid]);
        end(&pool);
        assert!(call.join().unwrap_err().is_cancelled());
        eventually(|| !lives(pid));
    }
    let ((pool, pid), path) = (idle(pool(1)), path("cancelled"));
    let call = pool.call(HANG, path.display().to_string());
    assert_eq!(pids_in(&path), [pid]);
    assert_eq!(pool.cancel_pending(), 0);
    assert!(call.is_running() && lives(pid));
    call.cancel();
    assert!(call.join().unwrap_err().is_cancelled());
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn cancel_reaches_a_call_that_another_thread_receives() {
    let _alarm = alarm();
    let ((pool, pid), path) = (idle(pool(1)), path("received"));
    let call = pool.call(HANG, path.display().to_string());
    thread::scope(|scope| {
        scope.spawn(|| call.wait());
        assert_eq!(pids_in(&path), [pid]);
        call.cancel();
    });
    assert!(call.is_cancelled());
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn a_death_a_panic_and_a_kill_fail_their_call_alone() {
    let _alarm = alarm();
    let (pool, pid) = idle(pool(1));
    let panic = pool.call(PANIC, ON_PURPOSE.to_owned()).join().unwrap_err();
    assert!(panic.is_panic());
    assert_eq!(died(pool.call(ABORT, ())).pid(), pid);
    let ((pool, pid), path) = (idle(pool), path("dying"));
    let call = pool.call(HANG, path.display().to_string());
    assert_eq!(pids_in(&path), [pid]);
    kill(pid);
    assert_eq!(died(call).pid(), pid);
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn a_call_that_its_child_has_not_read_is_made_by_another() {
    let _alarm = alarm();
    let (pool, pid) = idle(pool(1));
    stop(pid);
    let call = pool.call(PID, ());
    kill(pid);
    let other = call.join().unwrap();
    assert!(other != pid && pool.pids() == [other]);
    assert_eq!(pool.call(PID, ()).join().unwrap(), other);
}

#[test]
fn a_call_cancelled_before_its_child_has_read_it_is_not_made_again() {
    let _alarm = alarm();
    let (pool, pid) = idle(pool(1));
    stop(pid);
    let path = path("unread");
    let call = pool.call(HANG, path.display().to_string());
    call.cancel();
    assert!(call.join().unwrap_err().is_cancelled());
    assert!(!lives(pid));
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
    assert!(!path.exists());
}

/// Its encoding panics, or is longer than an idle child's socket has room for.
#[test]
fn an_argument_that_cannot_be_sent_from_here_fails_its_call_or_takes_the_other_way() {
    const SAME: Function<Vec<u64>, Vec<u64>> = Function::new("there_and_back", |all| all);
    const PICKY: Function<crate::functions::Picky, u64> = crate::functions::PICKY;
    crate::support::expect_panics();
    let _alarm = alarm();
    let (pool, _) = idle(pool(1));
    let long: Vec<u64> = (u64::MAX - 100_000..u64::MAX).collect();
    assert!(pool.call(SAME, long.clone()).join().unwrap() == long);
    let (pool, _) = idle(pool);
    match pool.call(PICKY, crate::functions::Picky(4)).join() {
        Err(JoinError::Panicked(panic)) => assert!(panic.message().contains("it is 4")),
        other => unreachable!("{other:?}"),
    }
    let error = pool.call(PICKY, crate::functions::Picky(3)).join();
    assert!(error.unwrap_err().to_string().contains("it is 3"));
}

#[test]
fn never_more_calls_run_than_there_are_children() {
    let _alarm = alarm();
    let (pool, pid) = idle(pool(1));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..200 {
                    assert_eq!(pool.call(SQUARE, n).join().unwrap(), n * n);
                }
            });
        }
    });
    assert_eq!(pool.pids(), [pid]);
}
