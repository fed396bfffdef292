//! Compares `as-completed` with other crates and programs, in one table.

mod downloads;
mod machine;
mod measure;
mod processes;
mod rivals;
mod subjects;
mod table;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use measure::{Candidate, interleave};
use rivals::{OURS, RIVALS, Rival};
use std::path::PathBuf;
use std::time::Duration;
use subjects::{nanoseconds, to_float};
use table::{Amount, Row};

/// Run the same work on `as-completed` and on its rivals, in turn, and print the
/// ratios of the times, with the targets.
#[derive(Parser)]
struct Arguments {
    /// What to measure [default: everything]
    #[command(subcommand)]
    group: Option<Group>,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// Number of rounds; each figure is their median
    #[arg(long, global = true, default_value_t = 9)]
    runs: usize,
    /// Run three rounds of a fifth of the work, for a rough result
    #[arg(long, global = true)]
    quick: bool,
    /// Pool sizes for the empty tasks
    #[arg(long, global = true, value_delimiter = ',', default_values_t = [1, 2, 8])]
    workers: Vec<usize>,
    /// Compare with these rivals only
    #[arg(long, global = true, value_delimiter = ',')]
    only: Vec<String>,
    /// Folder of `xx/xx.gif` files to download [default: generated files of
    /// similar sizes]
    #[arg(long, global = true)]
    files: Option<PathBuf>,
}

impl Options {
    fn rounds(&self) -> usize {
        if self.quick { 3 } else { self.runs }
    }

    fn amount(&self, full: u64) -> u64 {
        if self.quick { full / 5 } else { full }
    }

