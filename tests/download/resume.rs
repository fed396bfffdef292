//! Going on with a file that broke off, and the answers by which others have
//! corrupted files.

use super::server::{Exchange, Server, Then};
use super::*;

const BODY: &[u8] = b"the whole body of the file";
const ETAG: &str = "ETag: \"1\"\r\n";

fn resuming(folder: &Folder) -> Downloader {
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
    builder(folder).resume(true).retry(soon).build().unwrap()
}

/// Sends half of the body, with these headers, and hangs up.
fn half(exchange: &mut Exchange, headers: &str) -> Then {
    assert_eq!(exchange.header("range"), None);
    let length = BODY.len();
    exchange.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n"
    ));
    exchange.send(&BODY[..10]);
    Then::Close
}

/// A server that first sends half, then answers what is asked next so, and
/// afterwards sends the whole.
fn half_then(
    headers: &'static str,
    answer: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
) -> Server {
    Server::start(move |exchange| match exchange.number {
        0 => half(exchange, headers),
        1 => answer(exchange),
        _ => {
            assert_eq!(exchange.header("range"), None);
            exchange.answer("200 OK", headers, BODY)
        }
    })
}

fn assert_saved(folder: &Folder, report: &Report<&'static str>) {
    assert_ok(report);
    assert_eq!(folder.names(), ["file"]);
    assert_eq!(folder.read("file"), BODY);
}

#[test]
fn download_goes_on_where_it_broke_off() {
    let folder = Folder::new();
    let server = half_then(ETAG, |exchange| {
        assert_eq!(exchange.header("range"), Some("bytes=10-"));
        assert_eq!(exchange.header("if-range"), Some("\"1\""));
        exchange.answer(
            "206 Partial Content",
            "Content-Range: bytes 10-25/26\r\nETag: \"1\"\r\n",
            &BODY[10..],
        )
    });
    let report = download_one(&resuming(&folder), server.url("/"));
    assert_saved(&folder, &report);
    assert_eq!(report.bytes(), BODY.len() as u64, "no byte came twice");
    assert_eq!(server.requests(), 2);
}

#[test]
fn download_goes_on_in_a_later_run() {
    let folder = Folder::new();
    let server = half_then(ETAG, |exchange| {
        assert_eq!(exchange.header("range"), Some("bytes=10-"));
        exchange.answer(
            "206 Partial Content",
            "Content-Range: bytes 10-25/26\r\n",
            &BODY[10..],
        )
    });
    let once = || {
        let builder = builder(&folder).resume(true);
        download_one(&builder.build().unwrap(), server.url("/"))
    };
    assert!(matches!(failure(&once()), DownloadErrorKind::Body { .. }));
    assert_eq!(folder.names(), ["file.part", "file.part.from"]);
    assert_saved(&folder, &once());
}

#[test]
fn date_is_a_validator_where_there_is_no_etag() {
    let folder = Folder::new();
    let headers = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                   Date: Mon, 07 Nov 1994 08:49:37 GMT\r\n";
    let server = half_then(headers, |exchange| {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(exchange.header("if-range"), date);
        exchange.answer(
            "206 Partial Content",
            "Content-Range: bytes 10-25/26\r\n",
            &BODY[10..],
        )
    });
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
}

#[test]
fn file_without_strong_validator_begins_anew() {
    for headers in ["", "ETag: W/\"1\"\r\n"] {
        let folder = Folder::new();
        let server = half_then(headers, |exchange| {
            assert_eq!(exchange.header("range"), None);
            exchange.ok(BODY)
        });
        assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
    }
}

#[test]
fn range_answered_by_the_whole_file_replaces_the_part() {
    let folder = Folder::new();
    let server = half_then(ETAG, |exchange| exchange.answer("200 OK", ETAG, BODY));
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
    assert_eq!(server.requests(), 2);
}

