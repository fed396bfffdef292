//! [`Progress`]: an observer that draws bars in the terminal.

mod line;

mod block;

mod bars;

mod tally;

use super::event::{Event, Observer};
use super::report::{DownloadStatus, Entry};
use super::text::{Plain, without_password};
use bars::Bars;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Instant;
use tally::{Fate, Tally, Wait};

/// Draws one bar for all files, with bytes, bytes per second, retries, failures and
/// the remaining time, and one for each of up to eight larger files and those that
/// wait for a retry, in the order of the input; prints failures above them.
///
/// All output goes to standard error. If that is not a terminal, there are no
/// bars, but failures are still printed. Without colours (`NO_COLOR`), the bars are
/// told from the rest by their length. Clones share the bars.
/// [`finish`](Self::finish) leaves the last state on the screen; dropping the
/// last clone removes the bars.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{Downloader, Job, Progress};
///
/// let folder = std::env::temp_dir().join("as-completed-doc-progress");
/// let downloader = Downloader::builder(&folder).build()?;
/// let jobs = [Job::new("BR", "http://br.example/", "..")];
/// let progress = Progress::new(Some(1));
/// let report = downloader.download_many(&Inline, jobs, progress.clone())?;
/// progress.finish();
/// # assert_eq!(report.total(), 1);
/// # std::fs::remove_dir(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Progress(Arc<Bars<Tally>>);

impl Progress {
    /// Creates the bars; `files` is the number of files, if known.
    #[must_use]
    pub fn new(files: Option<u64>) -> Self {
        Self(Arc::new(Bars::new(Tally::new(files, Instant::now()), true)))
    }

    /// Leaves the bar for all files on the screen, and removes the others.
    ///
    /// Blocks until they are drawn.
    pub fn finish(&self) {
        self.0.finish();
    }

    /// Prints a line above the bars, or by itself where there are none; control
    /// characters in it are escaped, and it is cut if it is very long.
    ///
    /// Blocks until it is written. Does nothing if standard error is closed.
    pub fn println(&self, line: &str) {
        self.0.println(&Plain(line).to_string());
    }

    /// Changes what is known of a file. Its key is turned into text at most once, and
    /// under no lock: that is foreign code.
    fn update<K: Display>(&self, key: &K, number: u64, f: impl FnOnce(&mut Tally)) {
        let is_known = self.0.with(|tally| tally.has_begun(number));
        let name = (!is_known).then(|| Plain(key).to_string());
        self.0.with(|tally| {
            if let Some(name) = name {
                tally.begin(number, name);
            }
            f(tally);
        });
    }
}

impl<K: Display> Observer<K> for Progress {
    fn on_event(&self, event: &Event<'_, K>) {
        match event {
            Event::Bytes {
                key,
                number,
                received,
                total,
                expected,
            } if self.0.is_drawn() => self.update(*key, *number, |tally| {
                tally.received += received;
                tally.go_on(*number, *total, *expected);
            }),
            Event::Retrying {
                key,
                number,
                error,
                retry,
                delay,
            } if self.0.is_drawn() => {
                let wait = Wait {
                    retry: *retry,
                    until: Instant::now().checked_add(*delay),
                    error: error.to_string(),
                };
                self.update(*key, *number, |tally| tally.wait(*number, wait));
            }
            Event::Bytes { received, .. } => self.0.with(|tally| tally.received += received),
            Event::Finished { key, entry } => {
                if let Some(line) = failure(*key, entry) {
                    self.println(&line);
                }
                let fate = match entry.status() {
                    DownloadStatus::Ok => Fate::Saved,
                    DownloadStatus::Skipped => Fate::Skipped,
                    DownloadStatus::NotFound | DownloadStatus::Error => Fate::Failed,
                    DownloadStatus::Cancelled => Fate::Cancelled,
                };
                self.0.with(|tally| tally.end(entry.number(), fate));
            }
            Event::Started { .. } | Event::Retrying { .. } => {}
        }
    }
}

/// Returns the line for a file that could not be downloaded.
fn failure<K: Display>(key: &K, entry: &Entry<K>) -> Option<String> {
    let error = entry.error()?;
    let url = without_password(entry.url());
    (entry.status() != DownloadStatus::Cancelled).then(|| format!("{key}: {error}: {url}"))
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, bytes) = self.0.with(|tally| (tally.done, tally.received));
        f.debug_struct("Progress")
            .field("files", &files)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}
