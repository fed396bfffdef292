//! Processes killed at random points, alone and several in one folder: what was
//! called ok is a whole file of one version, and one more run makes all right and
//! leaves nothing behind.

use super::child::ignored_test;
use super::server::{Exchange, Server, Then};
use super::*;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

const FILES: u64 = 4;

/// How a round goes.
#[derive(Debug, Clone, Copy)]
struct Round {
    resume: bool,
    segments: usize,
    processes: usize,
    validators: Validators,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validators {
    Steady,
    /// The files change now and then, and their `ETag` with them.
    Changing,
    Absent,
}

impl Round {
    fn at_random(random: &mut fastrand::Rng) -> Self {
        let resume = random.bool();
        Self {
            resume,
            segments: if random.bool() { 4 } else { 1 },
            processes: random.usize(1..4),
            validators: [Validators::Steady, Validators::Changing, Validators::Absent]
                [random.usize(..3)],
        }
    }
}

/// The content of a version of a file: it tells which it is, and its length.
fn content(file: u64, version: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(file << 32 | version);
    let length = random.usize(100_000..700_000);
    let mut content = format!("{file} {version}\n").into_bytes();
    content.resize_with(length, || random.u8(..));
    content
}

/// Whether it is the whole content of some version of that file.
fn is_whole(file: u64, found: &[u8]) -> bool {
    let line = found
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut numbers = line.split(' ').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(number)), Some(Ok(version))) => number == file && found == content(file, version),
        _ => false,
    }
}

fn downloader(folder: &std::path::Path, resume: bool, segments: usize) -> Downloader {
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(5));
    patient(folder)
        .retry(soon)
        .resume(resume)
        .segments(segments)
        .segments_above(200_000)
        .build()
        .unwrap()
}

fn jobs(url: &str) -> impl Iterator<Item = Job<u64>> + use<> {
    let url = url.to_owned();
    (0..FILES).map(move |n| Job::new(n, format!("{url}{n}"), n.to_string()))
}

/// What a child process of the tests below does.
#[test]
#[ignore = "part of another test"]
fn child_that_is_killed() {
    let setting = |name: &str| std::env::var(format!("KILLED_{name}")).ok();
    let (Some(url), Some(folder)) = (setting("URL"), setting("FOLDER")) else {
        return;
    };
    let segments = setting("SEGMENTS").and_then(|number| number.parse().ok());
    let resume = setting("RESUME").is_some_and(|resume| resume == "true");
    let downloader = downloader(folder.as_ref(), resume, segments.unwrap_or(1));
    let observer = |event: &as_completed::download::Event<'_, u64>| {
        if let as_completed::download::Event::Finished { key, entry, .. } = event {
            if entry.error().is_none() {
                // It may have been replaced since, by another whole one.
                let found = std::fs::read(entry.path()).unwrap();
                if !is_whole(**key, &found) {
                    std::fs::write(entry.path().with_extension("wrong"), b"").unwrap();
                }
            }
        }
    };
    let pool = ThreadPool::new(3);
    let run = downloader.download_many(&pool, jobs(&url), observer);
    assert_eq!(run.unwrap().total(), FILES);
}

