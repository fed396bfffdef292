//! The same files from the same server, by several programs.
//!
//! Each is timed from the start of its process to its end, as its user sees it. All
//! write the files to disk, and the files are checked.

mod clients;
mod server;

pub use clients::fetch;

use crate::measure::{Candidate, interleave};
use crate::subjects::{nanoseconds, to_float};
use crate::table::{Amount, Row};
use anyhow::{Context, Result, ensure};
use clients::Client;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use server::{LARGE, SLOW, Server};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How many files each program downloads at a time.
pub const AT_A_TIME: usize = 30;
pub const RIVALS: [&str; 5] = ["reqwest", "curl", "aria2", "wget", "python"];
/// How many connections a large file gets where each is slow.
const SEGMENTS: usize = 16;
const FLAGS: usize = 194;
/// How many small files there are beside a large one.
const FEW: usize = 200;
const DELAY: Duration = Duration::from_millis(100);

struct File {
    url: String,
    name: String,
    bytes: u64,
}

/// A line for each file: its URL, a space, and the name to save it as.
struct List {
    path: PathBuf,
    files: usize,
    bytes: u64,
}

pub fn downloads(
    rounds: usize,
    folder: Option<&Path>,
    megabytes: u64,
    wants: &dyn Fn(&str) -> bool,
) -> Result<Vec<Row>> {
    let scratch = tempfile::tempdir()?;
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => make_files(&scratch.path().join("made up"))?,
    };
    let server = Rc::new(Server::start(&folder, scratch.path(), None)?);
    let files = small(&folder, server.url(), 10)?;
    let list = List::write(files, scratch.path().join("list"))?;
    let clients: Vec<_> = RIVALS
        .into_iter()
        .filter(|name| wants(name))
        .filter_map(Client::find)
        .collect();
    let what = format!("{} files at {AT_A_TIME}, {}", list.files, server.name());
    let mut rows = compare(rounds, &what, &clients, &list, 1, |name, figure| {
        match (name, figure) {
            ("reqwest", Figure::Wall) => Some(0.7),
            ("curl", Figure::Wall) => Some(1.0),
            _ => None,
        }
    })?;
    if let Some(row) = connections(&server, &list)? {
        rows.push(row);
    }
    if server.name() == "nginx" {
        let few = small(&folder, server.url(), 2)?.into_iter().take(FEW);
        rows.extend(large(
            rounds,
            &server,
            scratch.path(),
            megabytes,
            few.collect(),
            &clients,
        )?);
    } else {
        eprintln!("nginx is not installed, and the large file left out");
    }
    drop(server);
    rows.push(delayed(rounds, &folder, scratch.path())?);
    Ok(rows)
}

/// What a run is measured by.
#[derive(Clone, Copy)]
enum Figure {
    Wall,
    Processor,
}

impl Figure {
    const ALL: [Self; 2] = [Self::Wall, Self::Processor];
}

/// Has all clients save the files of a list in turn; rows for wall time and for
/// processor time.
fn compare(
    rounds: usize,
    what: &str,
    others: &[Client],
    list: &Rc<List>,
    connections: usize,
    at_most: impl Fn(&str, Figure) -> Option<f64>,
) -> Result<Vec<Row>> {
    let mut candidates = Vec::new();
    let mut of_processor = Vec::new();
    for client in std::iter::once(&Client::OURS).chain(others) {
        let (client, list) = (*client, Rc::clone(list));
        let processor = Rc::new(RefCell::new(Vec::new()));
        of_processor.push(Rc::clone(&processor));
        candidates.push(Candidate::new(client.name, move || {
            let before = processor_time()?;
            let wall = time(&client, &list, connections)?;
            processor.borrow_mut().push(processor_time()? - before);
            Ok(wall)
        }));
    }
    interleave(rounds, &mut candidates)?;
    let mut rows = Vec::new();
    for figure in Figure::ALL {
        let what = match figure {
            Figure::Wall => what.to_owned(),
            Figure::Processor => {
                for (candidate, samples) in candidates.iter_mut().zip(&of_processor) {
                    candidate.samples = samples.take();
                }
                format!("{what}: processor time")
            }
        };
        let (ours, others) = candidates.split_first().context("there is always ours")?;
        rows.extend(others.iter().map(|other| Row {
            what: what.clone(),
            against: other.name.clone(),
            ours: Amount::Time(ours.median()),
            theirs: Amount::Time(other.median()),
            ratio: ours.ratio_to(other),
            at_most: at_most(&other.name, figure),
        }));
    }
    Ok(rows)
}

/// Nanoseconds of processor time of all clients that have ended.
fn processor_time() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    Ok(to_float(u64::try_from(micros[0] + micros[1])?) * 1e3)
}

