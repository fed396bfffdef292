//! Submitters that cancel, end, and die.

use crate::functions::{ECHO, GATE, LENGTH, RUN, SQUARE, noted, notes, open_gate};
use crate::server::{Server, eventually, queued};
use crate::support::{PATIENCE, alarm};
use crate::worker::{self, Here, Process};
use as_completed::cluster::Cluster;
use as_completed::{JoinError, as_completed};
use std::process::Command;
use std::time::Duration;

#[test]
fn a_queued_call_that_is_cancelled_leaves_the_queue_and_never_runs() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let cancelled = cluster.call(RUN, (path.clone(), 1));
    let kept = cluster.call(RUN, (path.clone(), 2));
    eventually("both are queued", || queued(&server, "default") == 2);
    assert!(cancelled.cancel());
    assert!(cancelled.join().unwrap_err().is_cancelled());
    eventually("one has left", || queued(&server, "default") == 1);
    let _worker = Here::threads(&server, 1);
    assert_eq!(kept.join().unwrap(), 2);
    assert_eq!(noted(&path), ["2"]);
}

#[test]
fn a_running_call_that_is_cancelled_is_killed() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let _worker = Process::processes(&server, 1);
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    call.cancel();
    assert!(call.join().unwrap_err().is_cancelled());
    // The only slot is free again, though the gate is shut.
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn a_call_that_runs_for_too_long_is_killed_and_resolves_as_timed_out() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    // Enough for a call that stands still for some seconds, and yet is not too long.
    let limit = Duration::from_secs(8);
    let limited = worker::builder(&server).call_timeout(limit);
    let (limited, cluster) = (limited.connect().unwrap(), worker::cluster(&server));
    let path = notes();
    let _worker = Process::processes(&server, 1);
    let call = limited.call(GATE, (path.clone(), 1));
    match call.join() {
        Err(JoinError::TimedOut(timed_out)) => assert_eq!(timed_out.limit(), limit),
        other => unreachable!("{other:?}"),
    }
    // The only slot is free again, though the gate is shut.
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    assert_eq!(noted(&path).len(), 1);
    // The clock starts with the call, however long it has waited.
    let gate = cluster.call(GATE, (path.clone(), 2));
    eventually("the call runs", || noted(&path).len() == 2);
    let waits = limited.call(SQUARE, 4);
    std::thread::sleep(limit + Duration::from_secs(1));
    open_gate(&path);
    gate.join().unwrap();
    assert_eq!(waits.join().unwrap(), 16);
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn a_call_on_a_thread_that_runs_for_too_long_resolves_as_timed_out() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let limited = worker::builder(&server).call_timeout(Duration::from_millis(50));
    let (limited, path) = (limited.connect().unwrap(), notes());
    let _worker = Here::threads(&server, 1);
    let call = limited.call(GATE, (path.clone(), 1));
    assert!(matches!(call.join(), Err(JoinError::TimedOut(_))));
    // Its thread is busy until it returns; its result is dropped.
    open_gate(&path);
    assert_eq!(worker::cluster(&server).call(SQUARE, 3).join().unwrap(), 9);
    assert_eq!(noted(&path).len(), 1);
}

#[test]
fn cancel_pending_ends_all_calls_and_empties_the_queue() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let calls: Vec<_> = (0..100).map(|n| cluster.call(SQUARE, n)).collect();
    eventually("all are queued", || queued(&server, "default") == 100);
    assert_eq!(cluster.cancel_pending(), 100);
    for call in as_completed(calls) {
        assert!(call.join().unwrap_err().is_cancelled());
    }
    eventually("the queue is empty", || queued(&server, "default") == 0);
    cluster.join();
}

#[test]
fn a_cluster_that_is_shut_down_takes_no_calls_and_ends_those_it_has() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let call = cluster.call(SQUARE, 3);
    let unfinished = cluster.join_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(unfinished.queued, 1);
    assert!(cluster.call(SQUARE, 4).join().unwrap_err().is_rejected());
    let _worker = Here::threads(&server, 1);
    cluster.join();
    assert!(call.is_finished());
    assert_eq!(call.join().unwrap(), 9);
}

#[test]
fn dropping_a_cluster_waits_for_its_calls() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let calls: Vec<_> = (0..50).map(|n| cluster.call(SQUARE, n)).collect();
    let _worker = Here::threads(&server, 2);
    drop(cluster);
    assert!(calls.iter().all(as_completed::JoinHandle::is_finished));
}

