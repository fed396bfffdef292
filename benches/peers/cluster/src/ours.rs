//! This crate's cluster.

use crate::server::Server;
use crate::{CALLS, PAYLOAD, Result, TRIPS, per_call};
use as_completed::as_completed;
use as_completed::cluster::{Cluster, Worker};
use as_completed::function::{Function, Functions};
use std::thread;
use std::time::{Duration, Instant};

const SAME: Function<u64, u64> = Function::new("same", |n| n);
const ECHO: Function<String, String> = Function::new("echo", |text| text);
const NAP: Function<u64, ()> =
    Function::new("nap", |millis| thread::sleep(Duration::from_millis(millis)));

/// Seconds.
pub struct Figures {
    pub call: f64,
    pub trip: f64,
    pub naps: f64,
    pub payload: f64,
}

fn functions() -> Functions {
    Functions::new().with(SAME).with(ECHO).with(NAP)
}

pub fn work(url: &str, threads: usize) -> Result<()> {
    let worker = Worker::builder(url, functions());
    Ok(worker.threads(threads).build()?.run()?)
}

pub fn measure() -> Result<Figures> {
    let server = Server::start()?;
    let cluster = Cluster::connect(&server.url, functions()).map_err(|error| error.to_string())?;
    let workers = [server.child("work", "1")?, server.child("work", "1")?];
    burst(&cluster, 100)?;
    let start = Instant::now();
    burst(&cluster, CALLS)?;
    let call = per_call(start, CALLS);
    let start = Instant::now();
    for n in 0..TRIPS {
        cluster.call(SAME, n).join()?;
    }
    let trip = per_call(start, TRIPS);
    // Not a pattern that could be compressed; nor do we compress.
    let text: String = (0..PAYLOAD as u64)
        .map(|n| char::from(b' ' + (n.wrapping_mul(0x9e37_79b9) >> 25) as u8 % 90))
        .collect();
    assert!(cluster.call(ECHO, text.clone()).join()? == text);
    let start = Instant::now();
    assert!(cluster.call(ECHO, text.clone()).join()? == text);
    let payload = start.elapsed().as_secs_f64();
    drop(workers);
    let _workers = [server.child("work", "10")?, server.child("work", "10")?];
    burst(&cluster, 100)?;
    let start = Instant::now();
    for nap in as_completed((0..2000).map(|_| cluster.call(NAP, 50))) {
        nap.join()?;
    }
    let naps = start.elapsed().as_secs_f64();
    Ok(Figures {
        call,
        trip,
        naps,
        payload,
    })
}

fn burst(cluster: &Cluster, calls: u64) -> Result<()> {
    let handles: Vec<_> = (0..calls).map(|n| cluster.call(SAME, n)).collect();
    let mut sum = 0;
    for call in as_completed(handles) {
        sum += call.join()?;
    }
    assert_eq!(sum, (0..calls).sum::<u64>());
    Ok(())
}
