//! What is tried again, when, and what is not.

use super::server::{Exchange, Server, Then};
use super::*;
use as_completed::Inline;
use as_completed::download::Event;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

fn soon() -> RetryPolicy {
    RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(2))
}

/// Answers the first request so, and the others with a file.
fn first(answer: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static) -> Server {
    Server::start(move |exchange| {
        if exchange.number == 0 {
            answer(exchange)
        } else {
            exchange.ok(b"flag")
        }
    })
}

#[test]
fn transient_statuses_are_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let folder = Folder::new();
        let server =
            first(move |exchange| exchange.answer(&format!("{status} Later"), "", b"later"));
        let downloader = builder(&folder).retry(soon()).build().unwrap();
        let report = download_one(&downloader, server.url("/"));
        assert_ok(&report);
        assert_eq!((report.retries(), server.requests()), (1, 2), "{status}");
        assert_eq!(folder.names(), ["file"]);
    }
}

#[test]
fn other_statuses_are_final() {
    for status in [400, 401, 403, 404, 410, 418, 451, 501, 505] {
        let folder = Folder::new();
        let server = first(move |exchange| exchange.answer(&format!("{status} No"), "", b""));
        let downloader = builder(&folder).retry(soon()).build().unwrap();
        let report = download_one(&downloader, server.url("/"));
        assert!(
            matches!(failure(&report), DownloadErrorKind::Status { code } if *code == status),
            "{status}"
        );
        assert_eq!(server.requests(), 1, "{status}");
    }
}

#[test]
fn status_that_the_policy_names_is_tried_again() {
    let folder = Folder::new();
    let server = first(|exchange| exchange.answer("418 I'm a teapot", "", b""));
    let policy = soon().also_status(418);
    let downloader = builder(&folder).retry(policy).build().unwrap();
    assert_ok(&download_one(&downloader, server.url("/")));
}

#[test]
fn bodies_that_break_off_are_tried_again_from_the_start() {
    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf",
        "HTTP/1.1 200 O",
        "",
    ] {
        let folder = Folder::new();
        let server = first(move |exchange| {
            exchange.send(broken);
            Then::Close
        });
        let downloader = builder(&folder).retry(soon()).build().unwrap();
        assert_ok(&download_one(&downloader, server.url("/")));
        assert_eq!(folder.read("file"), b"flag");
        assert_eq!(folder.names(), ["file"]);
    }
}

#[test]
fn retries_of_a_job_are_bounded_and_told() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("503 Busy", "", b""));
    let policy = soon().max_retries(3);
    let downloader = builder(&folder).retry(policy).build().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let observer = move |event: &Event<'_, &str>| {
        if let Event::Retrying { retry, error, .. } = event {
            assert!(error.is_transient());
            tell.lock().unwrap().push(*retry);
        }
    };
    let jobs = [Job::new("key", server.url("/"), "file")];
    let report = downloader.download_many(&Inline, jobs, observer).unwrap();
    assert_eq!(report.entries()[0].retries(), 3);
    assert_eq!(*told.lock().unwrap(), [1, 2, 3]);
    assert_eq!(server.requests(), 4);
}

#[test]
fn retries_of_a_run_are_bounded() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("503 Busy", "", b""));
    let policy = soon().max_retries(10).budget(7);
    let downloader = builder(&folder).retry(policy).build().unwrap();
    let jobs = (0..20).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = download(&downloader, jobs);
    assert_eq!(report.count(DownloadStatus::Error), 20);
    assert_eq!(report.retries(), 7);
    assert_eq!(server.requests(), 27);
}

/// A server that wants to be left alone when it is asked for the first time, and the
/// times at which it is asked.
fn busy_at_first(
    status: &'static str,
    retry_after: impl Fn() -> String + Send + Sync + 'static,
) -> (Server, Arc<Mutex<Vec<Instant>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&asked);
    let server = Server::start(move |exchange| {
        times.lock().unwrap().push(Instant::now());
        match exchange.number {
            0 => exchange.answer(status, &format!("Retry-After: {}\r\n", retry_after()), b""),
            _ => exchange.ok(b"flag"),
        }
    });
    (server, asked)
}

/// Downloads one file from a server that first wants to be left alone, and
/// returns how long it was.
fn time_left_alone(
    retry_after: impl Fn() -> String + Send + Sync + 'static,
    cap: Duration,
) -> Duration {
    let folder = Folder::new();
    let (server, asked) = busy_at_first("429 Too Many Requests", retry_after);
    let policy = soon().longest_retry_after(cap);
    let downloader = builder(&folder).retry(policy).build().unwrap();
    assert_ok(&download_one(&downloader, server.url("/")));
    let asked = asked.lock().unwrap();
    asked[1] - asked[0]
}

