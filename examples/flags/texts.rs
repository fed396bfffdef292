//! The output of the programs: at the start, for each flag, and at the end.

use super::codes::Code;
use as_completed::download::{DownloadError, DownloadStatus, Entry, Report};
use std::fmt::Write;
use std::time::Duration;

/// More codes than this are shown as the first and the last.
const MOST_CODES_NAMED: usize = 10;

pub(super) fn start(label: &str, url: &str, codes: &[Code], connections: usize) -> String {
    let named = match codes {
        [first, .., last] if codes.len() > MOST_CODES_NAMED => format!("from {first} to {last}"),
        _ => {
            let names: Vec<String> = codes.iter().map(Code::to_string).collect();
            names.join(", ")
        }
    };
    let connections = match connections {
        1 => "1 connection".to_owned(),
        more => format!("{more} concurrent connections"),
    };
    let (count, plural) = (codes.len(), plural(codes.len() as u64));
    format!(
        "{label} site: {url}\n\
         Searching for {count} flag{plural}: {named}\n\
         {connections} will be used.\n"
    )
}

/// Returns a line for a flag; `None` for one that Ctrl-C cancelled.
pub(super) fn outcome(entry: &Entry<Code>) -> Option<String> {
    let code = entry.key();
    match (entry.status(), entry.error()) {
        (DownloadStatus::Cancelled, _) => None,
        (DownloadStatus::NotFound, _) => Some(format!("{code} not found: {}\n", entry.url())),
        (_, Some(error)) => Some(format!("{code} error: {error}\n")),
        (_, None) => Some(format!("{code} OK\n")),
    }
}

/// Returns a line for a flag that is asked for again.
pub(super) fn retry(code: Code, error: &DownloadError, delay: Duration) -> String {
    let seconds = delay.as_secs_f64();
    format!("{code} retry in {seconds:.1}s: {error}\n")
}

pub(super) fn end(report: &Report<Code>) -> String {
    let mut text = "-".repeat(20);
    let downloaded = report.count(DownloadStatus::Ok);
    let not_found = report.count(DownloadStatus::NotFound);
    let errors = report.count(DownloadStatus::Error);
    let mut line = |line: std::fmt::Arguments<'_>| {
        write!(text, "\n{line}").expect("writing to memory does not fail");
    };
    line(format_args!(
        "{downloaded:3} flag{} downloaded.",
        plural(downloaded)
    ));
    if not_found > 0 {
        line(format_args!("{not_found:3} not found."));
    }
    if errors > 0 {
        line(format_args!("{errors:3} error{}.", plural(errors)));
    }
    line(format_args!(
        "Elapsed time: {:.2}s\n",
        report.elapsed().as_secs_f64()
    ));
    text
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
