//! Decoding of bodies that a server has encoded unasked.

use super::ask::encoding;
use super::job::Fetch;
use std::io::Read;
use ureq::http::HeaderMap;

impl Fetch<'_> {
    /// Whether the body of these headers is to be decoded.
    pub(super) fn is_decoded(&self, headers: &HeaderMap) -> bool {
        let policy = self.shared.settings.content_encoding;
        encoding(headers).is_some_and(|encoding| policy.decodes(&self.wanted.file_name, &encoding))
    }
}

/// Decodes a body, all of which is read.
#[cfg(feature = "gzip")]
pub(super) fn decode(body: impl Read) -> impl Read {
    flate2::read::MultiGzDecoder::new(body)
}

#[cfg(not(feature = "gzip"))]
pub(super) fn decode(body: impl Read) -> impl Read {
    body
}
