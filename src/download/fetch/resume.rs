//! Going on with a file that broke off: the part, the note beside it, and the
//! answers by which others have corrupted files.
//!
//! The note says which file the part is of: its URL, and the validator by which
//! the server told that version from others. A part without a note that fits
//! is worth nothing.

use super::lock::{self, Found};
use super::ranges::Ranges;
use super::save::{Draft, SYNCED, failed};
use crate::download::error::DownloadErrorKind;
use crate::download::settings::{Durability, Overwrite};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::HeaderMap;
use ureq::http::header::{CONTENT_RANGE, DATE, ETAG, LAST_MODIFIED};

/// How the name of a file that is to be resumed ends.
pub(crate) const PART_SUFFIX: &str = ".part";
/// How the name of the note beside it ends.
pub(crate) const NOTE_SUFFIX: &str = ".part.from";

/// More than any URL that is requested.
const LONGEST_NOTE: u64 = 256 * 1024;
const FIRST_LINE: &str = "as-completed part 1";
/// A part of which some ranges are written, and named in the note. Its length says
/// nothing.
const FIRST_LINE_OF_RANGES: &str = "as-completed part 2";

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

/// The part of a file, which no other run writes while this one has it, and the
/// note.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    note: PathBuf,
    /// Locked; none as long as there is no part.
    file: Option<File>,
}

/// Whether a file that begins so is the note of a part.
pub(crate) fn is_note(beginning: &[u8]) -> bool {
    [FIRST_LINE, FIRST_LINE_OF_RANGES]
        .iter()
        .any(|line| beginning.starts_with(line.as_bytes()))
}

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

impl Part {
    /// Takes the part of a file for this run, whether there is one already or
    /// not. Returns `None` if another run has it, and if what has its name is
    /// not a part: that is left alone.
    pub(crate) fn claim(directory: &Path, file_name: &str) -> Option<Self> {
        let mut part = Self {
            path: directory.join(format!("{file_name}{PART_SUFFIX}")),
            note: directory.join(format!("{file_name}{NOTE_SUFFIX}")),
            file: None,
        };
        match lock::open(&part.path) {
            Found::Nothing => {}
            Found::File(file) => {
                // The note is written right after the part is created.
                let is_empty = file.metadata().is_ok_and(|metadata| metadata.len() == 0);
                if !is_empty && !is_note(part.read_note()?.as_bytes()) {
                    return None;
                }
                part.file = Some(file);
            }
            Found::Unavailable => return None,
        }
        Some(part)
    }

    fn read_note(&self) -> Option<String> {
        let mut note = String::new();
        lock::open_to_read(&self.note)
            .and_then(|file| file.take(LONGEST_NOTE).read_to_string(&mut note))
            .ok()?;
        Some(note)
    }

    /// Looks what there is of the file at `url`. If files are to survive a crash of
    /// the machine, what is not known to be on the disk is cut off: there may be zeros
    /// in its place.
    pub(crate) fn offer(&self, url: &str, durability: Durability) -> Option<Offer> {
        let file = self.file.as_ref()?;
        let mut length = file.metadata().ok()?.len();
        let note = self.read_note()?;
        let mut lines = note.lines();
        let has_ranges = match lines.next()? {
            FIRST_LINE => false,
            FIRST_LINE_OF_RANGES => true,
            _ => return None,
        };
        if lines.next() != Some(url) {
            return None;
        }
        let validator = Validator(lines.next()?.to_owned());
        let total = match lines.next()? {
            "unknown" => None,
            total => Some(total.parse().ok()?),
        };
        if !has_ranges {
            if lines.next() != Some("end") {
                return None;
            }
            if durability != Durability::None {
                let synced = lines
                    .rev()
                    .find_map(|line| line.strip_prefix(SYNCED)?.parse().ok());
                length = length.min(synced.unwrap_or(0));
                file.set_len(length).ok()?;
            }
            return (length > 0).then_some(Offer {
                length,
                ranges: None,
                validator,
                total,
            });
        }
        let text: Vec<&str> = lines.collect();
        let (&end, ranges) = text.split_last()?;
        let ranges = Ranges::parse(ranges.iter().copied())?;
        let fits = end == "end" && ranges.end() <= length && Some(ranges.end()) <= total;
        (fits && ranges.end() > 0).then_some(Offer {
            length: ranges.prefix(),
            ranges: Some(ranges),
            validator,
            total,
        })
    }

    /// Empties the part, or creates it, and notes what it is to be of. Returns
    /// `None` if another run has created it meanwhile.
    pub(crate) fn begin(
        &mut self,
        url: &str,
        validator: &Validator,
        total: Option<u64>,
        durability: Durability,
    ) -> Result<Option<Draft>, DownloadErrorKind> {
        match &self.file {
            Some(file) => file.set_len(0).map_err(failed("empty", &self.path))?,
            None => self.file = lock::create(&self.path).map_err(failed("create", &self.path))?,
        }
        if self.file.is_none() {
            return Ok(None);
        }
        // Not before the old part is gone, lest it be taken for the beginning
        // of the new version.
        self.write_note(url, validator, total)?;
        self.append_at(0, durability).map(Some)
    }

