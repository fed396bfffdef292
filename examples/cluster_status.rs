//! What the queue of a cluster and its workers do, each second until Ctrl-C.
//!
//! ```sh
//! cargo run --features cluster --example cluster_status -- nats://localhost
//! ```

use as_completed::cluster::{Cluster, ClusterStatus};
use as_completed::function::Functions;
use std::time::Duration;

pub(crate) fn table(status: &ClusterStatus) -> String {
    let mut lines = vec![
        format!("{} queued, {} running", status.queued(), status.running()),
        format!("{:20} {:>8} {:>5}  runs", "host", "pid", "slots"),
    ];
    for worker in &status.workers {
        let runs = worker.running.iter();
        let runs = runs.map(|run| format!("{} {:.1}s", run.function, run.elapsed.as_secs_f64()));
        let runs = runs.collect::<Vec<_>>().join(", ");
        let (host, pid, slots) = (&worker.host, worker.pid, worker.slots);
        lines.push(format!("{host:20} {pid:8} {slots:5}  {runs}"));
    }
    lines.join("\n")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "nats://localhost".to_owned());
    if !url.contains("://") {
        return Err("usage: cluster_status [URL], such as nats://localhost".into());
    }
    let cluster = Cluster::connect(&url, Functions::new())?;
    loop {
        let text = match cluster.status() {
            Ok(status) => table(&status),
            Err(error) => error.to_string(),
        };
        // From the top, over the last one, with long lines cut off.
        let lines = text.replace('\n', "\x1b[K\n");
        print!("\x1b[?7l\x1b[H{lines}\x1b[J\x1b[?7h");
        std::io::Write::flush(&mut std::io::stdout())?;
        std::thread::sleep(Duration::from_secs(1));
    }
}
