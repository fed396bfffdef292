//! The lack of file descriptors, which is no fault of a server or a file.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether one was ever lacking in this process.
static HAS_BEEN_SHORT: AtomicBool = AtomicBool::new(false);

/// Whether the process, or the system, has no descriptor left.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    let is_shortage = code.is_some_and(|code| system::CODES.contains(&code));
    if is_shortage {
        HAS_BEEN_SHORT.store(true, Ordering::Relaxed);
    }
    is_shortage
}

/// Whether a descriptor was ever lacking.
pub(crate) fn has_been_short() -> bool {
    HAS_BEEN_SHORT.load(Ordering::Relaxed)
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
