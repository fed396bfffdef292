//! A real NATS server for each test, on loopback, with a store of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{PATIENCE, Patience};

pub(crate) struct Server {
    program: PathBuf,
    process: Child,
    port: Port,
    /// Where servers of a group reach it.
    _route: Option<Port>,
    directory: PathBuf,
    arguments: Vec<String>,
}

/// A port that no other test has, of this process or of another.
pub(crate) struct Port {
    pub(crate) number: u16,
    /// Of the same number: who has it may use the port. The system takes it back with
    /// the process.
    _claim: UdpSocket,
}

impl Port {
    /// Claims a port that is free now, and perhaps not any more when a server binds it.
    ///
    /// The system gives no such port to those who ask for any, so that a server which was
    /// killed finds its own free when it is started again.
    pub(crate) fn free() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let place = std::process::id().wrapping_mul(97).wrapping_add(number) % 20_000;
            let number = 12_000 + u16::try_from(place).unwrap();
            let claim = UdpSocket::bind(("127.0.0.1", number));
            let free = TcpListener::bind(("127.0.0.1", number));
            if let (Ok(claim), Ok(_)) = (claim, free) {
                return Self {
                    number,
                    _claim: claim,
                };
            }
        }
    }
}

/// A folder of this server alone: one that a killed test has left is passed over.
fn own_directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("as_completed_nats_{}_{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match std::fs::create_dir(&directory) {
            Ok(()) => return directory,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", directory.display()),
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
        Self::start_configured(arguments, "")
    }

    /// Starts one with `JetStream` and these lines of a configuration.
    ///
    /// One that asks who connects needs `timeout: 60` there: otherwise it refuses a client
    /// that stands still for two seconds.
    pub(crate) fn start_with_config(config: &str) -> Option<Self> {
        Self::start_configured(&["-js"], config)
    }

    fn start_configured(arguments: &[&str], config: &str) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: there is no nats-server here (apt-get install nats-server)");
            return None;
        };
        let start = Patience::new();
        loop {
            if let Some(server) = Self::try_start(program.clone(), arguments, config, None) {
                return Some(server);
            }
            assert!(!start.is_over(PATIENCE), "nats-server does not start");
        }
    }

    /// Starts one server of a group; `None` where there is no program, and an error where
    /// it does not start, for somebody may have taken its port.
    pub(crate) fn start_in_group(
        arguments: &[&str],
        route: Port,
    ) -> Option<Result<Self, &'static str>> {
        let Some(program) = program() else {
            eprintln!("skipped: there is no nats-server here (apt-get install nats-server)");
            return None;
        };
        let server = Self::try_start(program, arguments, "", Some(route));
        Some(server.ok_or("nats-server does not start"))
    }

    fn try_start(
        program: PathBuf,
        arguments: &[&str],
        config: &str,
        route: Option<Port>,
    ) -> Option<Self> {
        let (port, directory) = (Port::free(), own_directory());
        let path = directory.join("nats.conf");
        std::fs::write(&path, config).unwrap();
        let config = ["-c", path.to_str().unwrap()];
        let arguments: Vec<_> = arguments
            .iter()
            .chain(&config)
            .map(|&argument| argument.to_owned())
            .collect();
        let Some(process) = launch(&program, port.number, &directory, &arguments) else {
            let _ = std::fs::remove_dir_all(directory);
            return None;
        };
        Some(Self {
            program,
            process,
            port,
            _route: route,
            directory,
            arguments,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number)
    }

    /// How many bytes of memory it uses now.
    pub(crate) fn memory(&self) -> u64 {
        memory(self.process.id())
    }

    /// Stops it, and blocks until it stands still: what is sent to it now is lost if it
    /// is killed.
    pub(crate) fn pause(&self) {
        pause(self.process.id());
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on its port and its store.
    pub(crate) fn restart(&mut self) {
        let start = Patience::new();
        loop {
            let (program, directory) = (&self.program, &self.directory);
            if let Some(process) = launch(program, self.port.number, directory, &self.arguments) {
                self.process = process;
                return;
            }
            assert!(!start.is_over(PATIENCE), "nats-server does not start again");
        }
    }
}

/// Stops a process, and blocks until none of its threads runs any more.
pub(crate) fn pause(pid: u32) {
    let stopped = Command::new("kill")
        .args(["-STOP", &pid.to_string()])
        .status();
    assert!(stopped.unwrap().success());
    eventually("it stands still", || {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let mut stats = threads.map(|thread| {
            let stat = thread.unwrap().path().join("stat");
            // A thread may have ended meanwhile.
            std::fs::read_to_string(stat).ok()
        });
        stats.all(|stat| stat.is_none_or(|stat| stat.contains(") T ")))
    });
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

/// Asks the server itself, by a bare request; returns its answer. Asks again where there
/// is none: servers of a group may have no leader at the moment.
pub(crate) fn ask(server: &Server, subject: &str, body: &str) -> String {
    let start = Patience::new();
    loop {
        match ask_within(server, subject, body, Duration::from_secs(10)) {
            Ok(answer) => return answer,
            Err(error) => assert!(!start.is_over(PATIENCE), "{subject}: {error}"),
        }
    }
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

    let mut socket = TcpStream::connect(("127.0.0.1", server.port.number))?;
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
    stored(server, queue).unwrap_or_else(|| panic!("there is no queue {queue:?}"))
}

/// As [`queued`]; `None` where there is no such queue.
pub(crate) fn stored(server: &Server, queue: &str) -> Option<u64> {
    let subject = format!("$JS.API.STREAM.INFO.as_completed_{queue}");
    let start = Patience::new();
    loop {
        let info = ask(server, &subject, "");
        if let Some((_, rest)) = info.split_once("\"messages\":") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            return Some(digits.parse().unwrap());
        }
        if info.contains("\"code\":404") {
            return None;
        }
        // No leader at the moment.
        assert!(!start.is_over(PATIENCE), "{info}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Blocks until `done`, which the test cannot be told.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Patience::new();
    while !done() {
        assert!(!start.is_over(PATIENCE), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