#[test]
fn file_that_has_changed_replaces_the_part() {
    let folder = Folder::new();
    // As the standard has it: If-Range does not match, so the whole comes.
    let server = Server::start(|exchange| match exchange.number {
        0 => {
            exchange
                .send("HTTP/1.1 200 OK\r\nContent-Length: 30\r\nETag: \"0\"\r\n\r\nold old old");
            Then::Close
        }
        1 => {
            assert_eq!(exchange.header("if-range"), Some("\"0\""));
            {
                exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 26\r\nETag: \"1\"\r\n\r\n");
                exchange.send(&BODY[..10]);
                Then::Close
            }
        }
        _ => {
            assert_eq!(exchange.header("if-range"), Some("\"1\""));
            exchange.answer(
                "206 Partial Content",
                "Content-Range: bytes 10-25/26\r\n",
                &BODY[10..],
            )
        }
    });
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
}

#[test]
fn range_that_does_not_fit_begins_anew() {
    for headers in [
        "Content-Range: bytes 9-25/26\r\n",
        "Content-Range: bytes 0-25/26\r\n",
        "Content-Range: bytes 10-25/27\r\n",
        "Content-Range: bytes 10-24/26\r\n",
        "Content-Range: bytes 10-26/27\r\n",
        "Content-Range: bytes 10-25/26\r\nETag: \"2\"\r\n",
        "Content-Type: multipart/byteranges\r\n",
        "",
    ] {
        let folder = Folder::new();
        let server = half_then(ETAG, move |exchange| {
            exchange.answer("206 Partial Content", headers, &BODY[10..])
        });
        assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
        assert_eq!(server.requests(), 3, "{headers}");
    }
}

#[test]
fn unsatisfiable_range_on_a_whole_part_means_that_it_is_whole() {
    let folder = Folder::new();
    std::fs::write(folder.file("file.part"), BODY).unwrap();
    let server = Server::start(|exchange| {
        assert_eq!(exchange.header("range"), Some("bytes=26-"));
        exchange.answer(
            "416 Range Not Satisfiable",
            "Content-Range: bytes */26\r\n",
            b"",
        )
    });
    let note = format!("as-completed part 1\n{}\n\"1\"\n26\nend\n", server.url("/"));
    std::fs::write(folder.file("file.part.from"), note).unwrap();
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
    assert_eq!(server.requests(), 1);
}

#[test]
fn unsatisfiable_range_otherwise_begins_anew() {
    for headers in [
        "Content-Range: bytes */9\r\n",
        "Content-Range: bytes */26\r\n",
        "",
    ] {
        let folder = Folder::new();
        let server = half_then(ETAG, move |exchange| {
            exchange.answer("416 Range Not Satisfiable", headers, b"")
        });
        assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
        assert_eq!(server.requests(), 3, "{headers}");
    }
}

#[test]
fn part_of_another_url_is_not_used() {
    let folder = Folder::new();
    std::fs::write(folder.file("file.part"), b"of another").unwrap();
    let note = "as-completed part 1\nhttp://elsewhere.invalid/\n\"1\"\n26\nend\n";
    std::fs::write(folder.file("file.part.from"), note).unwrap();
    let server = Server::start(|exchange| {
        assert_eq!(exchange.header("range"), None);
        exchange.ok(BODY)
    });
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
}

#[test]
fn part_without_a_note_is_not_used() {
    let folder = Folder::new();
    std::fs::write(folder.file("file.part"), b"of whatever").unwrap();
    std::fs::write(folder.file("file.part.from"), "as-completed part 1\nhttp:").unwrap();
    let server = Server::start(|exchange| {
        assert_eq!(exchange.header("range"), None);
        exchange.ok(BODY)
    });
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
}

#[cfg(unix)]
#[test]
fn part_that_is_a_link_is_not_followed() {
    let folder = Folder::new();
    std::fs::write(folder.file("precious"), b"precious").unwrap();
    std::os::unix::fs::symlink("precious", folder.file("file.part")).unwrap();
    let server = Server::start(|exchange| exchange.answer("200 OK", ETAG, BODY));
    assert_ok(&download_one(&resuming(&folder), server.url("/")));
    assert_eq!(folder.read("precious"), b"precious");
    assert_eq!(folder.read("file"), BODY);
    assert!(!folder.file("file").is_symlink());
}

