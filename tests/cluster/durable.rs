//! Calls that outlive their submitter, and are picked up by the next of its name.

use crate::functions::{self, ECHO, GATE, RUN, SQUARE, noted, notes, open_gate};
use crate::server::{self, Server, ask, eventually, queued};
use crate::submitter;
use crate::support::{PATIENCE, alarm, expect_panics};
use crate::worker::{self, Here, LEASE, Process};
use as_completed::cluster::{Cluster, ClusterError, ClusterEvent};
use as_completed::function::Function;
use as_completed::{JoinHandle, as_completed};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

const URL: &str = "AS_COMPLETED_TEST_LEAVES";
const PATH: &str = "AS_COMPLETED_TEST_LEAVES_NOTES";
const CALLS: &str = "AS_COMPLETED_TEST_LEAVES_CALLS";
const RUNS_LONG: &str = "AS_COMPLETED_TEST_LEAVES_LONG";

pub(crate) fn connect(url: &str) -> Cluster {
    let cluster = Cluster::builder(url, functions::all()).lease(LEASE);
    let cluster = cluster.connect_timeout(PATIENCE);
    cluster.durable("nightly").connect().unwrap()
}

/// A submitter that never ends by itself; passes at once as a test.
#[test]
fn submit_and_wait() {
    let (Ok(url), Ok(path)) = (std::env::var(URL), std::env::var(PATH)) else {
        return;
    };
    let cluster = connect(&url);
    let calls: u64 = std::env::var(CALLS).unwrap().parse().unwrap();
    let mut results = 0;
    if std::env::var_os(RUNS_LONG).is_some() {
        let _detached: Vec<_> = (0..calls)
            .map(|n| cluster.call(GATE, (path.clone(), n)))
            .collect();
        cluster.join();
    } else {
        for call in as_completed((0..calls).map(|n| cluster.call(RUN, (path.clone(), n)))) {
            results += u64::from(call.join().is_ok());
        }
    }
    std::fs::write(format!("{path}.results"), format!("{results}")).unwrap();
    loop {
        std::thread::park();
    }
}

fn leaving(server: &Server, path: &str, calls: u64) -> Command {
    let mut command = worker::program("durable::submit_and_wait");
    command
        .env(URL, server.url())
        .env(PATH, path)
        .env(CALLS, calls.to_string());
    command
}

/// Leaves so many calls of [`RUN`] in the queue, of a submitter that was killed.
pub(crate) fn leave(server: &Server, path: &str, calls: u64) {
    let submitter = Process(leaving(server, path, calls).spawn().unwrap());
    eventually("all are queued", || stored(server, "default") == calls);
    drop(submitter);
}

/// As `queued`, where the stream may not be there yet.
fn stored(server: &Server, queue: &str) -> u64 {
    server::stored(server, queue).unwrap_or(0)
}

fn numbers(calls: &[((String, u64), JoinHandle<u64>)]) -> BTreeSet<u64> {
    calls.iter().map(|((_, n), _)| *n).collect()
}

#[test]
fn the_next_submitter_picks_up_all_that_a_killed_one_has_left_and_each_call_ran_once() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (path, calls) = (notes(), 5000);
    leave(&server, &path, calls);
    let _worker = Process::threads(&server, 2);
    // Some results wait in their records, and some calls still run.
    eventually("half have ended", || queued(&server, "default") < calls / 2);
    let cluster = connect(&server.url());
    let left = cluster.resume(RUN).unwrap();
    assert_eq!(left.len() as u64, calls);
    assert_eq!(numbers(&left), (0..calls).collect());
    // Those with a result end meanwhile.
    let unfinished = |left: &[((String, u64), JoinHandle<u64>)]| {
        let unfinished = left.iter().filter(|(_, call)| !call.is_finished());
        unfinished.count()
    };
    let pending = cluster.pending_count();
    assert!(pending <= left.len() && pending >= unfinished(&left));
    assert!(cluster.resume(RUN).unwrap().is_empty());
    for ((_, n), call) in as_completed(left) {
        assert_eq!(call.join().unwrap(), n);
    }
    eventually("none is pending", || cluster.pending_count() == 0);
    assert!(cluster.resume(RUN).unwrap().is_empty());
    drop(cluster);
    eventually("nothing is left", || {
        queued(&server, "default") == 0 && queued(&server, "default_records") == 0
    });
    assert!(connect(&server.url()).resume(RUN).unwrap().is_empty());
    assert_eq!(noted(&path).len() as u64, calls);
}

