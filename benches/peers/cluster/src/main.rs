//! A cluster beside the floor, which is the same number of messages with the bare
//! client, and beside dask.distributed and Celery over Redis. Needs `nats-server`; of
//! the rivals it says which are not here, and leaves out their rows.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/cluster/Cargo.toml
//! PYTHON=venv/bin/python cargo run --release --manifest-path … -- --runs 3
//! ```

mod child;
mod floor;
mod ours;
mod python;
mod server;

use python::Python;
use std::error::Error;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Calls of a burst.
const CALLS: u64 = 20_000;
/// Calls that are waited for, one after the other.
const TRIPS: u64 = 300;
/// Bytes of an argument and of its result.
const PAYLOAD: usize = 64 << 20;
/// No round begins later.
const BUDGET: Duration = Duration::from_secs(8 * 60);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["work", url, threads] => ours::work(url, threads.parse()?),
        ["floor", url, _] => floor::work(url),
        ["--runs", runs] => compare(runs.parse()?),
        [] => compare(5),
        _ => Err("usage: [--runs N]".into()),
    }
}

/// One of our figures beside one of theirs, a pair for each round.
struct Row {
    what: &'static str,
    against: &'static str,
    at_most: f64,
    pairs: Vec<(f64, f64)>,
}

const BURST: &str = "20,000 empty calls, as completed, 2 workers, a call";
const NAPS: &str = "2,000 calls of 50 ms on 20 slots";

fn compare(runs: usize) -> Result<()> {
    let row = |what, against, at_most| Row {
        what,
        against,
        at_most,
        pairs: Vec::new(),
    };
    let mut rows = [
        row(BURST, "dask.distributed", 0.3),
        row(BURST, "Celery over Redis", 0.2),
        row(BURST, "the bare client's messages", 1.5),
        row("call and join, idle cluster", "dask.distributed", 0.5),
        row(NAPS, "ideal", 1.1),
        row("64 MiB there and back", "dask.distributed", 1.0),
    ];
    let python = Python::find();
    let has_dask = python.has("distributed");
    if !has_dask {
        eprintln!("dask.distributed is not here: pip install 'dask[distributed]'");
    }
    let has_celery = python.has("celery, redis") && python::redis_is_here();
    if !has_celery {
        eprintln!("Celery or Redis is not here: pip install 'celery[redis]', redis-server");
    }
    let start = Instant::now();
    let done = |what: &str| eprintln!("{:>5.0?}  {what}", start.elapsed());
    for round in 1..=runs {
        if start.elapsed() > BUDGET {
            done(&format!("the time is over after {} rounds", round - 1));
            break;
        }
        done(&format!("round {round} of {runs}"));
        let ours = ours::measure()?;
        done("ours is measured");
        rows[2].pairs.push((ours.call, floor::burst(CALLS)?));
        rows[4].pairs.push((ours.naps, 2000.0 * 0.05 / 20.0));
        done("the bare client is measured");
        // A rival that fails, as beside much other work, costs its own rows only.
        if has_dask {
            match python.dask().as_deref() {
                Ok([call, trip, payload]) => {
                    rows[0].pairs.push((ours.call, *call));
                    rows[3].pairs.push((ours.trip, *trip));
                    rows[5].pairs.push((ours.payload, *payload));
                    done("dask.distributed is measured");
                }
                Ok(figures) => done(&format!("dask.distributed has {} figures", figures.len())),
                Err(error) => done(&error.to_string()),
            }
        }
        if has_celery {
            match python.celery().as_deref() {
                Ok([call]) => {
                    rows[1].pairs.push((ours.call, *call));
                    done("Celery is measured");
                }
                Ok(figures) => done(&format!("Celery has {} figures", figures.len())),
                Err(error) => done(&error.to_string()),
            }
        }
    }
    print(&rows);
    Ok(())
}

fn print(rows: &[Row]) {
    println!("| what | against | ours | theirs | ours ÷ theirs | at most | rounds | |");
    println!("|---|---|---:|---:|---:|---:|---:|---|");
    let measured = rows.iter().filter(|row| !row.pairs.is_empty());
    for row in measured {
        let ratio = median(row.pairs.iter().map(|(ours, theirs)| ours / theirs));
        println!(
            "| {} | {} | {} | {} | {ratio:.3} | {} | {} | {} |",
            row.what,
            row.against,
            shown(median(row.pairs.iter().map(|pair| pair.0))),
            shown(median(row.pairs.iter().map(|pair| pair.1))),
            row.at_most,
            row.pairs.len(),
            if ratio <= row.at_most { "✓" } else { "✗" },
        );
    }
}

fn shown(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1e-3 => format!("{:.1} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

fn per_call(start: Instant, calls: u64) -> f64 {
    start.elapsed().as_secs_f64() / calls as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
