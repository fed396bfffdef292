//! Files by which tests and their children tell each other something, and what
//! can be asked of a process.

use crate::support::eventually;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A path that no other test of any run uses.
pub(crate) fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("as-completed-{}-{name}", std::process::id()))
}

/// The same, as functions take it.
pub(crate) fn path_text(name: &str) -> String {
    path(name).display().to_string()
}

/// What a function has written there, once it has.
pub(crate) fn text_in(path: &Path) -> String {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    eventually(|| !read().is_empty());
    let text = read();
    std::fs::remove_file(path).unwrap();
    text
}

/// The process ids that a function has written there, once it has.
pub(crate) fn pids_in(path: &Path) -> Vec<u32> {
    let text = text_in(path);
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

/// Whether the process is there and no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Stops the process, and blocks until none of its threads runs any more.
pub(crate) fn stop(pid: u32) {
    let stopped = Command::new("kill")
        .args(["-STOP", &pid.to_string()])
        .status();
    assert!(stopped.unwrap().success());
    let is_stopped = |thread: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat"));
        // It may have ended meanwhile.
        stat.map_or(true, |stat| stat.contains(") T "))
    };
    eventually(|| {
        let mut threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        threads.all(is_stopped)
    });
}

pub(crate) fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
}
