//! Ignored tests that others run, in a process of their own.

use std::process::Command;

/// Runs an ignored test.
pub(crate) fn ignored_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", name]);
    command
}

/// Runs an ignored test in a process that may have so many files and sockets open.
#[cfg(target_os = "linux")]
pub(crate) fn ignored_test_with_descriptors(name: &str, number: u32) -> Command {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -n {number}; exec \"$0\" \"$@\"");
    command
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", name]);
    command
}

/// Waits for its end, and looks that it has passed.
pub(crate) fn assert_passes(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}
