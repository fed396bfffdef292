//! The request for a file, the redirects, and what an answer says.

use super::body;
use super::failure::{Failure, RetryAfter, before_answer};
use super::resume::{Offer, Validator};
use super::shared::Shared;
use crate::download::error::{DownloadErrorKind, RedirectError, TimeoutKind};
use crate::download::net::location::Location;
use crate::download::retry::parse_retry_after;
use crate::download::settings::finite;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};
use ureq::http::header::{HeaderName, IF_MODIFIED_SINCE, IF_RANGE, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, Response};

/// Which answer is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Condition<'a> {
    /// The whole file.
    None,
    /// What the part lacks, if the file has not changed since.
    RestOf(&'a Offer),
    /// These bytes of the file, if it has not changed.
    Piece(&'a Range<u64>, &'a Validator),
    /// The whole file, if it has changed since then.
    ModifiedSince(SystemTime),
    /// What there is beyond a length, if the file is of that date.
    Beyond { length: u64, modified: SystemTime },
}

/// An answer that is no redirect, and where it came from.
pub(crate) struct Answer {
    pub(crate) response: Response<ureq::Body>,
    pub(crate) location: Location,
}

/// Makes the request, and those to which it is redirected.
pub(crate) fn ask(
    shared: &Shared,
    first: &Location,
    condition: Condition<'_>,
    deadline: Option<Instant>,
) -> Result<Answer, Failure> {
    let settings = &shared.settings;
    let mut location = first.clone();
    for redirects in 0.. {
        let is_own = redirects == 0 || location.same_origin(first);
        let timeout = time_left(shared, deadline, redirects == 0)?;
        let response = ask_once(shared, &location, condition, is_own, timeout)?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(Answer { response, location });
        }
        let next = match response.headers().get(LOCATION) {
            None => Err(RedirectError::NoLocation),
            Some(value) => location.follow(&String::from_utf8_lossy(value.as_bytes())),
        };
        body::drain(response.into_body());
        let next = next.map_err(DownloadErrorKind::Redirect)?;
        if location.is_secure() && !next.is_secure() && !settings.allow_downgrade {
            let to = next.uri().to_string();
            return Err(DownloadErrorKind::Redirect(RedirectError::Downgrade(to)).into());
        }
        if redirects >= settings.max_redirects {
            let limit = RedirectError::TooMany(settings.max_redirects);
            return Err(DownloadErrorKind::Redirect(limit).into());
        }
        location = next;
    }
    unreachable!("the loop ends with the bound on redirects")
}

/// The timeout of a request, unless the agent's own does: that is nearly the
/// one of a first request, which spares it a copy of the settings.
fn time_left(
    shared: &Shared,
    deadline: Option<Instant>,
    is_first: bool,
) -> Result<Option<Duration>, DownloadErrorKind> {
    let Some(deadline) = deadline else {
        return Ok(None);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(DownloadErrorKind::Timeout(TimeoutKind::Total));
    }
    let is_own = !is_first || left < shared.settings.total_timeout.mul_f64(0.99);
    Ok(is_own.then_some(left))
}

/// Makes one request; with the caller's headers if they may go there.
fn ask_once(
    shared: &Shared,
    location: &Location,
    condition: Condition<'_>,
    with_headers: bool,
    timeout: Option<Duration>,
) -> Result<Response<ureq::Body>, Failure> {
    let mut request = shared.agent.get(location.uri());
    if with_headers {
        for (name, value) in &shared.settings.headers {
            request = request.header(name, value);
        }
    }
    request = match condition {
        Condition::None => request,
        Condition::RestOf(offer) => request
            .header(RANGE, format!("bytes={}-", offer.length))
            .header(IF_RANGE, offer.validator.as_str()),
        Condition::Piece(piece, validator) => request
            .header(RANGE, format!("bytes={}-{}", piece.start, piece.end - 1))
            .header(IF_RANGE, validator.as_str()),
        Condition::ModifiedSince(time) => {
            request.header(IF_MODIFIED_SINCE, httpdate::fmt_http_date(time))
        }
        Condition::Beyond { length, modified } => request
            .header(RANGE, format!("bytes={length}-"))
            .header(IF_RANGE, httpdate::fmt_http_date(modified)),
    };
    if let Some(left) = timeout {
        request = request.config().timeout_global(finite(left)).build();
    }
    request.call().map_err(before_answer)
}

/// What an answer that carries no file says.
pub(crate) fn refusal(answer: &Answer) -> Failure {
    let retry_after = text(answer.response.headers(), &RETRY_AFTER)
        .and_then(|value| parse_retry_after(value, SystemTime::now()))
        .map(|delay| RetryAfter {
            authority: answer.location.authority().to_owned(),
            delay,
        });
    Failure {
        retry_after,
        ..DownloadErrorKind::Status {
            code: answer.response.status().as_u16(),
        }
        .into()
    }
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