#[test]
fn checksum_covers_the_part() {
    // Of BODY.
    let sha256 = "c75a1087a8adb9551c0236e43f70a7744afa6ce33a8f007b7b1e6fbe78677294";
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.header("range") {
        Some(_) => exchange.answer(
            "206 Partial Content",
            "Content-Range: bytes 10-25/26\r\n",
            &BODY[10..],
        ),
        None => exchange.answer("200 OK", ETAG, BODY),
    });
    std::fs::write(folder.file("file.part"), b"the wrong.").unwrap();
    let note = format!("as-completed part 1\n{}\n\"1\"\n26\nend\n", server.url("/"));
    std::fs::write(folder.file("file.part.from"), note).unwrap();
    let job = Job::new("key", server.url("/"), "file").sha256(sha256);
    let report = download(&resuming(&folder), [job]);
    assert_saved(&folder, &report);
    assert_eq!(server.requests(), 2);
}

#[test]
fn failure_that_is_final_leaves_no_part() {
    let folder = Folder::new();
    let server = half_then(ETAG, |exchange| exchange.answer("404 Not Found", "", b""));
    let report = download_one(&resuming(&folder), server.url("/"));
    assert_eq!(report.count(DownloadStatus::NotFound), 1);
    assert!(folder.names().is_empty());
    let server = half_then(ETAG, |exchange| exchange.answer("200 OK", ETAG, BODY));
    let downloader = builder(&folder).resume(true).max_size(5).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::TooLarge { .. }
    ));
    assert!(folder.names().is_empty());
}

#[test]
fn part_that_another_run_writes_is_left_to_it() {
    // More than is written at a time.
    let body = vec![b'a'; 2_000_000];
    let (theirs, other) = (body.clone(), vec![b'b'; 3_000_000]);
    let other_body = other.clone();
    let folder = Folder::new();
    let (go_on, gate) = std::sync::mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    let server = Server::start(move |exchange| {
        assert_eq!(exchange.header("range"), None);
        if exchange.number > 0 {
            return exchange.answer("200 OK", "ETag: \"2\"\r\n", &other_body);
        }
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{ETAG}\r\n",
            theirs.len()
        ));
        exchange.send(&theirs[..1_500_000]);
        gate.lock().unwrap().recv_timeout(LONG).unwrap();
        exchange.send(&theirs[1_500_000..]);
        Then::KeepOpen
    });
    let downloader = resuming(&folder);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| download_one(&downloader, server.url("/")));
        let note = folder.file("file.part.from");
        while !std::fs::read_to_string(&note).is_ok_and(|note| note.ends_with("end\n")) {
            assert!(!first.is_finished(), "there was never a part");
            std::thread::yield_now();
        }
        assert_ok(&download_one(&downloader, server.url("/")));
        assert_eq!(folder.read("file"), other);
        go_on.send(()).unwrap();
        assert_ok(&first.join().unwrap());
    });
    assert!(folder.read("file") == body);
    assert_eq!(folder.names(), ["file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn part_that_another_process_has_locked_is_left_to_it() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        assert_eq!(exchange.header("range"), None);
        exchange.answer("200 OK", ETAG, BODY)
    });
    std::fs::write(folder.file("file.part"), &BODY[..10]).unwrap();
    let note = format!("as-completed part 1\n{}\n\"1\"\n26\nend\n", server.url("/"));
    std::fs::write(folder.file("file.part.from"), note).unwrap();
    let held = std::fs::File::open(folder.file("file.part")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_ok(&download_one(&resuming(&folder), server.url("/")));
    assert_eq!(folder.read("file"), BODY);
    assert_eq!(folder.read("file.part"), &BODY[..10]);
    assert_eq!(folder.names(), ["file", "file.part", "file.part.from"]);
}

#[test]
fn file_with_the_name_of_a_part_that_is_none_is_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.file("file.part"), b"a chapter of my book").unwrap();
    let server = Server::start(|exchange| exchange.answer("200 OK", ETAG, BODY));
    assert_ok(&download_one(&resuming(&folder), server.url("/")));
    assert_eq!(folder.read("file"), BODY);
    assert_eq!(folder.read("file.part"), b"a chapter of my book");
}

