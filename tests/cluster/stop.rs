//! Workers that are asked to stop, in each way there is.

use crate::functions::{GATE, RUN, SQUARE, noted, notes, open_gate};
use crate::server::{Server, eventually};
use crate::support::alarm;
use crate::worker::{self, GRACE, Here, PROCESSES, Process, STOP_FILE};
use std::time::Duration;

/// How a worker's program is stopped.
#[derive(Clone, Copy, PartialEq)]
enum Stop {
    Signal(&'static str),
    /// It has a token, which it cancels when there is a file.
    Token,
}

const TERM: Stop = Stop::Signal("-TERM");
const INT: Stop = Stop::Signal("-INT");

impl Stop {
    fn stop(self, worker: &Process, file: &str) {
        match self {
            Self::Signal(signal) => worker.signal(signal),
            Self::Token => std::fs::write(file, "").unwrap(),
        }
    }
}

/// A worker that is asked to stop ends what runs, and gives back the rest.
fn drains(stop: Stop, variables: &[(&str, &str)]) {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).deliveries(1).connect().unwrap();
    let (path, file) = (notes(), notes());
    let mut variables = variables.to_vec();
    if stop == Stop::Token {
        variables.push((STOP_FILE, &file));
    }
    let mut first = Process::with(&server, 1, &variables);
    for n in 0..200 {
        // Short ones, so that the worker keeps more than one call at hand.
        assert_eq!(cluster.call(SQUARE, n).join().unwrap(), n * n);
    }
    let long = cluster.call(GATE, (path.clone(), 0));
    eventually("the call runs", || noted(&path).len() == 1);
    let others: Vec<_> = (1..10)
        .map(|n| cluster.call(RUN, (path.clone(), n)))
        .collect();
    stop.stop(&first, &file);
    let _second = Process::threads(&server, 1);
    for (n, other) in (1..10).zip(others) {
        assert_eq!(other.join().unwrap(), n);
    }
    assert!(!long.is_finished());
    open_gate(&path);
    let ran_in = long.join().unwrap();
    if variables.iter().all(|(name, _)| *name != PROCESSES) {
        assert_eq!(ran_in, first.0.id());
    }
    assert!(first.0.wait().unwrap().success());
    assert_eq!(noted(&path).len(), 10);
}

/// What has not ended within the grace runs elsewhere, and no worker is lost by it.
fn gives_up_after_the_grace(stop: Stop, variables: &[(&str, &str)]) {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).deliveries(1).connect().unwrap();
    let (path, file) = (notes(), notes());
    let mut variables = variables.to_vec();
    variables.push((GRACE, "1"));
    if stop == Stop::Token {
        variables.push((STOP_FILE, &file));
    }
    let mut first = Process::with(&server, 1, &variables);
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    stop.stop(&first, &file);
    assert!(first.0.wait().unwrap().success());
    let second = Process::threads(&server, 1);
    eventually("it runs again", || noted(&path).len() == 2);
    open_gate(&path);
    assert_eq!(call.join().unwrap(), second.0.id());
}

#[test]
fn sigterm_ends_what_runs_and_gives_back_the_rest() {
    drains(TERM, &[]);
}

#[test]
fn sigint_ends_what_runs_and_gives_back_the_rest() {
    drains(INT, &[]);
}

#[test]
fn a_token_ends_what_runs_and_gives_back_the_rest() {
    drains(Stop::Token, &[]);
}

#[test]
fn a_signal_ends_what_runs_in_child_processes() {
    drains(INT, &[(PROCESSES, "1")]);
}

#[test]
fn sigterm_leaves_to_others_what_does_not_end_within_the_grace() {
    gives_up_after_the_grace(TERM, &[]);
}

#[test]
fn sigint_leaves_to_others_what_does_not_end_within_the_grace() {
    gives_up_after_the_grace(INT, &[]);
}

#[test]
fn a_token_leaves_to_others_what_does_not_end_within_the_grace() {
    gives_up_after_the_grace(Stop::Token, &[]);
}

#[test]
fn a_signal_kills_the_child_processes_that_do_not_end_within_the_grace() {
    gives_up_after_the_grace(TERM, &[(PROCESSES, "1")]);
}

#[test]
fn run_until_returns_after_the_grace_though_a_thread_runs() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let worker = worker::worker_builder(&server).threads(1);
    let mut here = Here::of(worker.stop_grace(Duration::from_millis(1)));
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    here.stop();
    assert!(!call.is_finished());
    open_gate(&path);
    cluster.cancel_pending();
}
