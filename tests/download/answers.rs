//! Headers and bodies that stall, break off, or are not what was asked for.

use super::server::{Exchange, Server, Then};
use super::*;
use as_completed::Inline;
use as_completed::download::{ContentEncoding, TimeoutKind};
use std::sync::mpsc;

/// Downloads one file from a server that answers so, and looks that nothing is
/// left but, perhaps, the file.
fn fail(
    set_up: impl FnOnce(DownloaderBuilder) -> DownloaderBuilder,
    answer: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
) -> Report<&'static str> {
    fail_job(set_up, |job| job, answer)
}

fn fail_job(
    set_up: impl FnOnce(DownloaderBuilder) -> DownloaderBuilder,
    require: impl FnOnce(Job<&'static str>) -> Job<&'static str>,
    answer: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
) -> Report<&'static str> {
    let folder = Folder::new();
    std::fs::write(folder.file("file"), b"old").unwrap();
    let server = Server::start(answer);
    let downloader = set_up(builder(&folder)).build().unwrap();
    let job = require(Job::new("key", server.url("/"), "file"));
    let report = download(&downloader, [job]);
    failure(&report);
    assert_eq!(folder.names(), ["file"], "only the old file is there");
    assert_eq!(folder.read("file"), b"old");
    drop(downloader);
    server.await_no_connection();
    report
}

/// Looks that waiting for what such a server does not send times out. A loaded machine
/// may take so long for what comes before that the timeout ends that; a longer one then
/// shows what comes of it.
fn assert_times_out(
    expected: TimeoutKind,
    answer: impl Fn(&mut Exchange) -> Then + Copy + Send + Sync + 'static,
) {
    let is_expected = [1, 10, 100].into_iter().any(|times| {
        let impatient = |builder: DownloaderBuilder| builder.read_timeout(SHORT * times);
        let report = fail(impatient, answer);
        match failure(&report) {
            DownloadErrorKind::Timeout(kind) if *kind == expected => true,
            DownloadErrorKind::Timeout(TimeoutKind::Send) => false,
            DownloadErrorKind::Timeout(TimeoutKind::Response) => {
                assert_eq!(expected, TimeoutKind::Read);
                false
            }
            kind => panic!("{kind:?}"),
        }
    });
    assert!(is_expected, "what comes before never comes in time");
}

fn as_it_is(builder: DownloaderBuilder) -> DownloaderBuilder {
    builder
}

macro_rules! assert_fails {
    ($report:expr, $pattern:pat) => {{
        let kind = failure(&$report);
        assert!(matches!(kind, $pattern), "{kind:?}");
    }};
}

#[test]
fn answer_that_never_comes_times_out() {
    assert_times_out(TimeoutKind::Response, Exchange::stall);
}

#[test]
fn header_that_stalls_times_out() {
    assert_times_out(TimeoutKind::Response, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Le");
        exchange.stall()
    });
}

#[test]
fn header_that_drips_times_out() {
    assert_times_out(TimeoutKind::Response, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nX-Drip: ");
        while exchange.pause(SHORT / 20) && exchange.send("x") {}
        Then::Close
    });
}

#[test]
fn answer_that_is_not_http_is_malformed() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("220 smtp.example.org ESMTP\r\n\r\n");
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Malformed(_));
}

#[test]
fn header_without_end_is_too_large() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nX-Long: ");
        while exchange.send([b'x'; 4096]) {}
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::HeaderTooLarge);
}

#[test]
fn header_of_many_lines_is_refused() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\n");
        while exchange.send("X-Line: x\r\n".repeat(100)) {}
        Then::Close
    });
    assert_fails!(
        report,
        DownloadErrorKind::HeaderTooLarge | DownloadErrorKind::Malformed(_)
    );
}

#[test]
fn connection_closed_before_the_answer_is_lost() {
    let report = fail(as_it_is, |_| Then::Close);
    assert_fails!(report, DownloadErrorKind::Disconnected(_));
}

#[test]
fn connection_reset_before_the_answer_is_lost() {
    let report = fail(as_it_is, |_| Then::Reset);
    assert_fails!(report, DownloadErrorKind::Disconnected(_));
}