    fn rivals(&self) -> impl Iterator<Item = &'static Rival> {
        RIVALS.iter().filter(|rival| self.wants(rival.name))
    }

    fn check(&self) -> Result<()> {
        ensure!(self.runs > 0, "--runs must be at least 1");
        let names = || {
            RIVALS
                .iter()
                .map(|rival| rival.name)
                .chain(downloads::RIVALS)
        };
        for only in &self.only {
            if !names().any(|name| name == only) {
                let names: Vec<_> = names().collect();
                bail!(
                    "no rival is called {only}; the rivals are {}",
                    names.join(", ")
                );
            }
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

#[derive(Subcommand)]
enum Group {
    /// Run 500,000 empty tasks and take all results
    Tasks,
    /// Submit one task and wait for it, repeatedly
    Trips,
    /// Measure `map_unordered`, `as_completed`, sleeping tasks, a new pool, memory
    /// and idle workers
    Pool,
    /// Call functions in processes: round trips, bursts, chunks, start, payloads
    Processes,
    /// Download 1,940 small files, one large file, and both kinds, with several programs from
    /// one server
    Downloads,
    /// Download the files of a list into a folder
    #[command(hide = true)]
    Fetch {
        client: String,
        list: PathBuf,
        folder: PathBuf,
        /// For each file
        #[arg(default_value_t = 1)]
        connections: usize,
    },
    /// Run one candidate once and print nanoseconds or bytes
    #[command(hide = true)]
    One { arguments: Vec<String> },
}

fn main() -> Result<()> {
    processes::init();
    let Arguments { group, options } = Arguments::parse();
    let group = match group {
        Some(Group::One { arguments }) => {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            println!("{}", one(&arguments)?);
            return Ok(());
        }
        Some(Group::Fetch {
            client,
            list,
            folder,
            connections,
        }) => return downloads::fetch(&client, &list, &folder, connections),
        other => other,
    };
    options.check()?;
    let machine = machine::line();
    let mut rows = Vec::new();
    if matches!(group, None | Some(Group::Tasks)) {
        rows.extend(tasks(&options)?);
    }
    if matches!(group, None | Some(Group::Trips)) {
        rows.extend(trips(&options)?);
    }
    if matches!(group, None | Some(Group::Pool)) {
        rows.extend(pool(&options)?);
    }
    if matches!(group, None | Some(Group::Processes)) {
        rows.extend(processes::table(options.rounds(), |full| {
            options.amount(full)
        })?);
    }
    if matches!(group, None | Some(Group::Downloads)) {
        let files = options.files.as_deref();
        let megabytes = options.amount(500);
        rows.extend(downloads::downloads(
            options.rounds(),
            files,
            megabytes,
            &|name| options.wants(name),
        )?);
    }
    println!("{machine} {} rounds.\n", options.rounds());
    table::print(&rows);
    Ok(())
}

/// The targets for empty tasks.
fn bar_of_tasks(rival: &str) -> Option<f64> {
    match rival {
        "channel" => Some(1.5),
        "threadpool" => Some(1.05),
        "rayon" => Some(0.85),
        "rusty_pool" => Some(0.65),
        "async-executor" => Some(0.5),
        "tokio-tasks" => Some(0.35),
        _ => None,
    }
}

fn bar_of_trips(rival: &str) -> Option<f64> {
    match rival {
        "rayon" => Some(0.6),
        "rusty_pool" | "threadpool" | "tokio-tasks" | "tokio-blocking" => Some(0.1),
        _ => None,
    }
}

fn tasks(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for workers in &options.workers {
        let count = options.amount(500_000);
        let what = match workers {
            1 => "empty task, 1 worker".to_owned(),
            _ => format!("empty task, {workers} workers"),
        };
        rows.extend(against_rivals(
            options,
            "burst",
            *workers,
            count,
            &what,
            bar_of_tasks,
        )?);
    }
    Ok(rows)
}

fn trips(options: &Options) -> Result<Vec<Row>> {
    let count = options.amount(20_000);
    against_rivals(
        options,
        "trips",
        2,
        count,
        "round trip, 2 workers",
        bar_of_trips,
    )
}

fn against_rivals(
    options: &Options,
    subject: &str,
    workers: usize,
    count: u64,
    what: &str,
    bar: fn(&str) -> Option<f64>,
) -> Result<Vec<Row>> {
    let (workers, count) = (workers.to_string(), count.to_string());
    let mut candidates: Vec<_> = std::iter::once(&OURS)
        .chain(options.rivals())
        .map(|rival| Candidate::child(rival.name, &[subject, rival.name, &workers, &count]))
        .collect();
    interleave(options.rounds(), &mut candidates)?;
    let (ours, rivals) = candidates.split_first().context("there is always ours")?;
    Ok(rivals
        .iter()
        .map(|rival| Row {
            what: what.to_owned(),
            against: rival.name.clone(),
            ours: Amount::Time(ours.median()),
            theirs: Amount::Time(rival.median()),
            ratio: ours.ratio_to(rival),
            at_most: bar(&rival.name),
        })
        .collect())
}

/// A measurement of this crate and the one it is compared with.
fn pair(
    options: &Options,
    what: &str,
    against: &str,
    ours: &[&str],
    theirs: &[&str],
    at_most: f64,
) -> Result<Row> {
    let mut candidates = [
        Candidate::child(what, ours),
        Candidate::child(against, theirs),
    ];
    interleave(options.rounds(), &mut candidates)?;
    let [ours, theirs] = candidates;
    Ok(Row {
        what: what.to_owned(),
        against: against.to_owned(),
        ours: Amount::Time(ours.median()),
        theirs: Amount::Time(theirs.median()),
        ratio: ours.ratio_to(&theirs),
        at_most: Some(at_most),
    })
}

fn pool(options: &Options) -> Result<Vec<Row>> {
    let items = options.amount(10_000_000).to_string();
    let tasks = options.amount(500_000).to_string();
    let many = options.amount(1_000_000).to_string();
    let rounds = options.amount(1_000).to_string();
    let mut rows = vec![
        pair(
            options,
            &format!("map_unordered, {items} items in chunks of 1024, an item"),
            "our own submit, a task",
            &["map", "2", &items],
            &["burst", "ours", "2", &tasks],
            0.1,
        )?,
        pair(
            options,
            &format!("submit, as_completed, join: a handle of {many}"),
            "the same of 10000",
            &["handles", "2", &many, &many],
            &["handles", "2", "10000", &many],
            1.3,
        )?,
        pair(
            options,
            "8 tasks on a fresh pool of 8, dropped",
            "std::thread::scope of 8",
            &["fresh", &rounds],
            &["fresh-threads", &rounds],
            1.3,
        )?,
    ];
    rows.extend(naps(options)?);
    let memory = alone(
        options,
        "memory of a pending task with its handle",
        &["memory", "1000000"],
    )?;
    rows.push(Row {
        what: memory.name.clone(),
        against: "140 B".to_owned(),
        ours: Amount::Bytes(memory.median()),
        theirs: Amount::Bytes(140.0),
        ratio: memory.median() / 140.0,
        at_most: Some(1.0),
    });
    let idle = alone(
        options,
        "processor time of 64 idle workers in 2 s",
        &["idle", "64"],
    )?;
    rows.push(Row {
        what: idle.name.clone(),
        against: "1 ms".to_owned(),
        ours: Amount::Time(idle.median()),
        theirs: Amount::Time(1e6),
        ratio: idle.median() / 1e6,
        at_most: Some(1.0),
    });
    Ok(rows)
}

fn alone(options: &Options, what: &str, arguments: &[&str]) -> Result<Candidate> {
    let mut candidates = [Candidate::child(what, arguments)];
    interleave(options.rounds(), &mut candidates)?;
    let [candidate] = candidates;
    Ok(candidate)
}

const NAP: Duration = Duration::from_millis(10);

/// Against the theoretical optimum, and against plain threads.
fn naps(options: &Options) -> Result<[Row; 2]> {
    let what = "2,000 tasks of 10 ms on 100 workers";
    let threads = "100 threads, 20 naps each";
    let mut candidates = [
        Candidate::child(what, &["naps", "100", "2000"]),
        Candidate::child(threads, &["naps-threads", "100", "2000"]),
    ];
    interleave(options.rounds(), &mut candidates)?;
    let [ours, threads] = candidates;
    let ideal = nanoseconds(NAP) * 20.0;
    Ok([
        Row {
            what: what.to_owned(),
            against: "ideal".to_owned(),
            ours: Amount::Time(ours.median()),
            theirs: Amount::Time(ideal),
            ratio: ours.median() / ideal,
            at_most: Some(1.05),
        },
        Row {
            what: what.to_owned(),
            against: threads.name.clone(),
            ours: Amount::Time(ours.median()),
            theirs: Amount::Time(threads.median()),
            ratio: ours.ratio_to(&threads),
            at_most: None,
        },
    ])
}

/// A single measurement, in this process.
fn one(arguments: &[&str]) -> Result<f64> {
    Ok(match arguments {
        ["processes", arguments @ ..] => processes::one(arguments)?,
        ["burst", rival, workers, tasks] => {
            let rival = rivals::by_name(rival).context("no such rival")?;
            let tasks = tasks.parse::<u64>()? / rival.fewer;
            nanoseconds((rival.burst)(workers.parse()?, tasks)) / to_float(tasks)
        }
        ["trips", rival, workers, trips] => {
            let rival = rivals::by_name(rival).context("no such rival")?;
            let trips = trips.parse()?;
            nanoseconds((rival.trips)(workers.parse()?, trips)) / to_float(trips)
        }
        ["map", workers, items] => subjects::map_unordered(workers.parse()?, items.parse()?),
        ["handles", workers, handles, total] => {
            subjects::as_completed_of(workers.parse()?, handles.parse()?, total.parse()?)
        }
        ["naps", workers, tasks] => subjects::naps(workers.parse()?, tasks.parse()?, NAP),
        ["naps-threads", threads, naps] => {
            subjects::naps_of_threads(threads.parse()?, naps.parse()?, NAP)
        }
        ["fresh", rounds] => subjects::fresh_pool(rounds.parse()?),
        ["fresh-threads", rounds] => subjects::fresh_threads(rounds.parse()?),
        ["memory", tasks] => subjects::memory(tasks.parse()?)?,
        ["idle", workers] => subjects::idle(workers.parse()?, Duration::from_secs(2))?,
        _ => bail!("no such measurement: {arguments:?}"),
    })
}