#[test]
fn a_cluster_may_be_dropped_in_a_callback_of_its_own() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let _worker = Here::threads(&server, 1);
    let cluster = worker::cluster(&server);
    let (sender, dropped) = std::sync::mpsc::channel();
    let call = cluster.call(SQUARE, 3);
    call.on_done(move |_| {
        drop(cluster);
        sender.send(()).unwrap();
    });
    dropped.recv().unwrap();
    assert_eq!(call.join().unwrap(), 9);
}

const URL: &str = "AS_COMPLETED_TEST_SUBMITTER";
const PATH: &str = "AS_COMPLETED_TEST_NOTES";

/// A submitter that never ends by itself; passes at once as a test.
#[test]
fn submit_and_wait() {
    let (Ok(url), Ok(path)) = (std::env::var(URL), std::env::var(PATH)) else {
        return;
    };
    let cluster = Cluster::builder(&url, crate::functions::all());
    let cluster = cluster.lease(worker::LEASE).connect_timeout(PATIENCE);
    let cluster = cluster.connect().unwrap();
    let calls = (0..50).map(|n| cluster.call(GATE, (path.clone(), n)));
    for call in as_completed(calls) {
        let _ = call.join();
    }
}

/// A submitter that waits for 50 calls of [`GATE`].
pub(crate) fn waiting(server: &Server, path: &str) -> Command {
    let mut command = worker::program("submitter::submit_and_wait");
    command.env(URL, server.url()).env(PATH, path);
    command
}

#[test]
fn the_calls_of_a_submitter_that_dies_are_gone_and_killed() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    let _worker = Process::processes(&server, 2);
    let submitter = Process(waiting(&server, &path).spawn().unwrap());
    eventually("two run and the rest waits", || {
        noted(&path).len() == 2 && queued(&server, "default") == 50
    });
    drop(submitter);
    eventually("the queue is empty", || queued(&server, "default") == 0);
    // The slots are free, though the gate is shut.
    let cluster = worker::cluster(&server);
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    assert_eq!(noted(&path).len(), 2);
}

#[test]
fn a_submitter_that_was_paused_for_long_gets_its_results() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    let mut submitter = Process(waiting(&server, &path).spawn().unwrap());
    let _worker = Process::threads(&server, 2);
    eventually("two run and the rest waits", || {
        noted(&path).len() == 2 && queued(&server, "default") == 50
    });
    submitter.pause();
    eventually("its calls are gone", || queued(&server, "default") == 0);
    open_gate(&path);
    submitter.signal("-CONT");
    assert!(submitter.0.wait().unwrap().success());
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn large_arguments_and_results_come_through_and_leave_nothing_behind() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _workers = [Here::threads(&server, 2), Here::threads(&server, 2)];
    let sizes = [1_000, 1_040_000, 1_100_000, 5_000_000];
    let text = |size: usize| "abcdefg".repeat(size / 7);
    let calls = sizes.map(|size| (size, cluster.call(ECHO, text(size))));
    for (size, call) in as_completed(calls) {
        assert!(call.join().unwrap() == text(size), "{size} bytes");
    }
    let length = cluster.call(LENGTH, text(3_000_000));
    assert_eq!(length.join().unwrap(), 3_000_000 / 7 * 7);
    let cancelled = cluster.call(ECHO, text(3_000_000));
    cancelled.cancel();
    drop(cluster);
    eventually("nothing is left", || queued(&server, "default_large") == 0);
    assert_eq!(queued(&server, "default"), 0);
}

#[test]
#[ignore = "takes a minute, and 8 GiB of memory and 2 GiB of disk"]
fn an_argument_and_a_result_may_have_a_gibibyte_each_and_no_more() {
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _worker = Here::threads(&server, 1);
    // As it crosses, a long text is five bytes longer.
    let text = "g".repeat((1 << 30) - 5);
    assert!(cluster.call(ECHO, text.clone()).join().unwrap() == text);
    let error = cluster.call(LENGTH, text + "!").join().unwrap_err();
    assert!(error.to_string().contains("1073741825"), "{error}");
    drop(cluster);
    eventually("nothing is left", || queued(&server, "default_large") == 0);
}

#[test]
fn a_large_result_is_read_though_the_server_is_killed() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _worker = Here::threads(&server, 2);
    let text = |n: u32| n.to_string().repeat(3_000_000);
    let calls: Vec<_> = (0..8).map(|n| (n, cluster.call(ECHO, text(n)))).collect();
    for (seen, (n, call)) in as_completed(calls).enumerate() {
        assert!(call.join().unwrap() == text(n));
        if seen == 1 {
            server.kill();
            server.restart();
        }
    }
}

#[test]
fn a_gate_can_be_opened_before_it_is_reached() {
    let path = notes();
    open_gate(&path);
    assert!(noted(&path).is_empty());
}
