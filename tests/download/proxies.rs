//! Proxies: asked as they expect, refusing, and dripping.

use super::server::{Server, Then};
use super::*;
use as_completed::Inline;
use as_completed::download::TimeoutKind;
use std::sync::{Arc, Mutex};

/// Goes through the proxy, with a user name and a password.
fn through(folder: &Folder, proxy: &Server) -> DownloaderBuilder {
    let url = format!("http://me:secret@{}", proxy.address());
    builder(folder).proxy(Proxy::Url(url))
}

#[test]
fn plain_url_is_asked_of_the_proxy_as_a_whole() {
    let folder = Folder::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let proxy = Server::start(move |exchange| {
        let header = |name| exchange.header(name).unwrap_or_default().to_owned();
        let line = [
            &exchange.path,
            &header("host"),
            &header("proxy-authorization"),
        ]
        .map(String::clone);
        record.lock().unwrap().push(line);
        exchange.ok(b"flag")
    });
    let downloader = through(&folder, &proxy).build().unwrap();
    let jobs = (0..3).map(|n| {
        let url = format!("http://flags.invalid:8080/br/{n}?size=1");
        Job::new(n, url, n.to_string())
    });
    assert_ok(&downloader.download_many(&Inline, jobs, ()).unwrap());
    let expected = |n: i32| {
        [
            &*format!("http://flags.invalid:8080/br/{n}?size=1"),
            "flags.invalid:8080",
            "Basic bWU6c2VjcmV0",
        ]
        .map(str::to_owned)
    };
    assert_eq!(*asked.lock().unwrap(), [0, 1, 2].map(expected));
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn proxy_that_refuses_is_asked_once() {
    for (url, code) in [
        ("http://flags.invalid/", 403),
        ("http://flags.invalid/", 407),
        ("https://flags.invalid/", 403),
        ("https://flags.invalid/", 407),
    ] {
        let folder = Folder::new();
        let proxy = Server::start(move |exchange| exchange.answer(&format!("{code} No"), "", b""));
        let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
        let downloader = through(&folder, &proxy).retry(soon).build().unwrap();
        let report = download_one(&downloader, url);
        let text = failure(&report).to_string();
        assert!(text.contains(&code.to_string()), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(proxy.requests(), 1, "{url} {code}");
    }
}

#[cfg(feature = "rustls")]
#[test]
fn proxy_that_is_busy_is_asked_again() {
    let folder = Folder::new();
    let proxy = Server::start(|exchange| exchange.answer("503 Busy", "", b""));
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
    let downloader = through(&folder, &proxy).retry(soon).build().unwrap();
    let report = download_one(&downloader, "https://flags.invalid/");
    assert!(report.entries()[0].error().unwrap().is_transient());
    assert_eq!(proxy.requests(), 4);
}

#[cfg(feature = "rustls")]
#[test]
fn proxy_whose_answer_drips_times_out() {
    let time_out = |connect: Duration, total: Duration| {
        let folder = Folder::new();
        let proxy = Server::start(|exchange| {
            exchange.send("HTTP/1.1 200 OK\r\nX-Drip: ");
            // Longer than any timeout here, each a long way from the next.
            for _ in 0..600 {
                if !(exchange.pause(SHORT / 3) && exchange.send("x")) {
                    break;
                }
            }
            Then::Close
        });
        let downloader = through(&folder, &proxy)
            .connect_timeout(connect)
            .total_timeout(total)
            .build()
            .unwrap();
        let report = download_one(&downloader, "https://flags.invalid/");
        match failure(&report) {
            DownloadErrorKind::Timeout(timeout) => *timeout,
            kind => panic!("{kind:?}"),
        }
    };
    assert_eq!(time_out(LONG, SHORT), TimeoutKind::Total);
    // The time may be over before it begins to connect, where a thread stands still.
    let is_of_connecting = [1, 10, 100].into_iter().any(|times| {
        let kind = time_out(SHORT * times, LONG);
        assert!(
            matches!(kind, TimeoutKind::Connect | TimeoutKind::LookUp),
            "{kind:?}"
        );
        kind == TimeoutKind::Connect
    });
    assert!(is_of_connecting, "it never begins to connect in time");
}

#[cfg(feature = "rustls")]
#[test]
fn proxy_that_says_something_else_is_an_error() {
    for answer in ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\n\r\nHello", ""] {
        let folder = Folder::new();
        let proxy = Server::start(move |exchange| {
            exchange.send(answer);
            Then::Close
        });
        let downloader = through(&folder, &proxy).build().unwrap();
        let report = download_one(&downloader, "https://flags.invalid/");
        let kind = failure(&report);
        assert!(!matches!(kind, DownloadErrorKind::Timeout(_)), "{kind:?}");
    }
}

#[cfg(feature = "rustls")]
#[test]
fn secure_url_goes_through_a_tunnel() {
    use super::tls_server::{TlsServer, authority};
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    let (folder, authority) = (Folder::new(), authority());
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nflag";
    let server = TlsServer::start(&authority, "localhost", 2999, answer);
    let to = server.url("localhost").replace("https://", "");
    let to = to.trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = to.clone();
    let proxy = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(&client);
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, format!("CONNECT {target} HTTP/1.1\r\n"));
        while reader.read_line(&mut line).unwrap() > 2 {}
        let server = TcpStream::connect(&target).unwrap();
        // Many headers are no reason to refuse it.
        let headers = "X-Via: proxy\r\n".repeat(40);
        write!(&client, "HTTP/1.1 200 Connected\r\n{headers}\r\n").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = std::io::copy(&mut &client, &mut &server);
                let _ = server.shutdown(Shutdown::Write);
            });
            let _ = std::io::copy(&mut &server, &mut &client);
            let _ = client.shutdown(Shutdown::Both);
        });
    });
    let downloader = builder(&folder)
        .proxy(Proxy::Url(format!("http://{address}")))
        .root_certificates(authority.pem())
        .build()
        .unwrap();
    let jobs = (0..3).map(|n| Job::new(n, format!("https://{to}/"), n.to_string()));
    assert_ok(&downloader.download_many(&Inline, jobs, ()).unwrap());
    assert_eq!(server.connections(), 1);
    drop(downloader);
    proxy.join().unwrap();
}
