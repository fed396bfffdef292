//! The request for a file, the redirects, and what an answer says.

use super::body;
use super::cookies::Cookies;
use super::failure::{Failure, RetryAfter, before_answer};
use super::resume::Offer;
use super::shared::Shared;
use super::validator::Validator;
use crate::download::error::{DownloadErrorKind, RedirectError, TimeoutKind};
use crate::download::net::head;
use crate::download::net::location::Location;
use crate::download::net::private;
use crate::download::retry::parse_retry_after;
use crate::download::settings::finite;
use crate::download::text::Plain;
use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};
use ureq::http::header::{
    COOKIE, HeaderName, IF_MODIFIED_SINCE, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
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
    let mut cookies = Cookies::default();
    for redirects in 0.. {
        let is_own = redirects == 0 || location.same_origin(first);
        let timeout = time_left(shared, deadline, redirects == 0)?;
        let response = ask_once(shared, &location, &cookies, condition, is_own, timeout)?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(Answer { response, location });
        }
        let next = match response.headers().get(LOCATION) {
            None => Err(RedirectError::NoLocation),
            Some(value) => location.follow(value.as_bytes()),
        };
        cookies.keep(&location, response.headers());
        body::drain(response.into_body());
        let next = next.map_err(DownloadErrorKind::Redirect)?;
        if location.is_secure() && !next.is_secure() && !settings.redirects.allow_downgrade {
            let to = Plain(next.uri()).to_string();
            return Err(DownloadErrorKind::Redirect(RedirectError::Downgrade(to)).into());
        }
        if redirects >= settings.redirects.max {
            let limit = RedirectError::TooMany(settings.redirects.max);
            return Err(DownloadErrorKind::Redirect(limit).into());
        }
        if !settings.redirects.allow_private && leads_inside(shared, &location, &next, deadline) {
            let to = Plain(next.uri()).to_string();
            return Err(DownloadErrorKind::Redirect(RedirectError::Private(to)).into());
        }
        location = next;
    }
    unreachable!("the loop ends with the bound on redirects")
}

/// Whether a redirect leads from a public address to a private one.
fn leads_inside(
    shared: &Shared,
    from: &Location,
    to: &Location,
    deadline: Option<Instant>,
) -> bool {
    if from.authority() == to.authority() {
        return false;
    }
    let is_private = |location| {
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        let limit = left.min(shared.settings.connect_timeout);
        let proxy = shared.agent.config().proxy();
        private::is_private(location, &shared.resolver, proxy, limit)
    };
    is_private(to) && !is_private(from)
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
    cookies: &Cookies,
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
    if let Some(value) = cookies.for_request(location) {
        request = request.header(COOKIE, value);
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

/// How the body is encoded, if it is.
pub(crate) fn encoding(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let value = headers.get(&head::CONTENT_ENCODING)?;
    let encoding = String::from_utf8_lossy(value.as_bytes());
    let is_encoded = !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity");
    is_encoded.then_some(encoding)
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
