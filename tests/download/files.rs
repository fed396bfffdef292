//! Names, old files, and folders in which a file cannot be written.

use super::server::Server;
use super::*;
use as_completed::download::{Durability, NameError, Overwrite};
use std::fs;

#[test]
fn names_that_lead_elsewhere_are_refused_before_a_request() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let names = [
        "",
        ".",
        "..",
        "../up",
        "/etc/passwd",
        "sub/file",
        "sub\\file",
        "C:file",
        "what?.gif",
        "a*b",
        "<tag>",
        "a|b",
        "\"quoted\"",
        "nul\0",
        "line\nbreak",
        "NUL",
        "com1.gif",
        "dot.",
        "space ",
    ];
    let jobs = names.map(|name| Job::new(name, server.url("/"), name));
    let report = download(&builder(&folder).build().unwrap(), jobs);
    assert_eq!(report.count(DownloadStatus::Error), names.len() as u64);
    for entry in report.entries() {
        let error = entry.error().unwrap();
        assert!(
            matches!(error.kind(), DownloadErrorKind::Name(_)),
            "{:?}",
            entry.key()
        );
    }
    assert_eq!(server.requests(), 0);
    assert!(folder.names().is_empty());
}

#[test]
fn names_that_differ_in_case_are_refused_but_the_first() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let jobs =
        ["br.gif", "BR.gif", "fr.gif", "br.gif"].map(|name| Job::new(name, server.url("/"), name));
    let report = download(&builder(&folder).build().unwrap(), jobs);
    assert_eq!(report.count(DownloadStatus::Ok), 2);
    assert_eq!(report.count(DownloadStatus::Error), 2);
    assert_eq!(folder.names(), ["br.gif", "fr.gif"]);
    assert_eq!(server.requests(), 2);
}

#[test]
fn names_that_are_one_in_upper_case_are_refused_but_the_first() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let jobs =
        ["ΟΔΟΣ", "οδοσ", "οδος", "ÉTÉ", "été"].map(|name| Job::new(name, server.url("/"), name));
    let report = download(&builder(&folder).build().unwrap(), jobs);
    assert_eq!(report.count(DownloadStatus::Ok), 2, "{:?}", folder.names());
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn names_are_free_again_where_they_are_not_remembered() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder)
        .remember_names(false)
        .max_in_flight(1)
        .build()
        .unwrap();
    let jobs = ["a", "A"].map(|name| Job::new(name, server.url("/"), name));
    assert_ok(&download(&downloader, jobs));
}

#[test]
fn urls_that_are_none_are_refused_before_a_request() {
    let folder = Folder::new();
    let urls = [
        "",
        "flags",
        "ftp://host/",
        "http://",
        "http://a b/",
        "https://u:p@host/",
    ];
    let jobs = urls.map(|url| Job::new(url, url, format!("{}", url.len())));
    let report = download(&builder(&folder).build().unwrap(), jobs);
    for entry in report.entries() {
        let error = entry.error().unwrap();
        assert!(matches!(error.kind(), DownloadErrorKind::Url(_)), "{error}");
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
}

#[test]
fn name_too_long_is_refused_and_the_longest_is_not() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let report = download(
        &downloader,
        [Job::new("key", server.url("/"), "x".repeat(256))],
    );
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::Name(NameError::TooLong)
    ));
    let longest = Job::new("key", server.url("/"), "x".repeat(255));
    assert_ok(&download(&downloader, [longest]));
}

#[test]
fn target_that_is_a_folder_is_an_error() {
    let folder = Folder::new();
    fs::create_dir(folder.file("file")).unwrap();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let report = download_one(&builder(&folder).build().unwrap(), server.url("/"));
    assert!(matches!(failure(&report), DownloadErrorKind::File { .. }));
    assert_eq!(folder.names(), ["file"]);
}

#[cfg(unix)]
#[test]
fn target_that_is_a_link_is_replaced_not_followed() {
    let folder = Folder::new();
    fs::write(folder.file("precious"), b"precious").unwrap();
    std::os::unix::fs::symlink("precious", folder.file("file")).unwrap();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.read("precious"), b"precious");
    assert_eq!(folder.read("file"), b"flag");
    assert!(!folder.file("file").is_symlink());
}

#[test]
fn old_file_is_replaced_or_left_as_is_said() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"new"));
    fs::write(folder.file("file"), b"old").unwrap();
    let never = builder(&folder).overwrite(Overwrite::Never);
    let report = download_one(&never.build().unwrap(), server.url("/"));
    assert_eq!(report.count(DownloadStatus::Skipped), 1);
    assert_eq!(report.exit_code(), 0);
    assert_eq!(server.requests(), 0);
    assert_eq!(folder.read("file"), b"old");
    assert_ok(&download_one(
        &builder(&folder).build().unwrap(),
        server.url("/"),
    ));
    assert_eq!(folder.read("file"), b"new");
}

#[test]
fn file_that_comes_up_meanwhile_is_left_where_none_is_to_be_replaced() {
    let folder = Folder::new();
    let target = folder.file("file");
    let server = Server::start(move |exchange| {
        fs::write(&target, b"meanwhile").unwrap();
        exchange.ok(b"new")
    });
    let never = builder(&folder).overwrite(Overwrite::Never);
    let report = download_one(&never.build().unwrap(), server.url("/"));
    assert_eq!(report.count(DownloadStatus::Skipped), 1);
    assert_eq!(folder.read("file"), b"meanwhile");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn file_that_has_not_changed_is_not_downloaded_again() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.header("if-modified-since") {
        Some(DATE) => {
            exchange.send("HTTP/1.1 304 Not Modified\r\n\r\n");
            super::server::Then::KeepOpen
        }
        Some(other) => panic!("{other}"),
        None => {
            let headers = format!("Last-Modified: {DATE}\r\n");
            exchange.answer("200 OK", &headers, b"flag")
        }
    });
    let once = || {
        let if_changed = builder(&folder).overwrite(Overwrite::IfChanged);
        download_one(&if_changed.build().unwrap(), server.url("/"))
    };
    assert_ok(&once());
    assert_eq!(once().count(DownloadStatus::Skipped), 1);
    assert_eq!(folder.read("file"), b"flag");
    assert_eq!(server.requests(), 2);
}

