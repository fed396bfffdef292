//! A call that kills its workers is given up, and no other is.

use crate::functions::{GATE, SLAY, SQUARE, noted, notes, open_gate};
use crate::server::{Server, ask, eventually, queued};
use crate::support::alarm;
use crate::worker::{self, PROCESSES, Process};
use as_completed::{JoinError, as_completed};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Keeps one worker alive until `over`.
fn keep(server: &Server, slots: usize, variables: &[(&str, &str)], over: &AtomicBool) {
    let mut worker = Process::with(server, slots, variables);
    while !over.load(Ordering::Relaxed) {
        if worker.0.try_wait().unwrap().is_some() {
            worker = Process::with(server, slots, variables);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Says at its end, also that of a test that fails, that all is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn only_the_killer_is_given_up(neighbours: u64, slots: usize, variables: &[(&str, &str)]) {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let square = |n| (n, cluster.call(SQUARE, n));
    let mut calls: Vec<_> = (0..neighbours / 2).map(square).collect();
    let killer = cluster.call(SLAY, path.clone());
    calls.extend((neighbours / 2..neighbours).map(square));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| keep(&server, slots, variables, &over));
        for (n, call) in as_completed(calls) {
            assert_eq!(call.join().unwrap(), n * n);
        }
        match killer.join() {
            Err(JoinError::WorkersLost(3)) => {}
            other => unreachable!("{other:?}"),
        }
        // With a worker, which takes out of the queue what has been answered.
        eventually("the queue is empty", || queued(&server, "default") == 0);
        eventually("no mark is left", || queued(&server, "default_large") == 0);
    });
    assert_eq!(noted(&path).len(), 3);
}

/// Not too many: each may be a suspect, and runs alone then.
const NEIGHBOURS: u64 = 200;

#[test]
fn the_neighbours_on_the_threads_of_a_killer_are_right() {
    only_the_killer_is_given_up(NEIGHBOURS, 4, &[]);
}

#[test]
fn the_neighbours_in_the_processes_of_a_killer_are_right() {
    only_the_killer_is_given_up(NEIGHBOURS, 2, &[(PROCESSES, "1")]);
}

#[test]
#[ignore = "takes half a minute"]
fn a_thousand_neighbours_of_a_killer_are_right() {
    only_the_killer_is_given_up(1000, 4, &[]);
    only_the_killer_is_given_up(1000, 2, &[(PROCESSES, "1")]);
}

/// How many messages the server has delivered, those that came again included.
fn deliveries(server: &Server) -> u64 {
    let info = ask(
        server,
        "$JS.API.CONSUMER.INFO.as_completed_default.workers",
        "",
    );
    let (_, rest) = info.split_once("\"consumer_seq\":").unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn the_last_attempt_waits_until_its_worker_runs_nothing_else() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).deliveries(2).connect().unwrap();
    let (kills, path, other_path) = (notes(), notes(), notes());
    let mut second = Process::threads(&server, 2);
    let neighbour = cluster.call(GATE, (path.clone(), 1));
    let other = cluster.call(GATE, (other_path.clone(), 1));
    eventually("its slots are full", || {
        noted(&path).len() + noted(&other_path).len() == 2
    });
    let killer = cluster.call(SLAY, kills.clone());
    let mut first = Process::threads(&server, 2);
    first.0.wait().unwrap();
    open_gate(&other_path);
    other.join().unwrap();
    eventually("the killer is there", || deliveries(&server) >= 4);
    // One that does not wait has time to kill.
    thread::sleep(Duration::from_millis(200));
    open_gate(&path);
    assert_eq!(neighbour.join().unwrap(), second.0.id());
    second.0.wait().unwrap();
    let third = Process::threads(&server, 2);
    match killer.join() {
        Err(JoinError::WorkersLost(2)) => {}
        other => unreachable!("{other:?}"),
    }
    assert_eq!((noted(&path).len(), noted(&kills).len()), (1, 2));
    // The third is not drained any more.
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    drop(third);
}

#[test]
fn a_call_that_was_on_its_last_attempt_for_no_fault_of_its_own_returns() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).deliveries(2).connect().unwrap();
    let path = notes();
    let call = cluster.call(GATE, (path.clone(), 1));
    let first = Process::threads(&server, 4);
    eventually("the call runs", || noted(&path).len() == 1);
    drop(first);
    let mut second = Process::threads(&server, 4);
    eventually("it runs again, alone", || noted(&path).len() == 2);
    // Given back: its worker has not died.
    second.signal("-TERM");
    let third = Process::threads(&server, 4);
    open_gate(&path);
    assert_eq!(call.join().unwrap(), second.0.id());
    second.0.wait().unwrap();
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    drop(third);
    eventually("no mark is left", || queued(&server, "default_large") == 0);
}
