//! The programs that download the files.

use super::AT_A_TIME;
use super::server::is_there;
use anyhow::{Context, Result, bail, ensure};
use as_completed::ThreadPool;
use as_completed::download::{DownloadStatus, Downloader, Job};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use tokio::io::AsyncWriteExt;

#[derive(Clone, Copy)]
pub struct Client {
    pub name: &'static str,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/concurrent_futures.py");

impl Client {
    pub const OURS: Self = Self { name: "ours" };

    /// `None`, with a message, if the program is not installed.
    pub fn find(name: &'static str) -> Option<Self> {
        let program = match name {
            "curl" => "curl",
            "aria2" => "aria2c",
            "wget" => "wget",
            "python" => "python3",
            _ => return Some(Self { name }),
        };
        if is_there(program) {
            return Some(Self { name });
        }
        eprintln!("{program} is not installed, and left out");
        None
    }

    /// The command that saves the files of the list in a folder, each over so many
    /// connections where the program can do that.
    pub fn command(&self, list: &Path, folder: &Path, connections: usize) -> Result<Command> {
        let connections = connections.to_string();
        let mut command;
        match self.name {
            "curl" => {
                let mut lines = String::new();
                for (url, name) in read(&fs::read_to_string(list)?) {
                    let path = folder.join(name);
                    writeln!(lines, "url = \"{url}\"\noutput = \"{}\"", path.display())?;
                }
                let configuration = list.with_extension("curl");
                fs::write(&configuration, lines)?;
                command = Command::new("curl");
                command
                    .args(["-q", "--parallel", "--fail", "--no-progress-meter"])
                    .args(["--parallel-max", &AT_A_TIME.to_string(), "--config"])
                    .arg(configuration);
            }
            "aria2" => {
                let mut lines = String::new();
                for (url, name) in read(&fs::read_to_string(list)?) {
                    writeln!(lines, "{url}\n  out={name}")?;
                }
                let input = list.with_extension("aria2");
                fs::write(&input, lines)?;
                command = Command::new("aria2c");
                command
                    .args(["--no-conf", "--quiet", "--file-allocation=none"])
                    .args(["--min-split-size=1M", "--split", &connections])
                    .args(["--max-connection-per-server", &connections])
                    .args(["--max-concurrent-downloads", &AT_A_TIME.to_string()])
                    .arg("--input-file")
                    .args([input.as_path(), Path::new("--dir"), folder]);
            }
            "wget" => {
                // It takes no names: a second file of a name gets a number.
                let text = fs::read_to_string(list)?;
                let urls: Vec<_> = read(&text).map(|(url, _)| url).collect();
                let input = list.with_extension("wget");
                fs::write(&input, urls.join("\n"))?;
                command = Command::new("wget");
                command
                    .args(["--no-config", "--quiet", "--input-file"])
                    .args([input.as_path(), Path::new("--directory-prefix"), folder]);
            }
            "python" => {
                command = Command::new("python3");
                command
                    .arg(SCRIPT)
                    .args([list, folder])
                    .arg(AT_A_TIME.to_string());
            }
            name => {
                command = Command::new(std::env::current_exe()?);
                command
                    .args(["fetch", name])
                    .args([list, folder])
                    .arg(connections);
            }
        }
        Ok(command)
    }
}

/// Downloads the files of a list in this process.
pub fn fetch(name: &str, list: &Path, folder: &Path, connections: usize) -> Result<()> {
    let list = fs::read_to_string(list)?;
    let files = read(&list);
    match name {
        "ours" => ours(files, folder, connections),
        "reqwest" => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(reqwest(files, folder)),
        _ => bail!("no client is called {name}"),
    }
}

fn read(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.lines().filter_map(|line| line.split_once(' '))
}

/// This crate, with its defaults but for the connections.
fn ours<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    folder: &Path,
    connections: usize,
) -> Result<()> {
    let pool = ThreadPool::new(AT_A_TIME);
    let jobs: Vec<_> = files
        .enumerate()
        .map(|(number, (url, name))| Job::new(number, url, name))
        .collect();
    let count = u64::try_from(jobs.len())?;
    let downloader = Downloader::builder(folder).segments(connections).build()?;
    let report = downloader.download_many(&pool, jobs, ())?;
    ensure!(
        report.count(DownloadStatus::Ok) == count,
        "not all files came"
    );
    Ok(())
}

/// `reqwest`'s client, `buffer_unordered`, bodies streamed to files.
async fn reqwest(files: impl Iterator<Item = (&str, &str)>, folder: &Path) -> Result<()> {
    let client = reqwest::Client::new();
    stream::iter(files)
        .map(async |(url, name)| {
            let answer = client.get(url).send().await?.error_for_status()?;
            let mut body = answer.bytes_stream();
            let mut file = tokio::fs::File::create(folder.join(name)).await?;
            while let Some(bytes) = body.try_next().await? {
                file.write_all(&bytes).await?;
            }
            file.flush().await.context("writing a file")
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await
}