#[test]
fn body_shorter_than_announced_breaks_off() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Body { received: 4, .. });
}

#[test]
fn body_that_is_reset_breaks_off() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        Then::Reset
    });
    assert_fails!(
        report,
        DownloadErrorKind::Body { .. } | DownloadErrorKind::Disconnected(_)
    );
}

#[test]
fn chunk_that_is_cut_breaks_off() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf");
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Body { received: 4, .. });
}

#[test]
fn chunks_without_a_last_one_break_off() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Body { received: 4, .. });
}

#[test]
fn chunk_of_no_size_breaks_off() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n");
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Body { received: 0, .. });
}

#[test]
fn body_that_stalls_times_out() {
    assert_times_out(TimeoutKind::Read, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        exchange.stall()
    });
}

#[test]
fn body_that_drips_is_too_slow() {
    let slow = |builder: DownloaderBuilder| builder.minimum_speed(10_000, SHORT);
    let report = fail(slow, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while exchange.pause(SHORT / 20) && exchange.send("x") {}
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::TooSlow { .. });
}

/// It arrives at a speed of zero, whatever came before.
#[test]
fn body_that_stalls_is_too_slow() {
    for burst in [0, 1_000_000] {
        let slow = |builder: DownloaderBuilder| builder.minimum_speed(10_000, SHORT);
        let report = fail(slow, move |exchange| {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n");
            exchange.send(vec![b'x'; burst]);
            exchange.stall()
        });
        assert_fails!(report, DownloadErrorKind::TooSlow { .. });
    }
}

/// What comes besides the data of chunks is no progress.
#[test]
fn trailer_and_extension_that_drip_are_too_slow() {
    for beginning in ["0\r\n", "4;"] {
        let slow = |builder: DownloaderBuilder| builder.minimum_speed(10_000, SHORT);
        let report = fail(slow, move |exchange| {
            exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            exchange.send(beginning);
            while exchange.pause(SHORT / 20) && exchange.send("x") {}
            Then::Close
        });
        assert_fails!(report, DownloadErrorKind::TooSlow { .. });
    }
}

#[test]
fn body_of_unknown_length_that_is_reset_breaks_off() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.0 200 OK\r\n\r\nhalf");
        // Lets the client see what there is before the connection is reset.
        let _ = exchange.pause(SHORT);
        Then::Reset
    });
    // The one where the reset overtook what was sent.
    assert_fails!(
        report,
        DownloadErrorKind::Body { .. } | DownloadErrorKind::Disconnected(_)
    );
}

#[test]
fn endless_body_ends_with_the_time_of_the_job() {
    let hurried = |builder: DownloaderBuilder| builder.total_timeout(SHORT);
    let report = fail(hurried, |exchange| {
        exchange.send("HTTP/1.0 200 OK\r\n\r\n");
        while exchange.pause(SHORT / 100) && exchange.send([b'x'; 100]) {}
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Timeout(TimeoutKind::Total));
}

fn at_most_100(builder: DownloaderBuilder) -> DownloaderBuilder {
    builder.max_size(100)
}

#[test]
fn body_announced_over_the_maximum_is_not_begun() {
    let report = fail(at_most_100, |exchange| exchange.ok(&[b'x'; 101]));
    assert_fails!(report, DownloadErrorKind::TooLarge { limit: 100 });
    assert_eq!(report.bytes(), 0);
}

#[test]
fn endless_body_ends_at_the_maximum() {
    let report = fail(at_most_100, |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while exchange.send("a\r\n0123456789\r\n") {}
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::TooLarge { limit: 100 });
}

#[test]
fn body_of_exactly_the_maximum_is_saved() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(&[b'x'; 100]));
    let downloader = at_most_100(builder(&folder)).build().unwrap();
    assert_ok(&download_one(&downloader, server.url("/")));
}

#[test]
fn other_type_is_refused() {
    let gif = |job: Job<&'static str>| job.content_type("image/gif");
    let report = fail_job(as_it_is, gif, |exchange| {
        exchange.answer("200 OK", "Content-Type: text/html\r\n", b"<h1>sign in</h1>")
    });
    assert_fails!(report, DownloadErrorKind::ContentType { .. });
    let report = fail_job(as_it_is, gif, |exchange| exchange.ok(b"flag"));
    assert_fails!(report, DownloadErrorKind::ContentType { actual: None, .. });
}

