//! Fewer file descriptors than the downloads would use. Each test runs another in a
//! process of its own, which may have few open; the server is here.

use super::child::{assert_passes, ignored_test_with_descriptors};
use super::server::{Exchange, Server};
use super::*;
use crate::support::alarm;
use as_completed::download::Event;
use as_completed::{CancelToken, Inline};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fewer than the workers below, each of which wants two at a time.
const DESCRIPTORS: u32 = 64;
const WORKERS: usize = 100;

/// Runs an ignored test of this file against a server that answers on all
/// addresses of this machine.
fn run(test: &str, server: &Server) {
    let mut command = ignored_test_with_descriptors(&format!("descriptors::{test}"), DESCRIPTORS);
    command.env("DESCRIPTORS_PORT", server.address().port().to_string());
    assert_passes(command);
}

/// The port of the server; `None` where the test is not run by another.
fn port() -> Option<u16> {
    std::env::var("DESCRIPTORS_PORT").ok()?.parse().ok()
}

#[test]
fn workers_wait_for_descriptors() {
    let server = Server::start_everywhere(|exchange| {
        let _ = exchange.pause(Duration::from_millis(20));
        exchange.answer("200 OK", "ETag: \"1\"\r\n", b"flag")
    });
    run("many_workers", &server);
}

#[test]
#[ignore = "part of another test"]
fn many_workers() {
    let Some(port) = port() else { return };
    let _alarm = alarm();
    for resume in [false, true] {
        let folder = Folder::new();
        let downloader = builder(&folder)
            .max_in_flight(WORKERS)
            .resume(resume)
            .build()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        let jobs = (0..4 * WORKERS).map(|n| Job::new(n, url.clone(), n.to_string()));
        let pool = ThreadPool::new(WORKERS);
        let report = downloader.download_many(&pool, jobs, ()).unwrap();
        assert_ok(&report);
        assert_eq!(report.retries(), 0);
        assert_eq!(folder.names().len(), 4 * WORKERS);
    }
}

#[test]
fn idle_connections_give_way_to_other_hosts() {
    let server = Server::start_everywhere(|exchange| exchange.ok(b"flag"));
    run("many_hosts", &server);
    assert!(server.connections() >= 200);
}

#[test]
#[ignore = "part of another test"]
fn many_hosts() {
    let Some(port) = port() else { return };
    let folder = Folder::new();
    let downloader = builder(&folder).max_in_flight(1000).build().unwrap();
    let jobs = (0..400).map(|n| {
        let url = format!("http://127.0.1.{}:{port}/", n % 200 + 1);
        Job::new(n, url, n.to_string())
    });
    assert_ok(&downloader.download_many(&Inline, jobs, ()).unwrap());
}

#[test]
fn download_waits_for_what_other_parts_of_the_program_have_open() {
    let server = Server::start_everywhere(|exchange| exchange.ok(b"flag"));
    run("only_worker", &server);
}

#[test]
#[ignore = "part of another test"]
fn only_worker() {
    let Some(port) = port() else { return };
    let _alarm = alarm();
    let folder = Folder::new();
    let downloader = builder(&folder).connect_timeout(LONG).build().unwrap();
    let observer = |event: &Event<'_, usize>| {
        if matches!(event, Event::Started { .. }) {
            let open = || std::fs::File::open("/dev/null").ok();
            let all: Vec<_> = std::iter::from_fn(open).collect();
            // Most likely the download lacks one by then.
            std::thread::spawn(move || {
                std::thread::sleep(SHORT);
                drop(all);
            });
        }
    };
    // A first look-up without a descriptor says that the host is unknown.
    let jobs = [Job::new(0, format!("http://localhost:{port}/"), "file")];
    let report = downloader.download_many(&Inline, jobs, observer).unwrap();
    assert_ok(&report);
    assert_eq!(report.retries(), 0);
}

#[test]
fn wait_for_a_descriptor_ends_when_cancelled_and_in_time() {
    let server = Server::start_everywhere(Exchange::stall);
    run("workers_that_wait_in_vain", &server);
}

#[test]
#[ignore = "part of another test"]
fn workers_that_wait_in_vain() {
    let Some(port) = port() else { return };
    let _alarm = alarm();
    for is_cancelled in [false, true] {
        let folder = Folder::new();
        let token = CancelToken::new();
        let total = if is_cancelled { Duration::MAX } else { SHORT };
        let downloader = builder(&folder)
            .max_in_flight(WORKERS)
            .cancel_token(token.clone())
            .connect_timeout(LONG * 10)
            .read_timeout(LONG * 10)
            .total_timeout(total)
            .build()
            .unwrap();
        let started = AtomicUsize::new(0);
        let observer = move |event: &Event<'_, usize>| {
            // Then some have a connection, and the others wait.
            let is_last = matches!(event, Event::Started { .. })
                && started.fetch_add(1, Ordering::SeqCst) == WORKERS - 1;
            if is_last && is_cancelled {
                token.cancel();
            }
        };
        let url = format!("http://127.0.0.1:{port}/");
        let jobs = (0..WORKERS).map(|n| Job::new(n, url.clone(), n.to_string()));
        let pool = ThreadPool::new(WORKERS);
        let report = downloader.download_many(&pool, jobs, observer).unwrap();
        assert_eq!(report.count(DownloadStatus::Ok), 0);
        for error in report.entries().iter().filter_map(|entry| entry.error()) {
            let is_expected = match error.kind() {
                DownloadErrorKind::Cancelled => is_cancelled,
                DownloadErrorKind::Timeout(_) => !is_cancelled,
                _ => false,
            };
            assert!(is_expected, "{error:?}");
        }
    }
}