fn start(server: &Server, folder: &Folder, round: Round) -> Child {
    ignored_test("killed::child_that_is_killed")
        .env("KILLED_URL", server.url("/"))
        .env("KILLED_FOLDER", folder.path())
        .env("KILLED_SEGMENTS", round.segments.to_string())
        .env("KILLED_RESUME", round.resume.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends the file, or the piece of it that is asked for, and counts down the bytes
/// until the next kill.
fn serve(exchange: &mut Exchange, round: Round, version: u64, count: &dyn Fn(u64)) -> Then {
    let file: u64 = exchange.path.trim_matches('/').parse().unwrap();
    let whole = content(file, version);
    let etag = format!("\"{version}\"");
    let range = exchange
        .header("range")
        .filter(|_| round.validators != Validators::Absent)
        .filter(|_| exchange.header("if-range") == Some(&etag))
        .and_then(|range| {
            let (begin, end) = range.strip_prefix("bytes=")?.split_once('-')?;
            let end = end.parse().map_or(whole.len(), |end: usize| end + 1);
            Some((begin.parse::<usize>().ok()?, end.min(whole.len())))
        });
    let validator = match round.validators {
        Validators::Absent => String::new(),
        _ => format!("ETag: {etag}\r\nAccept-Ranges: bytes\r\n"),
    };
    let total = whole.len();
    let (head, piece) = match range {
        Some((begin, _)) if begin >= total => {
            let headers = format!("Content-Range: bytes */{total}\r\n{validator}");
            return exchange.answer("416 Range Not Satisfiable", &headers, b"");
        }
        Some((begin, end)) => (
            format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {begin}-{}/{total}\r\n\
                 Content-Length: {}\r\n{validator}\r\n",
                end - 1,
                end - begin
            ),
            &whole[begin..end],
        ),
        None => (
            format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n{validator}\r\n"),
            &whole[..],
        ),
    };
    exchange.send(head);
    for chunk in piece.chunks(8 * 1024) {
        if !exchange.send(chunk) {
            return Then::Close;
        }
        count(chunk.len() as u64);
    }
    Then::KeepOpen
}

/// Returns how often processes were killed.
fn kill_at_random(seeds: std::ops::Range<u64>) -> u32 {
    let mut kills = 0;
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let round = Round::at_random(&mut random);
        let folder = Folder::new();
        let (kill, killed) = mpsc::channel();
        let until_kill = Arc::new(AtomicU64::new(u64::MAX));
        let version = Arc::new(AtomicU64::new(1));
        let (left, now) = (Arc::clone(&until_kill), Arc::clone(&version));
        let server = Server::start(move |exchange| {
            let is_changing = round.validators == Validators::Changing;
            if is_changing && exchange.number % 7 == 6 && left.load(Ordering::SeqCst) > 0 {
                now.fetch_add(1, Ordering::SeqCst);
            }
            let version = now.load(Ordering::SeqCst);
            serve(exchange, round, version, &|sent| {
                let before = left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        Some(left.saturating_sub(sent))
                    })
                    .unwrap_or(0);
                if (1..=sent).contains(&before) {
                    let _ = kill.send(());
                }
            })
        });
        for _ in 0..2 {
            until_kill.store(random.u64(1..1_500_000), Ordering::SeqCst);
            let mut children: Vec<Child> = (0..round.processes)
                .map(|_| start(&server, &folder, round))
                .collect();
            loop {
                if killed.recv_timeout(Duration::from_millis(5)).is_ok() {
                    kills += 1;
                    break;
                }
                let are_over = |child: &mut Child| child.try_wait().unwrap().is_some();
                if children.iter_mut().all(are_over) {
                    break;
                }
            }
            for child in &mut children {
                let _ = child.kill();
                child.wait().unwrap();
            }
        }
        // What is still being sent to those that are gone counts for nothing more.
        server.await_no_connection();
        until_kill.store(0, Ordering::SeqCst);
        let report = download(
            &downloader(folder.path(), round.resume, round.segments),
            jobs(&server.url("/")),
        );
        assert_eq!(
            report.count(DownloadStatus::Error),
            0,
            "{seed} {round:?} {report:?}"
        );
        for file in 0..FILES {
            let found = folder.read(&file.to_string());
            assert!(is_whole(file, &found), "{seed} {round:?}: {file} is wrong");
            if !round.resume {
                let last = content(file, version.load(Ordering::SeqCst));
                assert!(found == last, "{seed} {round:?}: {file} is old");
            }
        }
        let names: Vec<String> = (0..FILES).map(|file| file.to_string()).collect();
        assert_eq!(folder.names(), names, "{seed} {round:?}");
    }
    kills
}

#[test]
fn processes_that_are_killed_leave_nothing_wrong() {
    assert_ne!(kill_at_random(0..6), 0);
}

#[test]
#[ignore = "takes minutes"]
fn processes_that_are_killed_five_hundred_times_leave_nothing_wrong() {
    let (mut kills, mut seeds) = (0, 1000..);
    while kills < 500 {
        let seed = seeds.next().unwrap();
        kills += kill_at_random(seed..seed + 1);
    }
}
