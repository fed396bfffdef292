//! What a cluster tells of its queue and its workers.

use crate::functions::{self, GATE, SQUARE, UNREGISTERED, noted, notes, open_gate};
use crate::server::{Server, eventually, queued};
use crate::support::alarm;
use crate::worker::{self, Here, LEASE, Process};
use as_completed::cluster::Worker;
use as_completed::{CallError, JoinError};
use std::time::Duration;

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
fn a_function_that_no_worker_has_is_an_error_after_the_grace_that_names_them() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let builder = worker::builder(&server).grace(Duration::from_millis(1));
    let cluster = builder.connect().unwrap();
    let _worker = Here::threads(&server, 1);
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    match cluster.call(UNREGISTERED, ()).join() {
        Err(JoinError::Call(error)) => match *error {
            CallError::Unserved { function, workers } => {
                assert_eq!(function, "unregistered");
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
fn a_call_finds_the_worker_that_has_its_function() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _without = Here::threads(&server, 4);
    let call = cluster.call(UNREGISTERED, ());
    let all = functions::all().with(UNREGISTERED);
    let with = Worker::builder(&server.url(), all).lease(LEASE).threads(1);
    let _with = Here::of(with);
    call.join().unwrap();
}
