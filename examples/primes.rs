//! *Fluent Python*, chapter 19: which of these numbers are prime, in the order
//! in which it becomes known; one after the other, on threads, in processes, or on
//! many machines.
//!
//! ```sh
//! cargo run --release --features process --example primes -- --on processes --workers 4
//! cargo run --release --features cluster --example primes -- --on nats://localhost
//! ```
//!
//! The latter needs a server, `nats-server -js`, and workers: the example `worker`.
//! `--on cluster` starts a server and two workers on this machine by itself.

#[cfg(feature = "cluster")]
use as_completed::cluster::Cluster;
use as_completed::function::{Function, FunctionExecutor, Functions};
use as_completed::process::ProcessPool;
use as_completed::{Inline, ThreadPool, as_completed};
use std::error::Error;
use std::time::Instant;

pub(crate) const NUMBERS: [u64; 20] = [
    2,
    142_702_110_479_723,
    299_593_572_317_531,
    3_333_333_333_333_301,
    3_333_333_333_333_333,
    3_333_335_652_092_209,
    4_444_444_444_444_423,
    4_444_444_444_444_444,
    4_444_444_488_888_889,
    5_555_553_133_149_889,
    5_555_555_555_555_503,
    5_555_555_555_555_555,
    6_666_666_666_666_666,
    6_666_666_666_666_719,
    6_666_667_141_414_921,
    7_777_777_536_340_681,
    7_777_777_777_777_753,
    7_777_777_777_777_777,
    9_999_999_999_999_917,
    9_999_999_999_999_999,
];

/// The least factor of a number, and the seconds that finding it took.
pub(crate) const LEAST_FACTOR: Function<u64, (u64, f64)> = Function::new("least_factor", |n| {
    let start = Instant::now();
    (least_factor(n), start.elapsed().as_secs_f64())
});

fn least_factor(n: u64) -> u64 {
    if n % 2 == 0 {
        return 2;
    }
    (3..=n.isqrt())
        .step_by(2)
        .find(|factor| n % factor == 0)
        .unwrap_or(n)
}

/// What the workers of a cluster serve too.
pub(crate) fn functions() -> Functions {
    Functions::new().with(LEAST_FACTOR)
}

const USAGE: &str = "usage: primes [--on inline|threads|processes|cluster|URL] [--workers N]; \
                     cluster and URL, such as nats://localhost, with the feature cluster";

fn main() -> Result<(), Box<dyn Error>> {
    let functions = functions();
    functions.init(); // a child process serves here, and never returns
    let (mut on, mut workers) = ("processes".to_owned(), 2);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match &*argument {
            "--on" => on = value,
            "--workers" => workers = value.parse()?,
            #[cfg(feature = "cluster")]
            "--work" => return Ok(cluster::work(&value, functions)?),
            _ => return Err(USAGE.into()),
        }
    }
    // Dropped after the cluster, which waits for its calls.
    #[cfg(feature = "cluster")]
    let local = (on == "cluster").then(cluster::start).transpose()?;
    #[cfg(feature = "cluster")]
    if let Some(local) = &local {
        local.url().clone_into(&mut on);
    }
    let executor: Box<dyn FunctionExecutor> = match &*on {
        "inline" => Box::new(Inline),
        "threads" => Box::new(ThreadPool::builder().max_workers(workers).build()?),
        "processes" => Box::new(ProcessPool::new(workers, functions)?),
        #[cfg(feature = "cluster")]
        url if url.contains("://") => Box::new(Cluster::connect(url, functions)?),
        _ => return Err(USAGE.into()),
    };
    let start = Instant::now();
    let calls = NUMBERS.map(|n| (n, executor.call(LEAST_FACTOR, n)));
    for (n, call) in as_completed(calls) {
        let (factor, seconds) = call.join()?;
        let mark = if factor == n { 'P' } else { ' ' };
        println!("{n:16}  {mark}  {factor:16}  {seconds:9.6}s");
    }
    println!(
        "{} checks in {:.2}s",
        NUMBERS.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A server and two workers on this machine, for `--on cluster`.
#[cfg(feature = "cluster")]
mod cluster {
    use as_completed::cluster::{ClusterError, Worker};
    use as_completed::function::Functions;
    use std::error::Error;
    use std::io::{self, BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    /// Serves until the process is asked to end.
    pub(crate) fn work(url: &str, functions: Functions) -> Result<(), ClusterError> {
        Worker::builder(url, functions).processes(1).build()?.run()
    }

    /// Ends all of it when dropped.
    pub(crate) struct Local {
        url: String,
        store: PathBuf,
        processes: Vec<Child>,
    }

    impl Local {
        pub(crate) fn url(&self) -> &str {
            &self.url
        }
    }

    pub(crate) fn start() -> Result<Local, Box<dyn Error>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut local = Local {
            url: format!("nats://127.0.0.1:{port}"),
            store: std::env::temp_dir().join(format!("primes-{}", std::process::id())),
            processes: Vec::new(),
        };
        let server = ["nats-server", "/usr/sbin/nats-server"]
            .iter()
            .find_map(|program| {
                let mut command = Command::new(program);
                command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]);
                command.arg(&local.store).stderr(Stdio::piped());
                command.spawn().ok()
            });
        let server = server.ok_or(
            "there is no nats-server: apt-get install nats-server, or see https://nats.io/download",
        )?;
        local.processes.push(server);
        let log = local.processes[0].stderr.take();
        let mut log = BufReader::new(log.ok_or("the server has no log")?);
        let mut line = String::new();
        while !line.contains("Server is ready") {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err("nats-server does not start".into());
            }
        }
        // It writes a line now and then, and must not wait for a reader.
        std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        for _ in 0..2 {
            let mut worker = Command::new(std::env::current_exe()?);
            local
                .processes
                .push(worker.args(["--work", &local.url]).spawn()?);
        }
        Ok(local)
    }

    impl Drop for Local {
        fn drop(&mut self) {
            for process in &mut self.processes {
                // It may have ended already.
                let _ = process.kill();
                let _ = process.wait();
            }
            let _ = std::fs::remove_dir_all(&self.store);
        }
    }
}
