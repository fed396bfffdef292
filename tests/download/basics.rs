//! What happens when nothing goes wrong, or nothing worse than a missing file.

use super::server::{Server, Then};
use super::*;
use as_completed::Inline;
use as_completed::download::{Entry, Event};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

fn flags(server: &Server, number: usize) -> Vec<Job<usize>> {
    (0..number)
        .map(|n| Job::new(n, server.url(&format!("/{n}")), format!("{n}.gif")))
        .collect()
}

#[test]
fn files_arrive_whole_and_under_their_names() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(exchange.path.clone().as_bytes()));
    let downloader = builder(&folder).build().unwrap();
    let report = download(&downloader, flags(&server, 50));
    assert_ok(&report);
    assert_eq!(report.total(), 50);
    assert_eq!(report.exit_code(), 0);
    assert_eq!(folder.names().len(), 50);
    for n in 0..50 {
        let file = folder.read(&format!("{n}.gif"));
        assert_eq!(file, format!("/{n}").as_bytes());
    }
    assert_eq!(report.bytes(), (10 * 2 + 40 * 3));
    assert!(server.connections() <= 4, "one connection a worker");
    drop(downloader);
    server.await_no_connection();
}

#[test]
fn inline_executor_downloads_one_after_the_other() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let observer = move |event: &Event<'_, usize>| {
        let line = match event {
            Event::Started { key, .. } => format!("started {key}"),
            Event::Bytes { key, total, .. } => format!("{total} bytes of {key}"),
            Event::Finished { key, .. } => format!("finished {key}"),
            other => format!("{other:?}"),
        };
        seen.lock().unwrap().push(line);
    };
    let downloader = builder(&folder).build().unwrap();
    let jobs = flags(&server, 2);
    let report = downloader.download_many(&Inline, jobs, observer).unwrap();
    assert_ok(&report);
    assert_eq!(
        *events.lock().unwrap(),
        [
            "started 0",
            "4 bytes of 0",
            "finished 0",
            "started 1",
            "4 bytes of 1",
            "finished 1"
        ]
    );
    assert_eq!(server.connections(), 1);
}

#[test]
fn every_entry_carries_its_own_key() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/1" => exchange.answer("404 Not Found", "", b"no such flag"),
        "/2" => exchange.answer("418 I'm a teapot", "", b"short and stout"),
        _ => exchange.ok(b"flag"),
    });
    let downloader = builder(&folder).build().unwrap();
    let report = download(&downloader, flags(&server, 4));
    let entries: HashMap<usize, &Entry<usize>> =
        report.entries().iter().map(|e| (*e.key(), e)).collect();
    assert_eq!(entries.len(), 4);
    for (key, entry) in &entries {
        assert_eq!(entry.url(), server.url(&format!("/{key}")));
        assert_eq!(entry.path(), folder.file(&format!("{key}.gif")));
    }
    assert_eq!(entries[&0].status(), DownloadStatus::Ok);
    assert_eq!(entries[&1].status(), DownloadStatus::NotFound);
    assert_eq!(entries[&2].status(), DownloadStatus::Error);
    let error = entries[&2].error().unwrap();
    assert_eq!(error.to_string(), "HTTP error 418 - I'm a teapot");
    assert_eq!(error.key::<usize>(), Some(&2));
    assert_eq!(error.key::<String>(), None);
    assert_eq!(report.exit_code(), 1);
    assert_eq!(folder.names(), ["0.gif", "3.gif"]);
}

#[test]
fn answers_without_a_file_cost_no_connection() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("404 Not Found", "", b"no such flag"));
    let downloader = builder(&folder).build().unwrap();
    let jobs = flags(&server, 20);
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    assert_eq!(report.count(DownloadStatus::NotFound), 20);
    assert_eq!(server.connections(), 1);
}

#[test]
fn gone_is_not_found() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("410 Gone", "", b""));
    let report = download_one(&builder(&folder).build().unwrap(), server.url("/"));
    assert_eq!(report.count(DownloadStatus::NotFound), 1);
}

#[test]
fn empty_file_is_a_file() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b""));
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.read("file"), b"");
}

#[test]
fn large_chunked_file_arrives_whole() {
    let folder = Folder::new();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = body.clone();
    let server = Server::start(move |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in sent.chunks(70_001) {
            exchange.send(format!("{:x}\r\n", chunk.len()));
            exchange.send(chunk);
            exchange.send("\r\n");
        }
        exchange.send("0\r\n\r\n");
        Then::KeepOpen
    });
    let report = download_one(&builder(&folder).build().unwrap(), server.url("/"));
    assert_ok(&report);
    assert_eq!(report.bytes(), 3_000_000);
    assert!(folder.read("file") == body);
}

#[test]
fn body_that_ends_with_the_connection_arrives() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        exchange.send("HTTP/1.0 200 OK\r\n\r\nold flag");
        Then::Close
    });
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.read("file"), b"old flag");
}

#[test]
fn unwritable_folder_is_an_error_before_the_first_request() {
    let folder = Folder::new();
    std::fs::write(folder.file("taken"), b"").unwrap();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let below_a_file = folder.file("taken").join("flags");
    let downloader = patient(&below_a_file).build().unwrap();
    let run = downloader.download_many(&Inline, flags(&server, 1), ());
    let error = run.unwrap_err();
    assert!(matches!(error.kind(), DownloadErrorKind::File { .. }));
    assert_eq!(error.url(), None);
    assert_eq!(server.requests(), 0);
}

#[test]
fn folder_is_created() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let below = folder.file("a").join("b");
    let downloader = patient(&below).build().unwrap();
    assert_ok(&download(&downloader, flags(&server, 1)));
    assert_eq!(std::fs::read(below.join("0.gif")).unwrap(), b"flag");
}

#[test]
fn jobs_are_read_as_they_are_needed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let read = Arc::new(Mutex::new(0_usize));
    let finished = Arc::new(Mutex::new(0_usize));
    let (reader, counter) = (Arc::clone(&read), Arc::clone(&finished));
    let jobs = flags(&server, 40).into_iter().inspect(move |_| {
        *reader.lock().unwrap() += 1;
        assert!(*reader.lock().unwrap() - *finished.lock().unwrap() <= 3);
    });
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Finished { .. } = event {
            *counter.lock().unwrap() += 1;
        }
    };
    let downloader = builder(&folder).max_in_flight(3).build().unwrap();
    let pool = ThreadPool::new(8);
    let report = downloader.download_many(&pool, jobs, observer).unwrap();
    assert_ok(&report);
    assert_eq!(*read.lock().unwrap(), 40);
}

#[test]
fn download_within_a_task_of_the_same_single_worker_finishes() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let pool = Arc::new(ThreadPool::new(1));
    let inner = Arc::clone(&pool);
    let downloader = builder(&folder).build().unwrap();
    let jobs = flags(&server, 5);
    let report = pool
        .submit(move || downloader.download_many(&*inner, jobs, ()).unwrap())
        .join()
        .unwrap();
    assert_ok(&report);
}

#[test]
fn pool_that_is_shut_down_ends_the_run() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let pool = ThreadPool::new(1);
    pool.shutdown();
    let endless = (0..).map(|n: u32| Job::new(n, server.url("/"), n.to_string()));
    let downloader = builder(&folder).build().unwrap();
    let report = downloader.download_many(&pool, endless, ()).unwrap();
    assert!(matches!(failure(&report), DownloadErrorKind::Rejected(_)));
    assert_eq!(report.exit_code(), 1);
}
