//! [`Progress`]: an observer that draws bars in the terminal.

use super::event::{Event, Observer};
use super::report::{DownloadStatus, Entry};
use super::text::{Plain, without_password};
use crate::sync::Mutex;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many files have a bar of their own at a time.
const MOST_BARS: usize = 8;
/// Files that are that small have come and gone before a bar could be seen.
const WORTH_A_BAR: u64 = 256 * 1024;
const REDRAWN_EVERY: Duration = Duration::from_millis(100);

const COUNTED: &str = "{bar:30.green/dim} {pos}/{len} files  {msg}  ETA {eta}";
const UNCOUNTED: &str = "{spinner} {pos} files  {msg}  {elapsed}";
const SIZED: &str = "{bar:30.cyan/dim} {bytes:>10}/{total_bytes:<10} {wide_msg}";
const UNSIZED: &str = "{spinner} {bytes:>10} {wide_msg}";

/// Draws one bar for all files, with bytes, bytes per second and the remaining
/// time, and one for each of up to eight larger files; prints failures above
/// them.
///
/// All output goes to standard error. If that is not a terminal, there are no
/// bars, but failures are still printed. Clones share the bars.
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
pub struct Progress(Arc<Bars>);

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    /// By the number of the job.
    files: Mutex<HashMap<u64, ProgressBar>>,
    received: AtomicU64,
}

impl Progress {
    /// Creates the bars; `files` is the number of files, if known.
    #[must_use]
    pub fn new(files: Option<u64>) -> Self {
        Self::drawn_on(files, ProgressDrawTarget::stderr())
    }

    fn drawn_on(files: Option<u64>, target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(match files {
            Some(files) => ProgressBar::new(files),
            None => ProgressBar::no_length(),
        });
        total.set_style(style(if files.is_some() { COUNTED } else { UNCOUNTED }));
        if !all.is_hidden() {
            total.enable_steady_tick(REDRAWN_EVERY);
        }
        Self(Arc::new(Bars {
            all,
            total,
            files: Mutex::new(HashMap::new()),
            received: AtomicU64::new(0),
        }))
    }

    /// Leaves the bar for all files on the screen as it is. Never blocks.
    pub fn finish(&self) {
        for (_, bar) in self.0.files.lock().drain() {
            self.0.all.remove(&bar);
        }
        self.0.total.abandon();
    }

    /// Prints a line above the bars, or by itself where there are none; control
    /// characters in it are escaped, and it is cut if it is very long.
    ///
    /// Blocks until it is written. Does nothing if standard error is closed.
    pub fn println(&self, line: &str) {
        let line = Plain(line);
        let printed = if self.0.all.is_hidden() {
            writeln!(io::stderr(), "{line}")
        } else {
            self.0.all.println(line.to_string())
        };
        // Where errors cannot be told, there is nobody to tell.
        drop(printed);
    }

