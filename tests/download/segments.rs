//! One large file over several connections, and the servers that get it wrong.

use super::server::{Exchange, Server, Then};
use super::*;
use as_completed::CancelToken;
use as_completed::download::Event;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

const MB: usize = 1024 * 1024;
const HEADERS: &str = "ETag: \"1\"\r\nAccept-Ranges: bytes\r\n";

/// That of a [`body`] of `3 * MB + 17` bytes.
const SUM: &str = "792608b67d8ac7d898fa3f844880f497de9f1c9a8a866445a8f41825327f1050";

/// Bytes of which no two ranges are alike.
pub(crate) fn body(length: usize) -> Arc<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut n = 0_u64;
    while bytes.len() < length {
        let word = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7;
        bytes.extend_from_slice(&word.to_le_bytes());
        n += 1;
    }
    bytes.truncate(length);
    Arc::new(bytes)
}

fn segmented(folder: &Folder, connections: usize) -> DownloaderBuilder {
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
    builder(folder)
        .segments(connections)
        .segments_above(0)
        .retry(soon)
}

/// The range that is asked for, if one is.
fn range(exchange: &Exchange, length: usize) -> Option<(usize, usize)> {
    let text = exchange.header("range")?.strip_prefix("bytes=")?;
    let (start, end) = text.split_once('-').unwrap();
    let end = end.parse().map_or(length, |end: usize| end + 1);
    Some((start.parse().unwrap(), end))
}

/// The head of the answer, and the bytes that follow it.
fn head(exchange: &Exchange, body: &[u8], headers: &str) -> (String, (usize, usize)) {
    let total = body.len();
    match range(exchange, total) {
        None => (
            format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n{headers}\r\n"),
            (0, total),
        ),
        Some((start, end)) => {
            let (length, last) = (end - start, end - 1);
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\n\
                 Content-Range: bytes {start}-{last}/{total}\r\n{headers}\r\n"
            );
            (head, (start, end))
        }
    }
}

/// Answers as a server of files should.
fn serve(exchange: &mut Exchange, body: &[u8]) -> Then {
    let (head, (start, end)) = head(exchange, body, HEADERS);
    if exchange.send(head) && exchange.send(&body[start..end]) {
        Then::KeepOpen
    } else {
        Then::Close
    }
}

/// Counts requests, and lets others wait for them.
struct Count(Mutex<usize>, Condvar);

impl Count {
    fn new() -> Self {
        Self(Mutex::new(0), Condvar::new())
    }

    fn add_one(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_all();
    }

    /// Waits until there have been so many.
    fn wait(&self, number: usize) {
        let count = self.0.lock().unwrap();
        let waited = self
            .1
            .wait_timeout_while(count, LONG, |count| *count < number);
        assert!(!waited.unwrap().1.timed_out(), "there are never {number}");
    }
}

fn assert_saved(folder: &Folder, report: &Report<&'static str>, body: &[u8]) {
    assert_ok(report);
    assert_eq!(folder.names(), ["file"]);
    assert!(folder.read("file") == body, "other bytes");
}

#[test]
fn large_file_comes_over_several_connections_at_a_time() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let asked = Count::new();
    let server = Server::start(move |exchange| {
        let (head, (start, end)) = head(exchange, &theirs, HEADERS);
        exchange.send(head);
        exchange.send(&theirs[start..start + 1000]);
        asked.add_one();
        asked.wait(4);
        exchange.send(&theirs[start + 1000..end]);
        Then::Close
    });
    let report = download_one(&segmented(&folder, 4).build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
    assert_eq!(report.bytes(), whole.len() as u64, "no byte counts twice");
}