#[test]
fn other_encoding_is_refused() {
    let report = fail(as_it_is, |exchange| {
        assert_eq!(exchange.header("accept-encoding"), Some("identity"));
        exchange.answer("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b")
    });
    assert_fails!(report, DownloadErrorKind::ContentEncoding(_));
}

#[test]
fn archive_that_is_declared_as_encoded_is_saved_as_sent() {
    const GZIP: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    for (policy, name, is_saved) in [
        (ContentEncoding::SaveArchives, "file.tar.gz", true),
        (ContentEncoding::SaveArchives, "file.TGZ", true),
        (ContentEncoding::SaveArchives, "file.tar", false),
        (ContentEncoding::SaveArchives, "gz", false),
        (ContentEncoding::Save, "file.html", true),
        (ContentEncoding::Refuse, "file.tar.gz", false),
    ] {
        let folder = Folder::new();
        let server = Server::start(|exchange| {
            let headers = "Content-Encoding: x-gzip\r\nContent-Type: application/x-gzip\r\n";
            exchange.answer("200 OK", headers, GZIP)
        });
        let downloader = builder(&folder).content_encoding(policy).build().unwrap();
        let report = download(&downloader, [Job::new("key", server.url("/"), name)]);
        if is_saved {
            assert_ok(&report);
            assert_eq!(folder.read(name), GZIP);
        } else {
            assert_fails!(report, DownloadErrorKind::ContentEncoding(_));
            assert!(folder.names().is_empty());
        }
    }
}

#[test]
fn other_length_is_refused() {
    let five = |job: Job<&'static str>| job.content_length(5);
    let report = fail_job(as_it_is, five, |exchange| exchange.ok(b"flag"));
    assert_fails!(
        report,
        DownloadErrorKind::Length {
            expected: 5,
            actual: 4
        }
    );
    let report = fail_job(as_it_is, five, |exchange| {
        exchange.send("HTTP/1.0 200 OK\r\n\r\nflag");
        Then::Close
    });
    assert_fails!(
        report,
        DownloadErrorKind::Length {
            expected: 5,
            actual: 4
        }
    );
    let report = fail_job(as_it_is, five, |exchange| {
        exchange.send("HTTP/1.0 200 OK\r\n\r\nflags!");
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Length { expected: 5, .. });
}

#[test]
fn other_checksum_is_refused() {
    let sha256 = |job: Job<&'static str>| job.sha256("0".repeat(64));
    let report = fail_job(as_it_is, sha256, |exchange| exchange.ok(b"flaw"));
    assert_fails!(report, DownloadErrorKind::Sha256 { .. });
}

#[test]
fn what_is_required_is_saved() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        exchange.answer("200 OK", "Content-Type: Image/GIF; q=1\r\n", b"")
    });
    let job = Job::new("key", server.url("/"), "file")
        .content_length(0)
        .content_type("image/gif")
        .sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_ok(&download(&builder(&folder).build().unwrap(), [job]));
}

#[test]
fn checksum_that_is_none_is_refused_before_a_request() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let job = Job::new("key", server.url("/"), "file").sha256("flag");
    let report = download(&builder(&folder).build().unwrap(), [job]);
    assert_fails!(report, DownloadErrorKind::InvalidSha256);
    assert_eq!(server.requests(), 0);
}

#[test]
fn status_that_carries_no_file_is_an_error() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 204 No Content\r\n\r\n");
        Then::KeepOpen
    });
    assert_fails!(report, DownloadErrorKind::Status { code: 204 });
    let report = fail(as_it_is, |exchange| {
        exchange.answer(
            "206 Partial Content",
            "Content-Range: bytes 0-3/9\r\n",
            b"half",
        )
    });
    assert_fails!(report, DownloadErrorKind::Status { code: 206 });
}

#[test]
fn error_with_an_endless_body_is_not_read_to_its_end() {
    let report = fail(as_it_is, |exchange| {
        exchange.send("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n");
        while exchange.send("a\r\n0123456789\r\n") {}
        Then::Close
    });
    assert_fails!(report, DownloadErrorKind::Status { code: 403 });
}

