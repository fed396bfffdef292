//! How a program is run, and what it leaves: shared with the tests of `download`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

/// Returns the path of an example of the package under test.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = env::current_exe().expect("tests have a path");
    let profile = tests.ancestors().nth(2).expect("tests are in PROFILE/deps");
    let examples = profile.join("examples");
    let program = examples
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    if !program.is_file() {
        build_examples(profile);
    }
    assert!(
        program.is_file(),
        "{} is missing: run `cargo test` without a choice of targets, \
         or `cargo build --examples` first",
        program.display()
    );
    program
}

/// Builds what `cargo test` builds by itself, unless told which tests to build.
fn build_examples(profile: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let name = profile.file_name().and_then(OsStr::to_str);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples", "--profile"]);
        cargo.arg(name.map_or("dev", |name| if name == "debug" { "dev" } else { name }));
        cargo
            .arg("--target-dir")
            .arg(profile.parent().unwrap_or(profile));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        // If it fails, the program is missed, and that is told.
        let _built = cargo.status();
    });
}

/// A folder in which a program runs; drop removes it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let package = env!("CARGO_PKG_NAME");
        let name = format!("as-completed-{package}-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        // A process of the same number may have been killed.
        let _none_there = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("the folder for temporary files is writable");
        Self(path)
    }

    /// Prepares a run of an example in this folder.
    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = interruptible(example(program));
        without_proxy(&mut command);
        command
            .args(patience(program))
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command
    }

    /// Runs an example in this folder.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Ended {
        let output = self.command(program, arguments).output();
        Ended::new(&output.expect("the program starts"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// Returns the options by which a program waits for its server on a machine that is busy
/// with other work.
fn patience(program: &str) -> &'static [&'static str] {
    match program {
        "download" => &["--connect-timeout", "600", "--read-timeout", "600"],
        "flags2_sequential" | "flags2_threadpool" => {
            &["--connect-timeout", "600", "--timeout", "600"]
        }
        _ => &[],
    }
}

/// Prepares a run of a program that INT and HUP end, though they may be ignored here, as
/// under `nohup` or in the background of a script: the programs would respect that.
pub(crate) fn interruptible(program: impl AsRef<OsStr>) -> Command {
    if !is_interruptible() {
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT").arg(program);
        return command;
    }
    Command::new(program)
}

/// Whether neither INT nor HUP is ignored here, as far as the system tells.
fn is_interruptible() -> bool {
    /// HUP is signal 1, and INT signal 2.
    const HUP_AND_INT: u64 = 0b11;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & HUP_AND_INT == 0)
}

pub(crate) fn without_proxy(command: &mut Command) {
    for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
}

/// What a program has left on its way.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("programs write UTF-8");
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// Sends a signal by its name, such as `-INT`.
#[cfg(unix)]
pub(crate) fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("there is a kill command").success());
}

/// Reads what is left of the output of a program, and waits for its end.
#[cfg(unix)]
pub(crate) fn finish(child: &mut Child, mut out: impl std::io::Read) -> Ended {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut err = child.stderr.take().expect("the errors are piped");
    out.read_to_end(&mut stdout)
        .expect("the output can be read");
    std::io::Read::read_to_end(&mut err, &mut stderr).expect("the errors can be read");
    Ended::new(&Output {
        status: child.wait().expect("the program ends"),
        stdout,
        stderr,
    })
}
