//! The queue at the server: its bound, and restarts.

use crate::functions::{GATE, RUN, SQUARE, noted, notes, open_gate};
use crate::server::{Server, ask, eventually, memory, queued};
use crate::support::alarm;
use crate::worker::{self, Here, Process, SHORT_LEASE};
use as_completed::cluster::Storage;
use as_completed::{Rejected, as_completed};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

#[test]
fn a_call_waits_for_room_in_a_bounded_queue() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server)
        .queue_capacity(5)
        .connect()
        .unwrap();
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let calls: Vec<_> = (0..100).map(|n| (n, cluster.call(SQUARE, n))).collect();
            for (n, square) in as_completed(calls) {
                assert_eq!(square.join().unwrap(), n * n);
            }
        });
        eventually("the queue is full", || queued(&server, "default") == 5);
        assert!(!caller.is_finished());
        // With the one that waits: no more is kept here either.
        eventually("the next waits", || cluster.pending_count() == 6);
        assert_eq!(queued(&server, "default"), 5);
        let _worker = Here::threads(&server, 1);
        caller.join().unwrap();
    });
}

#[test]
#[ignore = "takes a minute, and prints what a million calls take"]
fn a_million_calls_wait_in_bounded_memory() {
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let number = 1_000_000;
    let own = || memory(std::process::id());
    let (own_before, server_before) = (own(), server.memory());
    let calls: Vec<_> = (0..number).map(|n| cluster.call(SQUARE, n)).collect();
    while queued(&server, "default") < number {
        thread::sleep(Duration::from_millis(200));
    }
    let each = |before: u64, now: u64| now.saturating_sub(before) / number;
    let own = each(own_before, own());
    let at_server = each(server_before, server.memory());
    println!("each of {number} calls takes {own} bytes here, {at_server} at the server");
    // What the documentation of `queue_capacity` says.
    assert!(own < 2048 && at_server < 1024, "{own} {at_server}");
    assert_eq!(cluster.cancel_pending() as u64, number);
    drop(calls);
    while queued(&server, "default") > 0 {
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn calls_run_in_a_queue_that_many_make_at_the_same_moment() {
    let Some(server) = Server::start() else {
        return;
    };
    // Most of the time one is far enough ahead of the others.
    for number in 0..30 {
        let _alarm = alarm();
        let queue = format!("queue{number}");
        let start = Barrier::new(4);
        let together = || {
            start.wait();
            worker::builder(&server).queue(&queue).connect().unwrap()
        };
        thread::scope(|scope| {
            let clusters = [(); 3].map(|()| scope.spawn(together));
            let worker = worker::worker_builder(&server).queue(&queue).threads(1);
            start.wait();
            let _worker = Here::of(worker);
            for cluster in clusters {
                let cluster = cluster.join().unwrap();
                assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
            }
        });
    }
}

#[test]
fn calls_run_in_a_queue_that_an_administrator_has_made() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let stream = r#"{"name":"as_completed_default","subjects":["as_completed.default.call.*"],"retention":"workqueue"}"#;
    let create = "$JS.API.STREAM.CREATE.as_completed_default";
    assert!(ask(&server, create, stream).contains("\"created\""));
    let _worker = Here::threads(&server, 1);
    let cluster = worker::cluster(&server);
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
}

#[test]
fn try_call_gives_the_argument_back_when_the_queue_is_full() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server)
        .queue_capacity(2)
        .connect()
        .unwrap();
    let calls = [1, 2].map(|n| (n, cluster.try_call(SQUARE, n).unwrap()));
    let refused = cluster.try_call(SQUARE, 3).unwrap_err();
    assert!(matches!(refused.reason(), Rejected::QueueFull));
    assert_eq!(refused.into_argument(), 3);
    assert_eq!(cluster.pending_count(), 2);
    {
        let _worker = Here::threads(&server, 1);
        for (n, square) in as_completed(calls) {
            assert_eq!(square.join().unwrap(), n * n);
        }
    }
    // Without a server there is no room either, and no wait.
    server.kill();
    eventually("it is noticed", || match cluster.try_call(SQUARE, 4) {
        Ok(_) => false,
        Err(refused) => matches!(refused.reason(), Rejected::QueueFull),
    });
    server.restart();
    cluster.shutdown();
    let refused = cluster.try_call(SQUARE, 5).unwrap_err();
    assert!(matches!(refused.reason(), Rejected::ShutDown));
    cluster.cancel_pending();
}

