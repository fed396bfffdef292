//! A server that is far away, or whose connections nobody answers.

use crate::durable;
use crate::functions::{self, GATE, RUN, SQUARE, noted, notes, open_gate};
use crate::relay::Relay;
use crate::server::{Server, eventually, queued};
use crate::support::{PATIENCE, alarm};
use crate::worker::{self, Here, LEASE, Process, SHORT_LEASE};
use as_completed::CancelToken;
use as_completed::cluster::{Cluster, Worker};
use std::thread;
use std::time::Duration;

/// So long that thousands of requests, one after the other, would take minutes.
const FAR: Duration = Duration::from_millis(50);
const CALLS: u64 = 2000;

#[test]
fn the_calls_of_a_submitter_that_dies_are_gone_soon_though_the_server_is_far() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (near, far) = (
        Relay::new(&server, Duration::ZERO),
        Relay::new(&server, FAR),
    );
    let cluster = Cluster::builder(&near.url, functions::all()).lease(SHORT_LEASE);
    let cluster = cluster.connect_timeout(PATIENCE).connect().unwrap();
    let path = notes();
    for n in 0..CALLS {
        drop(cluster.call(GATE, (path.clone(), n)));
    }
    eventually("all are queued", || queued(&server, "default") == CALLS);
    let worker = Worker::builder(&far.url, functions::all()).lease(SHORT_LEASE);
    let _worker = Here::of(worker.connect_timeout(PATIENCE).threads(1));
    // As good as dead: nobody hears it any more.
    near.cut(true);
    eventually("its calls are gone", || queued(&server, "default") == 0);
    cluster.cancel_pending();
    open_gate(&path);
}

#[test]
fn calls_that_were_picked_up_are_found_soon_though_the_server_is_far() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (path, far) = (notes(), Relay::new(&server, FAR));
    durable::leave(&server, &path, CALLS);
    let cluster = durable::connect(&far.url);
    let left = cluster.resume(RUN).unwrap();
    assert_eq!(left.len() as u64, CALLS);
    // They leave the queue as soon as it is known where they are.
    assert_eq!(cluster.cancel_pending() as u64, CALLS);
    eventually("they are gone", || queued(&server, "default") == 0);
    eventually("their records are gone", || {
        queued(&server, "default_records") == 0
    });
}

#[test]
fn calls_run_once_each_though_their_receipts_are_lost_or_they_are() {
    const HALF: u64 = 300;

    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let (path, relay) = (notes(), Relay::new(&server, Duration::ZERO));
    let cluster = Cluster::builder(&relay.url, functions::all()).lease(LEASE);
    let cluster = cluster.connect_timeout(PATIENCE).connect().unwrap();
    let call = |n| cluster.call(RUN, (path.clone(), n));
    relay.lose_answers();
    let mut calls: Vec<_> = (0..HALF).map(call).collect();
    eventually("they are queued", || queued(&server, "default") == HALF);
    relay.lose_requests();
    let before = relay.losses();
    calls.extend((HALF..2 * HALF).map(call));
    eventually("some are lost", || relay.losses() > before);
    relay.cut(false);
    let _worker = Process::threads(&server, 2);
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.join().unwrap(), n as u64);
    }
    assert_eq!(noted(&path).len() as u64, 2 * HALF);
}

#[test]
fn a_connection_that_is_taken_and_never_answered_is_made_again() {
    // Another client is made after some such times.
    const TIMEOUT: Duration = Duration::from_secs(8);

    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    drop(worker::cluster(&server));
    let relays = [(); 2].map(|()| Relay::new(&server, Duration::ZERO));
    let token = CancelToken::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let worker = || {
                let worker = Worker::builder(&relays[0].url, functions::all()).lease(LEASE);
                let worker = worker.connect_timeout(TIMEOUT).threads(1);
                worker.build().unwrap().run_until(&token)
            };
            // Beside other work, the first connection may take longer.
            while worker().is_err() && !token.is_cancelled() {}
        });
        let _stop = Stop(&token);
        let cluster = loop {
            let cluster = Cluster::builder(&relays[1].url, functions::all()).lease(LEASE);
            if let Ok(cluster) = cluster.connect_timeout(TIMEOUT).connect() {
                break cluster;
            }
        };
        assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
        for relay in &relays {
            relay.cut(true);
            eventually("it waits for a word", || relay.connections() > 0);
        }
        let call = cluster.call(SQUARE, 4);
        for relay in &relays {
            relay.speak();
        }
        assert_eq!(call.join().unwrap(), 16);
        // The new ones are connected again as the old ones were.
        for relay in &relays {
            relay.cut(false);
        }
        assert_eq!(cluster.call(SQUARE, 5).join().unwrap(), 25);
    });
}

/// Asks a worker to stop, also that of a test that fails.
struct Stop<'a>(&'a CancelToken);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
