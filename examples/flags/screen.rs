//! [`Screen`]: the output while the downloads run.

use super::bars::Bars;
use super::codes::Code;
use super::status::Status;
use super::texts;
use as_completed::download::{DownloadStatus, Event, Observer};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A progress bar, or a line for each flag.
///
/// The bar is drawn on standard error, if that is a terminal. Errors are always
/// printed; flags that are not found are only counted beside a bar.
#[derive(Clone)]
pub(super) struct Screen {
    bar: Arc<Bars<Status>>,
    output: Output,
    verbose: bool,
}

impl Screen {
    pub(super) fn new(flags: usize, verbose: bool, output: Output) -> Self {
        Self {
            bar: Arc::new(Bars::new(Status::new(flags as u64), !verbose)),
            output,
            verbose,
        }
    }

    /// Leaves the finished bar on its own line.
    pub(super) fn end(&self) {
        self.bar.finish();
    }
}

impl Observer<Code> for Screen {
    fn on_event(&self, event: &Event<'_, Code>) {
        match event {
            Event::Bytes { received, .. } => {
                self.bar.with(|status| status.received += received);
            }
            Event::Retrying {
                key, error, delay, ..
            } => {
                self.bar.with(|status| status.retries += 1);
                if self.verbose {
                    self.output.print(&texts::retry(**key, error, *delay));
                }
            }
            Event::Finished { entry, .. } => {
                if let Some(line) = texts::outcome(entry) {
                    if self.verbose {
                        self.output.print(&line);
                    } else if entry.status() == DownloadStatus::Error {
                        self.bar.println(line.trim_end());
                    }
                    self.bar.with(|status| status.done += 1);
                }
            }
            _ => {}
        }
    }
}

/// Standard output. If it is full or closed, the downloads go on, and the program
/// fails in the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    is_lost: Arc<AtomicBool>,
}

impl Output {
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Prints all lines in one call, so that no other output comes between them.
    pub(super) fn print(&self, lines: &str) {
        if self.is_lost() {
            return;
        }
        let written = write(io::stdout(), lines);
        if let Err(error) = written {
            self.is_lost.store(true, Ordering::Relaxed);
            complain(&format!(
                "error: cannot write to standard output: {error}\n"
            ));
        }
    }
}

/// Prints all lines on standard error in one call.
pub(super) fn complain(lines: &str) {
    // There is nobody else to tell.
    let _untold = write(io::stderr(), lines);
}

fn write(mut to: impl Write, lines: &str) -> io::Result<()> {
    to.write_all(lines.as_bytes())?;
    to.flush()
}
