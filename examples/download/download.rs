//! Downloads the files of a list, with all settings of `as_completed::download`.
//!
//! ```text
//! $ cat list
//! https://example.org/a.tar.gz
//! https://example.org/b/latest  b.tar.gz
//! https://example.org/c.tar.gz  c.tar.gz  e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
//! $ cargo run --release --features progress --example download -- --resume list
//! ```

use as_completed::download::{
    DownloadError, DownloadErrorKind, DownloadStatus, Downloader, DownloaderBuilder, Durability,
    Event, Job, Keep, Observer, Overwrite, Progress, Proxy, Report, RetryPolicy, TimeoutKind,
};
use as_completed::{CancelToken, ThreadPool};
use clap::{Parser, ValueEnum};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Download the files of a list.
///
/// Each line of the list is a URL, optionally followed by the name of the file and
/// its SHA-256. Empty lines and lines that begin with "#" are skipped. The exit
/// code is 0 if every file was downloaded, and otherwise curl's code for the first
/// failure (6 DNS lookup, 7 connection, 18 body, 22 status, 23 file, 28 timeout, 60
/// certificate, …), 2 for an error in the command line or the list, and 130 after
/// Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// File with the list, or "-" for standard input
    #[arg(default_value = "-")]
    list: PathBuf,
    /// Folder to download into
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    directory: PathBuf,
    /// Concurrent downloads
    #[arg(short, long, value_name = "N", default_value_t = 30)]
    jobs: usize,
    /// Concurrent downloads from one host
    #[arg(long, value_name = "N")]
    per_host: Option<usize>,
    /// Print a line of JSON for each file and one for the whole run, without bars
    #[arg(long)]
    json: bool,
    /// Keep the part of a file that breaks off, and resume from it
    #[arg(short, long)]
    resume: bool,
    /// When to replace a file that already exists
    #[arg(long, value_enum, default_value_t = Replace::Always)]
    replace: Replace,
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
    /// Maximum bytes per second, for all downloads together
    #[arg(long, value_name = "BYTES")]
    limit_rate: Option<u64>,
    /// Maximum size of a file, in bytes
    #[arg(long, value_name = "BYTES")]
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

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("no colon")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Box<dyn Error>> {
    let token = CancelToken::new();
    let cancelled = token.clone();
    ctrlc::set_handler(move || cancelled.cancel())?;
    let list: Box<dyn BufRead + Send> = if arguments.list.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(&arguments.list)?))
    };
    let wrong_lines = Arc::new(Mutex::new(Vec::new()));
    let jobs = List {
        lines: read_ahead(list),
        token: token.clone(),
        wrong: Arc::clone(&wrong_lines),
    };
    let downloader = set_up(arguments, token)?.build()?;
    let pool = ThreadPool::builder().max_workers(arguments.jobs).build()?;
    let screen = Screen {
        progress: (!arguments.json).then(|| Progress::new(None)),
        exit_code: Arc::new(AtomicU8::new(0)),
    };
    let report = match downloader.download_many(&pool, jobs, screen.clone()) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(exit_code(&error));
        }
    };
    if let Some(progress) = &screen.progress {
        progress.finish();
        print_sums(&report);
    } else {
        println!("{}", report.to_json());
    }
    let wrong_lines = wrong_lines.lock().map_err(|error| error.to_string())?;
    for line in wrong_lines.iter() {
        eprintln!("error: expected URL [NAME [SHA256]]: {line}");
    }
    Ok(match screen.exit_code.load(Ordering::Relaxed) {
        _ if report.is_cancelled() => 130,
        0 if !wrong_lines.is_empty() => 2,
        first_failure => first_failure,
    })
}

fn set_up(arguments: &Arguments, token: CancelToken) -> Result<DownloaderBuilder, Box<dyn Error>> {
    let mut builder = Downloader::builder(&arguments.directory)
        .max_in_flight(arguments.jobs.saturating_mul(2))
        .retry(RetryPolicy::default().max_retries(arguments.retries))
        .connect_timeout(arguments.connect_timeout)
        .read_timeout(arguments.read_timeout)
        .total_timeout(arguments.max_time)
        .resume(arguments.resume)
        .overwrite(match arguments.replace {
            Replace::Always => Overwrite::Always,
            Replace::IfChanged => Overwrite::IfChanged,
            Replace::Never => Overwrite::Never,
        })
        .keep(Keep::Nothing)
        .cancel_token(token);
    if arguments.sync {
        builder = builder.durability(Durability::FileAndDirectory);
    }
    if let Some(jobs) = arguments.per_host {
        builder = builder.max_in_flight_per_host(jobs);
    }
    if let Some(bytes) = arguments.limit_rate {
        builder = builder.max_bytes_per_second(bytes);
    }
    if let Some(bytes) = arguments.max_size {
        builder = builder.max_size(bytes);
    }
    for (name, value) in &arguments.headers {
        builder = builder.header(name, value);
    }
    match arguments.proxy.as_deref() {
        None => {}
        Some("") => builder = builder.proxy(Proxy::Direct),
        Some(url) => builder = builder.proxy(Proxy::Url(url.to_owned())),
    }
    #[cfg(feature = "rustls")]
    if let Some(file) = &arguments.cacert {
        builder = builder.root_certificates(std::fs::read(file)?);
    }
    Ok(builder)
}

