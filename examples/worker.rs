//! A worker of a cluster: runs the calls of the example `primes`, in child
//! processes, until it is asked to end by Ctrl-C or SIGTERM.
//!
//! ```sh
//! cargo run --release --features cluster --example worker -- nats://localhost 4
//! ```

use as_completed::cluster::Worker;
use std::error::Error;

#[path = "primes.rs"]
#[allow(dead_code, reason = "only its functions are used here")]
mod primes;

fn main() -> Result<(), Box<dyn Error>> {
    let functions = primes::functions();
    functions.init(); // a child process serves here, and never returns
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("nats://localhost".to_owned());
    if !url.contains("://") {
        return Err("usage: worker [URL [PROCESSES]], such as nats://localhost 4".into());
    }
    let processes = arguments.next().unwrap_or("2".to_owned()).parse()?;
    println!("serving {url} with {processes} processes");
    Worker::builder(&url, functions)
        .processes(processes)
        .build()?
        .run()?;
    Ok(())
}