/// One large file, alone and before a few small ones: as fast as the machine allows;
/// and in segments where the server gives each connection 20 MiB/s.
fn large(
    rounds: usize,
    server: &Server,
    scratch: &Path,
    megabytes: u64,
    few: Vec<File>,
    clients: &[Client],
) -> Result<Vec<Row>> {
    let folder = scratch.join(LARGE);
    fs::create_dir(&folder)?;
    let mut file = fs::File::create(folder.join("file"))?;
    let megabyte: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for _ in 0..megabytes {
        file.write_all(&megabyte)?;
    }
    file.sync_all()?;
    let large = |place: &str| File {
        url: format!("{}/{place}/file", server.url()),
        // The name that wget gives it.
        name: "file".to_owned(),
        bytes: megabytes * 1_000_000,
    };
    let list = |name: &str, files: Vec<File>| List::write(files, scratch.join(name));
    let of_clients = |names: &[&str]| -> Vec<Client> {
        let named = clients.iter().filter(|client| names.contains(&client.name));
        named.copied().collect()
    };
    let all = of_clients(&["curl", "aria2", "wget"]);
    let what = format!("one file of {megabytes} MB");
    let beside = format!("{what} and {} small ones", few.len());
    let mixed = std::iter::once(large(LARGE)).chain(few).collect();
    let mut rows = Vec::new();
    for (what, list) in [
        (&what, list("list of one", vec![large(LARGE)])?),
        (&beside, list("list of one and few", mixed)?),
    ] {
        let at_most = |name: &str, _| (name == "curl").then_some(1.0);
        rows.extend(compare(rounds, what, &all, &list, 1, at_most)?);
    }
    let what = format!("{what}, 20 MiB/s a connection, {SEGMENTS} connections");
    // The others have one connection for a file.
    let able = of_clients(&["aria2"]);
    let slow = list("list of a slow one", vec![large(SLOW)])?;
    rows.extend(compare(
        rounds,
        &what,
        &able,
        &slow,
        SEGMENTS,
        |_, figure| matches!(figure, Figure::Wall).then_some(1.1),
    )?);
    Ok(rows)
}

fn connections(server: &Server, list: &List) -> Result<Option<Row>> {
    let Some(before) = server.connections()? else {
        return Ok(None);
    };
    time(&Client::OURS, list, 1)?;
    // The questions themselves are connections.
    let opened = server.connections()?.unwrap_or(before) - before - 1;
    let workers = to_float(AT_A_TIME as u64);
    Ok(Some(Row {
        what: format!("connections opened for {} files", list.files),
        against: "workers".to_owned(),
        ours: Amount::Count(to_float(opened)),
        theirs: Amount::Count(workers),
        ratio: to_float(opened) / workers,
        at_most: Some(1.0),
    }))
}

fn delayed(rounds: usize, folder: &Path, scratch: &Path) -> Result<Row> {
    let server = Server::start(folder, scratch, Some(DELAY))?;
    let list = List::write(small(folder, server.url(), 1)?, scratch.join("delayed"))?;
    let what = format!(
        "{} files delayed {} ms, at {AT_A_TIME}",
        list.files,
        DELAY.as_millis()
    );
    let waves = list.files.div_ceil(AT_A_TIME);
    let ideal = nanoseconds(DELAY) * to_float(waves as u64);
    let mut candidates = [Candidate::new(what, move || time(&Client::OURS, &list, 1))];
    interleave(rounds, &mut candidates)?;
    let [ours] = candidates;
    Ok(Row {
        what: ours.name.clone(),
        against: "ideal".to_owned(),
        ours: Amount::Time(ours.median()),
        theirs: Amount::Time(ideal),
        ratio: ours.median() / ideal,
        at_most: Some(1.05),
    })
}

/// Nanoseconds from the start of the client to its end, once all files are saved.
fn time(client: &Client, list: &List, connections: usize) -> Result<f64> {
    let target = TempDir::new()?;
    let mut command = client.command(&list.path, target.path(), connections)?;
    let start = Instant::now();
    let output = command.output()?;
    let elapsed = start.elapsed();
    ensure!(
        output.status.success(),
        "{} failed: {}",
        client.name,
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files = 0;
    let mut bytes = 0;
    for file in fs::read_dir(target.path())? {
        files += 1;
        bytes += file?.metadata()?.len();
    }
    ensure!(
        (files, bytes) == (list.files, list.bytes),
        "{} wrote {files} files of {bytes} bytes, not {} of {}",
        client.name,
        list.files,
        list.bytes
    );
    Ok(nanoseconds(elapsed))
}

impl List {
    fn write(files: impl IntoIterator<Item = File>, path: PathBuf) -> Result<Rc<Self>> {
        let mut text = String::new();
        let (mut count, mut bytes) = (0, 0);
        for file in files {
            writeln!(text, "{} {}", file.url, file.name)?;
            count += 1;
            bytes += file.bytes;
        }
        fs::write(&path, text)?;
        Ok(Rc::new(Self {
            path,
            files: count,
            bytes,
        }))
    }
}

/// The small files of a folder, each so many times under other names.
fn small(folder: &Path, url: &str, times: usize) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let code = entry
            .file_name()
            .into_string()
            .ok()
            .context("a code is text")?;
        // The folder may hold a note on where the files are from.
        let Ok(file) = fs::metadata(entry.path().join(format!("{code}.gif"))) else {
            continue;
        };
        files.extend((0..times).map(|copy| File {
            url: format!("{url}/{code}/{code}.gif"),
            name: format!("{code}-{copy}.gif"),
            bytes: file.len(),
        }));
    }
    ensure!(!files.is_empty(), "no xx/xx.gif in {}", folder.display());
    Ok(files)
}

/// Generated files, as many and about as large as the flags of the world.
fn make_files(folder: &Path) -> Result<PathBuf> {
    for number in 0..FLAGS {
        let code: String = [number / 26, number % 26]
            .iter()
            .map(|&letter| char::from(b'a' + u8::try_from(letter).unwrap_or(0)))
            .collect();
        fs::create_dir_all(folder.join(&code))?;
        // 2 to 32 KiB, in no order.
        let size = 2048 + (number * 7919) % 30_720;
        fs::write(
            folder.join(&code).join(format!("{code}.gif")),
            vec![b'.'; size],
        )?;
    }
    Ok(folder.to_owned())
}
