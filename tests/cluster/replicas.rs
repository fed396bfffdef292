//! A group of three servers that keep each call on all three: one is killed after
//! the other under load. `CLUSTER_CHAOS_ROUNDS` makes it long.

use crate::durable;
use crate::functions::{self, SPIN};
use crate::server::{Port, Server, ask, ask_soon, eventually};
use crate::support::{PATIENCE, Patience, alarm};
use crate::worker::{self, Here, SHORT_LEASE};
use as_completed::as_completed;
use as_completed::cluster::{Cluster, Worker};
use std::collections::BTreeSet;

/// Three servers that know each other.
fn group() -> Option<Vec<Server>> {
    let start = Patience::new();
    loop {
        let ports = [0; 3].map(|_| Port::free());
        let routes = ports
            .each_ref()
            .map(|port| format!("nats://127.0.0.1:{}", port.number));
        let all = routes.join(",");
        let servers = routes.iter().zip(ports).enumerate();
        let servers = servers.map(|(place, (route, port))| {
            let name = format!("server{place}");
            let arguments = [
                "-js",
                "-n",
                &name,
                "--cluster_name",
                "group",
                "--cluster",
                route,
                "--routes",
                &all,
            ];
            Server::start_in_group(&arguments, port)
        });
        let servers: Option<Result<Vec<_>, _>> = servers.collect();
        match servers? {
            Ok(servers) => return Some(servers),
            // Somebody has one of the ports: all three have to know another.
            Err(error) => assert!(!start.is_over(PATIENCE), "{error}"),
        }
    }
}

/// Whether all three have all calls, as one of them sees it.
fn is_whole(server: &Server) -> bool {
    let info = "$JS.API.STREAM.INFO.as_completed_group";
    ask_soon(server, info, "").is_some_and(|info| info.matches("\"current\":true").count() == 2)
}

fn campaign(rounds: u64) {
    let Some(mut servers) = group() else {
        return;
    };
    let urls: Vec<_> = servers.iter().map(Server::url).collect();
    let urls = urls.join(",");
    let builder = Cluster::builder(&urls, functions::all())
        .queue("group")
        .lease(SHORT_LEASE)
        .replicas(3)
        // A group that agrees on a stream takes its time beside other work.
        .connect_timeout(PATIENCE)
        // Nobody is to blame for what the servers do.
        .deliveries(1000);
    let cluster = builder.connect().unwrap();
    let _workers = [(); 2].map(|()| {
        let worker = Worker::builder(&urls, functions::all()).queue("group");
        Here::of(
            worker
                .lease(SHORT_LEASE)
                .connect_timeout(PATIENCE)
                .threads(4),
        )
    });
    let number = 300;
    for round in 0..rounds {
        let victim = usize::try_from(round % 3).unwrap();
        eventually("all three have all calls", || {
            is_whole(&servers[(victim + 1) % 3])
        });
        let calls = (0..number).map(|n| (n, cluster.call(SPIN, (n, n % 20))));
        let mut seen = BTreeSet::new();
        for (n, call) in as_completed(calls.collect::<Vec<_>>()) {
            assert_eq!(call.join().unwrap(), n);
            assert!(seen.insert(n));
            if seen.len() == 20 {
                servers[victim].kill();
            }
        }
        assert_eq!(seen.len() as u64, number);
        servers[victim].restart();
    }
    drop(cluster);
    let is_empty = |server| {
        let info = ask_soon(server, "$JS.API.STREAM.INFO.as_completed_group", "");
        info.is_some_and(|info| info.contains("\"messages\":0,"))
    };
    eventually("the queue is empty", || is_empty(&servers[0]));
}

#[test]
fn what_a_killed_submitter_has_left_at_three_servers_is_picked_up() {
    let _alarm = alarm();
    let Some(servers) = group() else {
        return;
    };
    drop(worker::builder(&servers[0]).replicas(3).connect().unwrap());
    durable::leave_and_pick_up_large(&servers[0]);
    for stream in ["records", "large_durable"] {
        let subject = format!("$JS.API.STREAM.INFO.as_completed_default_{stream}");
        let info = ask(&servers[0], &subject, "");
        assert!(info.contains("\"num_replicas\":3"), "{info}");
    }
}

#[test]
fn each_of_three_servers_is_killed_in_turn_and_every_result_is_right() {
    let _alarm = alarm();
    campaign(3);
}

#[test]
#[ignore = "takes minutes: CLUSTER_CHAOS_ROUNDS of them, 30 otherwise"]
fn servers_are_killed_for_long_and_every_result_is_right() {
    let rounds = std::env::var("CLUSTER_CHAOS_ROUNDS").ok();
    campaign(rounds.map_or(30, |rounds| rounds.parse().unwrap()));
}
