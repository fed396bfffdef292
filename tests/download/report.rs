//! What a run says of itself: entries, messages, JSON.

use super::server::{Exchange, Server, Then};
use super::*;
use as_completed::Inline;
use as_completed::download::{Entry, Event, Keep};
use std::sync::Mutex;

const SECRET: &str = "s3cret";

#[test]
fn report_is_json() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/0" => exchange.answer("404 Not Found", "", b""),
        "/1" => exchange.answer("302 Found", "Location: /2\r\n", b""),
        _ => {
            // Long enough not to be rounded to nothing.
            let _ = exchange.pause(Duration::from_millis(5));
            exchange.ok(b"flag")
        }
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..2).map(|n| Job::new(n, server.url(&format!("/{n}")), n.to_string()));
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["type"], "summary");
    assert_eq!(json["ok"], 1);
    assert_eq!(json["not_found"], 1);
    assert_eq!(json["bytes"], 4);
    assert_eq!(json["is_complete"], true);
    assert_eq!(json["is_cancelled"], false);
    let [missing, saved] = [0, 1].map(|n| &json["entries"][n]);
    assert_eq!(missing["type"], "file");
    assert_eq!(missing["status"], "not_found");
    assert_eq!(missing["kind"], "status");
    assert_eq!(missing["http_status"], 404);
    assert_eq!(missing["error"], "HTTP error 404 - Not Found");
    assert_eq!(saved["url"], server.url("/1"));
    assert_eq!(saved["final_url"], server.url("/2"));
    assert_eq!(saved["http_status"], 200);
    assert_eq!(saved["status"], "ok");
    assert!(saved["seconds"].as_f64().unwrap() > 0.0);
    let saved = &report.entries()[1];
    assert_eq!(saved.final_url(), Some(server.url("/2").as_str()));
    assert_eq!(saved.http_status(), Some(200));
    assert!(saved.elapsed() <= report.elapsed());
}

#[test]
fn names_in_json_have_no_space() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("404 Not Found", "", b""));
    let report = download_one(&builder(&folder).build().unwrap(), server.url("/"));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    for object in [&json, &json["entries"][0]] {
        for (name, value) in object.as_object().unwrap() {
            assert!(!name.contains(' '), "{name}");
            assert!(name == "error" || !value.as_str().is_some_and(|text| text.contains(' ')));
        }
    }
}

#[test]
fn checksum_that_was_computed_is_in_json() {
    /// That of "flag".
    const FLAG: &str = "807d0fbcae7c4b20518d4d85664f6820aafdf936104122c5073e7744c46c4b87";
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/missing" => exchange.answer("404 Not Found", "", b""),
        _ => exchange.ok(b"flag"),
    });
    let job = |name: &'static str| Job::new(name, server.url(&format!("/{name}")), name);
    let jobs = [
        job("right").sha256(FLAG.to_uppercase()),
        job("wrong").sha256("0".repeat(64)),
        job("wrong512").sha512("0".repeat(128)),
        job("missing").sha256(FLAG),
        job("any"),
    ];
    let report = download(&builder(&folder).build().unwrap(), jobs);
    for entry in report.entries() {
        let json: serde_json::Value = serde_json::from_str(&entry.to_json()).unwrap();
        match *entry.key() {
            "right" | "wrong" => assert_eq!(json["sha256"], FLAG),
            "wrong512" => assert_eq!(json["sha512"].as_str().unwrap().len(), 128),
            _ => assert!(json["sha256"].is_null(), "{json}"),
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn report_as_data_is_the_same_as_json() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.number {
        0 => exchange.answer("503 Busy", "", b""),
        _ => exchange.ok(b"flag"),
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..2).map(|n| Job::new(n.to_string(), server.url("/"), n.to_string()));
    let report = downloader.download_many(&Inline, jobs, ()).unwrap();
    let mut data = serde_json::to_value(&report).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    // One of them is rounded to milliseconds.
    for value in [&mut data, &mut json] {
        assert!(value["seconds"].take().is_number());
        for n in 0..2 {
            assert!(value["entries"][n]["seconds"].take().is_number());
        }
    }
    assert_eq!(data, json);
}

/// Everything that a run says of itself, in all ways in which it says it.
fn sayings(downloader: &Downloader, jobs: impl IntoIterator<Item = Job<usize>>) -> Vec<String> {
    let said = std::sync::Arc::new(Mutex::new(Vec::new()));
    let events = std::sync::Arc::clone(&said);
    let observer = move |event: &Event<'_, usize>| {
        events.lock().unwrap().push(format!("{event:?}"));
        if let Event::Retrying { error, .. } = event {
            events.lock().unwrap().push(error.to_string());
        }
    };
    let report = downloader.download_many(&Inline, jobs, observer).unwrap();
    let mut said = std::mem::take(&mut *said.lock().unwrap());
    said.extend([format!("{report:?}"), report.to_json()]);
    for entry in report.entries() {
        said.extend([format!("{entry:?}"), entry.to_json()]);
        if let Some(error) = entry.error() {
            said.extend([error.to_string(), format!("{error:?}")]);
            said.push(error.kind().to_string());
        }
    }
    said
}