#[test]
fn all_calls_resolve_though_the_server_is_killed_in_their_middle() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _worker = Process::threads(&server, 2);
    let calls: Vec<_> = (0..10_000).map(|n| (n, cluster.call(SQUARE, n))).collect();
    for (number, (n, square)) in as_completed(calls).enumerate() {
        assert_eq!(square.join().unwrap(), n * n);
        if number == 1000 {
            server.kill();
            server.restart();
        }
    }
    eventually("the queue is empty", || queued(&server, "default") == 0);
}

#[test]
fn calls_that_are_made_without_a_server_wait_for_it() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _worker = Here::threads(&server, 1);
    assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
    server.kill();
    let calls: Vec<_> = (0..5000).map(|n| (n, cluster.call(SQUARE, n))).collect();
    server.restart();
    for (n, square) in as_completed(calls) {
        assert_eq!(square.join().unwrap(), n * n);
    }
}

#[test]
fn a_call_that_is_cancelled_as_the_server_dies_never_runs() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let cancelled = cluster.call(RUN, (path.clone(), 1));
    let kept = cluster.call(RUN, (path.clone(), 2));
    eventually("both are queued", || {
        cluster.status().is_ok_and(|status| status.calls == 2)
    });
    server.pause();
    assert!(cancelled.cancel());
    assert!(cancelled.join().unwrap_err().is_cancelled());
    server.kill();
    server.restart();
    eventually("one has left", || queued(&server, "default") == 1);
    let _worker = Here::threads(&server, 1);
    assert_eq!(kept.join().unwrap(), 2);
    assert_eq!(noted(&path), ["2"]);
}

#[test]
fn a_call_that_runs_while_the_server_is_away_is_answered() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let (cluster, path) = (worker::cluster(&server), notes());
    let _worker = Here::threads(&server, 1);
    let call = cluster.call(GATE, (path.clone(), 1));
    eventually("the call runs", || noted(&path).len() == 1);
    server.kill();
    open_gate(&path);
    server.restart();
    assert_eq!(call.join().unwrap(), std::process::id());
}

#[test]
fn calls_in_memory_are_sent_again_to_a_server_that_has_lost_them() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::builder(&server)
        .storage(Storage::Memory)
        .connect()
        .unwrap();
    let path = notes();
    let calls: Vec<_> = (0..100)
        .map(|n| (n, cluster.call(RUN, (path.clone(), n))))
        .collect();
    eventually("all are queued", || queued(&server, "default") == 100);
    server.kill();
    server.restart();
    eventually("the queue is there again", || server_has_queue(&server));
    let _worker = Here::threads(&server, 1);
    for (n, call) in as_completed(calls) {
        assert_eq!(call.join().unwrap(), n);
    }
    assert_eq!(noted(&path).len(), 100);
}

fn server_has_queue(server: &Server) -> bool {
    ask(server, "$JS.API.STREAM.INFO.as_completed_default", "").contains("\"memory\"")
}

#[test]
fn calls_are_sent_again_when_somebody_has_deleted_them() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let calls: Vec<_> = (0..10).map(|n| (n, cluster.call(SQUARE, n))).collect();
    eventually("all are queued", || queued(&server, "default") == 10);
    ask(&server, "$JS.API.STREAM.PURGE.as_completed_default", "");
    assert_eq!(queued(&server, "default"), 0);
    server.kill();
    server.restart();
    let _worker = Here::threads(&server, 1);
    for (n, square) in as_completed(calls) {
        assert_eq!(square.join().unwrap(), n * n);
    }
}

