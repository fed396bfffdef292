//! The functions that the tests call.

use as_completed::function::{Function, Functions};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

pub(crate) const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
pub(crate) const LENGTH: Function<String, u64> = Function::new("length", |all| all.len() as u64);
pub(crate) const ECHO: Function<String, String> = Function::new("echo", |all| all);
pub(crate) const ABORT: Function<(), u64> = Function::new("abort", |()| std::process::abort());
pub(crate) const PID: Function<(), u32> = Function::new("pid", |()| std::process::id());
/// Writes a line, so that runs can be counted.
pub(crate) const RUN: Function<(String, u64), u64> = Function::new("run", |(path, n)| {
    note(&path, &n.to_string());
    n
});
/// Writes a line, and runs until there is a file with the same name and `.go`.
pub(crate) const GATE: Function<(String, u64), u32> = Function::new("gate", |(path, n)| {
    note(&path, &n.to_string());
    while !std::path::Path::new(&format!("{path}.go")).exists() {
        thread::sleep(Duration::from_millis(5));
    }
    std::process::id()
});
/// Writes its process, and kills it.
pub(crate) const KILL: Function<String, u64> = Function::new("kill", |path| {
    note(&path, &std::process::id().to_string());
    std::process::abort()
});
/// Writes its process, and kills its worker: the thread's process, or the parent of
/// this child.
pub(crate) const SLAY: Function<String, u64> = Function::new("slay", |path| {
    note(&path, &std::process::id().to_string());
    if std::env::var_os(crate::worker::PROCESSES).is_none() {
        std::process::abort();
    }
    let parent = std::os::unix::process::parent_id().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-KILL", &parent])
        .status();
    assert!(kill.unwrap().success());
    loop {
        // Ended with its parent.
        thread::park();
    }
});
/// Computes for so many milliseconds.
pub(crate) const BURN: Function<(String, u64), u64> = Function::new("burn", |(path, millis)| {
    note(&path, "burn");
    let start = std::time::Instant::now();
    let mut rounds = 0_u64;
    while start.elapsed() < Duration::from_millis(millis) {
        rounds = std::hint::black_box(rounds.wrapping_mul(31) + 7);
    }
    rounds
});
/// Takes so many milliseconds, and returns its number.
pub(crate) const SPIN: Function<(u64, u64), u64> = Function::new("spin", |(n, millis)| {
    thread::sleep(Duration::from_millis(millis));
    n
});
pub(crate) const UNREGISTERED: Function<(), ()> = Function::new("unregistered", |()| ());

pub(crate) fn all() -> Functions {
    let functions = Functions::new();
    #[cfg(feature = "tracing")]
    let functions = functions.with(crate::spans::SPAN);
    functions
        .with(SQUARE)
        .with(LENGTH)
        .with(ECHO)
        .with(ABORT)
        .with(PID)
        .with(RUN)
        .with(GATE)
        .with(KILL)
        .with(SLAY)
        .with(BURN)
        .with(SPIN)
}

/// Appends a line, in one write.
fn note(path: &str, line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The lines that were noted so far.
pub(crate) fn noted(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A path for notes, which no other test has.
pub(crate) fn notes() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("as_completed_notes_{}_{number}", std::process::id());
    let path = std::env::temp_dir().join(name).display().to_string();
    for path in [path.clone(), format!("{path}.go")] {
        let _ = std::fs::remove_file(path);
    }
    path
}

pub(crate) fn open_gate(path: &str) {
    std::fs::write(format!("{path}.go"), "").unwrap();
}