#[test]
fn passwords_are_not_said() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        let location = format!("Location: http://user:{SECRET}@[::1/\r\n");
        exchange.answer("302 Found", &location, b"")
    });
    let downloader = builder(&folder)
        .header("Authorization", SECRET)
        .build()
        .unwrap();
    let urls = [
        format!("http://user:{SECRET}@127.0.0.1:1/"),
        format!("http://{SECRET}@127.0.0.1:1/"),
        format!("ftp://user:{SECRET}@host/"),
        format!("http://user:{SECRET}@host:port/"),
        server.url("/"),
    ];
    let jobs = urls.iter().enumerate();
    let jobs = jobs.map(|(n, url)| Job::new(n, url.clone(), n.to_string()));
    for said in sayings(&downloader, jobs) {
        assert!(!said.contains(SECRET), "{said}");
    }
    let proxy = Proxy::Url(format!("socks5://user:{SECRET}@host:1"));
    let error = builder(&folder).proxy(proxy).build().unwrap_err();
    assert!(!error.to_string().contains(SECRET), "{error}");
    assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
}

#[test]
fn what_comes_from_outside_is_harmless_on_a_terminal() {
    let folder = Folder::new();
    let server = Server::start(|exchange: &mut Exchange| {
        match exchange.path.as_str() {
            "/0" => exchange.send("HTTP/1.1 200 \x1b[31mred\r\nContent-Length: 1\r\n\r\n"),
            "/1" => exchange.send("HTTP/1.1 302 Found\r\nLocation: ftp://\x1b[31m/\r\n\r\n"),
            "/2" => exchange.send("\x1b[31mred\r\n\r\n"),
            "/3" => exchange.send("HTTP/1.1 200 OK\r\nContent-Encoding: \u{9b}31m\r\n\r\n"),
            "/4" => {
                exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[3\r\n")
            }
            _ => {
                let long = "x".repeat(20_000);
                exchange.send(format!(
                    "HTTP/1.1 302 Found\r\nLocation: ftp://{long}\r\n\r\n"
                ))
            }
        };
        Then::Close
    });
    let downloader = builder(&folder).build().unwrap();
    let from_server = (0..6).map(|n| Job::new(n, server.url(&format!("/{n}")), n.to_string()));
    let urls = [
        "\x1b[31mred".to_owned(),
        "http://\n\x1b[31m:x/".to_owned(),
        "ftp://\u{202e}host/".to_owned(),
        "x".repeat(1_000_000),
        format!("http://{}:x/", "x".repeat(1_000_000)),
    ];
    let from_urls = urls.into_iter().zip(6..);
    let from_urls = from_urls.map(|(url, n)| Job::new(n, url, n.to_string()));
    let report = downloader
        .download_many(&Inline, from_server.chain(from_urls), ())
        .unwrap();
    for entry in report.entries() {
        let Some(error) = entry.error() else { continue };
        for said in [error.to_string(), error.kind().to_string()] {
            assert!(!said.contains(|each: char| each.is_control()), "{said:?}");
            assert!(!said.contains('\u{202e}'), "{said:?}");
            assert!(said.len() < 10_000, "{} bytes", said.len());
        }
    }
    assert!(report.count(DownloadStatus::Error) >= 10);
}

#[test]
fn errors_and_entries_can_be_taken() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/1" => exchange.answer("404 Not Found", "", b""),
        _ => exchange.ok(b"flag"),
    });
    let jobs = |numbers: std::ops::Range<usize>| {
        let server = &server;
        numbers.map(move |n| Job::new(n, server.url(&format!("/{n}")), n.to_string()))
    };
    for keep in [Keep::All, Keep::Failures, Keep::Nothing] {
        let downloader = builder(&folder).keep(keep).build().unwrap();
        let report = downloader.download_many(&Inline, jobs(0..3), ()).unwrap();
        let error = report.ok().unwrap_err();
        assert_eq!(error.key(), Some(&1_usize));
        let report = downloader.download_many(&Inline, jobs(2..4), ()).unwrap();
        assert_eq!(report.ok().unwrap().count(DownloadStatus::Ok), 2);
    }
    let downloader = builder(&folder).build().unwrap();
    let report = downloader.download_many(&Inline, jobs(0..3), ()).unwrap();
    let entries = report.into_entries();
    assert_eq!(entries.len(), 3);
    let errors: Vec<_> = entries.into_iter().filter_map(Entry::into_error).collect();
    assert!(matches!(
        errors[..].first().unwrap().kind(),
        DownloadErrorKind::Status { code: 404 }
    ));
    assert_eq!(errors.len(), 1);
}
