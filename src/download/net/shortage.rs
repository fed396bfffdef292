//! The lack of file descriptors, which is no fault of a server or a file.

use std::io;

/// Whether the process, or the system, has no descriptor left.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| system::CODES.contains(&code))
}

#[cfg(unix)]
mod system {
    use rustix::io::Errno;

    pub(super) const CODES: [i32; 2] = [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
}

/// `ERROR_TOO_MANY_OPEN_FILES` and `WSAEMFILE`.
#[cfg(not(unix))]
mod system {
    pub(super) const CODES: [i32; 2] = [4, 10_024];
}
