//! A real NATS server for each test, on loopback, with a store of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Patience};

pub(crate) struct Server {
    process: Child,
    port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
}

/// Returns a port that is free now, and perhaps not any more when a server binds it.
///
/// The system gives no such port to those who ask for any, so that a server which was
/// killed finds its own free when it is started again.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(97).wrapping_add(number) % 20_000;
        let port = 12_000 + u16::try_from(place).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The server's program, or `None` where there is none.
fn program() -> Option<PathBuf> {
    ["nats-server", "/usr/sbin/nats-server"]
        .map(PathBuf::from)
        .into_iter()
        .find(|program| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        })
}

impl Server {
    /// Starts a server with `JetStream`; says so where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&["-js"])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Some(program) = program() else {
            eprintln!("skipped: there is no nats-server here (apt-get install nats-server)");
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("as_completed_nats_{}_{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = free_port();
            if let Some(process) = launch(&program, port, &directory, &arguments) {
                return Some(Self {
                    process,
                    port,
                    directory,
                    arguments,
                });
            }
            assert!(Instant::now() < deadline, "nats-server does not start");
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// How many bytes of memory it uses now.
    pub(crate) fn memory(&self) -> u64 {
        memory(self.process.id())
    }

    /// Stops it: what is sent to it now is lost if it is killed.
    pub(crate) fn pause(&self) {
        let status = Command::new("kill")
            .args(["-STOP", &self.process.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on its port and its store.
    pub(crate) fn restart(&mut self) {
        let program = program().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(process) = launch(&program, self.port, &self.directory, &self.arguments) {
                self.process = process;
                return;
            }
            assert!(
                Instant::now() < deadline,
                "nats-server does not start again"
            );
        }
    }
}

/// How many bytes of memory a process uses now.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// Starts the program and waits until it says that it is ready.
fn launch(program: &Path, port: u16, directory: &Path, arguments: &[String]) -> Option<Child> {
    let mut process = Command::new(program)
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while log.read_line(&mut line).is_ok_and(|length| length > 0) {
        if line.contains("Server is ready") {
            // Nobody may block it by not reading what it writes.
            std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
            return Some(process);
        }
        line.clear();
    }
    process.wait().unwrap();
    None
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Asks the server itself, by a bare request; returns its answer.
pub(crate) fn ask(server: &Server, subject: &str, body: &str) -> String {
    ask_within(server, subject, body, Duration::from_secs(30)).unwrap()
}

/// As [`ask`], of a server that may have no answer at the moment.
pub(crate) fn ask_soon(server: &Server, subject: &str, body: &str) -> Option<String> {
    ask_within(server, subject, body, Duration::from_secs(1)).ok()
}

fn ask_within(
    server: &Server,
    subject: &str,
    body: &str,
    patience: Duration,
) -> std::io::Result<String> {
    use std::io::Write as _;

    let mut socket = TcpStream::connect(("127.0.0.1", server.port))?;
    socket.set_read_timeout(Some(patience))?;
    write!(
        socket,
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n",
        body.len()
    )?;
    let mut lines = BufReader::new(socket);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if line.starts_with("MSG answer") {
            line.clear();
            lines.read_line(&mut line)?;
            return Ok(line);
        }
        line.clear();
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}

/// How many calls the queue holds, running ones included.
pub(crate) fn queued(server: &Server, queue: &str) -> u64 {
    let info = ask(
        server,
        &format!("$JS.API.STREAM.INFO.as_completed_{queue}"),
        "",
    );
    let (_, rest) = info.split_once("\"messages\":").unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Blocks until `done`, which the test cannot be told.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Patience::new();
    while !done() {
        assert!(!start.is_over(PATIENCE), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
