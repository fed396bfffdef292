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

/// An [`Observer`] that draws progress bars in the terminal.
///
/// One is for all files, with bytes, bytes per second, retries, failures and the remaining
/// time. The others are for up to eight files that are at least 256 KiB long, of unknown
/// length, or waiting for a retry, in the order of the input. Failures are printed above
/// them, with the key and the URL.
///
/// All output goes to standard error. If that is not a terminal, or a dumb one
/// (`TERM=dumb`), there are no bars, but failures are still printed. Without colours
/// (`NO_COLOR`), the empty part of a bar is blank. A thread draws the bars ten times a
/// second until they end. Clones share the bars.
/// [`finish`](Self::finish) leaves the last state on the screen; dropping the
/// last clone removes the bars, and blocks until that is done.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{Downloader, Job, Progress};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (_, folder) = serve(&[]);
/// let downloader = Downloader::builder(&folder).build()?;
/// let jobs = [Job::new("BR", "http://br.example/", "..")];
/// let progress = Progress::new(Some(1));
/// let report = downloader.download_many(&Inline, jobs, progress.clone())?;
/// progress.finish();
/// # assert_eq!(report.total(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Progress(Arc<Bars<Tally>>);

impl Progress {
    /// Creates the bars and starts to draw them; `files` is the number of files, if
    /// known. Without it, no remaining time is shown.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Progress;
    ///
    /// let files = ["BR.gif", "FR.gif"];
    /// let progress = Progress::new(Some(files.len() as u64));
    /// // Of an endless list:
    /// let unknown = Progress::new(None);
    /// # progress.finish();
    /// # assert!(format!("{unknown:?}").starts_with("Progress"));
    /// ```
    #[must_use]
    pub fn new(files: Option<u64>) -> Self {
        Self(Arc::new(Bars::new(Tally::new(files, Instant::now()), true)))
    }

    /// Leaves the bar for all files on the screen, and removes the others. From then on,
    /// nothing but failures and [lines](Self::println) is printed.
    ///
    /// Blocks until that is drawn. Does nothing the second time.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, Progress};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let progress = Progress::new(Some(1));
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], progress.clone())?;
    /// // The next line is below the bar.
    /// progress.finish();
    /// println!("{} bytes", report.bytes());
    /// # assert_eq!(report.bytes(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(&self) {
        self.0.finish();
    }

    /// Prints a line above the bars, or by itself where there are none. Control
    /// characters in it are escaped, and it is cut after 1000 characters.
    ///
    /// Blocks until it is written. Does nothing if standard error is closed.
    ///
    /// # Examples
    ///
    /// An observer of one's own that prints while the bars are drawn:
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Event, Job, Observer, Progress};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let progress = Progress::new(Some(1));
    /// let bars = progress.clone();
    /// let observer = move |event: &Event<'_, &str>| {
    ///     bars.on_event(event);
    ///     if let Event::Finished { key, entry, .. } = event {
    ///         bars.println(&format!("{key}: {} bytes", entry.bytes()));
    ///     }
    /// };
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], observer)?;
    /// progress.finish();
    /// assert_eq!(report.observer_panics(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
