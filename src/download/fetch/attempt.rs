//! One attempt at one file: what is asked for, and how the answer is saved.

use super::ask::{Condition, ask, refusal, text};
use super::body::{self, Progress, Received, Sink};
use super::existing::{Here, modified_there};
use super::failure::{Again, Failure};
use super::pauses::Pauses;
use super::ranges::Ranges;
use super::resume::{Offer, Part, Validator, Verdict};
use super::save::{self, Committed, Draft};
use super::segments::{Large, NoteWritten};
use super::shared::Shared;
use super::subdirectory;
use crate::download::error::DownloadErrorKind;
use crate::download::job::Wanted;
use crate::download::net::head;
use crate::download::net::location::Location;
use crate::download::report::Answered;
use crate::download::sum::{Hasher, Sum};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Instant, SystemTime};
use ureq::http::header::{ACCEPT_RANGES, CONTENT_TYPE};
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
    /// At the first byte of the file; the validator is noted.
    Anew(Validator),
    /// Where the part ends.
    GoesOn { offset: u64, total: u64 },
}

/// A large file that is to come in segments.
struct Segments {
    validator: Validator,
    total: u64,
    /// What the part has already.
    done: Ranges,
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
    /// Makes one attempt. Blocks until the file is there or the attempt has
    /// failed, within the timeouts.
    pub(crate) fn attempt(
        &self,
        here: Here,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let settings = &self.shared.settings;
        // A line break would forge lines of the note.
        let can_be_noted = !self.wanted.url.contains(['\n', '\r']);
        let part = if settings.resume && can_be_noted {
            Part::claim(&settings.directory, &self.wanted.file_name)
        } else {
            None
        };
        let offer = part
            .as_ref()
            .and_then(|part| part.offer(&self.wanted.url, settings.durability));
        let condition = match (&offer, here) {
            (_, Here::AsWanted) => return Ok(Fetched::Skipped),
            (Some(offer), _) => Condition::RestOf(offer),
            (None, Here::Dated(time)) => Condition::ModifiedSince(time),
            (None, Here::Whole { length, modified }) => Condition::Beyond { length, modified },
            (None, Here::Nothing) => Condition::None,
        };
        let answer = ask(self.shared, self.location, condition, self.deadline)?;
        let headers = answer.response.headers();
        let status = answer.response.status().as_u16();
        self.answered.replace(Some(Answered {
            url: answer.location.uri().to_string(),
            code: status,
        }));
        let verdict = match (status, &offer) {
            (200, _) => None,
            (206, Some(offer)) => Some((offer, offer.judge_partial(headers))),
            (416, Some(offer)) => Some((offer, offer.judge_unsatisfiable(headers))),
            (304, None) if matches!(here, Here::Dated(_)) => return Ok(Fetched::Skipped),
            (206 | 416, None) if matches!(here, Here::Whole { .. }) => {
                let is_whole = status == 416 && here.is_all_of(headers);
                let failure = refusal(&answer);
                body::drain(answer.response.into_body());
                return if is_whole {
                    Ok(Fetched::Skipped)
                } else {
                    Err(Failure {
                        again: Again::Anew,
                        ..failure
                    })
                };
            }
            _ => {
                let failure = refusal(&answer);
                if let (404 | 410, Some(part)) = (status, &part) {
                    part.discard();
                }
                body::drain(answer.response.into_body());
                return Err(failure);
            }
        };
        subdirectory::create(settings, &self.wanted.file_name)?;
        if let Some(segments) = self.segments(&answer.response, verdict) {
            return self.save_segments(answer.response, part, segments, progress);
        }
        match (verdict, part) {
            (None, None) => self.save_whole(answer.response, progress),
            (None, Some(part)) => {
                let Some(validator) = Validator::of(headers) else {
                    // Nothing would tell the versions of the file apart.
                    part.discard();
                    return self.save_whole(answer.response, progress);
                };
                self.save_part(answer.response, part, &Begin::Anew(validator), progress)
            }
            (Some((offer, Verdict::GoesOn(total))), Some(part)) => {
                let begin = Begin::GoesOn {
                    offset: offer.length,
                    total,
                };
                self.save_part(answer.response, part, &begin, progress)
            }
            (Some((offer, Verdict::IsWhole)), Some(part)) => {
                let modified = modified_there(headers);
                body::drain(answer.response.into_body());
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
        let encoding = headers
            .get(head::CONTENT_ENCODING)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        if let Some(encoding) = encoding {
            let is_encoded = !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity");
            let policy = self.shared.settings.content_encoding;
            if is_encoded && !policy.saves(&self.wanted.file_name) {
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
    fn save_whole(
        &self,
        answer: Response<ureq::Body>,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let total = answer.body().content_length();
        self.check_header(answer.headers(), total)?;
        self.check_replaceable()?;
        let modified = modified_there(answer.headers());
        let directory = &self.shared.settings.directory;
        let received = body::receive(
            self.shared,
            answer.into_body(),
            Sink {
                open: &mut || Draft::temporary(directory),
                offset: 0,
                total,
                required: self.wanted.required_length(),
                hasher: self.sum.as_ref().map(Sum::hasher),
                deadline: self.deadline,
                progress,
            },
        )?;
        self.finish(received, modified)
    }

    /// Saves a body into the part, which remains if it breaks off.
    fn save_part(
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

    /// Looks whether the rest of the file is to come in segments: also over one
    /// connection, if the part has them.
    fn segments(
        &self,
        answer: &Response<ureq::Body>,
        verdict: Option<(&Offer, Verdict)>,
    ) -> Option<Segments> {
        let settings = &self.shared.settings;
        if let Some((offer, Verdict::GoesOn(total))) = verdict {
            let is_large = settings.segments > 1 && total > settings.segments_above;
            let done = match &offer.ranges {
                Some(ranges) => ranges.clone(),
                None if is_large && !self.in_one_stream.get() => Ranges::first(offer.length),
                None => return None,
            };
            return Some(Segments {
                validator: offer.validator.clone(),
                total,
                done,
            });
        }
        let total = answer.body().content_length()?;
        let is_large = settings.segments > 1 && total > settings.segments_above;
        if verdict.is_some() || !is_large || self.in_one_stream.get() {
            return None;
        }
        let accepted = text(answer.headers(), &ACCEPT_RANGES)?;
        accepted
            .trim()
            .eq_ignore_ascii_case("bytes")
            .then_some(())?;
        Some(Segments {
            validator: Validator::of(answer.headers())?,
            total,
            done: Ranges::default(),
        })
    }

    /// Saves a large file, of which the answer brings the beginning.
    fn save_segments(
        &self,
        answer: Response<ureq::Body>,
        mut part: Option<Part>,
        segments: Segments,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        let Segments {
            validator,
            total,
            done,
        } = segments;
        let discard = |part: &Option<Part>| {
            if let Some(part) = part {
                part.discard();
            }
        };
        self.check_header(answer.headers(), Some(total))
            .inspect_err(|_| discard(&part))?;
        let modified = modified_there(answer.headers());
        let url = &self.wanted.url;
        let begun = match &mut part {
            None => None,
            Some(part) => part.begin_ranges(url, &validator, total, &done)?,
        };
        if begun.is_none() {
            part = None;
        }
        let draft = if let Some(draft) = begun {
            draft
        } else {
            let draft = Draft::temporary(&self.shared.settings.directory)?;
            draft.set_length(total)?;
            draft
        };
        let is_of_two_attempts = done != Ranges::default();
        let large = Large {
            shared: self.shared,
            location: self.location,
            deadline: self.deadline,
            pauses: self.pauses,
            validator: &validator,
            total,
            connections: self.shared.settings.segments,
        };
        let mut note = |written: &Ranges| match &part {
            Some(part) => part.write_ranges(url, &validator, total, written),
            None => Ok(()),
        };
        let note = part.is_some().then_some(&mut note as &mut NoteWritten<'_>);
        let hasher = self.sum.as_ref().map(Sum::hasher);
        let outcome = large.receive(answer.into_body(), done, &draft, hasher, progress, note);
        match (outcome, &part) {
            (Ok(hasher), Some(part)) => {
                let received = Received { draft, hasher };
                self.finish_of_part(part, received, modified, is_of_two_attempts)
            }
            (Ok(hasher), None) => self.finish(Received { draft, hasher }, modified),
            (Err(failure), _) => {
                let again = match failure.again {
                    Again::InOneStream => {
                        self.in_one_stream.set(true);
                        Again::Anew
                    }
                    again => again,
                };
                if again == Again::Anew {
                    discard(&part);
                }
                Err(Failure { again, ..failure })
            }
        }
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
