//! Files that one run holds at a time, opened without following links.

use crate::download::net::shortage::is_shortage;
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// What is under a name.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// A regular file, locked for as long as it, or a clone of it, is open.
    File(File),
    /// Another run's file, or something that is no regular file.
    Unavailable,
}

/// Opens and locks a file that is there. Never waits. It is an error only if
/// nothing can be opened for want of descriptors.
pub(crate) fn open(path: &Path) -> io::Result<Found> {
    match system::open(path) {
        Ok(file) => Ok(lock(file, path).map_or(Found::Unavailable, Found::File)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(Found::Unavailable),
    }
}

/// Creates and locks a file, unless something of that name is there already.
pub(crate) fn create(path: &Path) -> io::Result<Option<File>> {
    match system::create(path) {
        Ok(file) => Ok(lock(file, path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates and locks a file of a name that nobody else uses; `None` if something
/// of that name is there already, or if it was taken for one that was left over.
pub(crate) fn create_temporary(path: &Path) -> io::Result<Option<File>> {
    match system::create(path) {
        // Without locks nobody takes it for one that was left over, either.
        Ok(file) => Ok(
            (!system::is_locked_by_another(&file) && system::has_name(&file, path)).then_some(file),
        ),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives up the lock of a file that may still be open elsewhere: in a child process that
/// has not yet become another program.
pub(crate) fn release(file: &File) {
    system::unlock(file);
}

/// Removes a file that is locked for as long as it is of use, if it is not.
pub(crate) fn remove_unused(path: &Path) {
    if let Ok(Found::File(_unused)) = open(path) {
        // Nobody is to be told of an error: the next run tries again.
        let _ = std::fs::remove_file(path);
    }
}

/// Opens a file to read it through, if it is a regular one or a link to one.
pub(crate) fn open_to_hash(path: &Path) -> io::Result<File> {
    let file = system::open_followed(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Opens a small file to write at its end, if it is a regular one.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    only_plain(system::open_to_append(path)?)
}

/// Opens a small file to read it, if it is a regular one.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    only_plain(system::open_to_read(path)?)
}

fn only_plain(file: File) -> io::Result<File> {
    if is_plain(&file.metadata()?) {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

fn lock(file: File, path: &Path) -> Option<File> {
    // Whoever held the lock until now may have renamed the file since it was
    // opened here, hence the look at its name after it is locked.
    let is_ours =
        is_plain(&file.metadata().ok()?) && system::try_lock(&file) && system::is_at(&file, path);
    is_ours.then_some(file)
}

/// Returns whether the open file is still the one of that name.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    system::is_at(file, path)
}

/// A regular file of one name: others lead out of the folder as links do.
#[cfg(unix)]
fn is_plain(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    metadata.is_file() && metadata.nlink() <= 1
}

#[cfg(not(unix))]
fn is_plain(metadata: &Metadata) -> bool {
    metadata.is_file()
}

#[cfg(unix)]
mod system {
    use rustix::fs::{FlockOperation, Mode, OFlags, flock};
    use rustix::io::Errno;
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    pub(super) fn open(path: &Path) -> io::Result<File> {
        open_with(path, OFlags::RDWR)
    }

    pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
        open_with(path, OFlags::RDONLY)
    }

    pub(super) fn create(path: &Path) -> io::Result<File> {
        open_with(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
        open_with(path, OFlags::WRONLY | OFlags::APPEND)
    }

    pub(super) fn open_followed(path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
    }

    fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
        // Without NONBLOCK, opening a FIFO waits for its other end.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))?;
        Ok(File::from(file))
    }

    pub(super) fn try_lock(file: &File) -> bool {
        flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    pub(super) fn unlock(file: &File) {
        // Closing it does the same, if nobody else has it open.
        let _ = flock(file, FlockOperation::Unlock);
    }

    /// Locks the file, unless another has; where there are no locks, nobody has.
    pub(super) fn is_locked_by_another(file: &File) -> bool {
        flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    }

    /// Whether a file that nobody renames still has the name it was created with.
    pub(super) fn has_name(file: &File, _path: &Path) -> bool {
        file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }

    pub(super) fn is_at(file: &File, path: &Path) -> bool {
        let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
            return false;
        };
        open.dev() == named.dev() && open.ino() == named.ino()
    }
}

/// Elsewhere a file is held by not letting others open it, where that can be
/// said.
#[cfg(not(unix))]
mod system {
    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::Path;

    pub(super) fn open(path: &Path) -> io::Result<File> {
        if fs::symlink_metadata(path)?.is_symlink() {
            return Err(io::Error::other("a link"));
        }
        held().open(path)
    }

    pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(super) fn create(path: &Path) -> io::Result<File> {
        held().create_new(true).open(path)
    }

    fn held() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(windows)]
        {
            use std::os::windows::fs::OpenOptionsExt;

            // FILE_SHARE_DELETE: it is renamed while it is open.
            options.share_mode(4);
        }
        options
    }

    pub(super) fn try_lock(_file: &File) -> bool {
        true
    }

    pub(super) fn unlock(_file: &File) {}

    pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).open(path)
    }

    pub(super) fn open_followed(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(super) fn is_locked_by_another(_file: &File) -> bool {
        false
    }

    pub(super) fn has_name(file: &File, path: &Path) -> bool {
        is_at(file, path)
    }

    pub(super) fn is_at(_file: &File, path: &Path) -> bool {
        path.is_file()
    }
}