#[test]
fn checksum_covers_what_came_in_segments() {
    let (folder, whole) = (Folder::new(), body(3 * MB + 17));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| serve(exchange, &theirs));
    let downloader = segmented(&folder, 5).build().unwrap();
    let right = Job::new("key", server.url("/"), "file").sha256(SUM);
    assert_saved(&folder, &download(&downloader, [right]), &whole);
    let wrong = Job::new("key", server.url("/"), "other").sha256("0".repeat(64));
    let report = download(&downloader, [wrong]);
    assert!(matches!(failure(&report), DownloadErrorKind::Sha256 { .. }));
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn small_file_and_one_without_validator_come_in_one_request() {
    let whole = body(MB);
    for (headers, above) in [
        (HEADERS, MB as u64),
        ("ETag: W/\"1\"\r\nAccept-Ranges: bytes\r\n", 0),
        ("ETag: \"1\"\r\n", 0),
        ("ETag: \"1\"\r\nAccept-Ranges: none\r\n", 0),
    ] {
        let (folder, theirs) = (Folder::new(), Arc::clone(&whole));
        let server = Server::start(move |exchange| exchange.answer("200 OK", headers, &theirs));
        let downloader = segmented(&folder, 4).segments_above(above).build().unwrap();
        let report = download_one(&downloader, server.url("/"));
        assert_saved(&folder, &report, &whole);
        assert_eq!(server.requests(), 1, "{headers}");
    }
}

#[test]
fn server_that_ignores_ranges_sends_the_file_once() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let ignored = Count::new();
    let server = Server::start(move |exchange| {
        if exchange.header("range").is_some() {
            ignored.add_one();
            return exchange.answer("200 OK", HEADERS, &theirs);
        }
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{HEADERS}\r\n",
            theirs.len()
        ));
        exchange.send(&theirs[..MB]);
        // The rest once a range has been asked for in vain.
        ignored.wait(1);
        exchange.send(&theirs[MB..]);
        Then::Close
    });
    let report = download_one(&segmented(&folder, 4).build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
    assert_eq!(report.retries(), 0);
}

#[test]
fn server_that_ignores_ranges_and_hangs_up_is_asked_for_one_stream() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let wholes = AtomicUsize::new(0);
    let ignored = Count::new();
    let server = Server::start(move |exchange| {
        if exchange.header("range").is_some() {
            ignored.add_one();
            return exchange.answer("200 OK", HEADERS, &theirs);
        }
        if wholes.fetch_add(1, Ordering::SeqCst) > 0 {
            return exchange.answer("200 OK", HEADERS, &theirs);
        }
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{HEADERS}\r\n",
            theirs.len()
        ));
        exchange.send(&theirs[..MB]);
        ignored.wait(1);
        Then::Close
    });
    let report = download_one(&segmented(&folder, 4).build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
}

/// A range that starts elsewhere, is of another length, or is of another kind.
#[test]
fn ranges_that_do_not_fit_are_not_used() {
    let whole = body(4 * MB);
    for lie in ["elsewhere", "longer", "missing", "encoded"] {
        let (folder, theirs) = (Folder::new(), Arc::clone(&whole));
        let server = Server::start(move |exchange| {
            let Some((start, end)) = range(exchange, theirs.len()) else {
                return serve(exchange, &theirs);
            };
            let total = theirs.len();
            let (start, end) = match lie {
                "elsewhere" if start == 0 => (1, end),
                "elsewhere" => (start - 1, end - 1),
                "longer" => (start, total),
                _ => (start, end),
            };
            let headers = match lie {
                "missing" => HEADERS.to_owned(),
                "encoded" => format!(
                    "Content-Encoding: gzip\r\nContent-Range: bytes {start}-{}/{total}\r\n{HEADERS}",
                    end - 1
                ),
                _ => format!(
                    "Content-Range: bytes {start}-{}/{total}\r\n{HEADERS}",
                    end - 1
                ),
            };
            if lie == "encoded" {
                return exchange.answer("206 Partial Content", &headers, &vec![0; end - start]);
            }
            exchange.answer("206 Partial Content", &headers, &theirs[start..end])
        });
        let report = download_one(&segmented(&folder, 4).build().unwrap(), server.url("/"));
        assert_saved(&folder, &report, &whole);
    }
}

