//! [`Offer`]: what there is of a file that broke off, and what the answers mean by
//! which others have corrupted files.

use super::ranges::Ranges;
use super::validator::Validator;
use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_RANGE;

/// What there is to go on with.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Up to where there is all of it.
    pub(crate) length: u64,
    /// What there is, if that is more.
    pub(crate) ranges: Option<Ranges>,
    pub(crate) validator: Validator,
    pub(crate) total: Option<u64>,
}

/// The value of `Content-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The first byte and the one after the last, unless the range was not
    /// satisfiable.
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        if range == "*" {
            return Some(Self { range: None, total });
        }
        let (start, end) = range.split_once('-')?;
        let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
        let end = end.checked_add(1)?;
        (start < end).then_some(Self {
            range: Some((start, end)),
            total,
        })
    }
}

/// What an answer of 206 or 416 means for the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The body goes on where the part ends, and the whole has that length.
    GoesOn(u64),
    /// The part is the whole file.
    IsWhole,
    /// The answer does not fit the part: begin anew.
    BeginAnew,
}

/// The length of the whole file, in an answer that there is nothing beyond.
pub(crate) fn total_of_unsatisfiable(headers: &HeaderMap) -> Option<u64> {
    ContentRange::of(headers)
        .filter(|range| range.range.is_none())?
        .total
}

impl Offer {
    pub(crate) fn judge_partial(&self, headers: &HeaderMap) -> Verdict {
        match ContentRange::of(headers) {
            Some(ContentRange {
                range: Some((start, end)),
                total,
            }) if start == self.length
                && (self.total.is_none() || total.is_none() || self.total == total)
                // Of a rest whose end nobody knows, this may be a piece only.
                && total.or(self.total) == Some(end)
                && self.validator.agrees_with(headers) =>
            {
                Verdict::GoesOn(end)
            }
            _ => Verdict::BeginAnew,
        }
    }

    pub(crate) fn judge_unsatisfiable(&self, headers: &HeaderMap) -> Verdict {
        match ContentRange::of(headers) {
            Some(range)
                if range.range.is_none()
                    && range.total == Some(self.length)
                    && (self.total.is_none() || self.total == range.total)
                    && self.validator.agrees_with(headers) =>
            {
                Verdict::IsWhole
            }
            _ => Verdict::BeginAnew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::validator::tests::headers;
    use super::*;

    fn offer(length: u64, total: Option<u64>) -> Offer {
        Offer {
            length,
            ranges: None,
            validator: Validator::noted("\"a\""),
            total,
        }
    }

    #[test]
    fn partial_answer_must_begin_where_the_part_ends() {
        let judge =
            |offer: Offer, range| offer.judge_partial(&headers(&[("content-range", range)]));
        assert_eq!(
            judge(offer(5, Some(10)), "bytes 5-9/10"),
            Verdict::GoesOn(10)
        );
        assert_eq!(judge(offer(5, None), "bytes 5-9/*"), Verdict::BeginAnew);
        assert_eq!(
            judge(offer(5, Some(10)), "bytes 5-9/*"),
            Verdict::GoesOn(10)
        );
        assert_eq!(judge(offer(5, Some(10)), "bytes 5-8/*"), Verdict::BeginAnew);
        for range in [
            "bytes 4-9/10",
            "bytes 0-9/10",
            "bytes 6-9/10",
            "bytes 5-8/10",
            "bytes 5-10/11",
            "bytes */10",
            "bytes 5-4/10",
            "items 5-9/10",
            "bytes 5-18446744073709551615/10",
            "",
        ] {
            assert_eq!(
                judge(offer(5, Some(10)), range),
                Verdict::BeginAnew,
                "{range}"
            );
        }
        assert_eq!(
            offer(5, Some(10)).judge_partial(&headers(&[])),
            Verdict::BeginAnew
        );
    }

    #[test]
    fn partial_answer_of_another_version_begins_anew() {
        let answer = headers(&[("content-range", "bytes 5-9/10"), ("etag", "\"b\"")]);
        assert_eq!(offer(5, None).judge_partial(&answer), Verdict::BeginAnew);
    }

    #[test]
    fn unsatisfiable_range_means_whole_only_if_the_totals_agree() {
        let judge =
            |offer: Offer, range| offer.judge_unsatisfiable(&headers(&[("content-range", range)]));
        assert_eq!(judge(offer(10, Some(10)), "bytes */10"), Verdict::IsWhole);
        assert_eq!(judge(offer(10, None), "bytes */10"), Verdict::IsWhole);
        assert_eq!(judge(offer(10, None), "bytes */9"), Verdict::BeginAnew);
        assert_eq!(judge(offer(10, Some(11)), "bytes */10"), Verdict::BeginAnew);
        assert_eq!(judge(offer(10, None), "bytes */*"), Verdict::BeginAnew);
    }
}
