//! The folders that are part of a file's name: looked at and created one by one, so
//! that no link leads out of the downloader's folder.

use super::folder;
use super::save::{failed, open_directory};
use crate::download::error::DownloadErrorKind;
use crate::download::settings::{Durability, Settings};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Looks whether the folders of a file that are there are folders, and no links.
pub(crate) fn check(settings: &Settings, file_name: &str) -> Result<(), DownloadErrorKind> {
    if !file_name.contains('/') {
        return Ok(());
    }
    for folder in folders(&settings.directory, file_name) {
        match fs::symlink_metadata(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("look at", &folder)(error)),
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => {
                let what = if metadata.is_symlink() {
                    "it is a link"
                } else {
                    "it is not a folder"
                };
                return Err(failed("use the folder", &folder)(io::Error::other(what)));
            }
        }
    }
    if settings.resume {
        folder::clean_beside(&settings.directory.join(file_name));
    }
    Ok(())
}

/// Creates the folders of a file that are missing.
pub(crate) fn create(settings: &Settings, file_name: &str) -> Result<(), DownloadErrorKind> {
    if !file_name.contains('/') {
        return Ok(());
    }
    for folder in folders(&settings.directory, file_name) {
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(failed("create the folder", &folder)(error)),
        }
        if settings.durability == Durability::FileAndDirectory {
            let above = folder.parent().unwrap_or(&settings.directory);
            open_directory(above)
                .and_then(|above| above.sync_all())
                .map_err(failed("sync", above))?;
        }
    }
    // What was there already may be a link by now.
    check(settings, file_name)
}

/// The folders of a file, the outermost first.
fn folders(directory: &Path, file_name: &str) -> impl Iterator<Item = PathBuf> {
    let ends = file_name.match_indices('/').map(|(end, _)| end);
    ends.map(move |end| directory.join(&file_name[..end]))
}