/// As RFC 9110 allows: the client asks for the rest.
#[test]
fn range_that_is_answered_by_its_beginning_is_asked_on() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| {
        let total = theirs.len();
        let Some((start, end)) = range(exchange, total) else {
            return serve(exchange, &theirs);
        };
        let end = end.min(start + 100_000);
        let last = end - 1;
        let headers = format!("Content-Range: bytes {start}-{last}/{total}\r\n{HEADERS}");
        exchange.answer("206 Partial Content", &headers, &theirs[start..end])
    });
    let downloader = segmented(&folder, 4).retry(RetryPolicy::never());
    let report = download_one(&downloader.build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
    assert_eq!(report.bytes(), whole.len() as u64, "no byte came twice");
}

#[test]
fn file_that_changes_meanwhile_is_never_mixed() {
    let (old, new) = (body(4 * MB), Arc::new(body(5 * MB)[MB..].to_vec()));
    assert!(old != new && old.len() == new.len());
    for status in ["206 Partial Content", "200 OK", "412 Precondition Failed"] {
        for forever in [false, true] {
            let (folder, old, theirs) = (Folder::new(), Arc::clone(&old), Arc::clone(&new));
            let wholes = AtomicUsize::new(0);
            let server = Server::start(move |exchange| {
                let changed = "ETag: \"2\"\r\nAccept-Ranges: bytes\r\n";
                let Some((start, end)) = range(exchange, theirs.len()) else {
                    if forever || wholes.fetch_add(1, Ordering::SeqCst) == 0 {
                        let length = old.len();
                        exchange.send(format!(
                            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{HEADERS}\r\n"
                        ));
                        // The rest comes too late: another connection learns first that
                        // the file has changed.
                        exchange.send(&old[..MB / 2]);
                        return exchange.stall();
                    }
                    return exchange.answer("200 OK", changed, &theirs);
                };
                if exchange.header("if-range") == Some("\"2\"") {
                    let (head, (start, end)) = head(exchange, &theirs, changed);
                    exchange.send(head);
                    exchange.send(&theirs[start..end]);
                    return Then::KeepOpen;
                }
                let range = format!(
                    "Content-Range: bytes {start}-{}/{}\r\n",
                    end - 1,
                    theirs.len()
                );
                match status {
                    "206 Partial Content" => {
                        exchange.answer(status, &format!("{range}{changed}"), &theirs[start..end])
                    }
                    _ => exchange.answer(status, changed, &theirs),
                }
            });
            let downloader = segmented(&folder, 4)
                .retry(RetryPolicy::never())
                .resume(true)
                .build()
                .unwrap();
            let report = download_one(&downloader, server.url("/"));
            if forever {
                assert!(
                    matches!(failure(&report), DownloadErrorKind::Changed),
                    "{report:?}"
                );
                assert!(folder.names().is_empty(), "{:?}", folder.names());
            } else {
                assert_saved(&folder, &report, &new);
            }
        }
    }
}

/// As mirrors are, to which one address redirects in turn.
#[test]
fn file_whose_pieces_always_have_another_tag_comes_in_one_stream() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let wholes = AtomicUsize::new(0);
    let server = Server::start(move |exchange| {
        if range(exchange, theirs.len()).is_some() {
            let other = "ETag: \"of another mirror\"\r\nAccept-Ranges: bytes\r\n";
            return exchange.answer("200 OK", other, &theirs);
        }
        if wholes.fetch_add(1, Ordering::SeqCst) >= 2 {
            return exchange.answer("200 OK", HEADERS, &theirs);
        }
        let total = theirs.len();
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n{HEADERS}\r\n"
        ));
        exchange.send(&theirs[..MB / 2]);
        exchange.stall()
    });
    let report = download_one(&segmented(&folder, 4).build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
    assert_eq!(report.retries(), 1);
}