#[cfg(unix)]
#[test]
fn note_that_is_a_link_is_not_followed() {
    let folder = Folder::new();
    std::fs::write(folder.file("precious"), b"precious").unwrap();
    std::os::unix::fs::symlink("precious", folder.file("file.part.from")).unwrap();
    let server = half_then(ETAG, |exchange| exchange.answer("200 OK", ETAG, BODY));
    assert_ok(&download_one(&resuming(&folder), server.url("/")));
    assert_eq!(folder.read("precious"), b"precious");
    assert_eq!(folder.read("file"), BODY);
}

/// Downloads beside a note and a part that the command has made of such a kind; says
/// whether it can.
#[cfg(unix)]
fn note_or_part_of_another_kind_holds_up_nothing(command: &str, kind: &[&str]) -> bool {
    ["file.part", "file.part.from"].iter().all(|name| {
        let folder = Folder::new();
        if *name == "file.part.from" {
            std::fs::write(folder.file("file.part"), b"of whatever").unwrap();
        }
        let made = std::process::Command::new(command)
            .arg(folder.file(name))
            .args(kind)
            .status();
        if !made.unwrap().success() {
            return false;
        }
        let server = Server::start(|exchange| exchange.answer("200 OK", ETAG, BODY));
        assert_ok(&download_one(&resuming(&folder), server.url("/")));
        assert_eq!(folder.read("file"), BODY, "{name}");
        true
    })
}

#[cfg(unix)]
#[test]
fn note_or_part_that_is_a_pipe_holds_up_nothing() {
    assert!(note_or_part_of_another_kind_holds_up_nothing("mkfifo", &[]));
}

/// Of zeros without end.
#[cfg(target_os = "linux")]
#[test]
fn note_or_part_that_is_a_device_is_not_read() {
    if !note_or_part_of_another_kind_holds_up_nothing("mknod", &["c", "1", "5"]) {
        println!("not tested: only root may make a device");
    }
}

#[test]
fn piece_of_the_rest_is_not_taken_for_its_end() {
    let folder = Folder::new();
    let server = half_then(ETAG, |exchange| {
        exchange.answer(
            "206 Partial Content",
            "Content-Range: bytes 10-19/*\r\nETag: \"1\"\r\n",
            &BODY[10..20],
        )
    });
    assert_saved(&folder, &download_one(&resuming(&folder), server.url("/")));
}

/// A part of that content, of which so much is noted to be on the disk.
fn part(folder: &Folder, server: &Server, content: &[u8], synced: &str) {
    let note = format!(
        "as-completed part 1\n{}\n\"1\"\n26\nend\n{synced}",
        server.url("/")
    );
    std::fs::write(folder.file("file.part"), content).unwrap();
    std::fs::write(folder.file("file.part.from"), note).unwrap();
}

/// Serves the rest of the file from where it is asked for.
fn rest(exchange: &mut Exchange) -> Then {
    let range = exchange.header("range").map(str::to_owned);
    let Some(begin) = range.and_then(|range| {
        let begin = range.strip_prefix("bytes=")?.strip_suffix('-')?;
        begin.parse::<usize>().ok()
    }) else {
        return exchange.answer("200 OK", ETAG, BODY);
    };
    let headers = format!("Content-Range: bytes {begin}-25/26\r\n{ETAG}");
    exchange.answer("206 Partial Content", &headers, &BODY[begin..])
}

#[test]
fn bytes_that_a_crash_may_have_zeroed_are_downloaded_again() {
    use as_completed::download::Durability;

    let mut zeros = BODY.to_vec();
    zeros[12..].fill(0);
    for (durability, synced, resumed) in [
        (Durability::FileAndDirectory, "", 0),
        (Durability::FileAndDirectory, "synced 5\nsynced 12\n", 12),
        (Durability::FileAndDirectory, "synced 12\nsynced 1", 1),
        (Durability::File, "synced 12\n", 12),
    ] {
        let folder = Folder::new();
        let server = Server::start(rest);
        part(&folder, &server, &zeros[..20], synced);
        let downloader = builder(&folder)
            .resume(true)
            .durability(durability)
            .build()
            .unwrap();
        let report = download_one(&downloader, server.url("/"));
        assert_saved(&folder, &report);
        assert_eq!(report.bytes(), BODY.len() as u64 - resumed, "{synced:?}");
    }
}

