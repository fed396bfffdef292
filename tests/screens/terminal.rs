//! [`Terminal`]: a program in a terminal, and what it has shown there.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

/// What the test itself writes to the terminal; it is not seen.
const MARK: &str = "\x1b]0;mark\x07";

/// What the programs write last but for the place of the cursor.
const END_OF_FRAME: &str = "\x1b[?7h\x1b[J";

/// A program in a terminal. Drop ends it, and removes its folder.
pub(crate) struct Terminal {
    child: Child,
    out: ChildStdout,
    parser: vt100::Parser,
    folder: PathBuf,
}

/// Runs a command of the system.
fn run(command: &str, arguments: &[&str]) {
    let status = Command::new(command).args(arguments).status();
    assert!(status.unwrap().success(), "{command} {arguments:?}");
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
        // A process of the same number may have been killed.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let program = example(package, program);
        // The program is not the child of `script`, which would stop with it.
        let line = format!(
            "tty > tty; stty columns {columns} rows {rows}; {before} \
             sh -c 'echo $$ > pid; exec \"$@\"' sh '{}' {arguments}; exit $?",
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

    /// Sends a signal to the program.
    pub(crate) fn send(&self, signal: &str) {
        run("kill", &[signal, &self.note("pid")]);
    }

    /// Makes the terminal narrower or wider, lets it break its lines anew as most do,
    /// and returns what the program draws then. As with tmux, the program is told of it
    /// later, and draws for the old size until then.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) -> String {
        self.stop();
        let (_, old_columns) = self.parser.screen().size();
        self.reflow(columns, rows);
        // Longer lines are cut, as `vt100` itself does not.
        self.parser.screen_mut().set_size(rows, old_columns);
        self.go_on();
        self.stop();
        self.parser.screen_mut().set_size(rows, columns);
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let tty = self.note("tty");
        run("stty", &["-F", &tty, "columns", &columns, "rows", &rows]);
        self.go_on();
        self.screen()
    }

    /// Stops the program, and draws what it has written so far.
    fn stop(&mut self) {
        self.send("-STOP");
        let stat = format!("/proc/{}/stat", self.note("pid"));
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            thread::yield_now();
        }
        fs::write(self.note("tty"), MARK).unwrap();
        self.draw_up_to(MARK);
    }

    /// Lets it go on, and draws what it writes.
    fn go_on(&mut self) {
        self.send("-CONT");
        // It may have looked at the size before it was stopped.
        self.draw_up_to(END_OF_FRAME);
        self.draw_up_to(END_OF_FRAME);
    }

    fn draw_up_to(&mut self, end: &str) {
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            let mut byte = [0];
            assert_eq!(self.out.read(&mut byte).unwrap(), 1, "it has ended");
            seen.extend(byte);
        }
        self.parser.process(&seen);
    }

    /// Breaks the lines anew, and takes the cursor along.
    fn reflow(&mut self, columns: u16, rows: u16) {
        let screen = self.parser.screen();
        let (cursor, column) = screen.cursor_position();
        assert_eq!(
            column, 0,
            "the cursor is taken along with the beginning of a line"
        );
        let (mut above, mut below) = (String::new(), String::new());
        for (row, line) in (0..).zip(screen.rows(0, screen.size().1)) {
            let text = if row < cursor { &mut above } else { &mut below };
            text.push_str(&line);
            if !screen.row_wrapped(row) {
                text.push_str("\r\n");
            }
        }
        self.parser = vt100::Parser::new(rows, columns, 0);
        self.parser.process(above.as_bytes());
        let (cursor, _) = self.parser.screen().cursor_position();
        self.parser.process(below.trim_end().as_bytes());
        let (last, _) = self.parser.screen().cursor_position();
        assert!(last < rows - 1, "there is room for all");
        self.parser
            .process(format!("\x1b[{};1H", cursor + 1).as_bytes());
    }

    /// Returns what the shell has noted before the program began.
    fn note(&self, name: &str) -> String {
        let note = fs::read_to_string(self.folder.join(name)).unwrap();
        note.trim().to_owned()
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
        let mut cargo = Command::new(env!("CARGO"));
        // With what cargo tells this test, build scripts would run again, and later
        // once more without it.
        for (name, _) in env::vars_os() {
            let is_of_cargo = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
            });
            if is_of_cargo {
                cargo.env_remove(name);
            }
        }
        let _built = cargo
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