#[test]
fn one_request_in_ten_that_is_dropped_is_made_again() {
    let (folder, whole) = (Folder::new(), body(8 * MB));
    let theirs = Arc::clone(&whole);
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let server = Server::start(move |exchange| {
        // Each connection breaks off after a while; one in ten says nothing.
        let number = exchange.number;
        if number % 10 == 3 {
            count.fetch_add(1, Ordering::SeqCst);
            return Then::Reset;
        }
        let (head, (start, end)) = head(exchange, &theirs, HEADERS);
        exchange.send(head);
        let end = end.min(start + 100_000);
        exchange.send(&theirs[start..end]);
        Then::Close
    });
    let report = download_one(&segmented(&folder, 8).build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
    assert!(dropped.load(Ordering::SeqCst) >= 8);
    assert_eq!(report.bytes(), whole.len() as u64);
}

/// One segment never comes; the others take it over, and nobody waits for it.
#[test]
fn segment_that_stalls_is_handed_to_another_connection() {
    for first_stalls in [true, false] {
        let (folder, whole) = (Folder::new(), body(4 * MB));
        let theirs = Arc::clone(&whole);
        let server = Server::start(move |exchange| {
            let stalls = match exchange.header("range") {
                None => first_stalls,
                Some(_) => !first_stalls && exchange.number == 1,
            };
            if !stalls {
                return serve(exchange, &theirs);
            }
            let (head, (start, _)) = head(exchange, &theirs, HEADERS);
            exchange.send(head);
            exchange.send(&theirs[start..start + 5]);
            exchange.stall()
        });
        let downloader = segmented(&folder, 4)
            .read_timeout(LONG * 10)
            .minimum_speed(0, LONG)
            .build()
            .unwrap();
        let report = download_one(&downloader, server.url("/"));
        assert_saved(&folder, &report, &whole);
        drop(downloader);
        server.await_no_connection();
    }
}

/// A segment that drips would take an hour.
#[test]
fn slow_segment_is_split_among_the_fast() {
    let (folder, whole) = (Folder::new(), body(8 * MB));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| {
        if exchange.number != 2 {
            return serve(exchange, &theirs);
        }
        let (head, (start, end)) = head(exchange, &theirs, HEADERS);
        exchange.send(head);
        for chunk in theirs[start..end].chunks(50) {
            if !exchange.send(chunk) || !exchange.pause(Duration::from_millis(100)) {
                break;
            }
        }
        Then::Close
    });
    let downloader = segmented(&folder, 4).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert_saved(&folder, &report, &whole);
}

#[test]
fn connections_that_are_refused_leave_the_rest_to_those_that_are_not() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    // Half of them, however often the pieces are split.
    let refused = AtomicUsize::new(0);
    let refuse = move || refused.fetch_add(1, Ordering::SeqCst) < 3;
    let server = Server::start(move |exchange| match exchange.header("range") {
        Some(_) if exchange.number % 2 == 0 && refuse() => {
            exchange.answer("403 Forbidden", "", b"no")
        }
        _ => serve(exchange, &theirs),
    });
    let report = download_one(&segmented(&folder, 6).build().unwrap(), server.url("/"));
    assert_saved(&folder, &report, &whole);
}

