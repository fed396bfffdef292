//! Workers that die, stop, pause, and take long.

use crate::functions::{ABORT, BURN, GATE, PID, RUN, SQUARE, noted, notes, open_gate};
use crate::server::{Server, eventually, queued};
use crate::support::alarm;
use crate::worker::{self, Here, LEASE, Process};
use as_completed::{JoinError, as_completed};
use std::time::Duration;

#[test]
fn calls_run_in_the_processes_of_the_worker() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let process = Process::threads(&server, 1);
    assert_eq!(cluster.call(PID, ()).join().unwrap(), process.0.id());
}

#[test]
fn a_call_whose_worker_is_killed_runs_elsewhere() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let first = Process::threads(&server, 1);
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    let killed = first.0.id();
    drop(first);
    let _second = Process::threads(&server, 1);
    eventually("it runs again", || noted(&path).len() == 2);
    open_gate(&path);
    assert_ne!(call.join().unwrap(), killed);
    assert_eq!(noted(&path).len(), 2);
}

#[test]
fn a_call_that_crashes_in_a_child_process_fails_alone() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _worker = Process::processes(&server, 2);
    let crash = cluster.call(ABORT, ());
    for (n, square) in as_completed((0..20).map(|n| (n, cluster.call(SQUARE, n)))) {
        assert_eq!(square.join().unwrap(), n * n);
    }
    match crash.join() {
        Err(JoinError::Died(died)) => assert!(died.signal().is_some()),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_long_call_is_started_once_however_busy_the_processors_are() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let _workers = [Process::threads(&server, 2), Process::threads(&server, 2)];
    let long = u64::try_from(3 * LEASE.as_millis()).unwrap();
    let calls = [0; 4].map(|_| cluster.call(BURN, (path.clone(), long)));
    for call in calls {
        call.join().unwrap();
    }
    assert_eq!(noted(&path).len(), 4);
}

#[test]
fn a_worker_that_was_paused_comes_back_and_each_handle_settles_once() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let paused = Process::threads(&server, 1);
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    paused.signal("-STOP");
    let other = Process::threads(&server, 1);
    eventually("it runs elsewhere", || noted(&path).len() == 2);
    open_gate(&path);
    assert_eq!(call.join().unwrap(), other.0.id());
    paused.signal("-CONT");
    drop(other);
    assert_eq!(cluster.call(PID, ()).join().unwrap(), paused.0.id());
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn a_call_that_kills_its_workers_is_given_up() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).deliveries(2).connect().unwrap();
    let call = cluster.call(ABORT, ());
    let mut worker = Process::threads(&server, 1);
    eventually("the call has ended", || {
        if worker.0.try_wait().unwrap().is_some() {
            worker = Process::threads(&server, 1);
        }
        call.is_finished()
    });
    match call.join() {
        Err(JoinError::WorkersLost(2)) => {}
        other => unreachable!("{other:?}"),
    }
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn a_worker_that_is_asked_to_stop_ends_what_runs_and_gives_back_the_rest() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let mut first = Process::threads(&server, 1);
    let long = cluster.call(GATE, (path.clone(), 0));
    eventually("the call runs", || noted(&path).len() == 1);
    let others: Vec<_> = (1..10)
        .map(|n| cluster.call(RUN, (path.clone(), n)))
        .collect();
    first.signal("-TERM");
    let _second = Process::threads(&server, 1);
    for (n, other) in (1..10).zip(others) {
        assert_eq!(other.join().unwrap(), n);
    }
    assert!(!long.is_finished());
    open_gate(&path);
    assert_eq!(long.join().unwrap(), first.0.id());
    assert!(first.0.wait().unwrap().success());
    assert_eq!(noted(&path).len(), 10);
}

#[test]
fn what_does_not_end_within_the_grace_runs_elsewhere() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let worker = worker::worker_builder(&server).threads(1);
    let mut first = Here::of(worker.stop_grace(Duration::from_millis(1)));
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    first.stop();
    let second = Process::threads(&server, 1);
    eventually("it runs again", || noted(&path).len() == 2);
    open_gate(&path);
    assert_eq!(call.join().unwrap(), second.0.id());
}

#[test]
fn a_short_call_does_not_wait_behind_a_long_one() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let _first = Here::threads(&server, 1);
    // Short ones, so that the worker keeps more than one call at hand.
    for square in as_completed((0..200).map(|n| cluster.call(SQUARE, n))) {
        square.join().unwrap();
    }
    let long = cluster.call(GATE, (path.clone(), 0));
    let short: Vec<_> = (0..20).map(|n| cluster.call(SQUARE, n)).collect();
    eventually("the call runs", || noted(&path).len() == 1);
    let _second = Process::threads(&server, 1);
    for square in short {
        square.join().unwrap();
    }
    assert!(!long.is_finished());
    open_gate(&path);
    long.join().unwrap();
}
