//! A NATS server with a store of its own.

use crate::Result;
use crate::child::{Killed, free_port};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::thread;

/// The fields are dropped in this order.
pub struct Server {
    pub url: String,
    _process: Killed,
    _store: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let port = free_port()?;
        let mut process = Command::new(program())
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(store.path())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = process.stderr.take().ok_or("no log")?;
        let process = Killed(process);
        let mut log = BufReader::new(log);
        let mut line = String::new();
        while !line.contains("Server is ready") {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err("nats-server does not start".into());
            }
        }
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Ok(Self {
            url: format!("nats://127.0.0.1:{port}"),
            _process: process,
            _store: store,
        })
    }

    /// A process of this program, which works for this server.
    pub fn child(&self, kind: &str, slots: &str) -> Result<Killed> {
        let mut command = Command::new(std::env::current_exe()?);
        Killed::start(command.args([kind, &self.url, slots]))
    }
}

/// Debian's is not on every user's path.
fn program() -> &'static str {
    let there = crate::child::works(Command::new("nats-server").arg("--version"));
    if there {
        "nats-server"
    } else {
        "/usr/sbin/nats-server"
    }
}
