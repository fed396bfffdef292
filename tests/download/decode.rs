//! Bodies that a server compresses although it is asked not to, decoded.

use super::server::{Exchange, Server, Then};
use super::*;
use as_completed::download::ContentEncoding;

const PAGE: &[u8] = b"the page, decoded";
/// Of the page.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x2b\xc9\x48\x55\x28\x48\
    \x4c\x4f\xd5\x51\x48\x49\x4d\xce\x4f\x49\x4d\x01\x00\x7c\xcf\xd1\x75\x11\x00\x00\x00";
/// Of a thousand zeros.
const ZEROS: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x63\x60\x18\x05\xa3\x60\
    \x14\x0c\x77\x00\x00\x80\x17\x0b\x06\xe8\x03\x00\x00";
const SHA256: &str = "9fc58d96f131dc60bc181bc641f3ffd40c0a6f143ed0477a0fcd9a8621057b4e";
const HEADERS: &str = "Content-Encoding: gzip\r\nETag: \"1\"\r\nAccept-Ranges: bytes\r\n";

fn decoding(folder: &Folder) -> DownloaderBuilder {
    builder(folder).content_encoding(ContentEncoding::Decode)
}

fn server(body: &'static [u8]) -> Server {
    Server::start(move |exchange| exchange.answer("200 OK", HEADERS, body))
}

#[test]
fn page_is_decoded_and_an_archive_is_not() {
    let (folder, server) = (Folder::new(), server(GZIP));
    let downloader = decoding(&folder).max_in_flight(1).build().unwrap();
    let page = Job::new(0, server.url("/"), "page.html")
        .sha256(SHA256)
        .content_length(PAGE.len() as u64);
    let archive = Job::new(1, server.url("/"), "page.html.gz");
    let report = download(&downloader, [page, archive]);
    assert_ok(&report);
    assert_eq!(folder.read("page.html"), PAGE);
    assert_eq!(folder.read("page.html.gz"), GZIP);
    assert_eq!(report.bytes(), (PAGE.len() + GZIP.len()) as u64);
    // Read to its end, the connection is used again.
    assert_eq!(server.connections(), 1);
}

#[test]
fn members_that_follow_each_other_are_one_page() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        exchange.answer("200 OK", "Content-Encoding: x-gzip\r\n", &GZIP.repeat(3))
    });
    let report = download_one(&decoding(&folder).build().unwrap(), server.url("/"));
    assert_ok(&report);
    assert_eq!(folder.read("file"), PAGE.repeat(3));
}

#[test]
fn what_cannot_be_decoded_is_an_error() {
    for body in [&GZIP[..20], &GZIP[..GZIP.len() - 1], b"no gzip"] {
        let (folder, server) = (Folder::new(), server(body));
        let report = download_one(&decoding(&folder).build().unwrap(), server.url("/"));
        let kind = failure(&report);
        assert!(matches!(kind, DownloadErrorKind::Body { .. }), "{kind:?}");
        assert!(folder.names().is_empty());
    }
}

#[test]
fn other_encoding_is_not_decoded() {
    let folder = Folder::new();
    let server =
        Server::start(|exchange| exchange.answer("200 OK", "Content-Encoding: br\r\n", b"?"));
    let report = download_one(&decoding(&folder).build().unwrap(), server.url("/"));
    assert!(matches!(failure(&report), DownloadErrorKind::ContentEncoding(name) if name == "br"));
}

#[test]
fn decoded_page_over_the_maximum_is_too_large() {
    let (folder, server) = (Folder::new(), server(ZEROS));
    let downloader = decoding(&folder).max_size(500).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::TooLarge { limit: 500 }
    ));
    assert!(folder.names().is_empty());
}

/// Its ranges would be those of what is sent.
#[test]
fn decoded_page_has_no_part_and_no_segments() {
    let folder = Folder::new();
    let server = Server::start(|exchange: &mut Exchange| {
        assert_eq!(exchange.header("range"), None);
        if exchange.number > 0 {
            return exchange.answer("200 OK", HEADERS, GZIP);
        }
        let length = GZIP.len();
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{HEADERS}\r\n"
        ));
        exchange.send(&GZIP[..25]);
        Then::Close
    });
    let downloader = decoding(&folder)
        .resume(true)
        .segments(4)
        .segments_above(0)
        .build()
        .unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(matches!(failure(&report), DownloadErrorKind::Body { .. }));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
    assert_ok(&download_one(&downloader, server.url("/")));
    assert_eq!(folder.read("file"), PAGE);
}

/// As of an earlier run, or of a server that compresses now and then.
#[test]
fn part_that_is_not_encoded_is_not_continued_with_what_is() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.number {
        0 => {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 17\r\nETag: \"1\"\r\n\r\nthe p");
            Then::Close
        }
        1 => {
            assert_eq!(exchange.header("range"), Some("bytes=5-"));
            let headers = format!("Content-Range: bytes 5-16/17\r\n{HEADERS}");
            exchange.answer("206 Partial Content", &headers, b"?????gzip?!!")
        }
        _ => {
            assert_eq!(exchange.header("range"), None);
            exchange.answer("200 OK", HEADERS, GZIP)
        }
    });
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
    let downloader = decoding(&folder).retry(soon).resume(true).build().unwrap();
    assert_ok(&download_one(&downloader, server.url("/")));
    assert_eq!(folder.names(), ["file"]);
    assert_eq!(folder.read("file"), PAGE);
}
