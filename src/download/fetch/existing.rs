//! The file that is there before a job begins: whether it is one, and whether it
//! spares the download.

use super::ask::text;
use super::failure::{Failure, is_for_want_of_descriptors};
use super::job::Fetch;
use super::resume::total_of_unsatisfiable;
use super::save::failed;
use super::{body, lock};
use crate::download::error::DownloadErrorKind;
use crate::download::settings::Overwrite;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::time::SystemTime;
use ureq::http::HeaderMap;
use ureq::http::header::LAST_MODIFIED;

/// What the file that is there is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    /// Nothing: it is to be downloaded whatever is there.
    Nothing,
    /// It is the file that is wanted.
    AsWanted,
    /// It is replaced if the server's is newer.
    Dated(SystemTime),
    /// It may be the server's, from an earlier run, if length and date say so.
    Whole { length: u64, modified: SystemTime },
}

impl Here {
    /// Looks whether an answer that there is nothing beyond its length is about
    /// that file.
    pub(crate) fn is_all_of(self, headers: &HeaderMap) -> bool {
        match self {
            Self::Whole { length, modified } => {
                total_of_unsatisfiable(headers) == Some(length)
                    && modified_there(headers).is_none_or(|there| there == modified)
            }
            _ => false,
        }
    }
}

/// When the server's file was modified, which the file is to say too: by that a
/// later run knows it again.
pub(crate) fn modified_there(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, &LAST_MODIFIED)?).ok()
}

impl Fetch<'_> {
    /// Looks at what has the name of the file. Blocks while it hashes, until the
    /// run is cancelled or the time of the job is over.
    pub(crate) fn look(&self) -> Result<Here, DownloadErrorKind> {
        if self.sum.is_none() {
            return self.look_once();
        }
        let looked = self.with_descriptors(|| self.look_once().map_err(Failure::from));
        looked.map_err(|failure| failure.kind)
    }

    fn look_once(&self) -> Result<Here, DownloadErrorKind> {
        let settings = &self.shared.settings;
        let is_asked_for_anyway = settings.overwrite == Overwrite::Always && !settings.resume;
        if is_asked_for_anyway && self.sum.is_none() {
            return Ok(Here::Nothing);
        }
        let Some(metadata) = self.metadata()? else {
            return Ok(Here::Nothing);
        };
        match settings.overwrite {
            Overwrite::Never => self.require(&metadata).map(|()| Here::AsWanted),
            Overwrite::IfChanged => Ok(match modified(&metadata) {
                Some(modified) if self.is_as_required(&metadata)? => Here::Dated(modified),
                _ => Here::Nothing,
            }),
            Overwrite::Always if !metadata.is_file() => Ok(Here::Nothing),
            // A checksum tells that it is the file, and costs less than a download.
            Overwrite::Always => Ok(
                match (self.is_as_required(&metadata)?, modified(&metadata)) {
                    (true, _) if self.sum.is_some() => Here::AsWanted,
                    (true, Some(modified)) if metadata.len() > 0 && is_of_a_header(modified) => {
                        Here::Whole {
                            length: metadata.len(),
                            modified,
                        }
                    }
                    _ => Here::Nothing,
                },
            ),
        }
    }

    /// Looks whether the file that somebody else has put there meanwhile is the
    /// one that is wanted.
    pub(crate) fn require_existing(&self) -> Result<(), DownloadErrorKind> {
        match self.metadata()? {
            Some(metadata) => self.require(&metadata),
            None => Err(failed("keep", &self.target)(ErrorKind::NotFound.into())),
        }
    }

    /// What there is by the name of the file; for a link, what it leads to.
    fn metadata(&self) -> Result<Option<Metadata>, DownloadErrorKind> {
        let named = match fs::symlink_metadata(&self.target) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            named => named.map_err(failed("look at", &self.target))?,
        };
        // A link that leads nowhere is there all the same.
        Ok(Some(fs::metadata(&self.target).unwrap_or(named)))
    }

    fn require(&self, metadata: &Metadata) -> Result<(), DownloadErrorKind> {
        if !metadata.is_file() {
            let error = io::Error::other("it is not a regular file");
            return Err(failed("keep", &self.target)(error));
        }
        match self.wanted.required_length() {
            Some(expected) if expected != metadata.len() => {
                return Err(DownloadErrorKind::Length {
                    expected,
                    actual: metadata.len(),
                });
            }
            _ => {}
        }
        let Some(expected) = &self.sum else {
            return Ok(());
        };
        let unreadable = |error| failed("read", &self.target)(error);
        let file = lock::open_to_hash(&self.target).map_err(unreadable)?;
        let hasher = body::hash(
            self.shared,
            file,
            expected.hasher(),
            &unreadable,
            self.deadline,
        )?;
        hasher.check(expected)
    }

    fn is_as_required(&self, metadata: &Metadata) -> Result<bool, DownloadErrorKind> {
        match self.require(metadata) {
            Ok(()) => Ok(true),
            Err(kind @ (DownloadErrorKind::Cancelled | DownloadErrorKind::Timeout(_))) => Err(kind),
            Err(kind) if is_for_want_of_descriptors(&kind) => Err(kind),
            Err(_) => Ok(false),
        }
    }
}

/// Whether the time is one of whole seconds, as those are that a server has sent.
fn is_of_a_header(modified: SystemTime) -> bool {
    modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since.subsec_nanos() == 0)
}

/// When the file was modified, if a header can say that time: one of the years 1970
/// to 9999.
fn modified(metadata: &Metadata) -> Option<SystemTime> {
    const YEAR_10000: u64 = 253_402_300_800;
    let modified = metadata.modified().ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (metadata.is_file() && since.as_secs() < YEAR_10000).then_some(modified)
}
