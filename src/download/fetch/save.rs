//! [`Draft`]: a file that is not there yet, and becomes so as a whole.

use super::lock;
use crate::download::error::DownloadErrorKind;
use crate::download::settings::{Durability, Overwrite};
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How the name of a temporary file begins.
pub(crate) const TEMPORARY_PREFIX: &str = ".as-completed-";
/// How the lines of a note begin that say how many bytes of a part are on the disk.
pub(crate) const SYNCED: &str = "synced ";

/// The path of a file in a folder, in an allocation that need not grow.
pub(crate) fn path_in(directory: &Path, name: &str) -> PathBuf {
    let length = directory.as_os_str().len() + 1 + name.len();
    let mut path = PathBuf::with_capacity(length);
    path.push(directory);
    path.push(name);
    path
}

/// Makes an error of what the operating system said.
pub(crate) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> DownloadErrorKind + 'a {
    move |cause| DownloadErrorKind::File {
        action,
        path: path.to_owned(),
        cause,
    }
}

/// The content of a file on its way to its name.
///
/// Drop removes it, unless it is to be kept for a later run.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    path: PathBuf,
    on_drop: OnDrop,
    checkpoints: Option<Checkpoints>,
}

/// What of a part is known to be on the disk, for a run that resumes it after a
/// crash of the machine: such a crash may leave zeros where bytes were written.
#[derive(Debug)]
struct Checkpoints {
    /// The note of the part, to which is appended what is on the disk.
    note: File,
    written: u64,
    synced: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    Remove,
    Leave,
}

/// What became of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It has its name.
    Saved,
    /// Somebody else was first, and the draft is gone.
    WasThere,
}

impl Draft {
    /// Creates a file under a name that nobody else has, and locks it for as long
    /// as it is open.
    pub(crate) fn temporary(directory: &Path) -> Result<Self, DownloadErrorKind> {
        loop {
            let name = format!("{TEMPORARY_PREFIX}{:016x}", fastrand::u64(..));
            let path = path_in(directory, &name);
            match lock::create_temporary(&path) {
                Ok(Some(file)) => {
                    return Ok(Self {
                        file,
                        path,
                        on_drop: OnDrop::Remove,
                        checkpoints: None,
                    });
                }
                Ok(None) => {}
                Err(error) => return Err(failed("create a file in", directory)(error)),
            }
        }
    }

    /// Makes a draft of a part, which drop leaves where it is: whether it is
    /// removed is up to whoever holds its lock.
    pub(crate) fn of_part(file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            on_drop: OnDrop::Leave,
            checkpoints: None,
        }
    }

    /// Has the draft note now and then, and when it breaks off, how many of its bytes
    /// are on the disk, `length` of which it has already.
    pub(crate) fn with_checkpoints(mut self, note: File, length: u64) -> Self {
        self.checkpoints = Some(Checkpoints {
            note,
            written: length,
            synced: length,
        });
        self
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DownloadErrorKind> {
        /// How much of a large file is downloaded again after a crash, at most.
        const OFTEN: u64 = 16 * 1024 * 1024;
        self.file
            .write_all(bytes)
            .map_err(failed("write", &self.path))?;
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.written += bytes.len() as u64;
            if checkpoints.written - checkpoints.synced >= OFTEN {
                checkpoints
                    .sync(&self.file)
                    .map_err(failed("sync", &self.path))?;
            }
        }
        Ok(())
    }

    /// Sets the length of the file, all of which is still to be written.
    pub(crate) fn set_length(&self, length: u64) -> Result<(), DownloadErrorKind> {
        self.file
            .set_len(length)
            .map_err(failed("set the length of", &self.path))
    }

    /// Writes at a place of the file. Others may do so elsewhere at the same time.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DownloadErrorKind> {
        system::write_all_at(&self.file, bytes, offset).map_err(failed("write", &self.path))
    }

    /// Reads at a place of the file, which has more bytes there.
    pub(crate) fn read_at(
        &self,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<usize, DownloadErrorKind> {
        let read = system::read_at(&self.file, buffer, offset)
            .and_then(|read| match read {
                0 => Err(ErrorKind::UnexpectedEof.into()),
                read => Ok(read),
            })
            .map_err(failed("read", &self.path))?;
        Ok(read)
    }

    /// Syncs what has been written to the disk.
    pub(crate) fn sync_content(&self) -> Result<(), DownloadErrorKind> {
        self.file.sync_data().map_err(failed("sync", &self.path))
    }

    /// Gives the file its name, in the place of the one that has it.
    pub(crate) fn commit(
        mut self,
        target: &Path,
        durability: Durability,
        overwrite: Overwrite,
        modified: Option<SystemTime>,
    ) -> Result<Committed, DownloadErrorKind> {
        if let Some(modified) = modified {
            self.file
                .set_modified(modified)
                .map_err(failed("set the time of", &self.path))?;
        }
        if durability != Durability::None {
            self.file.sync_all().map_err(failed("sync", &self.path))?;
        }
        // Before the file has its name: an error leaves everything as it was.
        let directory = match target.parent() {
            Some(path) if durability == Durability::FileAndDirectory => {
                Some(open_directory(path).map_err(failed("sync", path))?)
            }
            _ => None,
        };
        let committed = self.give_name(target, overwrite)?;
        self.checkpoints = None;
        if let Some(directory) = directory {
            // The file is in place, but may not be there after a crash.
            let synced = directory.sync_all();
            synced.map_err(failed("sync the folder of", target))?;
        }
        Ok(committed)
    }

    /// Gives the file the permissions of the one that it replaces; an error if
    /// that one must not be written.
    fn take_mode_of(&mut self, target: &Path) -> Result<(), DownloadErrorKind> {
        let Some(permissions) = replaceable(target)? else {
            return Ok(());
        };
        self.file
            .set_permissions(permissions)
            .map_err(failed("set the permissions of", &self.path))
    }

    fn give_name(
        &mut self,
        target: &Path,
        overwrite: Overwrite,
    ) -> Result<Committed, DownloadErrorKind> {
        // Mostly nothing has that name, and there is nothing to look at.
        if system::rename_new(&self.path, target).is_ok() {
            self.on_drop = OnDrop::Leave;
            return Ok(Committed::Saved);
        }
        if overwrite == Overwrite::Never {
            // A link, unlike a rename, fails if the name has come into use.
            match fs::hard_link(&self.path, target) {
                Ok(()) => {
                    self.on_drop = OnDrop::Remove;
                    return Ok(Committed::Saved);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    self.on_drop = OnDrop::Remove;
                    return Ok(Committed::WasThere);
                }
                // Not every file system has links.
                Err(_) => {}
            }
        } else {
            self.take_mode_of(target)?;
        }
        fs::rename(&self.path, target).map_err(failed("rename a file to", target))?;
        self.on_drop = OnDrop::Leave;
        Ok(Committed::Saved)
    }
}

