//! Workers that die, stop, pause, and take long.

use crate::functions::{ABORT, BURN, GATE, PID, SQUARE, noted, notes, open_gate};
use crate::server::{Server, eventually, queued};
use crate::support::alarm;
use crate::worker::{self, Here, Process};
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

/// Calls that compute for half a minute on all processors, with such a lease.
fn long_calls_are_started_once(lease: Duration) {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let builder = worker::builder(&server).lease(lease);
    let (cluster, path) = (builder.connect().unwrap(), notes());
    let millis = lease.as_millis().to_string();
    let lease = [(worker::WORKER_LEASE, &*millis)];
    let _workers = [(); 2].map(|()| Process::with(&server, 2, &lease));
    let calls = [0; 4].map(|_| cluster.call(BURN, (path.clone(), 30_000)));
    for call in calls {
        call.join().unwrap();
    }
    assert_eq!(noted(&path).len(), 4);
}

#[test]
fn a_long_call_beside_a_short_lease_is_started_once_however_busy_the_processors_are() {
    // A worker that stands still for some seconds is not late yet.
    long_calls_are_started_once(Duration::from_secs(6));
}

#[test]
#[ignore = "wants a machine of its own: whoever stands still for a second is late"]
fn a_long_call_beside_a_lease_of_a_second_is_started_once() {
    long_calls_are_started_once(Duration::from_secs(1));
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
    paused.pause();
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
