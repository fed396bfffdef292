//! One attempt at one file: what is asked for, and how the answer is saved.

use super::ask::{Condition, ask, refusal, text};
use super::body::{self, BrokenOff, Progress, Received, Sink};
use super::failure::{Again, Failure};
use super::resume::{Part, Validator, Verdict};
use super::save::{Committed, Draft};
use super::shared::Shared;
use crate::download::error::DownloadErrorKind;
use crate::download::job::Wanted;
use crate::download::net::location::Location;
use crate::download::settings::Overwrite;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::{Instant, SystemTime};
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, LAST_MODIFIED};
use ureq::http::{HeaderMap, Response};

/// How an attempt ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The file is there now.
    Saved,
    /// The file was there already.
    Skipped,
}

/// How a body begins that goes into a part.
enum Begin {
    /// At the file's first byte; the file cannot be gone on with, since nothing
    /// tells its versions apart.
    Whole,
    /// At the file's first byte; the validator is noted.
    Resumable(Validator),
    /// Where the part ends.
    GoesOn { offset: u64, total: Option<u64> },
}

impl Begin {
    /// How many bytes of the file come before the body.
    fn offset(&self) -> u64 {
        match self {
            Self::Whole | Self::Resumable(_) => 0,
            Self::GoesOn { offset, .. } => *offset,
        }
    }
}

/// What is the same for all attempts at one file.
pub(crate) struct Fetch<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) wanted: &'a Wanted,
    pub(crate) location: &'a Location,
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) target: PathBuf,
    pub(crate) deadline: Option<Instant>,
}

