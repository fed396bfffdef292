//! Connections that cannot be made, or are not safe.

use super::server::Server;
use super::*;
use as_completed::download::TimeoutKind;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

/// Listens, but accepts no further connection: its queue is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _queue: Vec<Socket>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        // One more than there is room for hangs, and so will all others.
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let connected = socket.connect_timeout(&address.into(), SHORT);
            // A thread that stands still may find the time over and be connected.
            let hangs = connected.is_err() && socket.peer_addr().is_err();
            queue.push(socket);
            if hangs {
                break;
            }
            assert!(queue.len() < 1000, "the queue has no end");
        }
        Self {
            address,
            _listener: listener,
            _queue: queue,
        }
    }
}

#[test]
fn refused_connection_is_an_error() {
    let folder = Folder::new();
    // Bound, so that nobody else listens there, and not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let downloader = builder(&folder).build().unwrap();
    let report = download_one(&downloader, format!("http://{address}/"));
    assert!(matches!(failure(&report), DownloadErrorKind::Connect(_)));
    assert!(report.entries()[0].error().unwrap().is_transient());
    assert!(folder.names().is_empty());
}

#[test]
fn connection_that_hangs_times_out() {
    let folder = Folder::new();
    let hole = BlackHole::new();
    // The time may be over before it begins to connect, where a thread stands still.
    let hangs = [1, 10, 100].into_iter().any(|times| {
        let downloader = builder(&folder).connect_timeout(SHORT * times);
        let url = format!("http://{}/", hole.address);
        let report = download_one(&downloader.build().unwrap(), url);
        match failure(&report) {
            DownloadErrorKind::Timeout(TimeoutKind::Connect) => true,
            DownloadErrorKind::Timeout(TimeoutKind::LookUp) => false,
            kind => panic!("{kind:?}"),
        }
    });
    assert!(hangs, "it never begins to connect in time");
}

#[test]
fn unknown_name_is_an_error() {
    let folder = Folder::new();
    let downloader = builder(&folder)
        .connect_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let report = download_one(&downloader, "http://no-such-host.invalid/");
    match failure(&report) {
        DownloadErrorKind::LookUp { host, .. } => assert_eq!(host, "no-such-host.invalid"),
        // Where no name server answers.
        DownloadErrorKind::Timeout(TimeoutKind::LookUp) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn name_is_looked_up() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let url = format!("http://localhost:{}/", server.address().port());
    assert_ok(&download_one(&downloader, url));
}

#[cfg(feature = "rustls")]
mod tls {
    use super::*;
    use crate::tls_server::{Authority, TlsServer, authority};
    use as_completed::download::RedirectError;

    const FLAG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nflag";

    #[test]
    fn own_authority_is_trusted_and_connections_are_kept() {
        let folder = Folder::new();
        let authority = authority();
        let server = TlsServer::start(&authority, "localhost", 2999, FLAG);
        let downloader = builder(&folder)
            .root_certificates(authority.pem())
            .build()
            .unwrap();
        let jobs = (0..5).map(|n| Job::new(n, server.url("localhost"), n.to_string()));
        let report = downloader
            .download_many(&as_completed::Inline, jobs, ())
            .unwrap();
        assert_ok(&report);
        assert_eq!(folder.read("4"), b"flag");
        assert_eq!(server.connections(), 1);
    }

    fn assert_not_trusted(trusted: &Authority, server: &TlsServer, host: &str) {
        let folder = Folder::new();
        let downloader = builder(&folder)
            .retry(RetryPolicy::default())
            .root_certificates(trusted.pem())
            .build()
            .unwrap();
        let report = download_one(&downloader, server.url(host));
        let kind = failure(&report);
        assert!(matches!(kind, DownloadErrorKind::Tls(_)), "{kind:?}");
        assert_eq!(report.retries(), 0);
        assert!(folder.names().is_empty());
    }

    #[test]
    fn unknown_authority_is_not_trusted() {
        let server = TlsServer::start(&authority(), "localhost", 2999, FLAG);
        assert_not_trusted(&authority(), &server, "localhost");
    }

    #[test]
    fn other_name_is_not_trusted() {
        let authority = authority();
        let server = TlsServer::start(&authority, "elsewhere.example", 2999, FLAG);
        assert_not_trusted(&authority, &server, "localhost");
    }

    #[test]
    fn expired_certificate_is_not_trusted() {
        let authority = authority();
        let server = TlsServer::start(&authority, "localhost", 2001, FLAG);
        assert_not_trusted(&authority, &server, "localhost");
    }

    #[test]
    fn server_that_does_not_speak_tls_is_an_error() {
        let folder = Folder::new();
        let server = Server::start(|exchange| exchange.ok(b"flag"));
        let downloader = builder(&folder)
            .connect_timeout(SHORT)
            .read_timeout(SHORT)
            .build()
            .unwrap();
        let url = server.url("/").replace("http:", "https:");
        let report = download_one(&downloader, url);
        // The server waits for the end of a line that is not one.
        let kind = failure(&report);
        assert!(
            matches!(
                kind,
                DownloadErrorKind::Timeout(_)
                    | DownloadErrorKind::Tls(_)
                    | DownloadErrorKind::Disconnected(_)
            ),
            "{kind:?}"
        );
    }

    #[test]
    fn redirect_from_https_to_http_is_followed_only_if_asked() {
        let authority = authority();
        let plain = Server::start(|exchange| exchange.ok(b"flag"));
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            plain.url("/")
        );
        let server = TlsServer::start(&authority, "localhost", 2999, answer);
        for allow in [false, true] {
            let folder = Folder::new();
            let downloader = builder(&folder)
                .root_certificates(authority.pem())
                .allow_downgrade(allow)
                .build()
                .unwrap();
            let report = download_one(&downloader, server.url("localhost"));
            if allow {
                assert_ok(&report);
            } else {
                assert!(matches!(
                    failure(&report),
                    DownloadErrorKind::Redirect(RedirectError::Downgrade(_))
                ));
                assert_eq!(plain.requests(), 0);
            }
        }
    }
}
