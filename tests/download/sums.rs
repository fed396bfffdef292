//! Checksums: SHA-512, lists of them, and files that are there already.

use super::server::{Server, Then};
use super::*;
use as_completed::download::jobs_of_sums;

const FIRST: &[u8] = b"the first file";
const FIRST_512: &str = "cd40fc3bd376f57096ac6da5446b2803e08f0922a7c41ce5c6e253c34c955ef47f1f7c7ca502fae41961cca8d795a131995f774189404a4a15f3148f0798bb9c";
const FIRST_256: &str = "e7939f0b60ab303a2a6e28784cf5c5811b98dfd7e5cab7ab2a0fb9c4b38e50cb";
const OTHER_256: &str = "100ef6a71bac925f709fe9c114c60460bf6e472cfdb9d44bd8adf1698135260f";

fn server() -> Server {
    Server::start(|exchange| match exchange.path.as_str() {
        "/images/first.iso" => exchange.ok(FIRST),
        "/images/an%20other.iso" => exchange.ok(b"another file"),
        _ => exchange.answer("404 Not Found", "", b""),
    })
}

#[test]
fn sha512_is_required() {
    let (folder, server) = (Folder::new(), server());
    let downloader = builder(&folder).build().unwrap();
    let job = |sum: &str| Job::new("key", server.url("/images/first.iso"), "file").sha512(sum);
    assert_ok(&download(&downloader, [job(FIRST_512)]));
    assert_eq!(folder.read("file"), FIRST);
    std::fs::remove_file(folder.file("file")).unwrap();
    let wrong = download(&downloader, [job(&"0".repeat(128))]);
    assert!(matches!(failure(&wrong), DownloadErrorKind::Sha512 { .. }));
    let requests = server.requests();
    let invalid = download(&downloader, [job(FIRST_256)]);
    assert!(matches!(
        failure(&invalid),
        DownloadErrorKind::InvalidSha512
    ));
    assert_eq!(server.requests(), requests);
    assert!(folder.names().is_empty());
}

/// The last of two checksums counts.
#[test]
fn checksum_replaces_the_one_before() {
    let (folder, server) = (Folder::new(), server());
    let downloader = builder(&folder).build().unwrap();
    let job = Job::new("key", server.url("/images/first.iso"), "file");
    let job = job.sha256("0".repeat(64)).sha512(FIRST_512);
    assert_ok(&download(&downloader, [job]));
}

#[test]
fn list_of_sums_downloads_what_is_not_there() {
    let (folder, server) = (Folder::new(), server());
    let list = format!("{FIRST_256}  first.iso\n{OTHER_256} *an other.iso\n");
    let run = || {
        let jobs = jobs_of_sums(&server.url("/images/"), &list).unwrap();
        let report = download(&builder(&folder).build().unwrap(), jobs);
        let counts = [DownloadStatus::Ok, DownloadStatus::Skipped].map(|of| report.count(of));
        assert_eq!(folder.names(), ["an other.iso", "first.iso"]);
        assert_eq!(folder.read("first.iso"), FIRST);
        (counts, server.requests())
    };
    assert_eq!(run(), ([2, 0], 2));
    assert_eq!(
        run(),
        ([0, 2], 2),
        "what is there and matches is not asked for"
    );
    std::fs::write(folder.file("first.iso"), b"the worst file").unwrap();
    assert_eq!(
        run(),
        ([1, 1], 3),
        "what is there and does not match is replaced"
    );
}

/// A checksum that only covers the beginning, or a part that lies.
#[test]
fn sha512_covers_what_is_resumed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.header("range") {
        None => {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 14\r\nETag: \"1\"\r\n\r\n");
            exchange.send(&FIRST[..6]);
            Then::Close
        }
        Some(range) => {
            assert_eq!(range, "bytes=6-");
            let headers = "Content-Range: bytes 6-13/14\r\n";
            exchange.answer("206 Partial Content", headers, &FIRST[6..])
        }
    });
    let soon = RetryPolicy::default().delay(Duration::from_millis(1), Duration::from_millis(1));
    let downloader = builder(&folder).resume(true).retry(soon).build().unwrap();
    let job = Job::new("key", server.url("/"), "file").sha512(FIRST_512);
    assert_ok(&download(&downloader, [job]));
    assert_eq!(folder.read("file"), FIRST);
}