/// Reads lines ahead on a separate thread, so that waiting for them can be
/// cancelled.
fn read_ahead(list: impl BufRead + Send + 'static) -> Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::sync_channel(1024);
    thread::spawn(move || {
        // An error means that the receiver was dropped.
        let _ = list.lines().try_for_each(|line| sender.send(line));
    });
    lines
}

/// The jobs of a list.
struct List {
    lines: Receiver<io::Result<String>>,
    token: CancelToken,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Iterator for List {
    type Item = Job<String>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.token.is_cancelled() {
            let line = match self.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(Ok(line)) => line,
                Ok(Err(error)) => error.to_string(),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse(line) {
                Some(job) => return Some(job),
                None => self.wrong.lock().ok()?.push(line.to_owned()),
            }
        }
        None
    }
}

fn parse(line: &str) -> Option<Job<String>> {
    let mut words = line.split_whitespace();
    let url = words.next()?;
    let name = match words.next() {
        Some(name) => name,
        None => last_segment(url)?,
    };
    let job = Job::new(name.to_owned(), url, name);
    let job = match words.next() {
        Some(sha256) => job.sha256(sha256),
        None => job,
    };
    words.next().is_none().then_some(job)
}

/// Returns the last part of the path of a URL, without query and fragment.
fn last_segment(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let (_, after_scheme) = path.split_once("://")?;
    let (_, name) = after_scheme.rsplit_once('/')?;
    (!name.is_empty()).then_some(name)
}

/// Shows the progress, and records the first failure.
#[derive(Clone)]
struct Screen {
    progress: Option<Progress>,
    exit_code: Arc<AtomicU8>,
}

impl Observer<String> for Screen {
    fn on_event(&self, event: &Event<'_, String>) {
        if let Event::Finished { entry, .. } = event {
            if let Some(error) = entry.error() {
                let code = exit_code(error);
                let first = AtomicU8::compare_exchange;
                let _ = first(
                    &self.exit_code,
                    0,
                    code,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
            }
            if self.progress.is_none() {
                let _ = writeln!(io::stdout(), "{}", entry.to_json());
            }
        }
        if let Some(progress) = &self.progress {
            progress.on_event(event);
        }
    }
}

fn print_sums(report: &Report<String>) {
    for status in [
        DownloadStatus::Ok,
        DownloadStatus::Skipped,
        DownloadStatus::NotFound,
        DownloadStatus::Error,
        DownloadStatus::Cancelled,
    ] {
        let count = report.count(status);
        if count > 0 || status == DownloadStatus::Ok {
            println!("{count:6} {status}");
        }
    }
    let seconds = report.elapsed().as_secs_f64();
    println!("{} bytes in {seconds:.2} s", report.bytes());
}

/// Returns curl's exit code for an error.
fn exit_code(error: &DownloadError) -> u8 {
    match error.kind() {
        DownloadErrorKind::Url(_) | DownloadErrorKind::Name(_) => 3,
        DownloadErrorKind::LookUp { .. } | DownloadErrorKind::Timeout(TimeoutKind::LookUp) => 6,
        DownloadErrorKind::Connect(_) => 7,
        DownloadErrorKind::Malformed(_) => 8,
        DownloadErrorKind::Body { .. } | DownloadErrorKind::Length { .. } => 18,
        DownloadErrorKind::Status { .. } => 22,
        DownloadErrorKind::File { .. } => 23,
        DownloadErrorKind::Timeout(_) | DownloadErrorKind::TooSlow { .. } => 28,
        DownloadErrorKind::Redirect(_) => 47,
        DownloadErrorKind::Disconnected(_) => 52,
        DownloadErrorKind::Tls(_) => 60,
        DownloadErrorKind::ContentEncoding(_) => 61,
        DownloadErrorKind::TooLarge { .. } => 63,
        DownloadErrorKind::Cancelled => 130,
        _ => 1,
    }
}