#[test]
fn calls_go_on_when_their_submitter_dies_though_those_of_others_are_dropped() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    let mut durable = leaving(&server, &path, 3);
    let durable = Process(durable.env(RUNS_LONG, "1").spawn().unwrap());
    let _worker = Process::processes(&server, 2);
    eventually("two run and the third waits", || {
        noted(&path).len() == 2 && queued(&server, "default") == 3
    });
    let other = Process(submitter::waiting(&server, &path).spawn().unwrap());
    eventually("all are queued", || queued(&server, "default") == 53);
    drop((durable, other));
    eventually("its calls are dropped", || queued(&server, "default") <= 3);
    assert_eq!(queued(&server, "default"), 3);
    let cluster = connect(&server.url());
    // Without calls of its own, it cancels none.
    assert_eq!(cluster.cancel_pending(), 0);
    let left = cluster.resume(GATE).unwrap();
    assert_eq!(left.len(), 3);
    open_gate(&path);
    for (_, call) in as_completed(left) {
        call.join().unwrap();
    }
    assert_eq!(noted(&path).len(), 3);
}

#[test]
fn of_two_submitters_of_a_name_one_has_each_result() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    let first = Process(leaving(&server, &path, 20).spawn().unwrap());
    eventually("all are queued", || stored(&server, "default") == 20);
    // It cannot say any more that the name is in use.
    first.pause();
    let second = connect(&server.url());
    let left = second.resume(RUN).unwrap();
    assert_eq!(left.len(), 20);
    // Both wait for the same calls now, and hear of the same answers.
    first.signal("-CONT");
    let _worker = Process::threads(&server, 1);
    let mut results = 0;
    for ((_, n), call) in as_completed(left) {
        match call.join() {
            Ok(result) => {
                assert_eq!(result, n);
                results += 1;
            }
            Err(error) => assert!(error.is_rejected(), "{error:?}"),
        }
    }
    let file = format!("{path}.results");
    let mut others = String::new();
    eventually("the handles of the first resolve", || {
        others = std::fs::read_to_string(&file).unwrap_or_default();
        !others.is_empty()
    });
    assert_eq!(results + others.parse::<u64>().unwrap(), 20);
    assert_eq!(noted(&path).len(), 20);
}

#[test]
fn results_wait_until_they_are_picked_up() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    leave(&server, &path, 20);
    {
        let _worker = Here::threads(&server, 2);
        eventually("all have ended", || queued(&server, "default") == 0);
    }
    assert_eq!(queued(&server, "default_records"), 20);
    let cluster = connect(&server.url());
    for ((_, n), call) in as_completed(cluster.resume(RUN).unwrap()) {
        assert_eq!(call.join().unwrap(), n);
    }
    assert_eq!(queued(&server, "default_records"), 0);
}

#[test]
fn calls_of_a_living_submitter_leave_no_record() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = connect(&server.url());
    let _worker = Here::threads(&server, 2);
    for (n, square) in as_completed((0..500).map(|n| (n, cluster.call(SQUARE, n)))) {
        assert_eq!(square.join().unwrap(), n * n);
    }
    assert_eq!(queued(&server, "default_records"), 0);
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn a_call_that_was_not_sent_when_its_submitter_died_is_sent_by_the_next() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    leave(&server, &path, 20);
    // As if it had died between the records and the calls.
    ask(&server, "$JS.API.STREAM.PURGE.as_completed_default", "");
    let cluster = connect(&server.url());
    let left = cluster.resume(RUN).unwrap();
    let _worker = Here::threads(&server, 2);
    assert_eq!(left.len(), 20);
    for ((_, n), call) in as_completed(left) {
        assert_eq!(call.join().unwrap(), n);
    }
    assert_eq!(noted(&path).len(), 20);
}

#[test]
fn a_call_that_was_picked_up_can_be_cancelled() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    leave(&server, &path, 20);
    let cluster = connect(&server.url());
    let mut left = cluster.resume(RUN).unwrap();
    let (_, cancelled) = left.pop().unwrap();
    assert!(cancelled.cancel());
    eventually("it leaves no record", || {
        queued(&server, "default_records") == 19
    });
    assert_eq!(cluster.cancel_pending(), 19);
    eventually("nothing is left", || {
        queued(&server, "default") == 0 && queued(&server, "default_records") == 0
    });
    assert!(noted(&path).is_empty());
}

#[test]
fn a_call_that_was_cancelled_without_a_server_is_not_picked_up() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let (tell, events) = channel();
    let builder = worker::builder(&server).durable("nightly");
    let cluster = builder.observer(move |event| _ = tell.send(event));
    let cluster = cluster.connect().unwrap();
    let call = cluster.call(SQUARE, 3);
    eventually("it is queued", || {
        cluster.status().is_ok_and(|status| status.calls == 1)
    });
    server.kill();
    let lost = |event| event == ClusterEvent::Disconnected;
    assert!(events.iter().any(lost));
    assert!(call.cancel());
    thread::scope(|scope| {
        scope.spawn(|| drop(cluster));
        server.restart();
    });
    assert_eq!(queued(&server, "default_records"), 0);
    assert_eq!(queued(&server, "default"), 0);
    assert!(connect(&server.url()).resume(SQUARE).unwrap().is_empty());
}

