//! The program `download`, as its users see it.

#[cfg(unix)]
mod signals;

mod environment;
mod lists;
mod output;

use flags::server::{FlagServer, Manner, Source};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

/// Returns the path of the program, which `cargo test` builds with the tests.
fn program() -> PathBuf {
    let tests = env::current_exe().expect("tests have a path");
    let profile = tests.ancestors().nth(2).expect("tests are in PROFILE/deps");
    let program = profile
        .join("examples/download")
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        program.is_file(),
        "{} is missing: run `cargo test` without a choice of targets",
        program.display()
    );
    program
}

/// A folder in which the program runs; drop removes it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("as-completed-program-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("the folder for temporary files is writable");
        Self(path)
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(program());
        without_proxy(&mut command);
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ended {
        let output = self.command(arguments).output();
        Ended::new(&output.expect("the program starts"))
    }

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

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn without_proxy(command: &mut Command) {
    for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
}

/// What the program has left on its way.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it writes UTF-8");
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
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
    let ended = Folder::new().run(["--version"]);
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
        let ended = Folder::new().run(["--max-size", limit, "--limit-rate", "1G", &url]);
        assert_eq!(ended.code, Some(code), "{limit}: {ended:?}");
    }
    for (wrong, reason) in [
        ("99999999999999999999999", "number too large"),
        ("99999999999G", "number too large"),
        ("1T", "\"T\" is not K, M or G"),
        ("K", "empty"),
    ] {
        let ended = Folder::new().run(["--max-size", wrong, &url]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.err.contains(reason), "{}", ended.err);
    }
}
