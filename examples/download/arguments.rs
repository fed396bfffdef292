//! [`Arguments`]: the command line, and the downloader that it sets up.

use super::list::Format;
use as_completed::CancelToken;
use as_completed::download::{
    Downloader, DownloaderBuilder, Durability, Keep, Overwrite, Proxy, RetryPolicy,
};
use clap::{Parser, ValueEnum};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Download the files of a list.
///
/// Each line of a list is a URL, optionally followed by the name of the file, between
/// double quotes if it contains spaces, and its SHA-256. Empty lines and lines that
/// begin with "#" are skipped. A file that exists and has its checksum is not
/// downloaded. The exit code is 0 if every file was downloaded, and
/// otherwise curl's code for the first failure (6 DNS lookup, 7 connection, 18 body, 22
/// status, 23 file or output, 28 timeout, 60 certificate, …), 2 for an error in the
/// command line or the list, 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP.
#[derive(Parser)]
#[command(name = "download", version)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub(super) struct Arguments {
    /// URLs, files with lists, or "-" for a list on standard input
    #[arg(default_value = "-", value_name = "URL or LIST")]
    pub(super) sources: Vec<String>,
    /// Lists are SHA256SUMS or SHA512SUMS files, of the files below this URL
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Folder to download into
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    directory: PathBuf,
    /// Concurrent downloads
    #[arg(short, long, value_name = "N", default_value_t = 30)]
    pub(super) jobs: usize,
    /// Concurrent downloads from one host
    #[arg(long, value_name = "N")]
    per_host: Option<usize>,
    /// Connections for one large file, each for a segment of it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    segments: usize,
    /// Size above which a file is downloaded in segments, in bytes; K, M and G are allowed
    #[arg(long, value_name = "BYTES", default_value = "16M", value_parser = bytes)]
    segments_above: u64,
    /// Print a line of JSON for each file as it ends and one for the whole run, without
    /// bars
    #[arg(long)]
    pub(super) json: bool,
    /// Print only errors: with --json, a line for each file that failed
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print a line for each file and each retry, without bars; retries are printed on
    /// standard error
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Keep the part of a file that breaks off, and resume from it
    #[arg(short, long)]
    resume: bool,
    /// When to replace a file that already exists
    #[arg(long, value_enum, default_value_t = Replace::Always)]
    replace: Replace,
    /// Allow names in subdirectories, as in "flags/br.gif", and create these
    #[arg(long)]
    subdirectories: bool,
    /// Sync files to disk before reporting them as saved
    #[arg(long)]
    sync: bool,
    /// Retries per download
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Timeout for connecting, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    connect_timeout: Duration,
    /// Timeout for a response, and for each part of its body, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    read_timeout: Duration,
    /// Timeout for a whole download, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    max_time: Duration,
    /// Maximum bytes per second, for all downloads together; K, M and G are allowed
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    limit_rate: Option<u64>,
    /// Maximum size of a file, in bytes; K, M and G are allowed
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_size: Option<u64>,
    /// Header to send, as in "Authorization: Bearer …"
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Proxy to use, or "" for none [default: from the environment]
    #[arg(short = 'x', long, value_name = "URL")]
    proxy: Option<String>,
    /// PEM file with the root certificates to trust
    #[cfg(feature = "rustls")]
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Replace {
    Always,
    IfChanged,
    Never,
}

impl Arguments {
    pub(super) fn format(&self) -> Format {
        self.base_url.clone().map_or(Format::Urls, Format::Sums)
    }

    pub(super) fn set_up(&self, token: CancelToken) -> Result<DownloaderBuilder, Box<dyn Error>> {
        let mut builder = Downloader::builder(&self.directory)
            .max_in_flight(self.jobs.saturating_mul(2))
            .retry(RetryPolicy::default().max_retries(self.retries))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .total_timeout(self.max_time)
            .resume(self.resume)
            .segments(self.segments)
            .segments_above(self.segments_above)
            .allow_subdirectories(self.subdirectories)
            .overwrite(match self.replace {
                Replace::Always => Overwrite::Always,
                Replace::IfChanged => Overwrite::IfChanged,
                Replace::Never => Overwrite::Never,
            })
            .keep(Keep::Nothing)
            .cancel_token(token);
        if self.sync {
            builder = builder.durability(Durability::FileAndDirectory);
        }
        if let Some(jobs) = self.per_host {
            builder = builder.max_in_flight_per_host(jobs);
        }
        if let Some(bytes) = self.limit_rate {
            builder = builder.max_bytes_per_second(bytes);
        }
        if let Some(bytes) = self.max_size {
            builder = builder.max_size(bytes);
        }
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        match self.proxy.as_deref() {
            None => {}
            Some("") => builder = builder.proxy(Proxy::Direct),
            Some(url) => builder = builder.proxy(Proxy::Url(url.to_owned())),
        }
        #[cfg(feature = "rustls")]
        if let Some(file) = &self.cacert {
            let pem = std::fs::read(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            builder = builder.root_certificates(pem);
        }
        Ok(builder)
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one is needed".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Reads a number of bytes, such as `512`, `10K`, `1M` or `1G`; K is 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.trim_end_matches(|last: char| last.is_ascii_alphabetic()) {
        digits if digits.len() == text.len() => (text, 1),
        digits => match &text[digits.len()..] {
            "K" | "k" => (digits, 1 << 10),
            "M" | "m" => (digits, 1 << 20),
            "G" | "g" => (digits, 1 << 30),
            other => return Err(format!("{other:?} is not K, M or G")),
        },
    };
    let number: u64 = digits
        .parse()
        .map_err(|error: std::num::ParseIntError| error.to_string())?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "number too large to fit in 64 bits".to_owned())
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("no colon")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
