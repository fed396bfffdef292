//! The programs `flags2_threadpool`, `flags2_sequential` and `flag_server`, as
//! their users see them.

mod command_line;
mod downloads;
#[cfg(unix)]
mod interrupted;
mod serving;
mod support;
#[cfg(target_os = "linux")]
mod terminal;

use flags::server::{FlagServer, Manner, Source};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use support::{Ended, Folder};

const THREADPOOL: &str = "flags2_threadpool";
const SEQUENTIAL: &str = "flags2_sequential";

impl Folder {
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

impl Ended {
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