    /// Makes the part one of ranges, of which it has those; empties it if it has
    /// none. Returns `None` if another run has created it meanwhile.
    pub(crate) fn begin_ranges(
        &mut self,
        url: &str,
        validator: &Validator,
        total: u64,
        ranges: &Ranges,
    ) -> Result<Option<Draft>, DownloadErrorKind> {
        match &self.file {
            // Not before the old part is gone, lest it be taken for the new version.
            Some(file) if *ranges == Ranges::default() => {
                file.set_len(0).map_err(failed("empty", &self.path))?;
            }
            Some(_) => {}
            None => self.file = lock::create(&self.path).map_err(failed("create", &self.path))?,
        }
        if self.file.is_none() {
            return Ok(None);
        }
        // Before the length is set, which without ranges would say what there is.
        self.write_ranges(url, validator, total, ranges)?;
        let draft = self.go_on(0)?;
        draft.set_length(total)?;
        Ok(Some(draft))
    }

    /// Notes which ranges there are, in the place of the old note.
    pub(crate) fn write_ranges(
        &self,
        url: &str,
        validator: &Validator,
        total: u64,
        ranges: &Ranges,
    ) -> Result<(), DownloadErrorKind> {
        let text = format!(
            "{FIRST_LINE_OF_RANGES}\n{url}\n{}\n{total}\n{ranges}end\n",
            validator.0
        );
        let directory = self.note.parent().unwrap_or(Path::new("."));
        let mut note = Draft::temporary(directory)?;
        note.write(text.as_bytes())?;
        note.commit(&self.note, Durability::None, Overwrite::Always, None)?;
        Ok(())
    }

    /// Opens the part to write what follows after `length` bytes, which are all there
    /// is, and notes what is on the disk if that matters.
    pub(crate) fn append_at(
        &self,
        length: u64,
        durability: Durability,
    ) -> Result<Draft, DownloadErrorKind> {
        let draft = self.go_on(length)?;
        if durability == Durability::None {
            return Ok(draft);
        }
        let note = lock::open_to_append(&self.note).map_err(failed("open", &self.note))?;
        Ok(draft.with_checkpoints(note, length))
    }

    /// Opens the part to go on after `length` bytes, which are all there is.
    pub(crate) fn go_on(&self, length: u64) -> Result<Draft, DownloadErrorKind> {
        let open = || {
            let file = self.file.as_ref().ok_or(ErrorKind::NotFound)?;
            // The clone shares the lock.
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(length))?;
            Ok(file)
        };
        let file = open().map_err(failed("open", &self.path))?;
        Ok(Draft::of_part(file, self.path.clone()))
    }

    /// Returns a reader of the part from its first byte.
    pub(crate) fn read(&self) -> Result<File, DownloadErrorKind> {
        lock::open_to_read(&self.path).map_err(failed("read", &self.path))
    }

    pub(crate) fn unreadable(&self, error: io::Error) -> DownloadErrorKind {
        failed("read", &self.path)(error)
    }

    /// Returns whether this run has a part.
    pub(crate) fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Looks whether what has the part's name is what was written here.
    pub(crate) fn check_in_place(&self) -> Result<(), DownloadErrorKind> {
        match &self.file {
            Some(file) if !lock::is_at(file, &self.path) => {
                let replaced = io::Error::other("another program has replaced it");
                Err(failed("keep", &self.path)(replaced))
            }
            _ => Ok(()),
        }
    }

    fn write_note(
        &self,
        url: &str,
        validator: &Validator,
        total: Option<u64>,
    ) -> Result<(), DownloadErrorKind> {
        let total = total.map_or_else(|| "unknown".to_owned(), |total| total.to_string());
        let text = format!("{FIRST_LINE}\n{url}\n{}\n{total}\nend\n", validator.0);
        let write = || {
            // Created anew, lest what is there is a link to elsewhere.
            match fs::remove_file(&self.note) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut note = OpenOptions::new();
            let mut note = note.write(true).create_new(true).open(&self.note)?;
            note.write_all(text.as_bytes())
        };
        write().map_err(failed("write", &self.note))
    }

    /// Removes what there is, unless another run has it.
    pub(crate) fn discard(&self) {
        if self.is_there() {
            // The part first: without its note nobody would know it for one.
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(&self.note);
        }
    }

    pub(crate) fn discard_note(&self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.note);
        }
    }
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
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
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

    fn offer(length: u64, total: Option<u64>) -> Offer {
        Offer {
            length,
            ranges: None,
            validator: Validator("\"a\"".to_owned()),
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