impl Fetch<'_> {
    /// Makes one attempt. Blocks until the file is there or the attempt has
    /// failed, within the timeouts.
    pub(crate) fn attempt(&self, progress: &mut Progress<'_>) -> Result<Fetched, Failure> {
        let part = self
            .shared
            .settings
            .resume
            .then(|| Part::of(&self.shared.settings.directory, &self.wanted.file_name));
        let offer = part.as_ref().and_then(|part| part.offer(&self.wanted.url));
        let known = self.modified_here();
        let condition = match (&offer, known) {
            (Some(offer), _) => Condition::RestOf(offer),
            (None, Some(time)) => Condition::ModifiedSince(time),
            (None, None) => Condition::None,
        };
        let answer = ask(self.shared, self.location, condition, self.deadline)?;
        let headers = answer.headers();
        let verdict = match (answer.status().as_u16(), &offer) {
            (200, _) => None,
            (206, Some(offer)) => Some((offer, offer.judge_partial(headers))),
            (416, Some(offer)) => Some((offer, offer.judge_unsatisfiable(headers))),
            (304, _) if known.is_some() => return Ok(Fetched::Skipped),
            _ => {
                let failure = refusal(&answer);
                if let (404 | 410, Some(part)) = (answer.status().as_u16(), &part) {
                    part.discard();
                }
                body::drain(answer.into_body());
                return Err(failure);
            }
        };
        match (verdict, part) {
            (None, None) => self.save_whole(answer, progress),
            (None, Some(part)) => {
                let begin = match Validator::of(answer.headers()) {
                    Some(validator) => Begin::Resumable(validator),
                    None => Begin::Whole,
                };
                self.save_part(answer, &part, &begin, progress)
            }
            (Some((offer, Verdict::GoesOn(total))), Some(part)) => {
                let begin = Begin::GoesOn {
                    offset: offer.length,
                    total,
                };
                self.save_part(answer, &part, &begin, progress)
            }
            (Some((offer, Verdict::IsWhole)), Some(part)) => {
                let modified = self.modified_there(headers);
                body::drain(answer.into_body());
                self.finish_part(&part, offer.length, modified)
            }
            (Some((_, Verdict::BeginAnew)), part) => {
                if let Some(part) = part {
                    part.discard();
                }
                Err(Failure {
                    again: Again::Anew,
                    ..refusal(&answer)
                })
            }
            (Some(_), None) => unreachable!("there is no offer without a part"),
        }
    }

    /// Looks whether the header promises what the job requires.
    fn check_header(
        &self,
        headers: &HeaderMap,
        total: Option<u64>,
    ) -> Result<(), DownloadErrorKind> {
        if let Some(encoding) = text(headers, &CONTENT_ENCODING) {
            if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
                return Err(DownloadErrorKind::ContentEncoding(encoding.to_owned()));
            }
        }
        if let Some(expected) = self.wanted.required_type() {
            let actual = text(headers, &CONTENT_TYPE);
            let essence = actual.map(|actual| actual.split(';').next().unwrap_or(actual).trim());
            if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(expected)) {
                return Err(DownloadErrorKind::ContentType {
                    expected: expected.to_owned(),
                    actual: actual.map(str::to_owned),
                });
            }
        }
        let Some(total) = total else {
            return Ok(());
        };
        let required = self.wanted.required_length();
        body::check_length(total, self.shared.settings.max_size, required)?;
        match required {
            Some(expected) if expected != total => Err(DownloadErrorKind::Length {
                expected,
                actual: total,
            }),
            _ => Ok(()),
        }
    }

    /// Saves a whole body, of which nothing remains if it breaks off.
    fn save_whole(
        &self,
        answer: Response<ureq::Body>,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let total = answer.body().content_length();
        self.check_header(answer.headers(), total)?;
        let modified = self.modified_there(answer.headers());
        let directory = &self.shared.settings.directory;
        let received = body::receive(
            self.shared,
            answer.into_body(),
            Sink {
                open: &mut || Draft::temporary(directory),
                offset: 0,
                total,
                required: self.wanted.required_length(),
                hasher: self.sha256.map(|_| Sha256::new()),
                deadline: self.deadline,
                progress,
            },
        )
        .map_err(|broken_off| broken_off.failure)?;
        self.finish(received, modified)
    }

    /// Saves a body into the part, which remains if it breaks off.
    fn save_part(
        &self,
        answer: Response<ureq::Body>,
        part: &Part,
        begin: &Begin,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let length = answer.body().content_length();
        let offset = begin.offset();
        let rest = length.and_then(|length| length.checked_add(offset));
        let total = match begin {
            Begin::GoesOn { total, .. } => total.or(rest),
            Begin::Whole | Begin::Resumable(_) => rest,
        };
        self.check_header(answer.headers(), total)
            .inspect_err(|_| part.discard())?;
        let modified = self.modified_there(answer.headers());
        let hasher = match self.sha256 {
            None => None,
            Some(_) if offset == 0 => Some(Sha256::new()),
            Some(_) => Some(body::hash_file(&part.path)?),
        };
        let mut open = || {
            let draft = Draft::part(part.path.clone(), offset)?;
            // Not before the old part is gone, lest it be taken for the
            // beginning of the new version.
            match begin {
                Begin::Whole => part.discard_note(),
                Begin::Resumable(validator) => part.note(&self.wanted.url, validator, total)?,
                Begin::GoesOn { .. } => {}
            }
            Ok(draft)
        };
        let outcome = body::receive(
            self.shared,
            answer.into_body(),
            Sink {
                open: &mut open,
                offset,
                total,
                required: self.wanted.required_length(),
                hasher,
                deadline: self.deadline,
                progress,
            },
        );
        match outcome {
            Ok(received) => {
                let finished = self.finish(received, modified);
                part.discard_note();
                finished.map_err(|failure| match failure.kind {
                    // Perhaps it was the old part that was wrong.
                    DownloadErrorKind::Sha256 { .. } if offset > 0 => Failure {
                        again: Again::Anew,
                        ..failure
                    },
                    _ => failure,
                })
            }
            Err(BrokenOff { failure, draft }) => {
                let worth_keeping = !matches!(begin, Begin::Whole)
                    && !matches!(
                        failure.kind,
                        DownloadErrorKind::TooLarge { .. } | DownloadErrorKind::Length { .. }
                    );
                match draft {
                    Some(mut draft) if worth_keeping => draft.leave(),
                    None if worth_keeping => {}
                    _ => part.discard(),
                }
                Err(failure)
            }
        }
    }

    /// Saves a part that has turned out to be whole.
    fn finish_part(
        &self,
        part: &Part,
        length: u64,
        modified: Option<SystemTime>,
    ) -> Result<Fetched, Failure> {
        self.check_header(&HeaderMap::new(), Some(length))
            .or_else(|kind| match kind {
                // The answer that said so was not of the file.
                DownloadErrorKind::ContentType { .. } => Ok(()),
                kind => Err(kind),
            })
            .inspect_err(|_| part.discard())?;
        let hasher = match self.sha256 {
            None => None,
            Some(_) => Some(body::hash_file(&part.path)?),
        };
        let received = Received {
            draft: Draft::part(part.path.clone(), length)?,
            hasher,
        };
        let finished = self.finish(received, modified);
        part.discard_note();
        finished.map_err(|failure| Failure {
            again: Again::Anew,
            ..failure
        })
    }

    /// Gives a whole draft its name, if it is what the job requires.
    fn finish(&self, received: Received, modified: Option<SystemTime>) -> Result<Fetched, Failure> {
        let settings = &self.shared.settings;
        if let (Some(hasher), Some(expected)) = (received.hasher, &self.sha256) {
            body::check_sha256(hasher, expected)?;
        }
        if settings.token.is_cancelled() {
            return Err(DownloadErrorKind::Cancelled.into());
        }
        let committed = received.draft.commit(
            &self.target,
            settings.durability,
            settings.overwrite,
            modified,
        )?;
        Ok(match committed {
            Committed::Saved => Fetched::Saved,
            Committed::WasThere => Fetched::Skipped,
        })
    }

    /// When the file that is there was modified, if that is to be asked about.
    fn modified_here(&self) -> Option<SystemTime> {
        if self.shared.settings.overwrite != Overwrite::IfChanged {
            return None;
        }
        let metadata = std::fs::symlink_metadata(&self.target).ok()?;
        let modified = metadata.modified().ok()?;
        (metadata.is_file() && has_http_date(modified)).then_some(modified)
    }

    /// When the server's file was modified, if that is to be kept.
    fn modified_there(&self, headers: &HeaderMap) -> Option<SystemTime> {
        if self.shared.settings.overwrite != Overwrite::IfChanged {
            return None;
        }
        httpdate::parse_http_date(text(headers, &LAST_MODIFIED)?).ok()
    }
}

/// Whether a header can say that time: one of the years 1970 to 9999.
fn has_http_date(time: SystemTime) -> bool {
    const YEAR_10000: u64 = 253_402_300_800;
    time.duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since.as_secs() < YEAR_10000)
}
