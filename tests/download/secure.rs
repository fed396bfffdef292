//! Bodies that come over TLS: cut, and with more behind them.

use super::server::Then;
use super::tls_server::{Authority, TlsExchange, TlsServer, authority};
use super::*;
use as_completed::Inline;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use std::sync::{Mutex, mpsc};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn server(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    handler: impl Fn(&mut TlsExchange<'_>) -> Then + Send + Sync + 'static,
) -> TlsServer {
    TlsServer::start_with(authority, "localhost", 2999, &[version], handler)
}

fn trusting(folder: &Folder, authority: &Authority) -> Downloader {
    builder(folder)
        .root_certificates(authority.pem())
        .build()
        .unwrap()
}

#[test]
fn body_that_ends_with_a_cut_connection_breaks_off() {
    for version in VERSIONS {
        for beginning in [
            "HTTP/1.0 200 OK\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ] {
            let (folder, authority) = (Folder::new(), authority());
            let server = server(&authority, version, move |exchange| {
                exchange.send(beginning);
                Then::Reset
            });
            let report = download_one(&trusting(&folder, &authority), server.url("localhost"));
            let kind = failure(&report);
            assert!(
                matches!(kind, DownloadErrorKind::Body { received: 4, .. }),
                "{version:?} {beginning:?}: {kind:?}"
            );
            assert!(folder.names().is_empty());
        }
    }
}

#[test]
fn body_that_ends_with_the_connection_arrives_if_tls_ends_too() {
    for version in VERSIONS {
        let (folder, authority) = (Folder::new(), authority());
        let server = server(&authority, version, |exchange| {
            exchange.send("HTTP/1.0 200 OK\r\n\r\nflag");
            Then::Close
        });
        let downloader = trusting(&folder, &authority);
        assert_ok(&download_one(&downloader, server.url("localhost")));
        assert_eq!(folder.read("file"), b"flag");
    }
}

#[test]
fn bytes_behind_a_body_are_not_taken_for_the_next_answer() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    // Records of 16 KiB, and buffers of 64 KiB, end at these lengths or nearly.
    let around = |length: usize| length - 48..=length + 1;
    for version in VERSIONS {
        let (folder, authority) = (Folder::new(), authority());
        let (sent, is_sent) = mpsc::channel();
        let sent = Mutex::new(sent);
        let server = server(&authority, version, move |exchange| {
            let length: usize = exchange.path.trim_matches('/').parse().unwrap();
            let mut answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
            answer.resize(answer.len() + length, b'x');
            answer.extend_from_slice(EVIL.as_bytes());
            exchange.send(answer);
            sent.lock().unwrap().send(()).unwrap();
            Then::KeepOpen
        });
        let url = server.url("localhost");
        let downloader = trusting(&folder, &authority);
        let lengths = [4096, 16 * 1024, 64 * 1024].into_iter().flat_map(around);
        for length in lengths {
            let job = Job::new(length, format!("{url}{length}"), length.to_string());
            let report = downloader.download_many(&Inline, [job], ()).unwrap();
            assert_ok(&report);
            let file = folder.read(&length.to_string());
            assert!(
                file.len() == length && file.iter().all(|byte| *byte == b'x'),
                "{version:?}: {length} is wrong"
            );
            // What came behind the next request could not be told from its answer.
            is_sent.recv_timeout(LONG).unwrap();
        }
    }
}

#[test]
fn kept_connection_is_used_again_whatever_tls_says_between() {
    for version in VERSIONS {
        let (folder, authority) = (Folder::new(), authority());
        let server = server(&authority, version, |exchange| {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nflag");
            Then::KeepOpen
        });
        let url = server.url("localhost");
        let jobs = (0..20).map(|n| Job::new(n, url.clone(), n.to_string()));
        let downloader = trusting(&folder, &authority);
        let report = downloader.download_many(&Inline, jobs, ()).unwrap();
        assert_ok(&report);
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn kept_connection_that_tls_has_ended_is_no_failure() {
    for version in VERSIONS {
        for then in [Then::Close, Then::Reset] {
            let (folder, authority) = (Folder::new(), authority());
            let server = server(&authority, version, move |exchange| {
                exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nflag");
                then
            });
            let url = server.url("localhost");
            let jobs = (0..5).map(|n| Job::new(n, url.clone(), n.to_string()));
            let downloader = trusting(&folder, &authority);
            let report = downloader.download_many(&Inline, jobs, ()).unwrap();
            assert_ok(&report);
            assert_eq!(report.retries(), 0);
        }
    }
}
