//! [`Screen`]: the output while the downloads run.

use super::codes::Code;
use super::line::{Line, Time};
use super::texts;
use as_completed::download::{DownloadStatus, Event, Observer};
use console::Term;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const TEMPLATE: &str = "{wide_bar:.green/dim} {line}";
const REDRAWN_EVERY: Duration = Duration::from_millis(100);
/// Where the terminal does not say how wide it is.
const USUAL_COLUMNS: u16 = 80;

/// A progress bar, or a line for each flag.
///
/// The bar is drawn on standard error, if that is a terminal. Errors are always
/// printed; flags that are not found are only counted beside a bar.
#[derive(Clone)]
pub(super) struct Screen {
    bar: ProgressBar,
    counts: Arc<Counts>,
    verbose: bool,
}

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    retries: AtomicU64,
}

impl Screen {
    pub(super) fn new(flags: usize, verbose: bool) -> Self {
        let screen = Self {
            bar: if verbose {
                ProgressBar::hidden()
            } else {
                ProgressBar::new(flags as u64)
            },
            counts: Arc::default(),
            verbose,
        };
        if !screen.bar.is_hidden() {
            screen.bar.set_style(screen.style(false));
            screen.bar.enable_steady_tick(REDRAWN_EVERY);
        }
        screen
    }

    /// Leaves the finished bar on its own line.
    pub(super) fn end(&self) {
        if !self.bar.is_hidden() {
            self.bar.set_style(self.style(true));
            self.bar.abandon();
        }
    }

    fn style(&self, ended: bool) -> ProgressStyle {
        let counts = Arc::clone(&self.counts);
        let line = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let line = Line {
                done: state.pos(),
                all: state.len().unwrap_or(0),
                received: counts.received.load(Ordering::Relaxed),
                retries: counts.retries.load(Ordering::Relaxed),
                elapsed: state.elapsed(),
                time: if ended {
                    Time::Ended
                } else {
                    Time::Left(state.eta())
                },
            };
            // A bar that cannot be drawn is no reason to stop.
            let _undrawn = out.write_str(&line.text(columns()));
        };
        // Without colours, only the glyphs tell what is done.
        let glyphs = if console::colors_enabled_stderr() {
            "━╸━"
        } else {
            "━╸ "
        };
        ProgressStyle::with_template(TEMPLATE)
            .expect("the template is valid")
            .progress_chars(glyphs)
            .with_key("line", line)
    }
}

/// How wide the terminal is now: it may have been resized.
fn columns() -> usize {
    let size = Term::stderr().size_checked();
    usize::from(size.map_or(USUAL_COLUMNS, |(_, columns)| columns))
}

impl Observer<Code> for Screen {
    fn on_event(&self, event: &Event<'_, Code>) {
        match event {
            Event::Bytes { received, .. } => {
                self.counts.received.fetch_add(*received, Ordering::Relaxed);
            }
            Event::Retrying {
                key, error, delay, ..
            } => {
                self.counts.retries.fetch_add(1, Ordering::Relaxed);
                if self.verbose {
                    say(io::stdout(), &texts::retry(**key, error, *delay));
                }
            }
            Event::Finished { entry, .. } => {
                if let Some(line) = texts::outcome(entry) {
                    if self.verbose {
                        say(io::stdout(), &line);
                    } else if entry.status() == DownloadStatus::Error {
                        self.bar.suspend(|| say(io::stderr(), &line));
                    }
                    self.bar.inc(1);
                }
            }
            _ => {}
        }
    }
}

/// Writes all lines in one call, so that no other output comes between them.
pub(super) fn say(mut to: impl Write, lines: &str) {
    // The reader may have left, as `head` does; the downloads go on.
    let _unread = to.write_all(lines.as_bytes()).and_then(|()| to.flush());
}
