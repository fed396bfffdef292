//! The programs `flags2_threadpool`, `flags2_sequential` and `flag_server`, as
//! their users see them.

mod command_line;
mod downloads;
#[cfg(unix)]
mod interrupted;
mod serving;
#[cfg(target_os = "linux")]
mod terminal;

use flags::server::{FlagServer, Manner, Source};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, fs};

const THREADPOOL: &str = "flags2_threadpool";
const SEQUENTIAL: &str = "flags2_sequential";

/// Returns the path of an example.
fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().expect("tests have a path");
    let profile = tests.ancestors().nth(2).expect("tests are in PROFILE/deps");
    let examples = profile.join("examples");
    let program = examples
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    if !program.is_file() {
        build_examples(profile);
    }
    assert!(
        program.is_file(),
        "{} is missing: run `cargo test` without a choice of targets, \
         or `cargo build --examples` first",
        program.display()
    );
    program
}

/// Builds what `cargo test` builds by itself, unless told which tests to build.
fn build_examples(profile: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let name = profile.file_name().and_then(OsStr::to_str);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples", "--profile"]);
        cargo.arg(name.map_or("dev", |name| if name == "debug" { "dev" } else { name }));
        cargo
            .arg("--target-dir")
            .arg(profile.parent().unwrap_or(profile));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        // If it fails, the program is missed, and that is told.
        let _built = cargo.status();
    });
}

/// A folder in which a program runs; drop removes it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("as-completed-flags-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("the folder for temporary files is writable");
        Self(path)
    }

    /// Prepares a run of an example in this folder.
    fn command<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(example(program));
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(proxy).env_remove(proxy.to_lowercase());
        }
        command
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    /// Runs an example in this folder.
    fn run<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Ended {
        let output = self.command(program, arguments).output();
        Ended::new(&output.expect("the example starts"))
    }

    /// Returns names and contents of what was downloaded, in order.
    fn downloaded(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.0.join("downloaded"))
            .expect("the programs make the folder")
            .map(|entry| {
                let entry = entry.expect("the folder can be read");
                let name = entry.file_name().into_string().expect("names are plain");
                (name, fs::read(entry.path()).expect("files can be read"))
            })
            .collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// What a program has left on its way.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("programs write UTF-8");
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Returns the number before `words` in the report; 0 where it is left out.
    fn count(&self, words: &str) -> usize {
        self.out
            .lines()
            .find_map(|line| {
                line.strip_suffix(words)
                    .or(line.strip_suffix(&format!("{words}.")))
            })
            .map_or(0, |number| {
                number.trim().parse().expect("a number comes first")
            })
    }
}

/// A program of ours that runs until it is killed, at the latest by drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

/// Starts `flag_server` on a free port and returns it with its URL.
fn start_server_program(folder: &Folder, arguments: &[&OsStr]) -> (Running, String) {
    let mut command = folder.command("flag_server", arguments);
    command.args(["--port", "0"]).stdout(Stdio::piped());
    let mut server = Running(command.spawn().expect("the example starts"));
    let out = server.0.stdout.take().expect("the output is piped");
    let mut line = String::new();
    BufReader::new(out)
        .read_line(&mut line)
        .expect("the server tells its URL");
    let (_, url) = line
        .trim_end()
        .split_once(" site: ")
        .expect("the line ends in the URL");
    (server, url.to_owned())
}

/// A server in the process of the tests, whose counters can be read.
fn start_server(manner: Manner) -> FlagServer {
    FlagServer::start(Source::BuiltIn, manner).expect("a port is free")
}

/// Returns the manner of waiting `delay` and failing never.
fn slow(delay: Duration) -> Manner {
    Manner {
        delay: delay..=delay,
        error_rate: 0.0,
    }
}

/// Returns the folder of real flags that some machines have beside the project.
fn real_flags() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3)?;
    Some(beside.join("shared/flags")).filter(|folder| folder.is_dir())
}