#[test]
fn part_of_segments_is_resumed() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    // In the first run, each connection sends a half and hangs up, and no more.
    let phase = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&phase);
    let server = Server::start(move |exchange| {
        let (head, (start, end)) = head(exchange, &theirs, HEADERS);
        if now.load(Ordering::SeqCst) == 1 {
            count.fetch_add((end - start) as u64, Ordering::SeqCst);
            return serve(exchange, &theirs);
        }
        let is_first = exchange.number < 4;
        if is_first {
            exchange.send(head);
            exchange.send(&theirs[start..start + MB / 2]);
        }
        Then::Close
    });
    let once = |connections| {
        let builder = segmented(&folder, connections).resume(true);
        download_one(
            &builder.retry(RetryPolicy::never()).build().unwrap(),
            server.url("/"),
        )
    };
    let report = once(4);
    assert!(
        matches!(
            failure(&report),
            DownloadErrorKind::Body { .. } | DownloadErrorKind::Disconnected(_)
        ),
        "{report:?}"
    );
    assert_eq!(folder.names(), ["file.part", "file.part.from"]);
    assert_eq!(folder.read("file.part").len(), whole.len());
    let had = report.bytes();
    assert!(had >= (MB / 2) as u64, "{had}");
    phase.store(1, Ordering::SeqCst);
    // Also where the second run knows nothing of segments.
    let report = once(1);
    assert_saved(&folder, &report, &whole);
    assert_eq!(
        report.bytes(),
        whole.len() as u64 - had,
        "no byte came twice"
    );
}

#[test]
fn part_of_one_stream_goes_on_in_segments() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let asked = Count::new();
    let server = Server::start(move |exchange| {
        asked.add_one();
        let (head, (start, end)) = head(exchange, &theirs, HEADERS);
        assert_eq!(exchange.header("range").is_some(), exchange.number > 0);
        exchange.send(head);
        exchange.send(&theirs[start..start + 1000]);
        match exchange.number {
            0 => {
                exchange.send(&theirs[1000..MB]);
                return Then::Close;
            }
            // Not before another connection has asked for something.
            1 => asked.wait(3),
            _ => {}
        }
        exchange.send(&theirs[start + 1000..end]);
        Then::KeepOpen
    });
    let one = builder(&folder).resume(true).build().unwrap();
    let report = download_one(&one, server.url("/"));
    assert!(matches!(failure(&report), DownloadErrorKind::Body { .. }));
    let several = segmented(&folder, 4).resume(true).build().unwrap();
    assert_saved(&folder, &download_one(&several, server.url("/")), &whole);
    assert!(server.requests() > 2);
}

/// What is in the part does not fit the note, or the server's file has changed.
#[test]
fn part_of_ranges_that_does_not_fit_is_not_used() {
    let whole = body(MB);
    let note = |ranges: &str, etag: &str| {
        format!(
            "as-completed part 2\nURL\n{etag}\n{}\n{ranges}end\n",
            whole.len()
        )
    };
    for (note, length) in [
        (note("0-2000000\n", "\"1\""), MB),
        (note("0-1000\n", "\"1\""), 500),
        (note("1000-500\n", "\"1\""), MB),
        (note("0-1000\n", "\"0\""), MB),
        (note("0-1000\n500-2000\n", "\"1\""), MB),
        (note("0-1000", "\"1\""), MB),
        (note("", "\"1\""), MB),
        (note("0-1000\n", "\"1\"").replace("part 2", "part 1"), MB),
    ] {
        let (folder, theirs) = (Folder::new(), Arc::clone(&whole));
        let server = Server::start(move |exchange| match exchange.header("if-range") {
            Some("\"1\"") => serve(exchange, &theirs),
            _ => exchange.answer("200 OK", HEADERS, &theirs),
        });
        std::fs::write(folder.file("file.part"), vec![b'x'; length]).unwrap();
        let text = note.replace("URL", &server.url("/"));
        std::fs::write(folder.file("file.part.from"), &text).unwrap();
        let downloader = segmented(&folder, 3).resume(true).build().unwrap();
        assert_saved(&folder, &download_one(&downloader, server.url("/")), &whole);
    }
}

