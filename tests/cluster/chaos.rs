//! Campaigns: workers and the server are killed, paused and started while calls
//! run. Short in CI; `CLUSTER_CHAOS_SECONDS` and `CLUSTER_CHAOS_CALLS` make them
//! long.

use crate::functions::SPIN;
use crate::server::{Server, eventually, queued};
use crate::worker::{self, Process, SHORT_LEASE, WORKER_LEASE};
use as_completed::as_completed;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A worker that counts as lost as soon as it is paused.
fn started(server: &Server, slots: usize) -> Process {
    let lease = SHORT_LEASE.as_millis().to_string();
    Process::with(server, slots, &[(WORKER_LEASE, &lease)])
}

fn setting(name: &str, usual: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(usual, |value| value.parse().unwrap())
}

/// A number that looks random, the same in each run.
fn scramble(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 31
}

/// Calls of random length, and each has its own result, once.
fn campaign(server: &mut Server, mut event: impl FnMut(&mut Server, u64) + Send) {
    let seconds = setting("CLUSTER_CHAOS_SECONDS", 8);
    let number = setting("CLUSTER_CHAOS_CALLS", 1000);
    // A worker that is paused counts as lost: nobody is to blame here.
    let cluster = worker::builder(server).lease(SHORT_LEASE);
    let cluster = cluster.deliveries(1000).connect().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            let mut round = 0;
            while !over.load(Ordering::Relaxed) && start.elapsed().as_secs() < seconds {
                event(server, round);
                round += 1;
                thread::sleep(Duration::from_secs(1));
            }
            // What is left is for workers that nobody disturbs.
            let _workers = [started(server, 4), started(server, 4)];
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let calls: Vec<_> = (0..number)
            .map(|n| {
                (
                    n,
                    cluster.call(
                        SPIN,
                        (n, scramble(n) % (2 * seconds * 4000 / number.max(1)).max(1)),
                    ),
                )
            })
            .collect();
        let mut seen = BTreeSet::new();
        for (n, call) in as_completed(calls) {
            assert_eq!(call.join().unwrap(), n);
            assert!(seen.insert(n));
        }
        assert_eq!(seen.len() as u64, number);
        over.store(true, Ordering::Relaxed);
    });
    drop(cluster);
    eventually("the queue is empty", || queued(server, "default") == 0);
}

#[test]
fn workers_are_killed_paused_and_started_and_every_result_is_right() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let mut workers: Vec<_> = (0..4).map(|_| started(&server, 2)).collect();
    let mut paused: Vec<(Instant, Process)> = Vec::new();
    campaign(&mut server, move |server, round| {
        if paused
            .first()
            .is_some_and(|(at, _)| at.elapsed() > 3 * SHORT_LEASE)
        {
            let (_, worker) = paused.remove(0);
            worker.signal("-CONT");
            workers.push(worker);
        }
        match scramble(round) % 3 {
            0 if workers.len() > 1 => drop(workers.remove(0)),
            1 if workers.len() > 1 => {
                let worker = workers.remove(0);
                worker.pause();
                paused.push((Instant::now(), worker));
            }
            _ => workers.push(started(server, 2)),
        }
    });
}

#[test]
fn the_server_is_killed_again_and_again_and_every_result_is_right() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let _workers = [started(&server, 2), started(&server, 2)];
    campaign(&mut server, |server, round| {
        if round % 3 == 1 {
            server.kill();
            server.restart();
        }
    });
}
