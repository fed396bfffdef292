//! The rivals in Python, where they are installed.

use crate::child::{Killed, free_port, works};
use crate::{CALLS, PAYLOAD, Result, TRIPS};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The interpreter, and the folder of `rivals.py`.
pub struct Python(String);

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

impl Python {
    /// The variable `PYTHON` names it, such as that of a virtual environment.
    pub fn find() -> Self {
        Self(std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()))
    }

    pub fn has(&self, module: &str) -> bool {
        works(Command::new(&self.0).args(["-c", &format!("import {module}")]))
    }

    /// Seconds of a call, a trip and a payload.
    pub fn dask(&self) -> Result<Vec<f64>> {
        let numbers = [CALLS, TRIPS, PAYLOAD as u64].map(|number| number.to_string());
        let mut command = Command::new(&self.0);
        figures(
            command
                .current_dir(FOLDER)
                .args(["rivals.py", "dask"])
                .args(numbers),
        )
    }

    /// Seconds of a call.
    pub fn celery(&self) -> Result<Vec<f64>> {
        let port = free_port()?.to_string();
        let store = tempfile::tempdir()?;
        let mut redis = Command::new("redis-server");
        redis
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .current_dir(store.path())
            .stdout(Stdio::null());
        let _redis = Killed::start(&mut redis)?;
        let url = format!("redis://127.0.0.1:{port}");
        let mut worker = Command::new(&self.0);
        worker
            .args(["-m", "celery", "-A", "rivals", "-q", "worker", "-c", "2"])
            .args(["-l", "CRITICAL", "--without-gossip", "--without-mingle"])
            .current_dir(FOLDER)
            .env("REDIS", &url)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let worker = Worker(Killed::start(&mut worker)?);
        let mut command = Command::new(&self.0);
        let command = command.current_dir(FOLDER).env("REDIS", &url);
        let figures = figures(command.args(["rivals.py", "celery", &CALLS.to_string()]));
        drop(worker);
        figures
    }
}

/// A worker of Celery's, which ends its own processes when it is asked to end.
struct Worker(Killed);

impl Drop for Worker {
    fn drop(&mut self) {
        works(Command::new("kill").arg(self.0.0.id().to_string()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && self.0.0.try_wait().is_ok_and(|end| end.is_none()) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn figures(command: &mut Command) -> Result<Vec<f64>> {
    let output = command.stderr(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?} failed; run it to see why").into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| Ok(line.parse()?)).collect()
}

pub fn redis_is_here() -> bool {
    works(Command::new("redis-server").arg("--version")) && Path::new(FOLDER).is_dir()
}