#[test]
fn cancel_ends_all_connections_and_keeps_the_part() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| {
        let (head, (start, _)) = head(exchange, &theirs, HEADERS);
        exchange.send(head);
        exchange.send(&theirs[start..start + 100_000]);
        exchange.stall()
    });
    let token = CancelToken::new();
    let downloader = segmented(&folder, 4)
        .resume(true)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let pool = ThreadPool::new(1);
    let cancel = move |event: &Event<'_, &'static str>| {
        if let Event::Bytes { .. } = event {
            token.cancel();
        }
    };
    let jobs = [Job::new("key", server.url("/"), "file")];
    let report = downloader.download_many(&pool, jobs, cancel).unwrap();
    assert!(report.is_cancelled());
    assert_eq!(folder.names(), ["file.part", "file.part.from"]);
    server.await_no_connection();
}

/// The checksum is computed behind the connections, and not at its end when they are.
#[test]
fn cancel_before_the_checksum_is_computed_keeps_the_whole_part() {
    let (folder, whole) = (Folder::new(), body(3 * MB + 17));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| {
        let total = theirs.len();
        match range(exchange, total) {
            Some((start, _)) if start == total => {
                let headers = format!("Content-Range: bytes */{total}\r\n{HEADERS}");
                exchange.answer("416 Range Not Satisfiable", &headers, b"")
            }
            _ => serve(exchange, &theirs),
        }
    });
    let job = Job::new("key", server.url("/"), "file").sha256(SUM);
    let token = CancelToken::new();
    let downloader = segmented(&folder, 4)
        .resume(true)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let cancel = move |event: &Event<'_, &'static str>| match event {
        Event::Bytes {
            total,
            expected: Some(expected),
            ..
        } if total == expected => token.cancel(),
        _ => {}
    };
    let pool = ThreadPool::new(1);
    let report = downloader.download_many(&pool, [job.clone()], cancel);
    let report = report.unwrap();
    assert!(
        matches!(failure(&report), DownloadErrorKind::Cancelled),
        "{report:?}"
    );
    assert_eq!(folder.names(), ["file.part", "file.part.from"]);
    let downloader = segmented(&folder, 4).resume(true).build().unwrap();
    let report = download(&downloader, [job]);
    assert_saved(&folder, &report, &whole);
    assert_eq!(report.bytes(), 0, "no byte came twice");
}

#[test]
fn segments_end_with_the_time_of_the_job() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let server = Server::start(move |exchange| {
        let (head, (start, _)) = head(exchange, &whole, HEADERS);
        exchange.send(head);
        exchange.send(&whole[start..start + 10]);
        exchange.stall()
    });
    let downloader = segmented(&folder, 4).total_timeout(SHORT).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::Timeout(as_completed::download::TimeoutKind::Total)
    ));
    assert!(folder.names().is_empty());
    server.await_no_connection();
}

/// The sum of all connections is too slow, and each by itself even more.
#[test]
fn segments_that_drip_are_too_slow_together() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let server = Server::start(move |exchange| {
        let (head, (start, end)) = head(exchange, &whole, HEADERS);
        exchange.send(head);
        for byte in whole[start..end].chunks(1) {
            if !exchange.send(byte) || !exchange.pause(Duration::from_millis(20)) {
                break;
            }
        }
        Then::Close
    });
    let downloader = segmented(&folder, 4)
        .retry(RetryPolicy::never())
        .minimum_speed(1_000_000, SHORT)
        .build()
        .unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(
        matches!(failure(&report), DownloadErrorKind::TooSlow { .. }),
        "{report:?}"
    );
    server.await_no_connection();
}

#[test]
fn segments_that_stall_are_too_slow_together() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let server = Server::start(move |exchange| {
        let (head, (start, _)) = head(exchange, &whole, HEADERS);
        exchange.send(head);
        exchange.send(&whole[start..start + 5]);
        exchange.stall()
    });
    let downloader = segmented(&folder, 4)
        .retry(RetryPolicy::never())
        .minimum_speed(1_000, SHORT)
        .build()
        .unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(
        matches!(failure(&report), DownloadErrorKind::TooSlow { .. }),
        "{report:?}"
    );
    server.await_no_connection();
}

