//! One attempt at one file: what is asked for, and what the answer means.

use super::ask::{Answer, Condition, ask, refusal, text};
use super::body::{self, Progress};
use super::existing::{Here, modified_there};
use super::failure::{Again, Failure};
use super::job::{Fetch, Fetched};
use super::part::Part;
use super::ranges::Ranges;
use super::resume::{Offer, Verdict};
use super::saving::{Begin, Segments};
use super::subdirectory;
use super::validator::Validator;
use crate::download::error::DownloadErrorKind;
use crate::download::report::Answered;
use ureq::http::Response;
use ureq::http::header::ACCEPT_RANGES;

/// What an answer means.
enum Meaning<'a> {
    /// It brings the whole file, or something about what the part lacks.
    File(Option<(&'a Offer, Verdict)>),
    /// The file that is here is the server's.
    IsHere,
    /// The file that is here is not the server's.
    IsNotHere,
    /// It brings no file.
    Refused,
}

/// What to ask for, given what is here.
fn condition(offer: Option<&Offer>, here: Here) -> Condition<'_> {
    match (offer, here) {
        (Some(offer), _) => Condition::RestOf(offer),
        (None, Here::Dated(time)) => Condition::ModifiedSince(time),
        (None, Here::Whole { length, modified }) => Condition::Beyond { length, modified },
        (None, Here::Nothing | Here::AsWanted) => Condition::None,
    }
}

/// Says what an answer to that [`condition`] means.
fn meaning<'a>(answer: &Answer, offer: Option<&'a Offer>, here: Here) -> Meaning<'a> {
    let headers = answer.response.headers();
    match (answer.response.status().as_u16(), offer, here) {
        (200, ..) => Meaning::File(None),
        (206, Some(offer), _) => Meaning::File(Some((offer, offer.judge_partial(headers)))),
        (416, Some(offer), _) => Meaning::File(Some((offer, offer.judge_unsatisfiable(headers)))),
        (304, None, Here::Dated(_)) => Meaning::IsHere,
        (416, None, Here::Whole { .. }) if here.is_all_of(headers) => Meaning::IsHere,
        (206 | 416, None, Here::Whole { .. }) => Meaning::IsNotHere,
        _ => Meaning::Refused,
    }
}

impl Fetch<'_> {
    /// Makes one attempt. Blocks until the file is there or the attempt has
    /// failed, within the timeouts, and as long as file descriptors are lacking.
    pub(crate) fn attempt(
        &self,
        here: Here,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        self.with_descriptors(|| self.attempt_once(here, progress))
    }

    fn attempt_once(&self, here: Here, progress: &mut Progress<'_>) -> Result<Fetched, Failure> {
        if here == Here::AsWanted {
            return Ok(Fetched::Skipped);
        }
        let part = self.claim_part()?;
        let offer = part.as_ref().and_then(|part| {
            let durability = self.shared.settings.durability;
            part.offer(&self.wanted.url, durability)
        });
        let condition = condition(offer.as_ref(), here);
        let answer = ask(self.shared, self.location, condition, self.deadline)?;
        let code = answer.response.status().as_u16();
        self.answered.replace(Some(Answered {
            url: answer.location.to_text(),
            code,
        }));
        match meaning(&answer, offer.as_ref(), here) {
            Meaning::File(verdict) => self.save(answer, part, verdict, progress),
            Meaning::IsHere => {
                body::drain(answer.response.into_body());
                Ok(Fetched::Skipped)
            }
            Meaning::IsNotHere => {
                let failure = refusal(&answer);
                body::drain(answer.response.into_body());
                Err(Failure {
                    again: Again::Anew,
                    ..failure
                })
            }
            Meaning::Refused => {
                let failure = refusal(&answer);
                if let (404 | 410, Some(part)) = (code, &part) {
                    part.discard();
                }
                body::drain(answer.response.into_body());
                Err(failure)
            }
        }
    }

    /// Claims the part of the file, if there may be one and no other run has it.
    fn claim_part(&self) -> Result<Option<Part>, DownloadErrorKind> {
        let settings = &self.shared.settings;
        // A line break would forge lines of the note.
        let can_be_noted = !self.wanted.url.contains(['\n', '\r']);
        if !settings.resume || !can_be_noted {
            return Ok(None);
        }
        Part::claim(&settings.directory, &self.wanted.file_name)
    }

    /// Saves what an answer brings, as what the verdict says that it is.
    fn save(
        &self,
        answer: Answer,
        part: Option<Part>,
        verdict: Option<(&Offer, Verdict)>,
        progress: &mut Progress<'_>,
    ) -> Result<Fetched, Failure> {
        subdirectory::create(&self.shared.settings, &self.wanted.file_name)?;
        let verdict = if self.is_decoded(answer.response.headers()) {
            // Ranges are those of what is sent, and a part has bytes of the file.
            match verdict {
                None => {
                    if let Some(part) = part {
                        part.discard();
                    }
                    return self.save_whole(answer.response, progress);
                }
                Some((offer, Verdict::GoesOn(_))) => Some((offer, Verdict::BeginAnew)),
                verdict => verdict,
            }
        } else {
            verdict
        };
        if let Some(segments) = self.segments(&answer.response, verdict) {
            return self.save_segments(answer.response, part, segments, progress);
        }
        match (verdict, part) {
            (None, None) => self.save_whole(answer.response, progress),
            (None, Some(part)) => {
                let Some(validator) = Validator::of(answer.response.headers()) else {
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
                let modified = modified_there(answer.response.headers());
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
}