#[test]
fn a_result_is_not_picked_up_again_when_a_worker_repeats_it_late() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let path = notes();
    let cluster = connect(&server.url());
    let mut paused = Process::threads(&server, 1);
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    paused.pause();
    let other = Process::threads(&server, 1);
    eventually("it runs elsewhere", || noted(&path).len() == 2);
    open_gate(&path);
    assert_eq!(call.join().unwrap(), other.0.id());
    drop(cluster);
    // No submitter is there: what it answers now is for a record. It ends when it is
    // rid of its answer.
    paused.signal("-CONT");
    paused.signal("-TERM");
    assert!(paused.0.wait().unwrap().success());
    assert_eq!(queued(&server, "default_records"), 0);
    let second = connect(&server.url());
    assert!(second.resume(GATE).unwrap().is_empty());
}

#[test]
fn only_one_submitter_of_a_name_is_connected() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = connect(&server.url());
    let builder = worker::builder(&server).durable("nightly");
    let error = builder.connect().unwrap_err();
    let name = "nightly".to_owned();
    assert_eq!(error, ClusterError::NameInUse { name });
    drop(worker::builder(&server).durable("daily").connect().unwrap());
    drop(cluster);
    drop(connect(&server.url()));
    let error = worker::builder(&server).durable("a.b").connect();
    assert!(matches!(error.unwrap_err(), ClusterError::Settings(_)));
}

#[test]
fn a_cluster_without_a_durable_name_has_nothing_to_resume() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let error = worker::cluster(&server).resume(SQUARE).unwrap_err();
    assert!(error.to_string().contains("durable name"), "{error}");
}

#[test]
fn arguments_that_cannot_be_decoded_are_left() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    leave(&server, &notes(), 5);
    let cluster = connect(&server.url());
    let other: Function<bool, u64> = Function::new("run", u64::from);
    match cluster.resume(other).unwrap_err() {
        ClusterError::Argument { function, .. } => assert_eq!(function, "run"),
        other => unreachable!("{other:?}"),
    }
    // Those that could be decoded are dropped.
    expect_panics();
    let frail: Function<(String, Frail), u64> = Function::new("run", |_| unreachable!());
    let error = cluster.resume(frail).unwrap_err();
    assert!(error.to_string().contains("it is 4"), "{error}");
    assert_eq!(cluster.resume(RUN).unwrap().len(), 5);
    cluster.cancel_pending();
}

/// Cannot be decoded if it is 4. Its `Drop` panics.
#[derive(Debug)]
struct Frail;

impl<'de> serde::Deserialize<'de> for Frail {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            4 => Err(serde::de::Error::custom("it is 4")),
            _ => Ok(Self),
        }
    }
}

impl Drop for Frail {
    fn drop(&mut self) {
        assert!(thread::panicking(), "dropped on purpose");
    }
}

#[test]
fn a_cluster_that_is_dropped_waits_until_what_it_removes_is_gone() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).durable("nightly");
    let cluster = cluster.connect().unwrap();
    let call = cluster.call(SQUARE, 3);
    eventually("it is queued", || {
        cluster.status().is_ok_and(|status| status.calls == 1)
    });
    server.pause();
    assert!(call.cancel());
    let (tell, dropped) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            drop(cluster);
            tell.send(()).unwrap();
        });
        // The server has answered nothing. One that did not wait would be gone by now.
        let early = dropped.recv_timeout(Duration::from_millis(500));
        server.kill();
        server.restart();
        assert!(early.is_err(), "it did not wait");
    });
    assert_eq!(queued(&server, "default_records"), 0);
}

#[test]
fn a_large_argument_and_a_large_result_are_picked_up() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    leave_and_pick_up_large(&server);
}

pub(crate) fn leave_and_pick_up_large(server: &Server) {
    let mut command = worker::program("durable::submit_large_and_wait");
    let submitter = Process(command.env(URL, server.url()).spawn().unwrap());
    eventually("all are queued", || stored(server, "default") == 4);
    drop(submitter);
    let worker = Here::threads(server, 2);
    eventually("all have ended", || stored(server, "default") == 0);
    drop(worker);
    let cluster = connect(&server.url());
    let left = cluster.resume(ECHO).unwrap();
    let lengths: BTreeSet<_> = left.iter().map(|(text, _)| text.len()).collect();
    assert_eq!(lengths, SIZES.into());
    for (text, call) in left {
        assert!(call.join().unwrap() == text, "{} bytes", text.len());
    }
    drop(cluster);
    assert_eq!(queued(server, "default_records"), 0);
    assert_eq!(queued(server, "default_large_durable"), 0);
}

const SIZES: [usize; 4] = [1_000, 500_000, 700_000, 3_000_000];

/// A submitter that never ends by itself; passes at once as a test.
#[test]
fn submit_large_and_wait() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let cluster = connect(&url);
    let calls = SIZES.map(|size| cluster.call(ECHO, "a".repeat(size)));
    for call in calls {
        let _ = call.join();
    }
}
