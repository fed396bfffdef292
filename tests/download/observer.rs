//! An observer that borrows from its caller: told of everything, in order, on a thread of
//! its own, and in nobody's way.

use super::server::{Server, Then};
use super::*;
use crate::support::{alarm, eventually, expect_panics};
use as_completed::CancelToken;
use as_completed::Inline;
use as_completed::download::{Event, Keep};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

fn job(server: &Server, n: usize) -> Job<usize> {
    Job::new(n, server.url(&format!("/{n}")), n.to_string())
}

/// A word for each event.
fn word(event: &Event<'_, usize>) -> &'static str {
    match event {
        Event::Started { .. } => "started",
        Event::Bytes { .. } => "bytes",
        Event::Retrying { .. } => "retrying",
        Event::Finished { .. } => "finished",
        _ => "?",
    }
}

fn key(event: &Event<'_, usize>) -> usize {
    match event {
        Event::Started { key, .. }
        | Event::Bytes { key, .. }
        | Event::Retrying { key, .. }
        | Event::Finished { key, .. } => **key,
        _ => usize::MAX,
    }
}

#[test]
fn observer_may_borrow_what_its_caller_has() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.number {
        3 => exchange.answer("503 Service Unavailable", "", b""),
        _ => exchange.ok(b"flag"),
    });
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
    let downloader = patient(folder.path()).retry(soon).build().unwrap();
    let pool = ThreadPool::new(3);
    let mut events: HashMap<usize, Vec<&str>> = HashMap::new();
    let mut bytes = 0;
    let report = downloader
        .download_many_scoped(&pool, (0..20).map(|n| job(&server, n)), |event| {
            events.entry(key(event)).or_default().push(word(event));
            if let Event::Bytes { received, .. } = event {
                bytes += received;
            }
        })
        .unwrap();
    assert_ok(&report);
    assert_eq!(bytes, 80);
    assert_eq!(events.len(), 20);
    let mut retried = 0;
    for events in events.values() {
        match events.as_slice() {
            ["started", "bytes", "finished"] => {}
            ["started", "retrying", "bytes", "finished"] => retried += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(retried, 1);
}

/// As the report has them.
#[test]
fn ends_are_told_in_the_order_of_the_report() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).max_in_flight(3).build().unwrap();
    let pool = ThreadPool::new(2);
    let mut ended = Vec::new();
    // One in four has no URL, and is refused by the caller's thread.
    let jobs = (0..40).map(|n| match n % 4 {
        0 => Job::new(n, "none", n.to_string()),
        _ => job(&server, n),
    });
    let report = downloader
        .download_many_scoped(&pool, jobs, |event| {
            if let Event::Finished { entry, .. } = event {
                ended.push(*entry.key());
            }
        })
        .unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 30);
    let entries = report.entries().iter().map(|entry| *entry.key());
    assert!(entries.eq(ended));
}

/// They are counted by the thread that reads them while the observer is told.
#[test]
fn borrowing_observer_is_told_of_many_jobs_that_no_worker_starts() {
    let _alarm = alarm();
    let folder = Folder::new();
    let downloader = builder(&folder).keep(Keep::Nothing).build().unwrap();
    let jobs = (0..20_000).map(|n| Job::new(n, "none", n.to_string()));
    let mut told = 0;
    let report = downloader
        .download_many_scoped(&Inline, jobs, |_| told += 1)
        .unwrap();
    assert_eq!((report.total(), told), (20_000, 20_000));
}

#[test]
fn borrowing_observer_is_told_while_the_list_is_waited_for() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let pool = ThreadPool::new(2);
    let (list, jobs) = mpsc::channel();
    let mut left = 3;
    list.send(job(&server, 0)).unwrap();
    let mut list = Some(list);
    // Each end brings the next job, and the last one ends the list.
    let report = downloader
        .download_many_scoped(&pool, jobs, |event| {
            if let Event::Finished { .. } = event {
                left -= 1;
                match (left, &list) {
                    (1.., Some(list)) => list.send(job(&server, left)).unwrap(),
                    _ => drop(list.take()),
                }
            }
        })
        .unwrap();
    assert_eq!((report.total(), left), (3, 0));
    assert!(report.is_complete());
}

/// The only worker could not go on if it had to tell by itself.
#[test]
fn observer_with_a_thread_of_its_own_holds_up_no_download() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).max_in_flight(5).build().unwrap();
    let pool = ThreadPool::new(1);
    let mut is_first = true;
    let report = downloader
        .download_many_scoped(&pool, (0..5).map(|n| job(&server, n)), |_| {
            if std::mem::take(&mut is_first) {
                eventually(|| (0..5).all(|n| folder.file(&n.to_string()).exists()));
            }
        })
        .unwrap();
    assert_ok(&report);
}

