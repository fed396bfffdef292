//! [`Fetch`]: one file that is to be fetched, in as many attempts as it takes.

use super::failure::Failure;
use super::pauses::Pauses;
use super::shared::Shared;
use crate::download::job::Wanted;
use crate::download::net::location::Location;
use crate::download::net::stop;
use crate::download::report::Answered;
use crate::download::sum::Sum;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How an attempt ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The file is there now.
    Saved,
    /// The file was there already.
    Skipped,
}

/// What is the same for all attempts at one file.
pub(crate) struct Fetch<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) wanted: &'a Wanted,
    pub(crate) location: &'a Location,
    pub(crate) sum: Option<Sum>,
    pub(crate) target: PathBuf,
    pub(crate) deadline: Option<Instant>,
    pub(crate) pauses: &'a Pauses,
    /// Whether segments have turned out to be of no use.
    pub(crate) in_one_stream: Cell<bool>,
    /// What the last response said of itself.
    pub(crate) answered: RefCell<Option<Answered>>,
}

impl Fetch<'_> {
    /// Calls `f`, and again whenever it lacks a file descriptor: once an idle
    /// connection is closed, once others are over, or after a while in which other
    /// parts of the program may have closed one.
    pub(crate) fn with_descriptors<T>(
        &self,
        mut f: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        const PAUSE: Duration = Duration::from_millis(100);
        let settings = &self.shared.settings;
        let mut patience = None;
        loop {
            let turn = self.shared.descriptors.begin(self.deadline, || {
                settings.token.is_cancelled() || stop::is_stopped()
            })?;
            let failure = match f() {
                Err(failure) if failure.is_shortage() => failure,
                outcome => return outcome,
            };
            if self.shared.idle.close_oldest() || turn.lacks_one() {
                continue;
            }
            let now = Instant::now();
            let until = *patience.get_or_insert_with(|| now.checked_add(settings.connect_timeout));
            if until.is_some_and(|until| now >= until) || !settings.token.sleep(PAUSE) {
                return Err(failure);
            }
        }
    }
}