    fn count_bytes(&self, received: u64) {
        let before = self.0.received.fetch_add(received, Ordering::Relaxed);
        if self.0.all.is_hidden() {
            return;
        }
        let sum = before + received;
        let seconds = self.0.total.elapsed().as_secs_f64().max(0.001);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is shown in three digits"
        )]
        let speed = (sum as f64 / seconds) as u64;
        let (sum, speed) = (indicatif::HumanBytes(sum), indicatif::HumanBytes(speed));
        self.0.total.set_message(format!("{sum}, {speed}/s"));
    }

    fn show_file<K: Display>(&self, key: &K, number: u64, total: u64, expected: Option<u64>) {
        if self.0.all.is_hidden() || expected.is_some_and(|length| length < WORTH_A_BAR) {
            return;
        }
        let mut files = self.0.files.lock();
        if files.len() >= MOST_BARS && !files.contains_key(&number) {
            return;
        }
        let bar = files.entry(number).or_insert_with(|| {
            let bar = match expected {
                Some(length) => ProgressBar::new(length),
                None => ProgressBar::no_length(),
            };
            bar.set_style(style(if expected.is_some() { SIZED } else { UNSIZED }));
            let bar = self.0.all.insert_before(&self.0.total, bar);
            bar.set_message(key.to_string());
            bar
        });
        bar.set_position(total);
    }

    fn end_file<K: Display>(&self, key: &K, entry: &Entry<K>) {
        if let Some(bar) = self.0.files.lock().remove(&entry.number()) {
            self.0.all.remove(&bar);
        }
        self.0.total.inc(1);
        if let (Some(error), true) = (entry.error(), entry.status() != DownloadStatus::Cancelled) {
            let url = without_password(entry.url());
            self.println(&format!("{key}: {error}: {url}"));
        }
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
            } => {
                self.count_bytes(*received);
                self.show_file(*key, *number, *total, *expected);
            }
            Event::Finished { key, entry } => self.end_file(*key, entry),
            Event::Started { .. } | Event::Retrying { .. } => {}
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("files", &self.0.total.position())
            .field("bytes", &self.0.received)
            .finish_non_exhaustive()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constants, and valid")
        .progress_chars("━╸━")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::job::Job;
    use indicatif::TermLike;

    /// A terminal of 80 columns: its rows, and the one that the cursor is in.
    #[derive(Clone, Debug)]
    struct Terminal(Arc<Mutex<(Vec<String>, usize)>>);

    impl Terminal {
        fn new() -> Self {
            Self(Arc::new(Mutex::new((vec![String::new()], 0))))
        }

        fn contents(&self) -> String {
            self.0.lock().0.join("\n")
        }

        fn move_to(&self, row: impl FnOnce(usize) -> usize) {
            let (rows, cursor) = &mut *self.0.lock();
            *cursor = row(*cursor);
            rows.resize(rows.len().max(*cursor + 1), String::new());
        }

        fn edit(&self, edit: impl FnOnce(&mut String)) {
            let (rows, cursor) = &mut *self.0.lock();
            edit(&mut rows[*cursor]);
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.move_to(|row| row.saturating_sub(n));
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.move_to(|row| row + n);
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.move_cursor_down(1)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            let mut wraps = false;
            for character in text.chars().filter(|&character| character != '\r') {
                self.edit(|row| wraps = row.chars().count() == usize::from(self.width()));
                if wraps {
                    self.move_cursor_down(1)?;
                }
                self.edit(|row| row.push(character));
            }
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.edit(String::clear);
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    const LENGTH: u64 = 10 * WORTH_A_BAR;

    fn bytes(progress: &Progress, number: u64, received: u64) {
        progress.on_event(&Event::Bytes {
            key: &format!("flag {number}"),
            number,
            received,
            total: received,
            expected: Some(LENGTH),
        });
    }

    #[test]
    fn eight_files_at_most_have_a_bar() {
        let term = Terminal::new();
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let progress = Progress::drawn_on(Some(20), target);
        for number in 0..20 {
            bytes(&progress, number, 1_000);
        }
        progress.0.total.tick();
        assert_eq!(progress.0.files.lock().len(), MOST_BARS);
        assert_eq!(progress.0.received.load(Ordering::Relaxed), 20_000);
        progress.finish();
        assert!(
            term.contents().contains("0/20 files"),
            "{}",
            term.contents()
        );
        assert!(!term.contents().contains("flag"), "{}", term.contents());
    }

    #[test]
    fn failure_stands_above_the_bar() {
        use crate::download::error::{DownloadError, DownloadErrorKind};
        use crate::download::report::Outcome;

        let term = Terminal::new();
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let progress = Progress::drawn_on(None, target);
        let kind = DownloadErrorKind::Status { code: 418 };
        let outcome = Outcome::default().but(DownloadError::new(kind));
        let job = Arc::new(Job::new("BD", "http://flags/bd.gif", "BD.gif"));
        let folder: Arc<std::path::Path> = std::path::Path::new(".").into();
        let entry = outcome.into_entry(0, job, &folder);
        progress.on_event(&Event::Finished {
            key: entry.key(),
            entry: &entry,
        });
        progress.finish();
        let contents = term.contents();
        let (failure, bar) = contents.split_once('\n').unwrap();
        assert!(failure.starts_with("BD: HTTP error 418"), "{contents}");
        assert!(bar.contains("1 files"), "{contents}");
    }
}