#[test]
fn retry_after_is_honoured_in_seconds() {
    assert!(time_left_alone(|| "1".to_owned(), LONG) >= Duration::from_millis(990));
}

#[test]
fn retry_after_is_honoured_as_a_date() {
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    // A date has no fractions, so it may be up to a second less.
    assert!(time_left_alone(date, LONG) >= Duration::from_millis(990));
}

#[test]
fn retry_after_is_capped() {
    let cap = Duration::from_millis(20);
    for value in [
        "3600",
        "99999999999999999999",
        "Tue, 31 Dec 2999 23:59:59 GMT",
    ] {
        let left_alone = time_left_alone(|| value.to_owned(), cap);
        assert!(left_alone >= cap && left_alone < LONG);
    }
}

#[test]
fn retry_after_that_says_nothing_is_ignored() {
    for value in ["soon", "-1", "0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        assert!(time_left_alone(|| value.to_owned(), LONG) < LONG);
    }
}

#[test]
fn retry_after_holds_for_all_jobs_of_the_host() {
    let folder = Folder::new();
    let (server, asked) = busy_at_first("503 Busy", || "1".to_owned());
    let other = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).retry(soon()).build().unwrap();
    let jobs = [
        Job::new(0, server.url("/"), "0"),
        Job::new(1, other.url("/"), "1"),
        Job::new(2, server.url("/"), "2"),
    ];
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 3);
    let asked = asked.lock().unwrap();
    assert!(asked[1] - asked[0] >= Duration::from_millis(990));
}

/// Long enough that whoever waits for it is noticed, however loaded the machine.
const PAUSE: Duration = Duration::from_secs(180);
const LATER: &str = "Retry-After: 180\r\n";

/// A policy under which that is waited for in full.
fn in_full() -> RetryPolicy {
    soon().longest_retry_after(Duration::MAX)
}

/// Runs both jobs one after the other and looks that the second did not wait
/// for the host that the first was refused by.
fn assert_not_paused(policy: RetryPolicy, first: &str, second: &str) {
    let folder = Folder::new();
    let downloader = builder(&folder).retry(policy).build().unwrap();
    let started = Instant::now();
    let jobs = [Job::new(0, first, "0"), Job::new(1, second, "1")];
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert!(started.elapsed() < PAUSE, "it waited");
    assert_eq!(report.count(DownloadStatus::Ok), 1, "{report:?}");
}

#[test]
fn retry_after_pauses_nobody_where_nothing_is_retried() {
    let busy = || first(|exchange| exchange.answer("503 Busy", LATER, b""));
    for policy in [
        RetryPolicy::never().longest_retry_after(Duration::MAX),
        in_full().budget(0),
    ] {
        let server = busy();
        assert_not_paused(policy, &server.url("/"), &server.url("/"));
    }
}

#[test]
fn retry_after_of_a_final_status_pauses_nobody() {
    let server = first(|exchange| exchange.answer("404 Not Found", LATER, b""));
    assert_not_paused(in_full(), &server.url("/"), &server.url("/"));
}

#[test]
fn pause_of_one_run_holds_up_no_other() {
    let folder = Folder::new();
    let server = first(|exchange| exchange.answer("503 Busy", LATER, b""));
    let token = as_completed::CancelToken::new();
    let downloader = builder(&folder)
        .retry(in_full())
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let (paused, is_paused) = std::sync::mpsc::channel();
    let observer = move |event: &Event<'_, &str>| {
        if matches!(event, Event::Retrying { .. }) {
            let _ = paused.send(());
        }
    };
    std::thread::scope(|scope| {
        let jobs = [Job::new("key", server.url("/"), "paused")];
        let held_up = scope.spawn(|| downloader.download_many(&Inline, jobs, observer).unwrap());
        is_paused.recv_timeout(LONG).unwrap();
        let other = scope.spawn(|| download_one(&downloader, server.url("/")));
        let deadline = Instant::now() + PAUSE / 2;
        while !other.is_finished() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        token.cancel();
        assert_ok(&other.join().unwrap());
        let report = held_up.join().unwrap();
        assert_eq!(report.count(DownloadStatus::Cancelled), 1);
    });
}

/// What a server was asked for, and when.
type Asked = Arc<Mutex<Vec<(String, Instant)>>>;

/// Answers a first request with a redirect to `to`, and others with a file; keeps
/// when it was asked for what.
fn redirecting(to: String) -> (Server, Asked) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&asked);
    let server = Server::start(move |exchange| {
        let path = exchange.path.clone();
        times.lock().unwrap().push((path, Instant::now()));
        match exchange.path.as_str() {
            "/moved" => exchange.answer("302 Found", &format!("Location: {to}\r\n"), b""),
            _ => exchange.ok(b"flag"),
        }
    });
    (server, asked)
}

