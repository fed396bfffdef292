//! Cancelling, wherever the download is.

use super::connect::BlackHole;
use super::server::{Exchange, Server, Then};
use super::*;
use crate::support::{eventually, occupy};
use as_completed::CancelToken;
use as_completed::download::Event;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

/// Longer than any test waits: what ends before has been cancelled.
const FOR_EVER: Duration = Duration::from_secs(600);

/// Starts jobs, cancels them once the first has started and `reached` says so, and
/// looks that they end soon, with no temporary file.
fn cancel_when(
    set_up: impl FnOnce(DownloaderBuilder) -> DownloaderBuilder,
    jobs: Vec<Job<usize>>,
    reached: impl FnOnce() + Send,
) -> Report<usize> {
    let folder = Folder::new();
    let token = CancelToken::new();
    let downloader = set_up(
        builder(&folder)
            .connect_timeout(FOR_EVER)
            .read_timeout(FOR_EVER)
            .cancel_token(token.clone()),
    )
    .build()
    .unwrap();
    let pool = ThreadPool::new(2);
    let (tell, started) = mpsc::channel();
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Started { .. } = event {
            let _ = tell.send(());
        }
    };
    let (report, took) = thread::scope(|scope| {
        let cancelled = scope.spawn(move || {
            started.recv_timeout(LONG).unwrap();
            reached();
            token.cancel();
            Instant::now()
        });
        let report = downloader.download_many(&pool, jobs, observer).unwrap();
        let ended = Instant::now();
        (report, ended - cancelled.join().unwrap())
    });
    assert!(took < LONG, "it took {took:?}");
    assert!(report.is_cancelled());
    assert_eq!(report.exit_code(), 130);
    assert!(folder.names().iter().all(|name| !name.starts_with('.')));
    report
}

fn as_it_is(builder: DownloaderBuilder) -> DownloaderBuilder {
    builder
}

/// A server that tells when it has been asked, and then goes on so.
fn telling(
    answer: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
) -> (Server, impl FnOnce() + Send) {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |exchange| {
        let _ = tell.send(());
        answer(exchange)
    });
    let reached = move || told.recv_timeout(LONG).unwrap();
    (server, reached)
}

fn assert_cancelled(report: &Report<usize>, number: u64) {
    assert_eq!(
        report.count(DownloadStatus::Cancelled),
        number,
        "{report:?}"
    );
    for entry in report.entries() {
        if entry.status() == DownloadStatus::Cancelled {
            let kind = entry.error().unwrap().kind();
            assert!(matches!(kind, DownloadErrorKind::Cancelled));
        }
    }
}

#[test]
fn cancelled_before_the_run_nothing_is_asked_for() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let token = CancelToken::new();
    token.cancel();
    let downloader = builder(&folder).cancel_token(token).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(report.is_cancelled());
    assert_eq!(report.total(), 0);
    assert_eq!(server.requests(), 0);
}

#[test]
fn cancelled_while_connecting() {
    let hole = BlackHole::new();
    let url = format!("http://{}/", hole.address);
    // Nobody can tell that a client is connecting; most likely it is after a while.
    let report = cancel_when(as_it_is, vec![Job::new(0, url, "0")], || {
        thread::sleep(SHORT);
    });
    assert_cancelled(&report, 1);
}

#[cfg(feature = "rustls")]
#[test]
fn cancelled_while_shaking_hands() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let (send, connected) = mpsc::channel();
    let report = cancel_when(as_it_is, vec![Job::new(0, url, "0")], move || {
        send.send(listener.accept().unwrap()).unwrap();
    });
    assert_cancelled(&report, 1);
    drop(connected);
}

#[test]
fn cancelled_while_waiting_for_the_answer() {
    let (server, reached) = telling(Exchange::stall);
    let jobs = vec![Job::new(0, server.url("/"), "0")];
    assert_cancelled(&cancel_when(as_it_is, jobs, reached), 1);
    server.await_no_connection();
}

#[test]
fn cancelled_within_a_body_that_stalls() {
    let (server, reached) = telling(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        exchange.stall()
    });
    let jobs = vec![Job::new(0, server.url("/"), "0")];
    assert_cancelled(&cancel_when(as_it_is, jobs, reached), 1);
    server.await_no_connection();
}

