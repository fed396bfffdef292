//! What the queue of a cluster and its workers do, each second until Ctrl-C.
//!
//! ```sh
//! cargo run --features cluster --example cluster_status -- nats://localhost
//! ```

use as_completed::cluster::{Cluster, ClusterStatus};
use as_completed::function::Functions;
use std::time::Duration;

fn print(status: &ClusterStatus) {
    // Clears the screen.
    print!("\x1b[2J\x1b[H");
    println!("{} queued, {} running", status.queued(), status.running());
    println!("{:20} {:>8} {:>5}  runs", "host", "pid", "slots");
    for worker in &status.workers {
        let runs = worker.running.iter();
        let runs = runs.map(|call| format!("{} {:.1?}", call.function, call.elapsed));
        let runs = runs.collect::<Vec<_>>().join(", ");
        println!(
            "{:20} {:8} {:5}  {runs}",
            worker.host, worker.pid, worker.slots
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1);
    let url = url.unwrap_or("nats://localhost".to_owned());
    let cluster = Cluster::connect(&url, Functions::new())?;
    loop {
        print(&cluster.status()?);
        std::thread::sleep(Duration::from_secs(1));
    }
}
