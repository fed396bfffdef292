//! The request for a file, the redirects, and what an answer says.

use super::body;
use super::downloader::finite;
use super::error::{DownloadErrorKind, TimeoutKind};
use super::failure::{Failure, before_answer};
use super::fetch::Fetch;
use super::location::{Location, RedirectError};
use super::resume::Offer;
use super::retry::parse_retry_after;
use super::settings::Overwrite;
use std::time::{Instant, SystemTime};
use ureq::http::header::{
    HeaderName, IF_MODIFIED_SINCE, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER,
};
use ureq::http::{HeaderMap, Response};

impl Fetch<'_> {
    /// Makes the request, and those to which it is redirected.
    pub(super) fn ask(&self, offer: Option<&Offer>) -> Result<Response<ureq::Body>, Failure> {
        let settings = &self.shared.settings;
        let mut location = self.location.clone();
        for redirects in 0.. {
            let answer = self.ask_once(&location, offer, redirects == 0)?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let next = match answer.headers().get(LOCATION) {
                None => Err(RedirectError::NoLocation),
                Some(value) => location.follow(&String::from_utf8_lossy(value.as_bytes())),
            };
            body::drain(answer.into_body());
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

    fn ask_once(
        &self,
        location: &Location,
        offer: Option<&Offer>,
        is_first: bool,
    ) -> Result<Response<ureq::Body>, Failure> {
        let settings = &self.shared.settings;
        let mut request = self.shared.agent.get(location.uri());
        if is_first || location.same_origin(self.location) {
            for (name, value) in &settings.headers {
                request = request.header(name, value);
            }
        }
        if let Some(offer) = offer {
            request = request
                .header(RANGE, format!("bytes={}-", offer.length))
                .header(IF_RANGE, offer.validator.as_str());
        } else if let Some(modified) = self.modified_here() {
            request = request.header(IF_MODIFIED_SINCE, httpdate::fmt_http_date(modified));
        }
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DownloadErrorKind::Timeout(TimeoutKind::Total).into());
            }
            // The agent's own limit is nearly that of a first request, which
            // spares it a copy of the settings.
            if !is_first || left < settings.total_timeout.mul_f64(0.99) {
                request = request.config().timeout_global(finite(left)).build();
            }
        }
        request.call().map_err(before_answer)
    }

    /// When the file that is there was modified, if that is to be asked about.
    pub(super) fn modified_here(&self) -> Option<SystemTime> {
        if self.shared.settings.overwrite != Overwrite::IfChanged {
            return None;
        }
        let metadata = std::fs::symlink_metadata(&self.target).ok()?;
        let modified = metadata.modified().ok()?;
        (metadata.is_file() && has_http_date(modified)).then_some(modified)
    }

    /// When the server's file was modified, if that is to be kept.
    pub(super) fn modified_there(&self, headers: &HeaderMap) -> Option<SystemTime> {
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

/// What an answer that carries no file says.
pub(super) fn refusal(answer: &Response<ureq::Body>) -> Failure {
    let retry_after = text(answer.headers(), &RETRY_AFTER)
        .and_then(|value| parse_retry_after(value, SystemTime::now()));
    Failure {
        retry_after,
        ..DownloadErrorKind::Status {
            code: answer.status().as_u16(),
        }
        .into()
    }
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