#[test]
fn bytes_that_come_with_a_body_are_not_taken_for_the_next_answer() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nflag{evil}"
        ));
        Then::KeepOpen
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..5).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert_ok(&report);
    for name in folder.names() {
        assert_eq!(folder.read(&name), b"flag");
    }
    assert_eq!(server.connections(), 5);
}

#[test]
fn bytes_that_come_after_a_body_are_not_taken_for_the_next_answer() {
    let folder = Folder::new();
    let (sent, is_sent) = mpsc::channel();
    let server = Server::start(move |exchange| {
        exchange.ok(b"flag");
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        let _ = sent.send(());
        Then::KeepOpen
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..5).map(|n| {
        if n > 0 {
            is_sent.recv_timeout(LONG).unwrap();
        }
        Job::new(n, server.url("/"), n.to_string())
    });
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert_ok(&report);
    for name in folder.names() {
        assert_eq!(folder.read(&name), b"flag");
    }
    assert_eq!(server.connections(), 5);
}

#[test]
fn transfer_encoding_that_is_not_understood_is_an_error() {
    for head in [
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nflag\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n4\r\nflag\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n\x1f\x08",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x08\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nflag",
    ] {
        let report = fail(as_it_is, move |exchange| {
            exchange.send(head);
            Then::Close
        });
        assert_fails!(report, DownloadErrorKind::Malformed(_));
    }
}

#[test]
fn header_of_three_hundred_lines_is_read() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        exchange.answer("200 OK", &"X-Line: 0123456789\r\n".repeat(300), b"flag")
    });
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.read("file"), b"flag");
}

#[test]
fn hints_before_the_answer_are_passed_over() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        for _ in 0..3 {
            exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
        }
        exchange.ok(b"flag")
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..3).map(|n| Job::new(n, server.url("/"), n.to_string()));
    assert_ok(&downloader.download_many(&Inline, jobs, ()).unwrap());
    assert_eq!(server.connections(), 1);
}

#[test]
fn chunk_extensions_and_trailers_are_passed_over() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        let extension = "x".repeat(500);
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;signature={extension}\r\nfl\r\n2;signature={extension}\r\nag\r\n\
             0;signature={extension}\r\nDigest: {extension}\r\n\r\n"
        ));
        Then::KeepOpen
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..3).map(|n| Job::new(n, server.url("/"), n.to_string()));
    assert_ok(&downloader.download_many(&Inline, jobs, ()).unwrap());
    assert_eq!(folder.read("2"), b"flag");
    assert_eq!(server.connections(), 1);
}

#[test]
fn endless_trailers_and_extensions_break_off() {
    for beginning in ["0\r\n", "4;"] {
        let report = fail(as_it_is, move |exchange| {
            exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            exchange.send(beginning);
            // A gigabyte is as good as no end.
            let block = b"X-Trailer: 0123\r\n".repeat(4096);
            let block = if beginning == "0\r\n" {
                block
            } else {
                vec![b'x'; block.len()]
            };
            let sent = (0..16 * 1024).take_while(|_| exchange.send(&block)).count();
            assert!(sent < 1024, "the client took it all");
            Then::Close
        });
        assert_fails!(report, DownloadErrorKind::Body { .. });
    }
}

#[test]
fn trailer_and_extension_that_drip_time_out() {
    for beginning in ["0\r\nX-Trailer: ", "4;"] {
        assert_times_out(TimeoutKind::Read, move |exchange| {
            exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            exchange.send(beginning);
            while exchange.pause(SHORT / 20) && exchange.send("x") {}
            Then::Close
        });
    }
}

#[test]
fn body_that_nobody_wants_may_drip_for_a_short_while_only() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        if exchange.path == "/flag" {
            return exchange.ok(b"flag");
        }
        exchange.send("HTTP/1.1 302 Found\r\nLocation: /flag\r\nContent-Length: 9999\r\n\r\n");
        while exchange.pause(Duration::from_millis(20)) && exchange.send("x") {}
        Then::Close
    });
    // It would take 200 seconds.
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
}