#[test]
fn jobs_that_wait_for_their_observer_are_no_more_than_may_be_in_flight() {
    let _alarm = alarm();
    for is_inline in [false, true] {
        let folder = Folder::new();
        let server = Server::start(|exchange| exchange.ok(b"flag"));
        let downloader = builder(&folder).max_in_flight(3).build().unwrap();
        let read = AtomicUsize::new(0);
        let jobs = (0..30).map(|n| {
            read.fetch_add(1, Ordering::SeqCst);
            job(&server, n)
        });
        let mut told = 0;
        let observe = |event: &Event<'_, usize>| {
            if told == 0 {
                eventually(|| read.load(Ordering::SeqCst) == 3);
            }
            if let Event::Finished { .. } = event {
                assert!(read.load(Ordering::SeqCst) <= told + 3);
                told += 1;
            }
        };
        let report = if is_inline {
            downloader.download_many_scoped(&Inline, jobs, observe)
        } else {
            downloader.download_many_scoped(&ThreadPool::new(2), jobs, observe)
        };
        let report = report.unwrap();
        assert_ok(&report);
        assert_eq!(report.observer_panics(), 0);
        assert_eq!(told, 30);
    }
}

/// However many came while the observer was busy.
#[test]
fn bytes_that_wait_for_their_observer_are_one_event() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..1000 {
            exchange.send(format!("3e8\r\n{}\r\n", "x".repeat(1000)));
        }
        exchange.send("0\r\n\r\n");
        Then::KeepOpen
    });
    let downloader = builder(&folder).build().unwrap();
    let mut bytes = Vec::new();
    let report = downloader
        .download_many_scoped(
            &ThreadPool::new(1),
            [job(&server, 0)],
            |event| match event {
                Event::Started { .. } => eventually(|| folder.file("0").exists()),
                Event::Bytes {
                    received, total, ..
                } => bytes.push((*received, *total)),
                _ => {}
            },
        )
        .unwrap();
    assert_ok(&report);
    assert_eq!(bytes, [(1_000_000, 1_000_000)]);
}

/// Retries are due though the list blocks, and though the observer does.
#[test]
fn retries_are_made_while_the_list_and_the_observer_block() {
    let _alarm = alarm();
    let folder = Folder::new();
    let saved = || (0..4).all(|n| folder.file(&n.to_string()).exists());
    // None succeeds before all have been read from the list, and tried.
    let tried = Mutex::new(HashSet::new());
    let server = Server::start(move |exchange| {
        let mut tried = tried.lock().unwrap();
        let is_soon = tried.len() < 4;
        tried.insert(exchange.path.clone());
        drop(tried);
        if is_soon {
            exchange.answer("503 Service Unavailable", "", b"")
        } else {
            exchange.ok(b"flag")
        }
    });
    let delay = Duration::from_millis(20);
    let retry = RetryPolicy::default()
        .max_retries(10_000)
        .budget(100_000)
        .delay(delay, delay);
    let downloader = patient(folder.path())
        .max_in_flight(2)
        .retry(retry)
        .build()
        .unwrap();
    let (list, jobs) = mpsc::channel();
    for n in 0..4 {
        list.send(job(&server, n)).unwrap();
    }
    let report = thread::scope(|scope| {
        scope.spawn(move || {
            eventually(saved);
            drop(list);
        });
        downloader.download_many_scoped(&ThreadPool::new(2), jobs, |event| {
            if let Event::Finished { .. } = event {
                eventually(saved);
            }
        })
    });
    assert_ok(&report.unwrap());
}

#[test]
fn borrowing_observer_that_panics_harms_nobody() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..5).map(|n| job(&server, n));
    let report = downloader
        .download_many_scoped(&ThreadPool::new(2), jobs, |event| {
            assert!(matches!(event, Event::Started { .. }), "no time for this");
        })
        .unwrap();
    assert_ok(&report);
    assert_eq!(report.observer_panics(), 10);
}

#[test]
fn borrowing_observer_may_cancel_the_run() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .max_in_flight(2)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let mut told = 0;
    let jobs = (0..).map(|n| job(&server, n));
    let report = downloader
        .download_many_scoped(&ThreadPool::new(2), jobs, |event| {
            if let Event::Finished { .. } = event {
                told += 1;
                if told == 10 {
                    token.cancel();
                }
            }
        })
        .unwrap();
    assert!(report.is_cancelled());
    assert_eq!(report.total(), told);
}

#[test]
fn borrowing_observer_has_been_told_all_when_a_list_panics() {
    let _alarm = alarm();
    expect_panics();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let (mut started, mut finished) = (0, 0);
    let jobs = (0..10).map(|n| {
        assert!(n < 5, "no more jobs");
        job(&server, n)
    });
    let run = catch_unwind(AssertUnwindSafe(|| {
        downloader.download_many_scoped(&ThreadPool::new(2), jobs, |event| match event {
            Event::Started { .. } => started += 1,
            Event::Finished { .. } => finished += 1,
            _ => {}
        })
    }));
    assert!(run.is_err());
    // Those that no worker had started are only finished.
    assert_eq!(finished, 5);
    assert!(started <= finished);
}

#[test]
fn borrowing_observer_within_a_task_of_the_only_worker_is_told() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).max_in_flight(1).build().unwrap();
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let jobs: Vec<_> = (0..5).map(|n| job(&server, n)).collect();
    let told = pool.submit(move || {
        let mut told = 0;
        let report = downloader.download_many_scoped(&*inner, jobs, |event| {
            told += usize::from(matches!(event, Event::Finished { .. }));
        });
        assert_ok(&report.unwrap());
        told
    });
    assert_eq!(told.join().unwrap(), 5);
}
