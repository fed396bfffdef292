//! [`Screen`]: what the program prints, and the exit code that goes with it.

use super::arguments::Arguments;
use as_completed::download::{
    DownloadError, DownloadErrorKind, DownloadStatus, Entry, Event, Observer, Progress, Report,
    TimeoutKind,
};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What the program prints.
#[derive(Clone)]
pub(super) struct Screen {
    /// The bars, which also print failures.
    progress: Option<Progress>,
    /// Whether what is printed on standard output is JSON.
    is_json: bool,
    level: Level,
    exit_code: Arc<AtomicU8>,
    is_output_lost: Arc<AtomicBool>,
}

/// How much is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// What has failed.
    Quiet,
    /// Also how many files there were; and each of them, as JSON.
    Usual,
    /// Also each file and each retry.
    Verbose,
}

impl Screen {
    pub(super) fn new(arguments: &Arguments, files: Option<u64>) -> Self {
        let level = match arguments {
            Arguments { quiet: true, .. } => Level::Quiet,
            Arguments { verbose: true, .. } => Level::Verbose,
            _ => Level::Usual,
        };
        let is_json = arguments.json;
        Self {
            progress: (level == Level::Usual && !is_json).then(|| Progress::new(files)),
            is_json,
            level,
            exit_code: Arc::default(),
            is_output_lost: Arc::default(),
        }
    }

    /// Takes note of an error of a list, and prints it.
    pub(super) fn wrong_list(&self, message: &str) {
        self.fail(2);
        self.print_error(&format!("error: {message}"));
    }

    /// Takes note of why there was no run, and prints it.
    pub(super) fn fail_run(&self, error: &DownloadError) {
        self.fail(exit_code(error));
        self.print_error(&format!("error: {error}"));
    }

    /// Returns the code of the first failure, or 0.
    pub(super) fn exit_code(&self) -> u8 {
        self.exit_code.load(Ordering::Relaxed)
    }

    /// Prints how many files there were, once all are over.
    pub(super) fn end(&self, report: &Report<String>) {
        if let Some(progress) = &self.progress {
            progress.finish();
        }
        match (self.level, self.is_json) {
            (Level::Quiet, _) => {}
            (_, true) => self.print(&report.to_json()),
            (_, false) => self.print(&sums(report)),
        }
    }

    fn fail(&self, code: u8) {
        let (before, order) = (0, Ordering::Relaxed);
        // The first failure is the one that counts.
        let _ = self.exit_code.compare_exchange(before, code, order, order);
    }

    /// Prints a line on standard output. If that is full or closed, the downloads go
    /// on, and the program fails in the end.
    fn print(&self, line: &str) {
        if self.is_output_lost.load(Ordering::Relaxed) {
            return;
        }
        let mut out = io::stdout().lock();
        let printed = out
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| out.flush());
        if let Err(error) = printed {
            drop(out);
            self.is_output_lost.store(true, Ordering::Relaxed);
            self.fail(23);
            self.print_error(&format!("error: cannot write to standard output: {error}"));
        }
    }

    fn print_error(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.println(line),
            // There is nobody else to tell.
            None => drop(io::stderr().write_all(format!("{}\n", plain(line)).as_bytes())),
        }
    }
}

impl Observer<String> for Screen {
    fn on_event(&self, event: &Event<'_, String>) {
        match event {
            Event::Finished { key, entry, .. } => {
                if let Some(error) = entry.error() {
                    self.fail(exit_code(error));
                }
                self.print_entry(key, entry);
            }
            Event::Retrying {
                key, error, delay, ..
            } if self.level == Level::Verbose => {
                let seconds = delay.as_secs_f64();
                self.print_error(&format!("{key}: {error}; retry in {seconds:.1} s"));
            }
            _ => {}
        }
        if let Some(progress) = &self.progress {
            progress.on_event(event);
        }
    }
}

impl Screen {
    fn print_entry(&self, key: &str, entry: &Entry<String>) {
        match (entry.error(), self.level) {
            (None, Level::Quiet) => {}
            _ if self.is_json => self.print(&entry.to_json()),
            // The bars print failures.
            (_, Level::Usual) => {}
            (Some(error), _) => self.print_error(&format!("{key}: {error}")),
            (None, Level::Verbose) => {
                let (status, bytes) = (entry.status(), entry.bytes());
                let seconds = entry.elapsed().as_secs_f64();
                let line = format!("{key}: {status}, {bytes} bytes in {seconds:.2} s");
                self.print(&plain(&line));
            }
        }
    }
}

/// Escapes what a name in a list could do to a terminal.
fn plain(line: &str) -> String {
    let escape = |each: char| -> String {
        if each.is_control() {
            each.escape_default().collect()
        } else {
            each.into()
        }
    };
    line.chars().map(escape).collect()
}

fn sums(report: &Report<String>) -> String {
    let mut lines = Vec::new();
    for status in [
        DownloadStatus::Ok,
        DownloadStatus::Skipped,
        DownloadStatus::NotFound,
        DownloadStatus::Error,
        DownloadStatus::Cancelled,
    ] {
        let count = report.count(status);
        if count > 0 || status == DownloadStatus::Ok {
            lines.push(format!("{count:6} {status}"));
        }
    }
    if !report.is_complete() {
        lines.push("the list was not read to its end".to_owned());
    }
    let seconds = report.elapsed().as_secs_f64();
    lines.push(format!("{} bytes in {seconds:.2} s", report.bytes()));
    lines.join("\n")
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
        DownloadErrorKind::Proxy { .. } => 56,
        DownloadErrorKind::Tls(_) => 60,
        DownloadErrorKind::ContentEncoding(_) => 61,
        DownloadErrorKind::TooLarge { .. } => 63,
        DownloadErrorKind::Cancelled => 130,
        _ => 1,
    }
}
