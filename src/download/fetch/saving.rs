//! How an answer becomes the file: at once, as a part, or in segments.

use super::ask::{encoding, text};
use super::body::{self, Progress, Received, Sink};
use super::decode::decode;
use super::existing::modified_there;
use super::failure::{Again, Failure};
use super::job::{Fetch, Fetched};
use super::part::Part;
use super::ranges::Ranges;
use super::save::{self, Committed, Draft};
use super::segments::{Large, NoteWritten};
use super::validator::Validator;
use crate::download::error::DownloadErrorKind;
use crate::download::sum::{Hasher, Sum};
use std::borrow::Cow;
use std::time::SystemTime;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderMap, Response};

/// How a body begins that goes into a part.
pub(super) enum Begin {
    /// At the first byte of the file; the validator is noted.
    Anew(Validator),
    /// Where the part ends.
    GoesOn { offset: u64, total: u64 },
}

/// A large file that is to come in segments.
pub(super) struct Segments {
    pub(super) validator: Validator,
    pub(super) total: u64,
    /// What the part has already.
    pub(super) done: Ranges,
}

fn discard(part: Option<&Part>) {
    if let Some(part) = part {
        part.discard();
    }
}

impl Fetch<'_> {
    /// Looks whether the header promises what the job requires.
    fn check_header(
        &self,
        headers: &HeaderMap,
        total: Option<u64>,
    ) -> Result<(), DownloadErrorKind> {
        if let Some(encoding) = encoding(headers) {
            let policy = self.shared.settings.content_encoding;
            let name = &self.wanted.file_name;
            if !policy.saves(name) && !policy.decodes(name, &encoding) {
                return Err(DownloadErrorKind::ContentEncoding(encoding.into_owned()));
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

    /// Looks before a body is read whether its file can be put into place.
    fn check_replaceable(&self) -> Result<(), DownloadErrorKind> {
        save::replaceable(&self.target).map(drop)
    }

    /// Saves a whole body, of which nothing remains if it breaks off.
    pub(super) fn save_whole(
        &self,
        answer: Response<ureq::Body>,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let is_decoded = self.is_decoded(answer.headers());
        // The length that a server states is that of what it sends.
        let total = answer.body().content_length().filter(|_| !is_decoded);
        self.check_header(answer.headers(), total)?;
        self.check_replaceable()?;
        let modified = modified_there(answer.headers());
        let directory = &self.shared.settings.directory;
        let sink = Sink {
            open: &mut || Draft::temporary(directory),
            offset: 0,
            total,
            required: self.wanted.required_length(),
            hasher: self.sum.as_ref().map(Sum::hasher),
            deadline: self.deadline,
            progress,
        };
        let body = answer.into_body().into_reader();
        let received = if is_decoded {
            body::receive(self.shared, decode(body), sink)
        } else {
            body::receive(self.shared, body, sink)
        };
        self.finish(received?, modified)
    }

    /// Saves a body into the part, which remains if it breaks off.
    pub(super) fn save_part(
        &self,
        answer: Response<ureq::Body>,
        mut part: Part,
        begin: &Begin,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let (offset, total) = match begin {
            Begin::Anew(_) => (0, answer.body().content_length()),
            Begin::GoesOn { offset, total } => (*offset, Some(*total)),
        };
        self.check_header(answer.headers(), total)
            .inspect_err(|_| part.discard())?;
        self.check_replaceable()?;
        let modified = modified_there(answer.headers());
        let hasher = match &self.sum {
            None => None,
            Some(sum) if offset == 0 => Some(sum.hasher()),
            Some(sum) => Some(self.hash_part(&part, sum)?),
        };
        let directory = &self.shared.settings.directory;
        let durability = self.shared.settings.durability;
        let mut open = || match begin {
            Begin::Anew(validator) => {
                match part.begin(&self.wanted.url, validator, total, durability)? {
                    Some(draft) => Ok(draft),
                    None => Draft::temporary(directory),
                }
            }
            Begin::GoesOn { offset, .. } => part.append_at(*offset, durability),
        };
        let outcome = body::receive(
            self.shared,
            answer.into_body().into_reader(),
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
            Ok(received) => self.finish_of_part(&part, received, modified, offset > 0),
            Err(failure) => {
                if matches!(
                    failure.kind,
                    DownloadErrorKind::TooLarge { .. } | DownloadErrorKind::Length { .. }
                ) {
                    part.discard();
                }
                Err(failure)
            }
        }
    }

    /// Saves a large file, of which the answer brings the beginning.
    pub(super) fn save_segments(
        &self,
        answer: Response<ureq::Body>,
        mut part: Option<Part>,
        segments: Segments,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        if let Err(kind) = self.check_header(answer.headers(), Some(segments.total)) {
            discard(part.as_ref());
            return Err(kind.into());
        }
        self.check_replaceable()?;
        let modified = modified_there(answer.headers());
        let draft = self.begin_segments(&mut part, &segments)?;
        let Segments {
            validator,
            total,
            done,
        } = segments;
        let is_of_two_attempts = done != Ranges::default();
        let large = Large {
            shared: self.shared,
            location: self.location,
            deadline: self.deadline,
            pauses: self.pauses,
            validator: &validator,
            encoding: encoding(answer.headers()).map(Cow::into_owned),
            total,
            connections: self.shared.settings.segments,
        };
        let mut note = |written: &Ranges| match &part {
            Some(part) => part.write_ranges(&self.wanted.url, &validator, total, written),
            None => Ok(()),
        };
        let note = part.is_some().then_some(&mut note as &mut NoteWritten<'_>);
        let hasher = self.sum.as_ref().map(Sum::hasher);
        let outcome = large.receive(answer.into_body(), done, &draft, hasher, progress, note);
        let received = match outcome {
            Ok(hasher) => Received { draft, hasher },
            Err(failure) => return Err(self.after_segments(failure, part.as_ref())),
        };
        match &part {
            Some(part) => self.finish_of_part(part, received, modified, is_of_two_attempts),
            None => self.finish(received, modified),
        }
    }

    /// Opens what segments are written to: the part, if it can be used and noted, or
    /// else a temporary file, and then there is no part.
    fn begin_segments(
        &self,
        part: &mut Option<Part>,
        segments: &Segments,
    ) -> Result<Draft, DownloadErrorKind> {
        let Segments {
            validator,
            total,
            done,
        } = segments;
        if let Some(part) = part {
            let begun = part.begin_ranges(&self.wanted.url, validator, *total, done)?;
            if let Some(draft) = begun {
                return Ok(draft);
            }
        }
        *part = None;
        let draft = Draft::temporary(&self.shared.settings.directory)?;
        draft.set_length(*total)?;
        Ok(draft)
    }

    /// Decides what is left of segments that have failed: whether the part is of use, and
    /// whether there are to be segments the next time.
    fn after_segments(&self, failure: Failure, part: Option<&Part>) -> Failure {
        let again = match failure.again {
            Again::InOneStream => {
                self.in_one_stream.set(true);
                Again::Anew
            }
            again => again,
        };
        if again == Again::Anew {
            discard(part);
        }
        Failure { again, ..failure }
    }

    /// Gives a whole part the name of the file; removes what is left of it.
    fn finish_of_part(
        &self,
        part: &Part,
        received: Received,
        modified: Option<SystemTime>,
        is_of_two_attempts: bool,
    ) -> Result<Fetched, Failure> {
        part.check_in_place().map_err(|kind| Failure {
            again: Again::Anew,
            ..kind.into()
        })?;
        match self.finish(received, modified) {
            Ok(fetched) => {
                part.discard_note();
                Ok(fetched)
            }
            Err(failure) if matches!(failure.kind, DownloadErrorKind::Cancelled) => Err(failure),
            Err(failure) => {
                part.discard();
                // Perhaps it was the beginning that was wrong.
                let is_checksum = matches!(
                    failure.kind,
                    DownloadErrorKind::Sha256 { .. } | DownloadErrorKind::Sha512 { .. }
                );
                Err(if is_of_two_attempts && is_checksum {
                    Failure {
                        again: Again::Anew,
                        ..failure
                    }
                } else {
                    failure
                })
            }
        }
    }

    /// Saves a part that has turned out to be whole.
    pub(super) fn finish_part(
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
        let hasher = match &self.sum {
            None => None,
            Some(sum) => Some(self.hash_part(part, sum)?),
        };
        let received = Received {
            draft: part.go_on(length)?,
            hasher,
        };
        self.finish_of_part(part, received, modified, true)
    }

    fn hash_part(&self, part: &Part, sum: &Sum) -> Result<Hasher, DownloadErrorKind> {
        let unreadable = |error| part.unreadable(error);
        body::hash(
            self.shared,
            part.read()?,
            sum.hasher(),
            &unreadable,
            self.deadline,
        )
    }

    /// Gives a whole draft its name, if it is what the job requires.
    fn finish(&self, received: Received, modified: Option<SystemTime>) -> Result<Fetched, Failure> {
        let settings = &self.shared.settings;
        if let (Some(hasher), Some(expected)) = (received.hasher, &self.sum) {
            hasher.check(expected)?;
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
        match committed {
            Committed::Saved => Ok(Fetched::Saved),
            Committed::WasThere => {
                self.require_existing()?;
                Ok(Fetched::Skipped)
            }
        }
    }
}
