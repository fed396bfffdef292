//! Programs that must not compile, each for its one reason.
//!
//! Behaviours ported from rayon-core's `compile_fail` (`quicksort_race`,
//! `rc_upvar`, `rc_return`, `scope_join_bad`) and std's `thread::scope`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error of the compiler: program, line and code.
type Fault = (String, usize, String);

/// The errors that the programs' comments announce.
fn announced(folder: &Path) -> BTreeSet<Fault> {
    let mut faults = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let before = faults.len();
        for (line, text) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if let Some((_, code)) = text.split_once("//~ ") {
                faults.insert((name.clone(), line + 1, code.trim().to_owned()));
            }
        }
        assert_eq!(faults.len(), before + 1, "{name} announces one error");
    }
    faults
}

/// The errors that the compiler reports, of lines like
/// `src/bin/program.rs:7:9: error[E0373]: closure may outlive …`.
fn reported(output: &str) -> BTreeSet<Fault> {
    let errors = output.lines().filter_map(|line| {
        let (place, message) = line.split_once(": error")?;
        let code = message.split_once(']').map_or("E", |(code, _)| &code[1..]);
        let mut place = place.rsplit(':');
        let line = place.nth(1)?.parse().ok()?;
        let name = Path::new(place.next()?).file_name()?.to_str()?;
        Some((name.to_owned(), line, code.to_owned()))
    });
    errors.collect()
}

/// A project with the programs as its binaries, beside those of Cargo's.
fn project(programs: &Path) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let mut manifest = format!(
        "[package]\nname = \"compile-fail\"\nedition = \"2024\"\nautobins = false\n\
         [workspace]\n[dependencies]\n\
         as-completed = {{ path = {root:?}, default-features = false }}\n"
    );
    for (program, ..) in announced(programs) {
        let path = programs.join(&program).display().to_string();
        let name = program.trim_end_matches(".rs");
        write!(manifest, "[[bin]]\nname = {name:?}\npath = {path:?}\n").unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    put(&folder, "Cargo.toml", manifest.as_bytes());
    let lock = fs::read(Path::new(root).join("Cargo.lock")).unwrap();
    put(&folder, "Cargo.lock", &lock);
    folder
}

/// Writes a file at one stroke: the suite may run twice at a time.
fn put(folder: &Path, name: &str, contents: &[u8]) {
    let draft = folder.join(format!("{name}.{}", std::process::id()));
    fs::write(&draft, contents).unwrap();
    fs::rename(draft, folder.join(name)).unwrap();
}

#[test]
fn forbidden_programs_are_refused_for_the_reason_they_announce() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compile_fail");
    let folder = project(&programs);
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["check", "--bins", "--keep-going", "--offline"])
        .args(["--message-format", "short", "--color", "never"])
        .arg("--target-dir")
        .arg(folder.join("target"))
        .current_dir(&folder)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    let output = String::from_utf8(output.stderr).unwrap();
    assert_eq!(reported(&output), announced(&programs), "{output}");
}
