//! What is there already: files that are wanted or not, files that must not be
//! replaced, and what killed runs have left.

use super::server::{Exchange, Server, Then};
use super::*;
use crate::support::alarm;
use as_completed::CancelToken;
use as_completed::download::{Overwrite, TimeoutKind};
use std::{fs, thread};

/// Of `flag`.
const SHA256: &str = "807d0fbcae7c4b20518d4d85664f6820aafdf936104122c5073e7744c46c4b87";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn never(folder: &Folder) -> Downloader {
    builder(folder).overwrite(Overwrite::Never).build().unwrap()
}

fn job(server: &Server) -> Job<&'static str> {
    Job::new("key", server.url("/"), "file")
}

#[test]
fn file_that_is_not_what_the_job_requires_is_not_skipped() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    fs::write(folder.file("file"), b"flaw").unwrap();
    let report = download(&never(&folder), [job(&server).content_length(5)]);
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::Length {
            expected: 5,
            actual: 4
        }
    ));
    let report = download(&never(&folder), [job(&server).sha256(SHA256)]);
    assert!(matches!(failure(&report), DownloadErrorKind::Sha256 { .. }));
    assert_eq!(folder.read("file"), b"flaw");
    fs::write(folder.file("file"), b"flag").unwrap();
    let required = job(&server).sha256(SHA256).content_length(4);
    let report = download(&never(&folder), [required]);
    assert_eq!(report.count(DownloadStatus::Skipped), 1);
    assert_eq!(server.requests(), 0);
}

#[test]
fn file_that_is_not_what_the_job_requires_is_fetched_though_it_has_not_changed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        if exchange.header("if-modified-since").is_some() {
            return exchange.answer("304 Not Modified", "", b"");
        }
        exchange.ok(b"flag")
    });
    fs::write(folder.file("file"), b"flaw").unwrap();
    let downloader = builder(&folder).overwrite(Overwrite::IfChanged);
    let report = download(&downloader.build().unwrap(), [job(&server).sha256(SHA256)]);
    assert_ok(&report);
    assert_eq!(folder.read("file"), b"flag");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_skipped() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    fs::create_dir(folder.file("file")).unwrap();
    let fails = || {
        let report = download(&never(&folder), [job(&server)]);
        let kind = failure(&report);
        assert!(matches!(kind, DownloadErrorKind::File { .. }), "{kind:?}");
    };
    fails();
    fs::remove_dir(folder.file("file")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(folder.file("file"))
        .status();
    assert!(made.unwrap().success());
    fails();
    fs::remove_file(folder.file("file")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.file("file")).unwrap();
    fails();
    fs::write(folder.file("nowhere"), b"flag").unwrap();
    let report = download(&never(&folder), [job(&server).sha256(SHA256)]);
    assert_eq!(report.count(DownloadStatus::Skipped), 1);
    assert_eq!(server.requests(), 0);
}

#[test]
fn file_that_comes_up_meanwhile_must_be_what_the_job_requires() {
    let folder = Folder::new();
    let file = folder.file("file");
    let server = Server::start(move |exchange| {
        fs::write(&file, b"flaw").unwrap();
        exchange.ok(b"flag")
    });
    let report = download(&never(&folder), [job(&server).sha256(SHA256)]);
    assert!(matches!(failure(&report), DownloadErrorKind::Sha256 { .. }));
}

#[cfg(unix)]
#[test]
fn file_that_is_replaced_gives_its_permissions() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let file = folder.file("file");
    fs::write(&file, b"old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4750)).unwrap();
    assert_ok(&download(
        &builder(&folder).build().unwrap(),
        [job(&server)],
    ));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750, "without what lets it run as another");
}

#[test]
fn read_only_file_is_not_replaced() {
    for (resume, segments) in [(false, 1), (true, 1), (false, 4), (true, 4)] {
        let folder = Folder::new();
        let server = Server::start(|exchange| {
            let headers = "ETag: \"1\"\r\nAccept-Ranges: bytes\r\n";
            exchange.answer("200 OK", headers, b"flag")
        });
        let file = folder.file("file");
        fs::write(&file, b"old").unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        let downloader = builder(&folder)
            .resume(resume)
            .segments(segments)
            .segments_above(0)
            .build()
            .unwrap();
        let report = download(&downloader, [job(&server)]);
        let text = failure(&report).to_string();
        assert!(text.contains("read-only"), "{text}");
        assert_eq!(folder.read("file"), b"old");
        assert_eq!(report.bytes(), 0, "the body is not read");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_killed_runs_have_left_is_removed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let (dead, alive) = (
        ".as-completed-0123456789abcdef",
        ".as-completed-fedcba9876543210",
    );
    for name in [dead, alive, ".as-completed-mine", "file.part"] {
        fs::write(folder.file(name), b"half").unwrap();
    }
    // As a run has it that goes on.
    let held = fs::File::open(folder.file(alive)).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_ok(&download(
        &builder(&folder).build().unwrap(),
        [job(&server)],
    ));
    assert_eq!(
        folder.names(),
        [alive, ".as-completed-mine", "file", "file.part"]
    );
}

#[test]
fn run_removes_nothing_of_another_that_goes_on() {
    let folder = Folder::new();
    let (go_on, gate) = std::sync::mpsc::channel();
    let gate = std::sync::Mutex::new(gate);
    // More than is written at a time.
    let body = vec![b'x'; 2_000_000];
    let sent = body.clone();
    let server = Server::start(move |exchange| {
        if exchange.path == "/" {
            return exchange.ok(b"flag");
        }
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            sent.len()
        ));
        exchange.send(&sent[..1_500_000]);
        gate.lock().unwrap().recv_timeout(LONG).unwrap();
        exchange.send(&sent[1_500_000..]);
        Then::KeepOpen
    });
    let downloader = builder(&folder).build().unwrap();
    std::thread::scope(|scope| {
        let slow = [Job::new("slow", server.url("/slow"), "slow")];
        let first = scope.spawn(|| download(&downloader, slow));
        while folder.names().is_empty() {
            assert!(!first.is_finished());
            std::thread::yield_now();
        }
        assert_ok(&download(&downloader, [job(&server)]));
        go_on.send(()).unwrap();
        assert_ok(&first.join().unwrap());
    });
    assert!(folder.read("slow") == body);
    assert_eq!(folder.names(), ["file", "slow"]);
}

