//! [`Jobs`]: the jobs of the command line and of its lists, read as they are needed.

use super::screen::Screen;
use as_completed::CancelToken;
use as_completed::download::{Job, jobs_of_sums};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Where jobs come from: a URL of the command line, or a list.
pub(super) enum Source {
    Url(String),
    List {
        name: String,
        lines: Lines,
        /// How many jobs it has, if that is known before it is read.
        jobs: Option<u64>,
    },
}

/// What the lines of lists are.
#[derive(Debug, Clone)]
pub(super) enum Format {
    /// URLs, names and checksums.
    Urls,
    /// Checksums and names of files below this URL.
    Sums(String),
}

impl Format {
    /// Returns the job of a line, if it has one; an error says what was expected.
    fn parse(&self, line: &str) -> Result<Option<Job<String>>, &'static str> {
        match self {
            Self::Urls => {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    return Ok(None);
                }
                parse(line).map(Some).ok_or("URL [NAME [SHA256]]")
            }
            Self::Sums(base_url) => jobs_of_sums(base_url, line)
                .map(|mut jobs| jobs.pop())
                .map_err(|_| "CHECKSUM  NAME"),
        }
    }
}

/// The lines of a list, read ahead on a thread of their own, so that waiting for them
/// can be cancelled. An error is the last.
type Lines = Receiver<io::Result<String>>;

impl Source {
    /// Opens a source of the command line.
    pub(super) fn open(text: &str, format: &Format) -> Result<Self, String> {
        if text.contains("://") {
            return Ok(Self::Url(text.to_owned()));
        }
        if text == "-" {
            return Ok(Self::List {
                name: "standard input".to_owned(),
                lines: read_ahead(BufReader::new(io::stdin())),
                jobs: None,
            });
        }
        let open = || File::open(text).map_err(|error| format!("cannot read {text}: {error}"));
        let file = open()?;
        let jobs = match file.metadata() {
            Ok(metadata) if metadata.is_file() => count_jobs(&open()?, format),
            // A pipe can be read once.
            _ => None,
        };
        Ok(Self::List {
            name: text.to_owned(),
            lines: read_ahead(BufReader::new(file)),
            jobs,
        })
    }

    /// Returns how many jobs it has, if that is known before it is read.
    pub(super) fn jobs(&self) -> Option<u64> {
        match self {
            Self::Url(url) => Some(parse(url).is_some().into()),
            Self::List { jobs, .. } => *jobs,
        }
    }
}

/// Reads a list through. What cannot be read is told of later.
fn count_jobs(list: &File, format: &Format) -> Option<u64> {
    let mut count = 0;
    for line in BufReader::new(list).lines() {
        count += u64::from(matches!(format.parse(&line.ok()?), Ok(Some(_))));
    }
    Some(count)
}

fn read_ahead(list: impl BufRead + Send + 'static) -> Lines {
    let (sender, lines) = mpsc::sync_channel(1024);
    thread::spawn(move || {
        for line in list.lines() {
            // A folder fails for ever.
            let is_last = line.is_err();
            if sender.send(line).is_err() || is_last {
                break;
            }
        }
    });
    lines
}

/// The jobs of all sources, one after the other.
pub(super) struct Jobs {
    sources: std::vec::IntoIter<Source>,
    format: Format,
    list: Option<(String, Lines)>,
    /// The number of the last line that was read, from 1.
    line: u64,
    token: CancelToken,
    screen: Screen,
}

impl Jobs {
    pub(super) fn new(
        sources: Vec<Source>,
        format: Format,
        token: CancelToken,
        screen: Screen,
    ) -> Self {
        Self {
            sources: sources.into_iter(),
            format,
            list: None,
            line: 0,
            token,
            screen,
        }
    }

    /// Returns the next line of the list that is being read, or `None` at its end.
    fn next_line(&mut self) -> Option<String> {
        let (name, lines) = self.list.as_ref()?;
        while !self.token.is_cancelled() {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(Ok(line)) => {
                    self.line += 1;
                    return Some(line);
                }
                Ok(Err(error)) => {
                    let place = format!("{name}, line {}", self.line + 1);
                    self.screen
                        .wrong_list(&format!("cannot read {place}: {error}"));
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.list = None;
        None
    }
}

impl Iterator for Jobs {
    type Item = Job<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.token.is_cancelled() {
                return None;
            }
            let Some(line) = self.next_line() else {
                match self.sources.next()? {
                    Source::List { name, lines, .. } => {
                        self.list = Some((name, lines));
                        self.line = 0;
                    }
                    Source::Url(url) => match parse(&url) {
                        Some(job) => return Some(job),
                        None => self.screen.wrong_list(&format!(
                            "the URL has no file name at its end, and a line of a list can give \
                             one: {url}"
                        )),
                    },
                }
                continue;
            };
            let expected = match self.format.parse(&line) {
                Ok(Some(job)) => return Some(job),
                Ok(None) => continue,
                Err(expected) => expected,
            };
            let name = self.list.as_ref().map_or("", |(name, _)| name);
            let place = format!("{name}, line {}", self.line);
            let line = line.trim();
            self.screen
                .wrong_list(&format!("{place}: expected {expected}: {line}"));
        }
    }
}

fn parse(line: &str) -> Option<Job<String>> {
    let (url, rest) = word(line)?;
    let (name, rest) = match word(rest) {
        Some((name, rest)) => (name, rest),
        None if rest.trim().is_empty() => (last_segment(url)?, ""),
        // A quote without its end.
        None => return None,
    };
    let job = Job::new(name.to_owned(), url, name);
    let (job, rest) = match word(rest) {
        Some((sha256, rest)) => (job.sha256(sha256), rest),
        None => (job, rest),
    };
    rest.trim().is_empty().then_some(job)
}

/// Splits off the first word, or what is between double quotes, and returns it and the
/// rest.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"');
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Returns the last part of the path of a URL, without query and fragment.
fn last_segment(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?;
    let (_, after_scheme) = path.split_once("://")?;
    let (_, name) = after_scheme.rsplit_once('/')?;
    (!name.is_empty()).then_some(name)
}
