//! One attempt at one file: what is asked for, and what the answer means.

use super::ask::{Condition, ask, refusal, text};
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
use crate::download::report::Answered;
use ureq::http::Response;
use ureq::http::header::ACCEPT_RANGES;

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
        let settings = &self.shared.settings;
        // A line break would forge lines of the note.
        let can_be_noted = !self.wanted.url.contains(['\n', '\r']);
        let part = if settings.resume && can_be_noted {
            Part::claim(&settings.directory, &self.wanted.file_name)?
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
            url: answer.location.to_text(),
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
