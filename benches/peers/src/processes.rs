//! Pools of processes: ours, and what they are compared with.

use crate::measure::{Candidate, interleave};
use crate::subjects::{nanoseconds, to_float};
use crate::table::{Amount, Row};
use anyhow::{Context, Result, bail, ensure};
use as_completed::function::{Function, FunctionExecutor, FunctionExecutorExt, Functions};
use as_completed::process::ProcessPool;
use as_completed::{ThreadPool, as_completed};
use serde_bytes::ByteBuf;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../../examples/primes.rs"]
#[allow(
    dead_code,
    unexpected_cfgs,
    reason = "the program around the numbers and their function"
)]
mod primes;

const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
const SAME: Function<ByteBuf, ByteBuf> = Function::new("same", |value| value);
const MEET: Function<(String, usize), ()> = Function::new("meet", |(folder, count)| {
    meet(Path::new(&folder), count);
});

/// Returns when that many processes are here.
fn meet(folder: &Path, count: usize) {
    let own = folder.join(std::process::id().to_string());
    std::fs::write(own, "").expect("the folder is there");
    while std::fs::read_dir(folder).map_or(0, Iterator::count) < count {
        thread::sleep(Duration::from_micros(500));
    }
}

fn functions() -> Functions {
    primes::functions().with(SQUARE).with(SAME).with(MEET)
}

/// Serves in a child of a pool, of whatever crate.
pub fn init() {
    functions().init();
    procspawn::init();
}

fn pool(workers: usize) -> Result<ProcessPool> {
    Ok(ProcessPool::new(workers, functions())?)
}

/// The message of the floor is as long as ours.
const ECHOED: usize = 32;

/// A single measurement, in this process.
pub fn one(arguments: &[&str]) -> Result<f64> {
    Ok(match arguments {
        ["ours", "trip", count] => {
            let pool = pool(1)?;
            trips(count.parse()?, |n| Ok(pool.call(SQUARE, n).join()?))?
        }
        ["procspawn", "trip", count] => {
            let pool = procspawn::Pool::new(1)?;
            trips(count.parse()?, |n| {
                Ok(procspawn::spawn!(in pool, (n) || n * n).join()?)
            })?
        }
        ["echo", "trip", count] => echo(count.parse()?)?,
        ["echoing"] => {
            let mut socket = UnixStream::from(OwnedFd::from(
                std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?,
            ));
            let mut message = [0; ECHOED];
            while socket.read_exact(&mut message).is_ok() {
                socket.write_all(&message)?;
            }
            0.0
        }
        ["ours", "burst", workers, count] => {
            let pool = pool(workers.parse()?)?;
            let count = count.parse()?;
            burst(&pool, count / 10);
            timed(|| burst(&pool, count)) / to_float(count)
        }
        ["ours", "chunks", workers, count, size] => {
            let pool = pool(workers.parse()?)?;
            let (count, size) = (count.parse()?, size.parse()?);
            let run = |count: u64| {
                let squares = pool.call_map(SQUARE, 0..count).chunk_size(size);
                squares
                    .map(|square| square.expect("it returned"))
                    .fold(0, u64::wrapping_add)
            };
            run(count / 10);
            timed(|| run(count)) / to_float(count)
        }
        ["ours", "start", workers] => {
            let folder = tempfile::tempdir()?;
            let workers = workers.parse()?;
            let at = folder.path().display().to_string();
            let start = Instant::now();
            let pool = pool(workers)?;
            let calls = (0..workers).map(|_| pool.call(MEET, (at.clone(), workers)));
            for call in as_completed(calls) {
                call.join()?;
            }
            drop(pool);
            nanoseconds(start.elapsed())
        }
        ["ours", "payload", size] => {
            let pool = pool(1)?;
            let payload = ByteBuf::from(vec![b'x'; size.parse()?]);
            let there_and_back = || {
                pool.call(SAME, payload.clone())
                    .join()
                    .map(|same| same.len())
            };
            ensure!(there_and_back()? == payload.len());
            let times = (0..3).map(|_| timed(|| there_and_back().expect("it returned")));
            times.fold(f64::INFINITY, f64::min)
        }
        ["ours", "primes"] => book(&pool(2)?),
        ["threads", "primes"] => book(&ThreadPool::new(2)),
        _ => bail!("no such measurement: {arguments:?}"),
    })
}

fn timed<T>(f: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(f());
    nanoseconds(start.elapsed())
}

fn trips(count: u64, trip: impl Fn(u64) -> Result<u64>) -> Result<f64> {
    for n in 0..count / 10 {
        ensure!(trip(n)? == n * n);
    }
    let start = Instant::now();
    for n in 0..count {
        black_box(trip(n)?);
    }
    Ok(nanoseconds(start.elapsed()) / to_float(count))
}

fn echo(count: u64) -> Result<f64> {
    let (mut socket, theirs) = UnixStream::pair()?;
    let mut other = Command::new(std::env::current_exe()?)
        .args(["one", "processes", "echoing"])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()?;
    let mut message = [0; ECHOED];
    let mut trip = |n: u64| -> Result<()> {
        message[..8].copy_from_slice(&n.to_le_bytes());
        socket.write_all(&message)?;
        Ok(socket.read_exact(&mut message)?)
    };
    for n in 0..count / 10 {
        trip(n)?;
    }
    let start = Instant::now();
    for n in 0..count {
        trip(n)?;
    }
    let elapsed = nanoseconds(start.elapsed());
    drop(socket);
    other.wait()?;
    Ok(elapsed / to_float(count))
}

