//! The folder into which files are downloaded: created, tried, and cleaned of what
//! killed runs have left there.

use super::lock;
use super::part::{NOTE_SUFFIX, PART_SUFFIX, is_note};
use super::save::{Draft, TEMPORARY_PREFIX, failed};
use crate::download::error::DownloadErrorKind;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Creates the folder if it is missing, and looks whether files can be created
/// in it. Removes what runs have left there that were killed.
pub(crate) fn prepare(directory: &Path) -> Result<(), DownloadErrorKind> {
    fs::create_dir_all(directory).map_err(failed("create the folder", directory))?;
    remove_leftovers(directory);
    Draft::temporary(directory).map(drop)
}

/// Removes the temporary files of no run, and the notes of no part. An error is
/// none of this run's: what is left over does no harm.
fn remove_leftovers(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_temporary(name) {
            lock::remove_unused(&entry.path());
        } else if let Some(file_name) = name.strip_suffix(NOTE_SUFFIX) {
            remove_note_of_no_part(directory, file_name);
        }
    }
}

/// Removes what killed runs have left in the folder of a file, if one of them was at
/// that file: folders below the downloader's own are not read through as a run begins.
pub(crate) fn clean_beside(file: &Path) {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else {
        return;
    };
    let is_left = |suffix: &str| {
        let mut name = name.to_owned();
        name.push(suffix);
        fs::symlink_metadata(directory.join(name)).is_ok()
    };
    if is_left(PART_SUFFIX) || is_left(NOTE_SUFFIX) {
        remove_leftovers(directory);
    }
}

/// Whether the name is one that [`Draft::temporary`] makes.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY_PREFIX).is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// A note is left alone if its part was renamed, and the run killed then.
fn remove_note_of_no_part(directory: &Path, file_name: &str) {
    let part = directory.join(format!("{file_name}{PART_SUFFIX}"));
    let note = directory.join(format!("{file_name}{NOTE_SUFFIX}"));
    let is_there = fs::symlink_metadata(&part);
    if !is_there.is_err_and(|error| error.kind() == ErrorKind::NotFound) || !is_ours(&note) {
        return;
    }
    // While this run has the part, no other begins one, whose note this would be.
    if let Ok(Some(_held)) = lock::create_temporary(&part) {
        let _ = fs::remove_file(&note);
        let _ = fs::remove_file(&part);
    }
}

fn is_ours(note: &Path) -> bool {
    let mut beginning = [0; 64];
    let read = lock::open_to_read(note).and_then(|mut file| file.read(&mut beginning));
    read.is_ok_and(|read| is_note(&beginning[..read]))
}
