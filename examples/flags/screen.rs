//! [`Screen`]: the output while the downloads run.

use super::codes::Code;
use super::texts;
use as_completed::download::{Event, Observer};
use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const RUNNING: &str =
    "{wide_bar:.green/dim} {pos:>3}/{len} flags {received:>10} {rate:>12} ETA {eta:>3}";
const ENDED: &str =
    "{wide_bar:.green/dim} {pos:>3}/{len} flags {received:>10} {rate:>12} in {time:>4}";
const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// A progress bar, or a line for each flag.
///
/// The bar is drawn on standard error, if that is a terminal. Failures are always
/// printed.
#[derive(Clone)]
pub(super) struct Screen {
    bar: ProgressBar,
    received: Arc<AtomicU64>,
    verbose: bool,
}

impl Screen {
    pub(super) fn new(flags: usize, verbose: bool) -> Self {
        let screen = Self {
            bar: if verbose {
                ProgressBar::hidden()
            } else {
                ProgressBar::new(flags as u64)
            },
            received: Arc::default(),
            verbose,
        };
        if !screen.bar.is_hidden() {
            screen.bar.set_style(screen.style(RUNNING));
            screen.bar.enable_steady_tick(REDRAWN_EVERY);
        }
        screen
    }

    /// Leaves the finished bar on its own line.
    pub(super) fn end(&self) {
        if !self.bar.is_hidden() {
            self.bar.set_style(self.style(ENDED));
            self.bar.abandon();
        }
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let received = Arc::clone(&self.received);
        ProgressStyle::with_template(template)
            .expect("the templates are valid")
            .progress_chars("━╸━")
            .with_key(
                "received",
                move |_: &ProgressState, out: &mut dyn fmt::Write| {
                    let bytes = HumanBytes(received.load(Ordering::Relaxed));
                    // A bar that cannot be drawn is no reason to stop.
                    let _undrawn = write!(out, "{bytes}");
                },
            )
            .with_key("time", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _undrawn = write!(out, "{:.1}s", state.elapsed().as_secs_f64());
            })
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let rate = state.per_sec();
                let decimals = usize::from(rate < 10.0);
                let _undrawn = write!(out, "{rate:.decimals$} flags/s");
            })
    }
}

impl Observer<Code> for Screen {
    fn on_event(&self, event: &Event<'_, Code>) {
        match event {
            Event::Bytes { received, .. } => {
                self.received.fetch_add(*received, Ordering::Relaxed);
            }
            Event::Finished { entry, .. } => {
                if let Some(line) = texts::outcome(entry) {
                    if self.verbose {
                        say(io::stdout(), &line);
                    } else if entry.error().is_some() {
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