#[test]
fn file_of_a_time_that_no_header_can_say_is_downloaded_again() {
    let folder = Folder::new();
    fs::write(folder.file("file"), b"old").unwrap();
    let file = fs::File::options()
        .write(true)
        .open(folder.file("file"))
        .unwrap();
    let before = std::time::SystemTime::UNIX_EPOCH - Duration::from_secs(86_400);
    file.set_modified(before).unwrap();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let if_changed = builder(&folder).overwrite(Overwrite::IfChanged);
    assert_ok(&download_one(&if_changed.build().unwrap(), server.url("/")));
    assert_eq!(folder.read("file"), b"flag");
}

#[test]
fn files_are_whole_at_every_durability() {
    for durability in [
        Durability::None,
        Durability::File,
        Durability::FileAndDirectory,
    ] {
        let folder = Folder::new();
        let server = Server::start(|exchange| exchange.ok(b"flag"));
        let downloader = builder(&folder).durability(durability).build().unwrap();
        assert_ok(&download_one(&downloader, server.url("/")));
        assert_eq!(folder.read("file"), b"flag");
    }
}

/// Makes the folders of a process unable to be synced.
#[cfg(target_os = "linux")]
const NO_SYNC_OF_FOLDERS: &str = r"
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int descriptor) {
    struct stat found;
    if (fstat(descriptor, &found) == 0 && S_ISDIR(found.st_mode)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fsync, descriptor);
}
";

#[cfg(target_os = "linux")]
#[test]
fn file_is_in_place_though_its_folder_cannot_be_synced() {
    use super::child::{assert_passes, ignored_test};

    let folder = Folder::new();
    let (source, library) = (folder.file("no_sync.c"), folder.file("no_sync.so"));
    fs::write(&source, NO_SYNC_OF_FOLDERS).unwrap();
    let compiled = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-D_GNU_SOURCE", "-o"])
        .args([&library, &source])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("there is no compiler for C: nothing was tested");
        return;
    }
    let mut command = ignored_test("files::file_whose_folder_cannot_be_synced");
    // A list of paths, which may not have spaces.
    command.env("LD_PRELOAD", "./no_sync.so");
    command.current_dir(folder.path());
    assert_passes(command);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "part of another test"]
fn file_whose_folder_cannot_be_synced() {
    if std::env::var_os("LD_PRELOAD").is_none() {
        return;
    }
    for resume in [false, true] {
        for overwrite in [Overwrite::Always, Overwrite::Never] {
            let folder = Folder::new();
            let server =
                Server::start(|exchange| exchange.answer("200 OK", "ETag: \"1\"\r\n", b"flag"));
            let downloader = builder(&folder)
                .durability(Durability::FileAndDirectory)
                .overwrite(overwrite)
                .resume(resume)
                .build()
                .unwrap();
            let report = download_one(&downloader, server.url("/"));
            let error = failure(&report).to_string();
            let file = folder.file("file");
            let expected = format!("cannot sync the folder of {}: ", file.display());
            assert!(error.starts_with(&expected), "{error}");
            assert_eq!(folder.read("file"), b"flag");
            assert_eq!(folder.names(), ["file"]);
        }
    }
}

/// A small file system of its own, where the machine lets us have one.
#[cfg(target_os = "linux")]
struct Disk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Disk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let disk = Self(at);
        if disk.run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs"]) {
            return Some(disk);
        }
        eprintln!("no file system can be mounted here: nothing was tested");
        None
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = std::process::Command::new(program);
        command.args(arguments).arg(&self.0);
        command.stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        self.run("umount", &[]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_an_error_and_others_go_on() {
    let folder = Folder::new();
    let Some(disk) = Disk::mount(folder.file("disk")) else {
        return;
    };
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/large" => exchange.ok(&vec![b'x'; 1_000_000]),
        _ => exchange.ok(b"flag"),
    });
    let downloader = patient(&disk.0).build().unwrap();
    let jobs = ["large", "small"].map(|n| Job::new(n, server.url(&format!("/{n}")), n));
    let report = downloader
        .download_many(&as_completed::Inline, jobs, ())
        .unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 1);
    let failed = report.entries().iter().find_map(|entry| entry.error());
    let failed = failed.unwrap();
    assert!(matches!(failed.kind(), DownloadErrorKind::File { .. }));
    assert_eq!(failed.file_name(), Some("large"));
    assert_eq!(report.retries(), 0);
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn read_only_folder_is_an_error_before_the_first_request() {
    let folder = Folder::new();
    let Some(disk) = Disk::mount(folder.file("disk")) else {
        return;
    };
    assert!(disk.run("mount", &["-o", "remount,ro"]));
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = patient(&disk.0).build().unwrap();
    let jobs = [Job::new("key", server.url("/"), "file")];
    let error = downloader
        .download_many(&as_completed::Inline, jobs, ())
        .unwrap_err();
    assert!(matches!(error.kind(), DownloadErrorKind::File { .. }));
    assert_eq!(server.requests(), 0);
}