/// Serves the file with a date, and what is beyond a length of it if that is of
/// the date.
fn dated(exchange: &mut Exchange, body: &[u8], modified: &str) -> Then {
    let headers = format!("Last-Modified: {modified}\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n");
    let total = body.len();
    let begin = exchange
        .header("range")
        .filter(|_| exchange.header("if-range") == Some(modified))
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        });
    match begin {
        None => exchange.answer("200 OK", &headers, body),
        Some(begin) if begin >= total => exchange.answer(
            "416 Range Not Satisfiable",
            &format!("Content-Range: bytes */{total}\r\n{headers}"),
            b"",
        ),
        Some(begin) => exchange.answer(
            "206 Partial Content",
            &format!(
                "Content-Range: bytes {begin}-{}/{total}\r\n{headers}",
                total - 1
            ),
            &body[begin..],
        ),
    }
}

#[test]
fn finished_file_is_not_fetched_again_under_resume() {
    let folder = Folder::new();
    let server = Server::start(|exchange| dated(exchange, b"flag", MODIFIED));
    let downloader = builder(&folder).resume(true).build().unwrap();
    assert_ok(&download(&downloader, [job(&server)]));
    let report = download(&downloader, [job(&server)]);
    assert_eq!(report.count(DownloadStatus::Skipped), 1, "{report:?}");
    assert_eq!((report.bytes(), server.requests()), (0, 2));
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn finished_file_that_is_not_the_servers_is_fetched_anew() {
    let later = "Mon, 07 Nov 1994 08:49:36 GMT";
    for (first, second, modified) in [
        (&b"flag"[..], &b"gala"[..], later),
        (b"flag", b"flags", MODIFIED),
        (b"flag", b"fl", MODIFIED),
    ] {
        let folder = Folder::new();
        let server = Server::start(move |exchange| match exchange.number {
            0 => dated(exchange, first, MODIFIED),
            _ => dated(exchange, second, modified),
        });
        let downloader = builder(&folder).resume(true).build().unwrap();
        assert_ok(&download(&downloader, [job(&server)]));
        assert_ok(&download(&downloader, [job(&server)]));
        assert_eq!(folder.read("file"), second);
    }
}

#[test]
fn file_that_the_caller_has_changed_is_fetched_anew_under_resume() {
    let folder = Folder::new();
    let server = Server::start(|exchange| dated(exchange, b"flag", MODIFIED));
    let downloader = builder(&folder).resume(true).build().unwrap();
    assert_ok(&download(&downloader, [job(&server)]));
    fs::write(folder.file("file"), b"gala").unwrap();
    assert_ok(&download(&downloader, [job(&server)]));
    assert_eq!(folder.read("file"), b"flag");
}

#[test]
fn finished_file_of_the_right_checksum_needs_no_request_under_resume() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).resume(true).build().unwrap();
    fs::write(folder.file("file"), b"flag").unwrap();
    let report = download(&downloader, [job(&server).sha256(SHA256)]);
    assert_eq!(report.count(DownloadStatus::Skipped), 1);
    assert_eq!(server.requests(), 0);
    fs::write(folder.file("file"), b"flaw").unwrap();
    assert_ok(&download(&downloader, [job(&server).sha256(SHA256)]));
    assert_eq!(folder.read("file"), b"flag");
}

/// To hash it would take hours.
#[cfg(unix)]
#[test]
fn hashing_a_file_ends_when_cancelled_and_in_time() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let file = fs::File::create(folder.file("file")).unwrap();
    file.set_len(1 << 40).unwrap();
    let token = CancelToken::new();
    let cancelled = builder(&folder).cancel_token(token.clone()).build();
    let in_time = builder(&folder).total_timeout(SHORT).build().unwrap();
    let report = download(&in_time, [job(&server).sha256(SHA256)]);
    let kind = failure(&report);
    assert!(
        matches!(kind, DownloadErrorKind::Timeout(TimeoutKind::Total)),
        "{kind:?}"
    );
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            token.cancel();
        });
        download(&cancelled.unwrap(), [job(&server).sha256(SHA256)])
    });
    assert!(matches!(failure(&report), DownloadErrorKind::Cancelled));
    assert_eq!(server.requests(), 0);
}