#[test]
fn part_that_is_on_the_disk_is_resumed() {
    use as_completed::download::Durability;

    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.number {
        0 => half(exchange, ETAG),
        _ => rest(exchange),
    });
    let once = || {
        let builder = builder(&folder)
            .resume(true)
            .durability(Durability::FileAndDirectory);
        download_one(&builder.build().unwrap(), server.url("/"))
    };
    assert!(matches!(failure(&once()), DownloadErrorKind::Body { .. }));
    let report = once();
    assert_saved(&folder, &report);
    assert_eq!(report.bytes(), 16);
}

#[test]
fn note_of_no_part_is_removed_if_it_is_ours() {
    let folder = Folder::new();
    let server = Server::start(rest);
    part(&folder, &server, b"", "");
    std::fs::rename(
        folder.file("file.part.from"),
        folder.file("other.part.from"),
    )
    .unwrap();
    std::fs::remove_file(folder.file("file.part")).unwrap();
    std::fs::write(folder.file("mine.part.from"), b"a chapter of my book").unwrap();
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.names(), ["file", "mine.part.from"]);
}

/// To hash it would take hours.
#[cfg(unix)]
#[test]
fn hashing_a_part_ends_when_cancelled_and_in_time() {
    use crate::support::alarm;
    use as_completed::CancelToken;
    use as_completed::download::TimeoutKind;
    use std::sync::mpsc;
    use std::thread;

    const LENGTH: u64 = 1 << 40;

    let _alarm = alarm();
    let folder = Folder::new();
    let (tell, asked) = mpsc::channel();
    let server = Server::start(move |exchange| {
        let headers = format!(
            "Content-Range: bytes {LENGTH}-{LENGTH}/{}\r\n{ETAG}",
            LENGTH + 1
        );
        let then = exchange.answer("206 Partial Content", &headers, b"x");
        let _ = tell.send(());
        then
    });
    let url = server.url("/");
    let note = format!("as-completed part 1\n{url}\n\"1\"\n{}\nend\n", LENGTH + 1);
    std::fs::write(folder.file("file.part.from"), note).unwrap();
    let part = std::fs::File::create(folder.file("file.part")).unwrap();
    part.set_len(LENGTH).unwrap();
    let run = |builder: DownloaderBuilder| {
        let job = Job::new("key", url.as_str(), "file").sha256("0".repeat(64));
        download(&builder.resume(true).build().unwrap(), [job])
    };
    let token = CancelToken::new();
    let theirs = token.clone();
    let report = thread::scope(|scope| {
        scope.spawn(move || {
            asked.recv_timeout(LONG).unwrap();
            thread::sleep(SHORT);
            theirs.cancel();
        });
        run(builder(&folder).cancel_token(token))
    });
    assert!(matches!(failure(&report), DownloadErrorKind::Cancelled));
    let report = run(builder(&folder).total_timeout(SHORT));
    let kind = failure(&report);
    assert!(
        matches!(kind, DownloadErrorKind::Timeout(TimeoutKind::Total)),
        "{kind:?}"
    );
    assert_eq!(folder.names(), ["file.part", "file.part.from"]);
}

/// Its lines would be taken for the validator and the length.
#[test]
fn url_with_a_line_break_has_no_part() {
    let folder = Folder::new();
    let server = half_then(ETAG, |exchange| {
        assert_eq!(exchange.header("range"), None);
        exchange.answer("200 OK", ETAG, BODY)
    });
    let url = format!("{}\n\"2\"\n10\nend\n", server.url("/"));
    let once = || download_one(&builder(&folder).resume(true).build().unwrap(), url.clone());
    assert!(matches!(failure(&once()), DownloadErrorKind::Body { .. }));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
    assert_saved(&folder, &once());
}
