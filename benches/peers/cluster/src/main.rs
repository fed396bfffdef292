//! A cluster beside the floor: the same number of messages published, pulled,
//! answered and acknowledged with the bare client. Needs `nats-server`.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/cluster/Cargo.toml
//! ```

use as_completed::as_completed;
use as_completed::cluster::{Cluster, Worker};
use as_completed::function::{Function, Functions};
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CALLS: u64 = 20_000;
const ROUNDS: usize = 5;

const EMPTY: Function<u64, u64> = Function::new("empty", |n| n);
const NAP: Function<u64, ()> =
    Function::new("nap", |millis| thread::sleep(Duration::from_millis(millis)));

fn functions() -> Functions {
    Functions::new().with(EMPTY).with(NAP)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("work") => {
            let worker = Worker::builder(&arguments[2], functions());
            Ok(worker.threads(arguments[3].parse()?).build()?.run()?)
        }
        Some("floor") => block_on(floor_worker(&arguments[2])),
        _ => compare(),
    }
}

fn compare() -> Result<()> {
    let (mut bursts, mut floors, mut trips, mut naps) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let server = Server::start()?;
        let cluster = Cluster::connect(&server.url, functions()).map_err(|e| e.to_string())?;
        let workers = [server.child("work", "1")?, server.child("work", "1")?];
        cluster.call(EMPTY, 0).join()?;
        let start = Instant::now();
        let calls: Vec<_> = (0..CALLS).map(|n| cluster.call(EMPTY, n)).collect();
        for call in as_completed(calls) {
            call.join()?;
        }
        bursts.push(per_call(start, CALLS));
        let start = Instant::now();
        for n in 0..500 {
            cluster.call(EMPTY, n).join()?;
        }
        trips.push(per_call(start, 500));
        drop(workers);
        let workers = [server.child("work", "10")?, server.child("work", "10")?];
        cluster.call(EMPTY, 0).join()?;
        let start = Instant::now();
        let calls: Vec<_> = (0..2000).map(|_| cluster.call(NAP, 50)).collect();
        for call in as_completed(calls) {
            call.join()?;
        }
        naps.push(start.elapsed().as_secs_f64() / 5.0);
        drop((workers, cluster, server));

        let server = Server::start()?;
        let stream = block_on(floor_stream(&server.url))?;
        let workers = [server.child("floor", "")?, server.child("floor", "")?];
        floors.push(block_on(floor(&server.url, &stream))?);
        drop((workers, server));
    }
    let (burst, floor) = (median(&mut bursts), median(&mut floors));
    println!(
        "{CALLS} empty calls, 2 workers: {:.1} us a call",
        burst * 1e6
    );
    println!("the same, bare messages:     {:.1} us a call", floor * 1e6);
    println!("ratio:                       {:.2}", burst / floor);
    println!(
        "call and join:               {:.1} us",
        median(&mut trips) * 1e6
    );
    println!(
        "2,000 calls of 50 ms on 20 slots: {:.2} of ideal",
        median(&mut naps)
    );
    Ok(())
}

fn per_call(start: Instant, calls: u64) -> f64 {
    start.elapsed().as_secs_f64() / calls as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.enable_all().build()?.block_on(future)
}

async fn floor_stream(url: &str) -> Result<String> {
    use async_nats::jetstream::{self, consumer, stream};

    let context = jetstream::new(async_nats::connect(url).await?);
    let config = stream::Config {
        name: "floor".to_owned(),
        subjects: vec!["floor.call".to_owned()],
        retention: stream::RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await?;
    let config = consumer::pull::Config {
        durable_name: Some("workers".to_owned()),
        max_ack_pending: -1,
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(config).await?;
    Ok("floor.call".to_owned())
}

/// Publishes all, and waits for as many answers.
async fn floor(url: &str, subject: &str) -> Result<f64> {
    use futures_util::StreamExt as _;

    let client = async_nats::connect(url).await?;
    let mut answers = client.subscribe("floor.answer").await?;
    let mut receipts = client.subscribe("floor.receipt").await?;
    let receive = |number: u64| {
        let client = client.clone();
        async move {
            client
                .publish_with_reply(
                    subject.to_owned(),
                    "floor.receipt",
                    number.to_le_bytes().to_vec().into(),
                )
                .await
        }
    };
    receive(0).await?;
    answers.next().await;
    receipts.next().await;
    let start = Instant::now();
    let (mut sent, mut stored, mut answered) = (0, 0, 0);
    while answered < CALLS {
        while sent < CALLS && sent - stored < 1024 {
            receive(sent).await?;
            sent += 1;
        }
        tokio::select! {
            _ = answers.next() => answered += 1,
            _ = receipts.next() => stored += 1,
        }
    }
    Ok(per_call(start, CALLS))
}

/// Pulls, answers and acknowledges.
async fn floor_worker(url: &str) -> Result<()> {
    use async_nats::jetstream::{self, consumer::PullConsumer};
    use futures_util::StreamExt as _;

    let client = async_nats::connect(url).await?;
    let context = jetstream::new(client.clone());
    let consumer: PullConsumer = context.get_consumer_from_stream("workers", "floor").await?;
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(500)
        .messages()
        .await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        client
            .publish("floor.answer", message.payload.clone())
            .await?;
        message.ack().await?;
    }
    Ok(())
}

/// A process that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fields are dropped in this order.
struct Server {
    url: String,
    _process: Killed,
    _store: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut process = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(store.path())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(process.stderr.take().ok_or("no log")?);
        let mut line = String::new();
        while !line.contains("Server is ready") {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err("nats-server does not start".into());
            }
        }
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Ok(Self {
            url: format!("nats://127.0.0.1:{port}"),
            _process: Killed(process),
            _store: store,
        })
    }

    fn child(&self, kind: &str, slots: &str) -> Result<Killed> {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(Killed(command.args([kind, &self.url, slots]).spawn()?))
    }
}
