//! Answers at random on kept connections, plain and over TLS: none makes a panic,
//! and none spoils the file of a neighbour.

use super::server::{Server, Then};
use super::*;
use crate::support::eventually;
use as_completed::Inline;
use as_completed::download::DownloadError;
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const EVIL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

/// What a well-behaved answer carries for a number.
fn good(number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(number);
    let length = match random.u8(..) {
        0 => 70_000,
        1..20 => 4096,
        _ => random.usize(..200),
    };
    let text = format!("good {number} ");
    text.bytes().cycle().take(text.len() + length).collect()
}

fn one_of<'a>(random: &mut Rng, all: &[&'a str]) -> &'a str {
    all[random.usize(..all.len())]
}

/// An answer that may be right, wrong, or anything between.
fn answer(random: &mut Rng) -> Vec<u8> {
    let most = if random.u8(..) < 8 { 70_000 } else { 300 };
    let length = random.usize(..most);
    let body = vec![b'b'; length];
    let version = one_of(random, &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]);
    let status = one_of(
        random,
        &[
            "200 OK",
            "200 OK",
            "200 OK",
            "404 No",
            "302 Found",
            "503 Busy",
            "204 None",
            "304 Same",
            "206 Part",
            "103 Hints",
            "101 Switch",
        ],
    );
    let mut all = format!("{version} {status}\r\n").into_bytes();
    let is_chunked = random.bool();
    for _ in 0..random.usize(..5) {
        let about = length + random.usize(..3);
        let line = match random.u8(..14) {
            0..4 => format!("Content-Length: {length}\r\n"),
            4 => format!("Content-Length: {}\r\n", about.saturating_sub(1)),
            5..8 if is_chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            8 => format!(
                "Transfer-Encoding: {}\r\n",
                one_of(
                    random,
                    &["gzip", "xchunked", "identity", "chunked, chunked"]
                )
            ),
            9 => format!(
                "Connection: {}\r\n",
                one_of(random, &["close", "keep-alive", "upgrade"])
            ),
            10 => format!(
                "Location: {}\r\n",
                one_of(random, &["/bad/1", "http://[", "//", "?", "ftp://x/"])
            ),
            11 => "Content-Encoding: gzip\r\n".to_owned(),
            12 => "Retry-After: 1\r\n folded\r\n".to_owned(),
            _ => format!("X-{length}: {}\r\n", "x".repeat(random.usize(..2000))),
        };
        all.extend_from_slice(line.as_bytes());
    }
    all.extend_from_slice(b"\r\n");
    if is_chunked {
        for chunk in body.chunks(random.usize(1..400)) {
            let wrong = usize::from(random.u8(..) < 3);
            let extension = one_of(random, &["", "", "", ";x=y", ";x=\"a;b\"", " "]);
            all.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len() + wrong).as_bytes());
            all.extend_from_slice(chunk);
            all.extend_from_slice(b"\r\n");
        }
        let end = one_of(
            random,
            &[
                "0\r\n\r\n",
                "0\r\n\r\n",
                "0\r\n\r\n",
                "0\r\nA: b\r\n\r\n",
                "0\r\n",
                "",
            ],
        );
        all.extend_from_slice(end.as_bytes());
    } else {
        all.extend_from_slice(&body);
    }
    if random.u8(..) < 40 {
        all.extend_from_slice(EVIL);
    }
    if random.bool() {
        spoil(random, &mut all);
    }
    all
}

/// Changes some bytes.
fn spoil(random: &mut Rng, all: &mut Vec<u8>) {
    for _ in 0..random.usize(1..4) {
        if all.is_empty() {
            return;
        }
        // Mostly in the header, where it matters.
        let end = if random.bool() {
            all.len().min(200)
        } else {
            all.len()
        };
        let at = random.usize(..end);
        match random.u8(..5) {
            0 => all[at] = random.u8(..),
            1 => drop(all.remove(at)),
            2 => all.insert(
                at,
                [b'\r', b'\n', b' ', b':', b'0', 0, 0xff][random.usize(..7)],
            ),
            3 => all.truncate(at),
            _ => {
                let piece = all[at..(at + random.usize(..50)).min(all.len())].to_vec();
                all.splice(at..at, piece);
            }
        }
    }
}

/// What a server does for a path: the right answer, or one at random, and then.
fn respond(path: &str) -> (Vec<u8>, Then) {
    let mut parts = path.rsplit('/');
    let number: u64 = parts
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    if parts.next() == Some("good") {
        let body = good(number);
        let mut all =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        all.extend_from_slice(&body);
        return (all, Then::KeepOpen);
    }
    let mut random = Rng::with_seed(number);
    let then = match random.u8(..8) {
        0..2 => Then::Close,
        2 => Then::Reset,
        _ => Then::KeepOpen,
    };
    (answer(&mut random), then)
}