/// Whether the client has not closed a connection.
#[cfg(unix)]
fn is_open(stream: &std::net::TcpStream) -> bool {
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, recv};

    let mut byte = [0];
    match recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, received)) => received > 0,
        Err(error) => error == Errno::AGAIN,
    }
}

/// No more connections than the host may have, those of other jobs included.
#[cfg(unix)]
#[test]
fn segments_keep_to_the_limit_of_the_host() {
    use super::child::{assert_passes, ignored_test};

    assert_passes(ignored_test("segments::segments_of_a_host_with_a_limit"));
}

/// In a process that starts no others: until such a child has become another program, it
/// has the connections open that are closed here.
#[cfg(unix)]
#[test]
#[ignore = "part of another test"]
fn segments_of_a_host_with_a_limit() {
    let (folder, whole) = (Folder::new(), body(2 * MB));
    let theirs = Arc::clone(&whole);
    let lines = Mutex::new(Vec::new());
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let asked = Count::new();
    let server = Server::start(move |exchange| {
        asked.add_one();
        {
            let mut lines = lines.lock().unwrap();
            lines.push((exchange.number, exchange.stream()));
            // Not those that the client has given up, on which an answer is being sent.
            let open = lines.iter().filter(|(_, line)| is_open(line)).count();
            seen.fetch_max(open, Ordering::SeqCst);
        }
        let (head, (start, end)) = head(exchange, &theirs, HEADERS);
        exchange.send(head);
        // Time for more to come than may; one more does.
        asked.wait(2);
        let _ = exchange.pause(SHORT / 10);
        exchange.send(&theirs[start..end]);
        let mut lines = lines.lock().unwrap();
        lines.retain(|(number, _)| *number != exchange.number);
        Then::Close
    });
    let downloader = segmented(&folder, 8)
        .max_in_flight_per_host(2)
        .build()
        .unwrap();
    assert_saved(&folder, &download_one(&downloader, server.url("/")), &whole);
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
    assert!(server.requests() > 1);
}