#[test]
fn calls_run_though_the_server_does_not_deliver_them_any_more() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    // A few leases go by until it is noticed.
    let cluster = worker::builder(&server).lease(SHORT_LEASE);
    let cluster = cluster.deliveries(1000).connect().unwrap();
    let calls: Vec<_> = (0..10).map(|n| (n, cluster.call(SQUARE, n))).collect();
    eventually("all are queued", || queued(&server, "default") == 10);
    // One that passes them over, as one does that is stuck.
    let consumer = "as_completed_default.workers";
    let stuck = r#"{"stream_name":"as_completed_default","config":{
        "durable_name":"workers","deliver_policy":"all","ack_policy":"explicit",
        "ack_wait":ACK_WAIT,"filter_subject":"as_completed.default.call.nobody"}}"#;
    let stuck = stuck.replace("ACK_WAIT", &SHORT_LEASE.as_nanos().to_string());
    let create = format!("$JS.API.CONSUMER.DURABLE.CREATE.{consumer}");
    eventually("it is stuck", || {
        ask(&server, &format!("$JS.API.CONSUMER.DELETE.{consumer}"), "");
        // The cluster may make it first, if it looks at this moment.
        let made = ask(&server, &create, &stuck.replace('\n', ""));
        made.contains("call.nobody")
    });
    let _worker = Here::of(
        worker::worker_builder(&server)
            .lease(SHORT_LEASE)
            .threads(1),
    );
    for (n, square) in as_completed(calls) {
        assert_eq!(square.join().unwrap(), n * n);
    }
}

#[test]
fn cancelling_all_calls_of_one_submitter_leaves_those_of_another() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (one, other) = (worker::cluster(&server), worker::cluster(&server));
    let mut calls: Vec<_> = (0..20).map(|n| (n, one.call(SQUARE, n))).collect();
    eventually("all are queued", || queued(&server, "default") == 20);
    let cancelled: Vec<_> = (0..500).map(|n| other.call(SQUARE, n)).collect();
    eventually("all are queued", || queued(&server, "default") == 520);
    calls.extend((20..40).map(|n| (n, one.call(SQUARE, n))));
    eventually("all are queued", || queued(&server, "default") == 540);
    assert_eq!(other.cancel_pending(), 500);
    eventually("they are gone", || queued(&server, "default") == 40);
    let _worker = Here::threads(&server, 1);
    for (n, square) in as_completed(calls) {
        assert_eq!(square.join().unwrap(), n * n);
    }
    drop((cancelled, other));
}

#[test]
fn queues_of_two_names_do_not_mix() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let one = worker::builder(&server).queue("one").connect().unwrap();
    let two = worker::builder(&server).queue("two").connect().unwrap();
    let call = one.call(SQUARE, 3);
    let _worker = Here::of(worker::worker_builder(&server).queue("two").threads(1));
    assert_eq!(two.call(SQUARE, 4).join().unwrap(), 16);
    assert!(!call.is_finished());
    one.cancel_pending();
    assert!(call.join().unwrap_err().is_cancelled());
}

#[test]
fn calls_that_the_server_has_lost_are_sent_again() {
    let _alarm = alarm();
    let Some(mut server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let calls: Vec<_> = (0..10).map(|n| (n, cluster.call(SQUARE, n))).collect();
    eventually("all are queued", || queued(&server, "default") == 10);
    // The first, the last, and some between.
    for sequence in [1, 4, 5, 10] {
        let body = format!("{{\"seq\":{sequence}}}");
        ask(
            &server,
            "$JS.API.STREAM.MSG.DELETE.as_completed_default",
            &body,
        );
    }
    assert_eq!(queued(&server, "default"), 6);
    // The submitter looks for its calls when it is connected again.
    server.kill();
    server.restart();
    eventually("all are queued again", || queued(&server, "default") == 10);
    let _worker = Here::threads(&server, 1);
    for (n, call) in as_completed(calls) {
        assert_eq!(call.join().unwrap(), n * n);
    }
}