/// Returns the permissions of the file that is to be replaced, if there is one;
/// an error if it must not be written. A link is replaced itself, so that what it
/// leads to does not count.
pub(crate) fn replaceable(target: &Path) -> Result<Option<Permissions>, DownloadErrorKind> {
    let Some(metadata) = fs::symlink_metadata(target).ok().filter(Metadata::is_file) else {
        return Ok(None);
    };
    let permissions = metadata.permissions();
    if permissions.readonly() {
        let error = io::Error::new(ErrorKind::PermissionDenied, "it is read-only");
        return Err(failed("replace", target)(error));
    }
    Ok(Some(without_special_bits(&permissions)))
}

/// A new content is not to run with the rights that the old one had.
#[cfg(unix)]
fn without_special_bits(permissions: &Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt;

    Permissions::from_mode(permissions.mode() & 0o777)
}

#[cfg(not(unix))]
fn without_special_bits(permissions: &Permissions) -> Permissions {
    permissions.clone()
}

impl Checkpoints {
    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()?;
        // A line that is cut short by a crash names fewer bytes, which are there too.
        writeln!(self.note, "{SYNCED}{}", self.written)?;
        self.note.sync_data()?;
        self.synced = self.written;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            if checkpoints.written > checkpoints.synced {
                // Then a later run downloads them again.
                let _ = checkpoints.sync(&self.file);
            }
        }
        if self.on_drop == OnDrop::Remove {
            // Nobody is left to be told of an error.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A new entry of a folder survives a crash once the folder has been synced;
/// systems other than Unix do not let a folder be opened for that.
#[cfg(unix)]
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(not(unix))]
pub(crate) fn open_directory(_path: &Path) -> io::Result<NoDirectory> {
    Ok(NoDirectory)
}

/// Stands for a folder that is not opened.
#[cfg(not(unix))]
pub(crate) struct NoDirectory;

#[cfg(not(unix))]
impl NoDirectory {
    #[expect(clippy::unused_self, reason = "it stands for a file, which has one")]
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What each system has a way of its own for.
#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    /// Renames a file to a name that nothing has; an error also where the system or the
    /// file system cannot do so in one step.
    #[cfg(target_os = "linux")]
    pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};

        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(windows)]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;
    use std::path::Path;

    pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match file.seek_write(bytes, offset)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
            }
        }
        Ok(())
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buffer, offset)
    }

    pub(super) fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn write_all_at(_: &File, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