/// Downloads good and bad files in turn, and looks at all of them.
fn check(
    downloader: &Downloader,
    folder: &Folder,
    url: &str,
    seeds: std::ops::Range<u64>,
    answering: &AtomicUsize,
) {
    let jobs = seeds.flat_map(|seed| {
        ["good", "bad"].map(|kind| {
            let url = format!("{url}{kind}/{seed}");
            Job::new((kind == "good", seed), url, format!("{kind}-{seed}"))
        })
    });
    // What comes of an answer after the next request could not be told from its answer.
    let jobs = jobs.inspect(|_| eventually(|| answering.load(Ordering::SeqCst) == 0));
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    for entry in report.entries() {
        let (is_good, seed) = *entry.key();
        let error = entry.error().map(DownloadError::kind);
        assert!(
            !matches!(error, Some(DownloadErrorKind::Panicked(_))),
            "{seed}: {error:?}"
        );
        if entry.status() != DownloadStatus::Ok {
            assert!(!is_good, "the good one of {seed} failed: {error:?}");
            continue;
        }
        let file = std::fs::read(entry.path()).unwrap();
        if is_good {
            assert!(file == good(seed), "the good one of {seed} is spoiled");
        } else {
            let is_mixed = file.windows(5).any(|text| text == b"good ");
            assert!(!is_mixed, "the bad one of {seed} has something of another");
        }
        std::fs::remove_file(entry.path()).unwrap();
    }
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

/// How long a server waits for a client that takes its answer for whole.
const NEXT: Duration = Duration::from_millis(3);

fn plain(seeds: std::ops::Range<u64>) {
    let folder = Folder::new();
    let answering = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&answering);
    let server = Server::start(move |exchange| {
        let (answer, then) = respond(&exchange.path);
        now.fetch_add(1, Ordering::SeqCst);
        exchange.send(answer);
        now.fetch_sub(1, Ordering::SeqCst);
        let is_bad = exchange.path.contains("/bad/");
        if then == Then::KeepOpen && is_bad && !exchange.is_asked_again(NEXT) {
            return Then::Close;
        }
        then
    });
    let downloader = builder(&folder).build().unwrap();
    check(&downloader, &folder, &server.url("/"), seeds, &answering);
}

#[cfg(feature = "rustls")]
fn secure(seeds: std::ops::Range<u64>) {
    use super::tls_server::{TlsServer, authority};

    let (folder, authority) = (Folder::new(), authority());
    let versions = rustls::DEFAULT_VERSIONS;
    let answering = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&answering);
    let server = TlsServer::start_with(&authority, "localhost", 2999, versions, move |exchange| {
        let (answer, then) = respond(exchange.path);
        now.fetch_add(1, Ordering::SeqCst);
        exchange.send(answer);
        now.fetch_sub(1, Ordering::SeqCst);
        let is_bad = exchange.path.contains("/bad/");
        if then == Then::KeepOpen && is_bad && !exchange.is_asked_again(NEXT) {
            return Then::Close;
        }
        then
    });
    let downloader = builder(&folder)
        .root_certificates(authority.pem())
        .build()
        .unwrap();
    check(
        &downloader,
        &folder,
        &server.url("localhost"),
        seeds,
        &answering,
    );
}

#[test]
fn answers_at_random_spoil_no_neighbour() {
    plain(0..300);
}

#[cfg(feature = "rustls")]
#[test]
fn answers_at_random_over_tls_spoil_no_neighbour() {
    secure(0..100);
}

/// Checks blocks of a thousand seeds, several at a time: a server waits most of the
/// time for a client that may be content with what it has got.
fn check_blocks(blocks: std::ops::Range<u64>, check: impl Fn(std::ops::Range<u64>) + Sync) {
    let next = AtomicU64::new(blocks.start);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(block) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .filter(|block| blocks.contains(block))
                {
                    check(block * 1000..(block + 1) * 1000);
                }
            });
        }
    });
}

/// `cargo test --release -p download_tests -- --ignored eighty_thousand`
#[test]
#[ignore = "takes minutes"]
fn eighty_thousand_answers_spoil_no_neighbour() {
    check_blocks(0..80, plain);
}

#[cfg(feature = "rustls")]
#[test]
#[ignore = "takes minutes"]
fn twenty_thousand_answers_over_tls_spoil_no_neighbour() {
    check_blocks(100..120, secure);
}
