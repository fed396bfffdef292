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
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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

/// A submitter and two workers that know all servers.
fn cluster(servers: &[Server]) -> (Cluster, [Here; 2]) {
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
    let workers = [(); 2].map(|()| {
        let worker = Worker::builder(&urls, functions::all()).queue("group");
        Here::of(
            worker
                .lease(SHORT_LEASE)
                .connect_timeout(PATIENCE)
                .threads(4),
        )
    });
    (cluster, workers)
}

fn is_empty(server: &Server) -> bool {
    let info = ask_soon(server, "$JS.API.STREAM.INFO.as_completed_group", "");
    info.is_some_and(|info| info.contains("\"messages\":0,"))
}

/// Kills a server after 20 of the results of each round.
fn campaign(rounds: u64) {
    let Some(mut servers) = group() else {
        return;
    };
    let (cluster, _workers) = cluster(&servers);
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
    eventually("the queue is empty", || is_empty(&servers[0]));
}

/// Kills a server every ten seconds, which comes back three seconds later, as long as
/// there are calls; returns how many kills there were.
fn kill_in_turn(servers: &mut [Server], is_over: &AtomicBool) -> u32 {
    let (period, absence) = (Duration::from_secs(10), Duration::from_secs(3));
    let mut kills = 0;
    // No more than that, should the calls fail.
    for victim in (0..servers.len()).cycle().take(100) {
        let next = Instant::now() + period;
        // A second one that is away would be one too many.
        eventually("all three have all calls", || {
            is_over.load(Ordering::Relaxed) || is_whole(&servers[(victim + 1) % 3])
        });
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        servers[victim].kill();
        kills += 1;
        thread::sleep(absence);
        servers[victim].restart();
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    kills
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
#[ignore = "takes minutes, and prints how many servers were killed"]
fn a_server_is_killed_every_ten_seconds_and_ten_thousand_results_are_right() {
    let Some(mut servers) = group() else {
        return;
    };
    let (cluster, _workers) = cluster(&servers);
    let (number, in_flight) = (10_000, 100);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let killer = scope.spawn(|| kill_in_turn(&mut servers, &is_over));
        // 8 calls at a time of 70 ms on average.
        let mut calls = (0..number).map(|n| (n, cluster.call(SPIN, (n, n * 37 % 140))));
        let mut waiting = as_completed(calls.by_ref().take(in_flight));
        let mut seen = BTreeSet::new();
        while let Some((n, call)) = waiting.next() {
            assert_eq!(call.join().unwrap(), n);
            assert!(seen.insert(n));
            calls.by_ref().take(1).for_each(|call| waiting.push(call));
        }
        is_over.store(true, Ordering::Relaxed);
        println!("{} servers were killed", killer.join().unwrap());
        assert_eq!(seen.len() as u64, number);
    });
    drop(cluster);
    eventually("the queue is empty", || is_empty(&servers[0]));
}

#[test]
#[ignore = "takes minutes: CLUSTER_CHAOS_ROUNDS of them, 30 otherwise"]
fn servers_are_killed_for_long_and_every_result_is_right() {
    let rounds = std::env::var("CLUSTER_CHAOS_ROUNDS").ok();
    campaign(rounds.map_or(30, |rounds| rounds.parse().unwrap()));
}