#[test]
fn cancelled_within_a_body_without_end() {
    let (server, reached) = telling(|exchange| {
        exchange.send("HTTP/1.0 200 OK\r\n\r\n");
        while exchange.send([b'x'; 1000]) {}
        Then::Close
    });
    let jobs = vec![Job::new(0, server.url("/"), "0")];
    let report = cancel_when(|builder| builder.max_bytes_per_second(1000), jobs, reached);
    assert_cancelled(&report, 1);
}

#[test]
fn cancelled_while_it_waits_to_try_again() {
    let (server, reached) = telling(|exchange| exchange.answer("503 Busy", "", b""));
    let jobs = vec![Job::new(0, server.url("/"), "0")];
    let late = RetryPolicy::default().delay(FOR_EVER, FOR_EVER);
    let report = cancel_when(|builder| builder.retry(late), jobs, reached);
    assert_cancelled(&report, 1);
    assert_eq!(server.requests(), 1);
}

#[test]
fn cancelled_while_the_host_wants_to_be_left_alone() {
    let (server, reached) =
        telling(|exchange| exchange.answer("503 Busy", "Retry-After: 3600\r\n", b""));
    let jobs = (0..8).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let policy = RetryPolicy::default().longest_retry_after(FOR_EVER);
    let report = cancel_when(|builder| builder.retry(policy), jobs.collect(), reached);
    assert_cancelled(&report, report.total());
}

#[test]
fn those_in_the_queue_end_with_those_that_run() {
    let (server, reached) = telling(Exchange::stall);
    let jobs = (0..100).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = cancel_when(as_it_is, jobs.collect(), reached);
    // As many as were in flight; the others were not read.
    assert_cancelled(&report, report.total());
    assert!(report.total() <= 64);
    assert!(server.requests() <= 2);
}

#[test]
fn those_in_the_queue_of_a_busy_pool_end_at_once() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .cancel_token(token.clone())
        .max_in_flight_per_host(5)
        .build()
        .unwrap();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let jobs = (0..50).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let waiting = thread::scope(|scope| {
        let run = scope.spawn(|| downloader.download_many(&pool, jobs, ()).unwrap());
        eventually(|| pool.queued_count() >= 5);
        token.cancel();
        run.join().unwrap()
    });
    assert_eq!(waiting.count(DownloadStatus::Cancelled), waiting.total());
    assert!(waiting.total() >= 5);
    assert_eq!(server.requests(), 0);
    busy.release();
}

#[test]
fn what_was_done_before_is_in_the_report() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.number {
        0..3 => exchange.ok(b"flag"),
        _ => exchange.stall(),
    });
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .read_timeout(FOR_EVER)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let pool = ThreadPool::new(1);
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Started { number: 3, .. } = event {
            token.cancel();
        }
    };
    let jobs = (0..10).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = downloader.download_many(&pool, jobs, observer).unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 3);
    // All that were read by then.
    assert_cancelled(&report, report.total() - 3);
    assert!(report.total() > 3);
    assert_eq!(folder.names(), ["0", "1", "2"]);
}

#[test]
fn cancelled_when_all_is_done_it_is_too_late() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Finished { .. } = event {
            token.cancel();
        }
    };
    // Its length says that nothing is left to be read.
    let jobs = [Job::new(0, server.url("/"), "0")];
    let report = downloader
        .download_many(&as_completed::Inline, jobs, observer)
        .unwrap();
    assert!(report.is_complete());
    assert_eq!(report.count(DownloadStatus::Ok), 1);
    assert!(!report.is_cancelled());
    assert_eq!(report.exit_code(), 0);
}

#[test]
fn part_is_kept_where_it_is_to_be_resumed() {
    let (server, reached) = telling(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 10\r\n\r\nhalf");
        exchange.stall()
    });
    let folder = Folder::new();
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .resume(true)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Bytes { .. } = event {
            token.cancel();
        }
    };
    let pool = ThreadPool::new(1);
    let jobs = [Job::new(0, server.url("/"), "0")];
    let report = downloader.download_many(&pool, jobs, observer).unwrap();
    reached();
    assert_cancelled(&report, 1);
    assert_eq!(folder.names(), ["0.part", "0.part.from"]);
    assert_eq!(folder.read("0.part"), b"half");
}
