//! The program `download`, as its users see it.

#[cfg(unix)]
mod signals;

mod environment;
mod lists;
mod output;
mod segments;
#[path = "../../../flags/tests/programs/support.rs"]
mod support;

use flags::server::{FlagServer, Manner, Source};
use std::fs;
use std::path::Path;
use support::Folder;

const DOWNLOAD: &str = "download";

impl Folder {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("the folder is writable");
    }

    /// Returns the names of the files, in order.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .expect("the folder can be read")
            .map(|entry| entry.expect("the folder can be read").file_name())
            .map(|name| name.into_string().expect("names are plain"))
            .collect();
        names.sort();
        names
    }
}

/// A server of flags, and the URL of one.
fn start_server() -> (FlagServer, String) {
    let server = FlagServer::start(Source::BuiltIn, Manner::PROMPT).expect("a port is free");
    let url = format!("{}/br/br.gif", server.url());
    (server, url)
}

#[test]
fn version_is_that_of_the_library() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the library has a manifest");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .expect("the library has a version");
    let ended = Folder::new().run(DOWNLOAD, ["--version"]);
    assert_eq!(
        ended.out,
        format!("download {}\n", version.trim_matches('"'))
    );
    assert_eq!(ended.code, Some(0));
}

#[test]
fn limits_take_units() {
    let (_server, url) = start_server();
    for (limit, code) in [("1G", 0), ("10K", 0), ("1m", 0), ("1", 63)] {
        let ended = Folder::new().run(DOWNLOAD, ["--max-size", limit, "--limit-rate", "1G", &url]);
        assert_eq!(ended.code, Some(code), "{limit}: {ended:?}");
    }
    for (wrong, reason) in [
        ("99999999999999999999999", "number too large"),
        ("99999999999G", "number too large"),
        ("1T", "\"T\" is not K, M or G"),
        ("K", "empty"),
    ] {
        let ended = Folder::new().run(DOWNLOAD, ["--max-size", wrong, &url]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.err.contains(reason), "{}", ended.err);
    }
}
