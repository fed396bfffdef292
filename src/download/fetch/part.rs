//! [`Part`]: the beginning of a file that broke off, or some ranges of it, and the
//! note beside it.
//!
//! The note says which file the part is of: its URL, and the validator by which
//! the server told that version from others. A part without a note that fits
//! is worth nothing.

use super::lock::{self, Found};
use super::ranges::Ranges;
use super::resume::Offer;
use super::save::{Draft, SYNCED, failed};
use super::validator::Validator;
use crate::download::error::DownloadErrorKind;
use crate::download::net::shortage::is_shortage;
use crate::download::settings::{Durability, Overwrite};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

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

/// The part of a file, which no other run writes while this one has it, and the
/// note.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    note: PathBuf,
    /// Locked; none as long as there is no part.
    file: Option<File>,
    /// What the note said when the part was claimed, if there was something in it.
    noted: Option<String>,
}

/// Whether a file that begins so is the note of a part.
pub(crate) fn is_note(beginning: &[u8]) -> bool {
    [FIRST_LINE, FIRST_LINE_OF_RANGES]
        .iter()
        .any(|line| beginning.starts_with(line.as_bytes()))
}

impl Part {
    /// Takes the part of a file for this run, whether there is one already or
    /// not. Returns `None` if another run has it, and if what has its name is
    /// not a part: that is left alone.
    pub(crate) fn claim(
        directory: &Path,
        file_name: &str,
    ) -> Result<Option<Self>, DownloadErrorKind> {
        let mut part = Self {
            path: directory.join(format!("{file_name}{PART_SUFFIX}")),
            note: directory.join(format!("{file_name}{NOTE_SUFFIX}")),
            file: None,
            noted: None,
        };
        match lock::open(&part.path).map_err(failed("open", &part.path))? {
            Found::Nothing => {}
            Found::File(file) => {
                // The note is written right after the part is created.
                if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
                    part.noted = part.read_note()?;
                    if part.noted.is_none() {
                        return Ok(None);
                    }
                }
                part.file = Some(file);
            }
            Found::Unavailable => return Ok(None),
        }
        Ok(Some(part))
    }

    /// Returns what the note says, if it is one.
    fn read_note(&self) -> Result<Option<String>, DownloadErrorKind> {
        let mut note = String::new();
        let read = lock::open_to_read(&self.note)
            .and_then(|file| file.take(LONGEST_NOTE).read_to_string(&mut note));
        match read {
            Err(error) if is_shortage(&error) => Err(failed("read", &self.note)(error)),
            Ok(_) if is_note(note.as_bytes()) => Ok(Some(note)),
            _ => Ok(None),
        }
    }

    /// Looks what there is of the file at `url`. If files are to survive a crash of
    /// the machine, what is not known to be on the disk is cut off: there may be zeros
    /// in its place.
    pub(crate) fn offer(&self, url: &str, durability: Durability) -> Option<Offer> {
        let file = self.file.as_ref()?;
        let mut length = file.metadata().ok()?.len();
        let mut lines = self.noted.as_ref()?.lines();
        let has_ranges = match lines.next()? {
            FIRST_LINE => false,
            FIRST_LINE_OF_RANGES => true,
            _ => return None,
        };
        if lines.next() != Some(url) {
            return None;
        }
        let validator = Validator::noted(lines.next()?);
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
            validator.as_str()
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
        let text = format!(
            "{FIRST_LINE}\n{url}\n{}\n{total}\nend\n",
            validator.as_str()
        );
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

impl Drop for Part {
    /// Lets other runs have it at once.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            lock::release(file);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn part_is_free_once_it_is_given_up_though_a_child_has_it_open() {
        let name = format!("as-completed-unit-part-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file.part"), "").unwrap();
        let claim = || Part::claim(&folder, "file").unwrap();
        let part = claim().unwrap();
        // As a child has that has not yet become another program.
        let of_child = part.file.as_ref().unwrap().try_clone().unwrap();
        assert!(claim().is_none(), "one run has it at a time");
        drop(part);
        assert!(claim().is_some());
        drop(of_child);
        fs::remove_dir_all(&folder).unwrap();
    }
}