#[test]
fn rate_limit_holds_for_all_segments_together() {
    let (folder, whole) = (Folder::new(), body(2 * MB));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| serve(exchange, &theirs));
    let downloader = segmented(&folder, 4)
        .max_bytes_per_second(MB as u64)
        .build()
        .unwrap();
    let started = Instant::now();
    assert_saved(&folder, &download_one(&downloader, server.url("/")), &whole);
    // A limit bounds the time from below, however fast the machine: two seconds, but
    // for the last eighth of a second's worth of bytes of each of the four.
    assert!(
        started.elapsed() >= Duration::from_millis(1_400),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn events_add_up_to_the_file() {
    let (folder, whole) = (Folder::new(), body(4 * MB));
    let theirs = Arc::clone(&whole);
    let server = Server::start(move |exchange| serve(exchange, &theirs));
    let seen = Arc::new(Mutex::new((0, HashSet::new())));
    let sum = Arc::clone(&seen);
    let observe = move |event: &Event<'_, &'static str>| {
        if let Event::Bytes {
            received,
            total,
            expected,
            ..
        } = event
        {
            let (bytes, totals) = &mut *sum.lock().unwrap();
            *bytes += received;
            assert_eq!((*total, *expected), (*bytes, Some(4 * MB as u64)));
            assert!(totals.insert(*total));
        }
    };
    let downloader = segmented(&folder, 4).build().unwrap();
    let jobs = [Job::new("key", server.url("/"), "file")];
    let report = downloader
        .download_many(&ThreadPool::new(1), jobs, observe)
        .unwrap();
    assert_saved(&folder, &report, &whole);
    assert_eq!(report.observer_panics(), 0);
    assert_eq!(seen.lock().unwrap().0, 4 * MB as u64);
}

/// What the child process of the next test does.
#[cfg(unix)]
#[test]
#[ignore = "part of another test"]
fn child_downloads_until_it_is_killed() {
    let (Ok(url), Ok(folder)) = (std::env::var("KILLED_URL"), std::env::var("KILLED_FOLDER"))
    else {
        return;
    };
    let downloader = patient(folder.as_ref())
        .segments(4)
        .segments_above(0)
        .resume(true)
        .build()
        .unwrap();
    assert_ok(&download_one(&downloader, url));
}

/// Whether the note of the part has a range.
#[cfg(unix)]
fn has_ranges(folder: &Folder) -> bool {
    let note = std::fs::read_to_string(folder.file("file.part.from"));
    // URL, validator, total and the end.
    note.is_ok_and(|note| note.lines().count() > 5)
}

/// Kills a process at random points of a download, three times, and goes on.
#[cfg(unix)]
fn kill_and_resume(rounds: u64) {
    use super::child::ignored_test;
    use std::process::Stdio;
    use std::sync::mpsc;

    let whole = body(6 * MB);
    let mut resumed = 0;
    for round in 0..rounds {
        let mut random = fastrand::Rng::with_seed(round);
        let (folder, theirs) = (Folder::new(), Arc::clone(&whole));
        let (kill, killed) = mpsc::channel();
        let until_kill = Arc::new(AtomicU64::new(0));
        let left = Arc::clone(&until_kill);
        // Nothing more is sent to a process that is about to be killed, so that it does
        // not come to its end before.
        let is_held = Arc::new(AtomicBool::new(false));
        let holds = Arc::clone(&is_held);
        let server = Server::start(move |exchange| {
            let (head, (start, end)) = head(exchange, &theirs, HEADERS);
            exchange.send(head);
            for chunk in theirs[start..end].chunks(16 * 1024) {
                if !exchange.send(chunk) {
                    return Then::Close;
                }
                let length = chunk.len() as u64;
                let take = |left: u64| Some(left.saturating_sub(length));
                let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
                if before.is_ok_and(|before| (1..=length).contains(&before)) {
                    holds.store(true, Ordering::SeqCst);
                    let _ = kill.send(());
                }
                if holds.load(Ordering::SeqCst) {
                    return exchange.stall();
                }
                if !exchange.pause(Duration::from_millis(3)) {
                    return Then::Close;
                }
            }
            Then::KeepOpen
        });
        for attempt in 0..3 {
            until_kill.store(random.u64(1..4 * MB as u64), Ordering::SeqCst);
            let mut child = ignored_test("segments::child_downloads_until_it_is_killed")
                .env("KILLED_URL", server.url("/"))
                .env("KILLED_FOLDER", folder.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // It may have ended before, if little was left.
            while killed.recv_timeout(Duration::from_millis(20)).is_err() {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
            }
            // Once there is something to go on with, however slow the machine.
            while attempt == 0 && !has_ranges(&folder) && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            let _ = child.kill();
            child.wait().unwrap();
            server.await_no_connection();
            is_held.store(false, Ordering::SeqCst);
            if folder.file("file").exists() {
                break;
            }
        }
        until_kill.store(0, Ordering::SeqCst);
        let was_killed = !folder.file("file").exists();
        let report = download_one(
            &segmented(&folder, 4).resume(true).build().unwrap(),
            server.url("/"),
        );
        assert_ok(&report);
        assert!(folder.read("file") == *whole, "other bytes, round {round}");
        if was_killed {
            assert!(report.bytes() < whole.len() as u64, "round {round}");
            resumed += 1;
        }
        let left: Vec<_> = folder
            .names()
            .into_iter()
            .filter(|name| name.starts_with("file"))
            .collect();
        assert_eq!(left, ["file"], "round {round}");
    }
    assert!(resumed > 0);
}

#[cfg(unix)]
#[test]
fn download_that_is_killed_at_any_point_is_resumed() {
    kill_and_resume(4);
}

#[cfg(unix)]
#[test]
#[ignore = "takes minutes"]
fn download_that_is_killed_two_hundred_times_is_resumed() {
    kill_and_resume(200);
}
