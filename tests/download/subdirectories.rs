//! Names with folders.

use super::server::{Exchange, Server};
use super::*;
use as_completed::download::{Durability, NameError};
use std::fs;

fn subdirectories(folder: &Folder) -> DownloaderBuilder {
    builder(folder).allow_subdirectories(true)
}

fn job(server: &Server, name: &'static str) -> Job<&'static str> {
    Job::new(name, server.url("/"), name)
}

fn serve() -> Server {
    Server::start(|exchange| exchange.ok(b"flag"))
}

#[test]
fn folders_of_names_are_created() {
    let (folder, server) = (Folder::new(), serve());
    for durability in [Durability::None, Durability::FileAndDirectory] {
        let downloader = subdirectories(&folder)
            .durability(durability)
            .build()
            .unwrap();
        let names = ["a", "b/c/d", "b/e", "b/c/f"];
        let report = download(&downloader, names.map(|name| job(&server, name)));
        assert_ok(&report);
        for name in names {
            assert_eq!(folder.read(name), b"flag");
        }
        assert_eq!(folder.names(), ["a", "b"]);
        let path = report.entries().iter().find(|entry| *entry.key() == "b/e");
        assert_eq!(path.unwrap().path(), folder.file("b/e"));
        fs::remove_dir_all(folder.file("b")).unwrap();
    }
}

#[test]
fn names_with_folders_are_refused_where_they_are_not_allowed() {
    let (folder, server) = (Folder::new(), serve());
    let report = download(&builder(&folder).build().unwrap(), [job(&server, "a/b")]);
    let failure = failure(&report);
    assert!(matches!(
        failure,
        DownloadErrorKind::Name(NameError::Separator)
    ));
    assert_eq!((server.requests(), folder.names().len()), (0, 0));
}

#[test]
fn names_never_lead_out_of_the_folder() {
    let (outer, server) = (Folder::new(), serve());
    fs::create_dir(outer.file("inner")).unwrap();
    let downloader = Downloader::builder(outer.file("inner"))
        .proxy(Proxy::Direct)
        .allow_subdirectories(true)
        .build()
        .unwrap();
    let absolute: &'static str = outer.file("x").to_str().unwrap().to_owned().leak();
    for name in ["../x", "a/../../x", "a/..", "/x", "a//x", "./x", absolute] {
        let report = download(&downloader, [job(&server, name)]);
        assert!(
            matches!(failure(&report), DownloadErrorKind::Name(_)),
            "{name}"
        );
    }
    assert_eq!(server.requests(), 0);
    assert_eq!(outer.names(), ["inner"]);
    assert_eq!(fs::read_dir(outer.file("inner")).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn links_in_the_place_of_folders_are_not_followed() {
    use std::os::unix::fs::symlink;

    let (folder, outside, server) = (Folder::new(), Folder::new(), serve());
    fs::write(outside.file("there"), "secret").unwrap();
    symlink(outside.path(), folder.file("link")).unwrap();
    symlink("nowhere", folder.file("dangling")).unwrap();
    fs::create_dir(folder.file("a")).unwrap();
    symlink(outside.path(), folder.file("a/link")).unwrap();
    fs::write(folder.file("file"), "").unwrap();
    let names = [
        "link/x",
        "link/there",
        "dangling/x",
        "a/link/x",
        "link/b/x",
        "file/x",
    ];
    for resume in [false, true] {
        let downloader = subdirectories(&folder).resume(resume).build().unwrap();
        for name in names {
            let report = download(&downloader, [job(&server, name)]);
            assert!(
                matches!(failure(&report), DownloadErrorKind::File { .. }),
                "{name}: {:?}",
                failure(&report)
            );
        }
    }
    assert_eq!(server.requests(), 0);
    assert_eq!(outside.names(), ["there"]);
    assert_eq!(outside.read("there"), b"secret");
}

/// It is swapped while the server answers, after the first look.
#[cfg(unix)]
#[test]
fn link_that_comes_while_the_server_answers_is_not_followed() {
    use std::os::unix::fs::symlink;

    let (folder, outside) = (Folder::new(), Folder::new());
    let (link, target) = (folder.file("a"), outside.path().to_owned());
    let server = Server::start(move |exchange| {
        symlink(&target, &link).unwrap();
        exchange.ok(b"flag")
    });
    let report = download(
        &subdirectories(&folder).build().unwrap(),
        [job(&server, "a/b")],
    );
    assert!(matches!(failure(&report), DownloadErrorKind::File { .. }));
    assert_eq!(outside.names().len(), 0);
}

#[test]
fn no_folder_is_created_for_a_file_that_is_not_there() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.answer("404 Not Found", "", b""));
    let report = download(
        &subdirectories(&folder).build().unwrap(),
        [job(&server, "a/b")],
    );
    assert_eq!(report.count(DownloadStatus::NotFound), 1);
    assert_eq!(folder.names(), [""; 0]);
}

/// As of runs that were killed while they wrote a note, and after the part was renamed.
#[test]
fn what_killed_runs_have_left_in_a_folder_is_removed() {
    let (folder, server) = (Folder::new(), serve());
    fs::create_dir(folder.file("a")).unwrap();
    let note = "as-completed part 1\nhttp://x/\n\"1\"\n4\nend\n";
    for (name, text) in [
        ("a/b", "flag"),
        ("a/b.part.from", note),
        ("a/.as-completed-0123456789abcdef", "draft"),
        ("a/c.part.from", "not ours"),
    ] {
        fs::write(folder.file(name), text).unwrap();
    }
    let downloader = subdirectories(&folder).resume(true).build().unwrap();
    assert_ok(&download(&downloader, [job(&server, "a/b")]));
    let left = fs::read_dir(folder.file("a")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["b", "c.part.from"]);
}

/// A part is beside its file, whose rest is asked for.
#[test]
fn part_in_a_folder_is_resumed() {
    let folder = Folder::new();
    let server = Server::start(|exchange: &mut Exchange| {
        let etag = "ETag: \"1\"\r\n";
        if exchange.number == 0 {
            exchange.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n{etag}\r\nfl"
            ));
            return server::Then::Close;
        }
        assert_eq!(exchange.header("range"), Some("bytes=2-"));
        let range = format!("{etag}Content-Range: bytes 2-3/4\r\n");
        exchange.answer("206 Partial Content", &range, b"ag")
    });
    let downloader = subdirectories(&folder).resume(true).build().unwrap();
    let report = download(&downloader, [job(&server, "a/b")]);
    assert!(matches!(failure(&report), DownloadErrorKind::Body { .. }));
    assert_eq!(folder.read("a/b.part"), b"fl");
    assert_ok(&download(&downloader, [job(&server, "a/b")]));
    assert_eq!(folder.read("a/b"), b"flag");
    let left: Vec<_> = fs::read_dir(folder.file("a")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