#[test]
fn retry_after_holds_for_the_host_that_a_redirect_led_to() {
    let folder = Folder::new();
    let there = first(|exchange| exchange.answer("503 Busy", "Retry-After: 1\r\n", b""));
    let (here, asked) = redirecting(there.url("/"));
    let downloader = builder(&folder).retry(soon()).build().unwrap();
    assert_ok(&download_one(&downloader, here.url("/moved")));
    let asked = asked.lock().unwrap();
    assert!(asked[1].1 - asked[0].1 >= Duration::from_millis(990));
}

#[test]
fn retry_after_pauses_no_host_that_redirects() {
    let folder = Folder::new();
    let there = first(|exchange| exchange.answer("503 Busy", "Retry-After: 3600\r\n", b""));
    let (here, asked) = redirecting(there.url("/"));
    let token = as_completed::CancelToken::new();
    let downloader = builder(&folder)
        .retry(in_full())
        .total_timeout(Duration::MAX)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    // The second is asked for while the first waits for the other host.
    let (tell, is_waiting) = std::sync::mpsc::channel();
    let observer = move |event: &Event<'_, i32>| match event {
        Event::Retrying { .. } => drop(tell.send(())),
        Event::Finished { key: 1, .. } => token.cancel(),
        _ => {}
    };
    let (moved, still_here) = (here.url("/moved"), here.url("/"));
    let jobs = [0, 1].into_iter().map(move |n| {
        if n == 0 {
            return Job::new(n, moved.clone(), "0");
        }
        is_waiting.recv_timeout(LONG).unwrap();
        Job::new(n, still_here.clone(), "1")
    });
    let pool = ThreadPool::new(2);
    let report = downloader.download_many(&pool, jobs, observer).unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 1);
    assert_eq!(report.count(DownloadStatus::Cancelled), 1);
    let asked = asked.lock().unwrap();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/moved", "/"]);
}

#[test]
fn pause_holds_for_all_spellings_of_a_host() {
    let folder = Folder::new();
    let (server, asked) = busy_at_first("503 Busy", || "1".to_owned());
    let port = server.address().port();
    let (paused, is_paused) = std::sync::mpsc::channel();
    let observer = move |event: &Event<'_, i32>| {
        if matches!(event, Event::Retrying { .. }) {
            let _ = paused.send(());
        }
    };
    let jobs = (0..2).map(move |n| {
        if n == 0 {
            return Job::new(n, format!("http://localhost:{port}/"), "0");
        }
        is_paused.recv_timeout(LONG).unwrap();
        Job::new(n, format!("http://LOCALHOST:{port}/"), "1")
    });
    let downloader = builder(&folder).retry(soon()).build().unwrap();
    let report = downloader
        .download_many(&ThreadPool::new(2), jobs, observer)
        .unwrap();
    assert_ok(&report);
    let asked = asked.lock().unwrap();
    assert!(asked[1] - asked[0] >= Duration::from_millis(900));
}

#[test]
fn retry_that_would_come_too_late_is_not_waited_for() {
    let folder = Folder::new();
    let server =
        Server::start(|exchange| exchange.answer("503 Busy", "Retry-After: 3600\r\n", b""));
    let policy = RetryPolicy::default().longest_retry_after(Duration::MAX);
    let downloader = builder(&folder)
        .retry(policy)
        .total_timeout(LONG)
        .build()
        .unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::Status { code: 503 }
    ));
}

#[test]
fn kept_connection_that_was_closed_is_no_failure() {
    let folder = Folder::new();
    // Each connection takes a second request, and is closed without an answer.
    let server = Server::start(|exchange| match exchange.on_connection {
        0 => exchange.ok(b"flag"),
        _ => Then::Close,
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..10).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert_ok(&report);
    assert_eq!(report.retries(), 0);
    assert_eq!(server.connections(), 10);
}

#[test]
fn kept_connection_that_was_reset_is_no_failure() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.on_connection {
        0 => exchange.ok(b"flag"),
        _ => Then::Reset,
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..10).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert_ok(&report);
    assert_eq!(report.retries(), 0);
}

#[test]
fn server_that_fails_now_and_then_is_retried_for_as_long_as_it_takes() {
    let folder = Folder::new();
    let failures = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&failures);
    let server = Server::start(move |exchange| {
        if exchange.number % 4 == 0 {
            counter.fetch_add(1, Ordering::SeqCst);
            exchange.answer("418 I'm a teapot", "", b"")
        } else {
            exchange.ok(b"flag")
        }
    });
    let policy = soon().max_retries(50).budget(10).also_status(418);
    let downloader = builder(&folder).retry(policy).build().unwrap();
    let jobs = (0..200).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = download(&downloader, jobs);
    assert_ok(&report);
    assert_eq!(report.retries() as usize, failures.load(Ordering::SeqCst));
    assert_eq!(folder.names().len(), 200);
}