fn burst(pool: &ProcessPool, count: u64) -> u64 {
    let calls: Vec<_> = (0..count).map(|n| pool.call(SQUARE, n)).collect();
    as_completed(calls)
        .map(|call| call.join().expect("it returned"))
        .fold(0, u64::wrapping_add)
}

fn book(executor: &impl FunctionExecutor) -> f64 {
    timed(|| {
        let calls = primes::NUMBERS.map(|n| executor.call(primes::LEAST_FACTOR, n));
        as_completed(calls)
            .map(|call| call.join().expect("it returned").0)
            .fold(0, u64::wrapping_add)
    })
}

fn ours(arguments: &[&str]) -> Candidate {
    Candidate::child("ours", &[&["processes", "ours"], arguments].concat())
}

fn python(name: &str, executor: &'static str, arguments: &[&str]) -> Candidate {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    Candidate::new(name, move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("processes.py");
        let output = Command::new("python3")
            .arg(script)
            .arg(executor)
            .args(&arguments)
            .stderr(Stdio::inherit())
            .output()
            .context("python3")?;
        ensure!(output.status.success(), "python3 failed");
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    })
}

const PPE: &str = "Python ProcessPoolExecutor";
const MP: &str = "multiprocessing.Pool";

/// One row for each rival, whose bar it knows.
fn rows(
    rounds: usize,
    what: &str,
    ours: Candidate,
    rivals: Vec<(Candidate, Option<f64>)>,
) -> Result<Vec<Row>> {
    let (rivals, bars): (Vec<_>, Vec<_>) = rivals.into_iter().unzip();
    let mut candidates: Vec<_> = std::iter::once(ours).chain(rivals).collect();
    interleave(rounds, &mut candidates)?;
    let (ours, rivals) = candidates.split_first().context("ours is the first")?;
    let row = |(rival, at_most): (&Candidate, Option<f64>)| Row {
        what: what.to_owned(),
        against: rival.name.clone(),
        ours: Amount::Time(ours.median()),
        theirs: Amount::Time(rival.median()),
        ratio: ours.ratio_to(rival),
        at_most,
    };
    Ok(rivals.iter().zip(bars).map(row).collect())
}

/// The table of processes.
pub fn table(rounds: usize, amount: impl Fn(u64) -> u64) -> Result<Vec<Row>> {
    let has_loky = Command::new("python3")
        .args(["-c", "import loky"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let loky = |arguments: &[&str]| has_loky.then(|| (python("loky", "loky", arguments), None));
    // Those without a target make fewer calls, so that all takes minutes.
    let counts = |full: u64| (amount(full).to_string(), amount(full / 4).to_string());
    let count = amount(5_000).to_string();
    let mut all = Vec::new();
    let mut rivals = vec![
        (
            Candidate::child(
                "echo over a socket pair",
                &["processes", "echo", "trip", &count],
            ),
            Some(1.5),
        ),
        (
            Candidate::child("procspawn", &["processes", "procspawn", "trip", &count]),
            Some(0.8),
        ),
        (python(PPE, "executor", &["trip", &count]), Some(0.25)),
        (python(MP, "pool", &["trip", &count]), None),
    ];
    rivals.extend(loky(&["trip", &count]));
    all.extend(rows(
        rounds,
        "call and join, 1 child",
        ours(&["trip", &count]),
        rivals,
    )?);

    let (count, fewer) = counts(20_000);
    let mut rivals = vec![
        (python(PPE, "executor", &["burst", "2", &count]), Some(0.1)),
        (python(MP, "pool", &["burst", "2", &fewer]), None),
    ];
    rivals.extend(loky(&["burst", "2", &fewer]));
    let what = format!("{count} calls, as completed, 2 children, a task");
    all.extend(rows(rounds, &what, ours(&["burst", "2", &count]), rivals)?);

    let (count, fewer) = counts(1_000_000);
    let mut rivals = vec![
        (
            python(PPE, "executor", &["chunks", "2", &count, "1000"]),
            Some(0.1),
        ),
        (python(MP, "pool", &["chunks", "2", &fewer, "1000"]), None),
    ];
    rivals.extend(loky(&["chunks", "2", &fewer, "1000"]));
    let what = "call_map in chunks of 1,000, 2 children, an item";
    all.extend(rows(
        rounds,
        what,
        ours(&["chunks", "2", &count, "1000"]),
        rivals,
    )?);

    all.extend(rows(
        rounds,
        "8 children started, one call each, and ended",
        ours(&["start", "8"]),
        vec![(
            python("Python's spawn", "executor", &["start", "8"]),
            Some(0.1),
        )],
    )?);
    for (what, size, bar) in [
        ("1 MiB there and back", 1 << 20, None),
        ("64 MiB there and back", 64 << 20, Some(0.7)),
    ] {
        let size = size.to_string();
        let mut rivals = vec![
            (python(PPE, "executor", &["payload", &size]), bar),
            (python(MP, "pool", &["payload", &size]), None),
        ];
        rivals.extend(loky(&["payload", &size]));
        all.extend(rows(rounds, what, ours(&["payload", &size]), rivals)?);
    }
    all.extend(rows(
        rounds,
        "the book's primes on 2 processes, their start included",
        ours(&["primes"]),
        vec![(
            Candidate::child("on 2 threads", &["processes", "threads", "primes"]),
            Some(1.05),
        )],
    )?);
    Ok(all)
}
