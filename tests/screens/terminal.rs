//! [`Terminal`]: a program in a terminal, and what it has shown there.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

/// A program in a terminal. Drop ends it, and removes its folder.
pub(crate) struct Terminal {
    child: Child,
    out: ChildStdout,
    parser: vt100::Parser,
    folder: PathBuf,
}

impl Terminal {
    /// Starts an example of a package in a terminal of so many columns and rows;
    /// `None` where none can be had. `before` runs in the shell before it.
    pub(crate) fn start(
        package: &str,
        program: &str,
        arguments: &str,
        (columns, rows): (u16, u16),
        before: &str,
    ) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let version = Command::new("script").arg("--version").output();
        if !version.is_ok_and(|output| output.stdout.starts_with(b"script from util-linux")) {
            eprintln!("not tested: there is no script command");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("as-completed-screens-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let program = example(package, program);
        let line = format!(
            "stty columns {columns} rows {rows}; {before} exec '{}' {arguments}",
            program.display()
        );
        let mut command = Command::new("script");
        command.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line,
            "/dev/null",
        ]);
        for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_COLOR"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.current_dir(&folder).env("TERM", "xterm-256color");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        Some(Self {
            child,
            out,
            parser: vt100::Parser::new(rows, columns, 0),
            folder,
        })
    }

    /// Waits until the screen is as wanted. Fails if the program ends before.
    pub(crate) fn show(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let screen = self.screen();
            if is_wanted(&screen) {
                return screen;
            }
            assert!(self.draw(), "it has ended with:\n{screen}");
        }
    }

    /// The rows of the screen, also of a line that goes on in the next.
    fn screen(&self) -> String {
        let screen = self.parser.screen();
        let (_, columns) = screen.size();
        screen.rows(0, columns).collect::<Vec<_>>().join("\n")
    }

    /// Draws what the program has written; returns whether it goes on.
    fn draw(&mut self) -> bool {
        let mut bytes = [0; 512];
        let length = self.out.read(&mut bytes).unwrap();
        self.parser.process(&bytes[..length]);
        length > 0
    }

    /// Waits for its end; returns the last screen and the exit code. Every screen
    /// before has passed the check.
    pub(crate) fn end(mut self, check: impl Fn(&str)) -> (String, Option<i32>) {
        while self.draw() {
            check(&self.screen());
        }
        let code = self.child.wait().unwrap().code();
        (self.screen(), code)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the path of an example, which is built first.
fn example(package: &str, name: &str) -> PathBuf {
    static ONCE: Once = Once::new();
    let tests = env::current_exe().expect("tests have a path");
    let profile = tests.ancestors().nth(2).expect("tests are in PROFILE/deps");
    ONCE.call_once(|| {
        let _built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--examples", "--target-dir"])
            .arg(profile.parent().unwrap_or(profile))
            .args(["-p", "flags", "-p", "download_program"])
            .args(["--features", "download_program/progress"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .status();
    });
    let program = profile.join("examples").join(name);
    assert!(program.is_file(), "{package} has no {}", program.display());
    program
}
