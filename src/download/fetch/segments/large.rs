//! [`Large`]: a large file that is to come over several connections.

use crate::download::error::{DownloadErrorKind, TimeoutKind};
use crate::download::fetch::pauses::Pauses;
use crate::download::fetch::shared::Shared;
use crate::download::fetch::validator::Validator;
use crate::download::net::location::Location;
use std::time::Instant;

/// A large file that is to come over several connections.
pub(crate) struct Large<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) location: &'a Location,
    pub(crate) deadline: Option<Instant>,
    pub(crate) pauses: &'a Pauses,
    pub(crate) validator: &'a Validator,
    /// How the first answer was encoded, if it was.
    pub(crate) encoding: Option<String>,
    pub(crate) total: u64,
    /// How many connections there may be.
    pub(crate) connections: usize,
}

impl Large<'_> {
    /// Looks whether there is still time, and somebody who wants the file.
    pub(super) fn check(&self) -> Result<(), DownloadErrorKind> {
        if self.shared.settings.token.is_cancelled() {
            return Err(DownloadErrorKind::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(DownloadErrorKind::Timeout(TimeoutKind::Total))
            }
            _ => Ok(()),
        }
    }
}
