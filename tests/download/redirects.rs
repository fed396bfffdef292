//! Redirects: followed within bounds, and never with what is secret.

use super::server::{Server, Then};
use super::*;
use as_completed::download::RedirectError;
use std::sync::{Arc, Mutex};

fn redirect_failure<K>(report: &Report<K>) -> &RedirectError {
    match failure(report) {
        DownloadErrorKind::Redirect(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn redirects_are_followed_to_the_file() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/a/b" => exchange.answer("301 Moved Permanently", "Location: ../c\r\n", b"moved"),
        "/c" => exchange.answer("302 Found", "Location: ?d\r\n", b""),
        "/c?d" => exchange.answer("307 Temporary Redirect", "Location: /e\r\n", b""),
        "/e" => exchange.ok(b"flag"),
        other => panic!("{other}"),
    });
    let report = download_one(&builder(&folder).build().unwrap(), server.url("/a/b"));
    assert_ok(&report);
    assert_eq!(folder.read("file"), b"flag");
    assert_eq!(server.connections(), 1);
}

#[test]
fn loop_of_redirects_ends() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("302 Found", "Location: /\r\n", b""));
    let downloader = builder(&folder).max_redirects(3).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert_eq!(*redirect_failure(&report), RedirectError::TooMany(3));
    assert_eq!(server.requests(), 4);
}

#[test]
fn redirect_to_nowhere_is_an_error() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/none" => exchange.answer("302 Found", "", b""),
        _ => exchange.answer("302 Found", "Location: file:///etc/passwd\r\n", b""),
    });
    let downloader = builder(&folder).build().unwrap();
    let report = download_one(&downloader, server.url("/none"));
    assert_eq!(*redirect_failure(&report), RedirectError::NoLocation);
    let report = download_one(&downloader, server.url("/file"));
    assert!(matches!(
        redirect_failure(&report),
        RedirectError::Location(_)
    ));
    assert!(folder.names().is_empty());
}

#[test]
fn secrets_do_not_cross_to_another_host() {
    let folder = Folder::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = |who: &'static str, seen: &Arc<Mutex<Vec<_>>>| {
        let seen = Arc::clone(seen);
        move |secret: Option<&str>| {
            let secret = secret.map(str::to_owned);
            seen.lock().unwrap().push((who, secret));
        }
    };
    let there = record("there", &seen);
    let other = Server::start(move |exchange| {
        there(
            exchange
                .header("x-api-key")
                .or(exchange.header("authorization")),
        );
        exchange.ok(b"flag")
    });
    let elsewhere = other.url("/");
    let here = record("here", &seen);
    let server = Server::start(move |exchange| {
        here(exchange.header("x-api-key"));
        let to = match exchange.path.as_str() {
            "/" => "/again",
            _ => &elsewhere,
        };
        exchange.answer("302 Found", &format!("Location: {to}\r\n"), b"")
    });
    let downloader = builder(&folder)
        .header("Authorization", "Bearer secret")
        .header("X-Api-Key", "secret")
        .build()
        .unwrap();
    assert_ok(&download_one(&downloader, server.url("/")));
    let secret = Some("secret".to_owned());
    assert_eq!(
        *seen.lock().unwrap(),
        [("here", secret.clone()), ("here", secret), ("there", None)]
    );
}

#[test]
fn redirect_with_an_endless_body_is_followed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        if exchange.path == "/flag" {
            return exchange.ok(b"flag");
        }
        exchange
            .send("HTTP/1.1 302 Found\r\nLocation: /flag\r\nTransfer-Encoding: chunked\r\n\r\n");
        while exchange.send("a\r\n0123456789\r\n") {}
        Then::Close
    });
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.read("file"), b"flag");
}

#[test]
fn cookie_that_a_redirect_sets_goes_to_its_origin_within_the_job() {
    let folder = Folder::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let there = Arc::clone(&seen);
    let other = Server::start(move |exchange| {
        let cookie = exchange.header("cookie").map(str::to_owned);
        there.lock().unwrap().push(("there", cookie));
        exchange.ok(b"flag")
    });
    let elsewhere = other.url("/");
    let here = Arc::clone(&seen);
    let server = Server::start(move |exchange| {
        let cookie = exchange.header("cookie").map(str::to_owned);
        here.lock().unwrap().push(("here", cookie.clone()));
        let to = match (exchange.path.as_str(), cookie) {
            ("/", None) => "/",
            ("/", Some(_)) => &elsewhere,
            _ => return exchange.ok(b"flag"),
        };
        let headers = format!("Location: {to}\r\nSet-Cookie: seen=1; Path=/; HttpOnly\r\n");
        exchange.answer("302 Found", &headers, b"")
    });
    let downloader = builder(&folder).build().unwrap();
    let jobs = [
        Job::new(0, server.url("/"), "0"),
        Job::new(1, server.url("/other"), "1"),
    ];
    assert_ok(
        &downloader
            .download_many(&as_completed::Inline, jobs, ())
            .unwrap(),
    );
    let set = Some("seen=1".to_owned());
    assert_eq!(
        *seen.lock().unwrap(),
        [
            ("here", None),
            ("here", set),
            ("there", None),
            ("here", None)
        ]
    );
}

#[test]
fn location_of_raw_bytes_is_followed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/" => {
            exchange
                .send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /caf\xe9 1\r\n\r\n");
            Then::KeepOpen
        }
        "/caf%E9%201" => exchange.ok(b"flag"),
        other => panic!("{other}"),
    });
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
}

#[test]
fn redirect_from_a_public_address_to_a_private_one_is_followed_only_if_asked() {
    for (allow, to) in [
        (false, "http://127.0.0.1:1/"),
        (false, "http://[::1]/"),
        (false, "http://169.254.169.254/latest/meta-data"),
        (false, "http://localhost/"),
        (true, "http://127.0.0.1:1/"),
    ] {
        let folder = Folder::new();
        // What is public here is so by its name, which only the proxy looks up.
        let proxy = Server::start(move |exchange| match exchange.path.as_str() {
            "http://public.example/" => {
                exchange.answer("302 Found", &format!("Location: {to}\r\n"), b"")
            }
            _ => exchange.ok(b"secret"),
        });
        let downloader = builder(&folder)
            .proxy(Proxy::Url(proxy.url("/")))
            .allow_private_redirects(allow)
            .build()
            .unwrap();
        let report = download_one(&downloader, "http://public.example/");
        if allow {
            assert_ok(&report);
        } else {
            assert!(
                matches!(redirect_failure(&report), RedirectError::Private(_)),
                "{to}"
            );
            assert_eq!(proxy.requests(), 1);
        }
        // From a private one it is nobody's business.
        assert_ok(&download_one(&downloader, "http://10.0.0.1/"));
    }
}
