//! What a cluster tells of its queue and its workers.

use crate::functions::{self, GATE, SQUARE, UNREGISTERED, noted, notes, open_gate};
use crate::server::{Server, eventually, queued};
use crate::support::{PATIENCE, alarm};
use crate::worker::{self, Here, LEASE, Process, WORKER_LEASE};
use as_completed::cluster::{Cluster, ClusterEvent, Worker};
use as_completed::function::Functions;
use as_completed::{CallError, JoinError};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

#[path = "../../examples/cluster_status.rs"]
#[allow(dead_code, reason = "only its table is tested")]
mod example;

/// Blocks until the cluster has heard of a worker.
fn knows_a_worker(cluster: &Cluster) {
    eventually("a worker is known", || {
        let status = cluster.status();
        status.is_ok_and(|status| !status.workers.is_empty())
    });
}

#[test]
fn the_status_tells_what_waits_and_what_each_worker_runs() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let before = cluster.status().unwrap();
    assert_eq!((before.calls, before.workers.len()), (0, 0));
    let process = Process::threads(&server, 1);
    let calls: Vec<_> = (0..5)
        .map(|n| cluster.call(GATE, (path.clone(), n)))
        .collect();
    eventually("one runs", || noted(&path).len() == 1);
    let mut status = cluster.status().unwrap();
    eventually("it is told", || {
        status = cluster.status().unwrap();
        status.calls == 5 && status.running() == 1
    });
    assert_eq!(status.queued(), 4);
    let [worker] = &status.workers[..] else {
        unreachable!("{status:?}");
    };
    assert_eq!((worker.pid, worker.slots), (process.0.id(), 1));
    assert!(!worker.host.is_empty());
    assert!(worker.functions.iter().any(|name| name == "gate"));
    assert_eq!(worker.running[0].function, "gate");
    let table = example::table(&status);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines[0], "4 queued, 1 running");
    let columns: Vec<_> = lines[2].split_whitespace().collect();
    let pid = process.0.id().to_string();
    assert_eq!(columns[..4], [&worker.host, &pid, "1", "gate"]);
    assert_eq!(lines.len(), 3);
    // Each column ends below its head.
    for column in ["pid", "slots"] {
        let end = lines[1].find(column).unwrap() + column.len();
        assert_eq!(lines[2].chars().nth(end), Some(' '), "{table}");
        assert_ne!(lines[2].chars().nth(end - 1), Some(' '), "{table}");
    }
    open_gate(&path);
    for call in calls {
        call.join().unwrap();
    }
    drop(process);
    eventually("the worker is forgotten", || {
        cluster.status().unwrap().workers.is_empty()
    });
}

#[test]
fn the_observer_is_told_of_workers_and_of_the_connection() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let (tell, events) = channel();
    let itself: Arc<OnceLock<Weak<Cluster>>> = Arc::default();
    let seen = Arc::clone(&itself);
    let observer = move |event| {
        // Called without a lock: it may look at the cluster, and call.
        let cluster = seen.get().and_then(Weak::upgrade).unwrap();
        let _detached = cluster.call(SQUARE, 1);
        assert!(cluster.pending_count() > 0);
        tell.send(event).unwrap();
        panic!("an observer may panic");
    };
    // Workers are lost after two of them: longer than one stands still, and no longer than
    // need be.
    let lease = Duration::from_secs(5);
    let builder = worker::builder(&server).lease(lease).observer(observer);
    let cluster = Arc::new(builder.connect().unwrap());
    itself.set(Arc::downgrade(&cluster)).unwrap();
    let call = cluster.call(SQUARE, 3);
    assert_eq!(events.recv().unwrap(), ClusterEvent::NoWorkers);
    let lease = lease.as_millis().to_string();
    let process = Process::with(&server, 1, &[(WORKER_LEASE, &lease)]);
    assert_eq!(call.join().unwrap(), 9);
    // It may have answered before it was heard of.
    knows_a_worker(&cluster);
    drop(process);
    assert_eq!(events.recv().unwrap(), ClusterEvent::WorkersLost);
    assert_eq!(events.recv().unwrap(), ClusterEvent::NoWorkers);
    server.kill();
    assert_eq!(events.recv().unwrap(), ClusterEvent::Disconnected);
    let error = cluster.status().unwrap_err();
    assert!(error.to_string().contains("connection is lost"), "{error}");
    server.restart();
    assert_eq!(events.recv().unwrap(), ClusterEvent::Connected);
    cluster.cancel_pending();
}

#[test]
fn a_function_that_no_worker_has_is_an_error_after_the_grace_that_names_them() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let builder = worker::builder(&server).grace(Duration::from_millis(1));
    let cluster = builder.connect().unwrap();
    let _worker = Here::threads(&server, 1);
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    knows_a_worker(&cluster);
    match cluster.call(UNREGISTERED, ()).join() {
        Err(JoinError::Call(error)) => match *error {
            CallError::Unserved {
                function,
                version,
                workers,
            } => {
                assert_eq!((&*function, version), ("unregistered", 0));
                let pid = std::process::id().to_string();
                assert!(
                    workers.iter().any(|worker| worker.contains(&pid)),
                    "{workers:?}"
                );
                assert!(workers.iter().any(|worker| worker.contains("square")));
            }
            other => unreachable!("{other:?}"),
        },
        other => unreachable!("{other:?}"),
    }
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn a_function_that_workers_have_in_another_version_is_an_error_that_names_both() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let of_version = |version| {
        let functions = Functions::new().with(SQUARE.version(version));
        Worker::builder(&server.url(), functions)
            .lease(LEASE)
            .connect_timeout(PATIENCE)
            .threads(1)
    };
    let _newer = Here::of(of_version(2));
    let grace = Duration::from_millis(1);
    let builder = worker::builder(&server).grace(grace);
    let cluster = builder.connect().unwrap();
    knows_a_worker(&cluster);
    let error = cluster.call(SQUARE, 3).join().unwrap_err().to_string();
    assert!(
        error.contains("no worker serves function \"square\";"),
        "{error}"
    );
    assert!(error.contains("with square v2"), "{error}");
    let worker = &cluster.status().unwrap().workers[0];
    assert_eq!(worker.functions, ["square v2"]);
    let newest = Cluster::builder(&server.url(), Functions::new().with(SQUARE.version(3)));
    let newest = newest.lease(LEASE).grace(grace).connect_timeout(PATIENCE);
    let newest = newest.connect().unwrap();
    knows_a_worker(&newest);
    let error = newest.call(SQUARE, 3).join().unwrap_err().to_string();
    assert!(error.contains("\"square\" in version 3"), "{error}");
    // The right one is found, whoever else is there.
    let _old = Here::of(of_version(0));
    let patient = worker::builder(&server).grace(PATIENCE).connect().unwrap();
    assert_eq!(patient.call(SQUARE, 3).join().unwrap(), 9);
}

#[test]
fn a_call_finds_the_worker_that_has_its_function() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server).grace(PATIENCE).connect().unwrap();
    let _without = Here::threads(&server, 4);
    let call = cluster.call(UNREGISTERED, ());
    let all = functions::all().with(UNREGISTERED);
    let with = Worker::builder(&server.url(), all).lease(LEASE);
    let _with = Here::of(with.connect_timeout(PATIENCE).threads(1));
    call.join().unwrap();
}
