//! [`Validator`]: what tells one version of a file from all others.

use std::time::Duration;
use ureq::http::HeaderMap;
use ureq::http::header::{DATE, ETAG, LAST_MODIFIED};

/// What tells one version of a file from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validator(String);

impl Validator {
    /// Reads the validator of an answer, if it is strong: a strong `ETag`, or a
    /// date that is old enough not to be that of two versions.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(etag) = text(ETAG) {
            let is_strong = etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"');
            return is_strong.then(|| Self(etag.to_owned()));
        }
        let modified_text = text(LAST_MODIFIED)?;
        let modified = httpdate::parse_http_date(modified_text).ok()?;
        let date = httpdate::parse_http_date(text(DATE)?).ok()?;
        let age = date.duration_since(modified).ok()?;
        (age >= Duration::from_secs(1)).then(|| Self(modified_text.to_owned()))
    }

    /// The validator that a note has.
    pub(crate) fn noted(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The value for `If-Range`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an answer may be of the same version: it is of another if it
    /// says so.
    pub(crate) fn agrees_with(&self, headers: &HeaderMap) -> bool {
        let name = if self.0.starts_with('"') {
            ETAG
        } else {
            LAST_MODIFIED
        };
        headers
            .get(name)
            .is_none_or(|value| value.as_bytes() == self.0.as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::download::fetch) fn headers(all: &[(&str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| {
                let name: ureq::http::HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect()
    }

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn only_strong_validators_count() {
        let of = |all: &[(&str, &str)]| Validator::of(&headers(all)).map(|found| found.0);
        assert_eq!(of(&[("etag", "\"a\"")]), Some("\"a\"".to_owned()));
        assert_eq!(of(&[("etag", "W/\"a\"")]), None);
        assert_eq!(of(&[("etag", "a")]), None);
        assert_eq!(
            of(&[("last-modified", OLD), ("date", NEW)]),
            Some(OLD.to_owned())
        );
        assert_eq!(of(&[("last-modified", OLD), ("date", OLD)]), None);
        assert_eq!(of(&[("last-modified", OLD)]), None);
        assert_eq!(
            of(&[("etag", "W/\"a\""), ("last-modified", OLD), ("date", NEW)]),
            None
        );
    }
}
