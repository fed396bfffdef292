//! Workers: processes of this test's program, which can be killed, and threads
//! of the test itself.

use crate::functions;
use crate::server::{self, Server};
use crate::support::PATIENCE;
use as_completed::CancelToken;
use as_completed::cluster::{Cluster, ClusterBuilder, Worker, WorkerBuilder};
use as_completed::process::ProcessPool;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// So long that nobody counts as dead who only stands still for some seconds, as anybody
/// may beside other work: calls that run twice then would be too many.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// For tests that end the same however often the living count as dead.
pub(crate) const SHORT_LEASE: Duration = Duration::from_secs(2);

const URL: &str = "AS_COMPLETED_TEST_URL";
const SLOTS: &str = "AS_COMPLETED_TEST_SLOTS";
pub(crate) const PROCESSES: &str = "AS_COMPLETED_TEST_PROCESSES";
/// In milliseconds.
pub(crate) const WORKER_LEASE: &str = "AS_COMPLETED_TEST_LEASE";
/// In milliseconds.
pub(crate) const GRACE: &str = "AS_COMPLETED_TEST_GRACE";
/// The worker's token is cancelled when there is this file.
pub(crate) const STOP_FILE: &str = "AS_COMPLETED_TEST_STOP_FILE";

/// What the worker's child processes run; passes at once as a test.
#[test]
fn serve() {
    #[cfg(feature = "tracing")]
    if std::env::var_os("AS_COMPLETED_CHILD").is_some() {
        crate::spans::record();
    }
    functions::all().init();
}

/// A worker's program; passes at once as a test.
#[test]
fn work() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    #[cfg(feature = "tracing")]
    crate::spans::record();
    functions::all().init();
    let slots = std::env::var(SLOTS).unwrap().parse().unwrap();
    let millis = |name| {
        let millis = std::env::var(name).ok()?.parse().unwrap();
        Some(Duration::from_millis(millis))
    };
    let worker = Worker::builder(&url, functions::all())
        .lease(millis(WORKER_LEASE).unwrap_or(LEASE))
        .connect_timeout(PATIENCE)
        .stop_grace(millis(GRACE).unwrap_or(PATIENCE));
    let worker = if std::env::var_os(PROCESSES).is_some() {
        worker.process_pool(pool_builder(slots))
    } else {
        worker.threads(slots)
    };
    let worker = worker.build().unwrap();
    let Ok(file) = std::env::var(STOP_FILE) else {
        return worker.run().unwrap();
    };
    let token = CancelToken::new();
    let to_cancel = token.clone();
    thread::spawn(move || {
        // The test ends this process if there never is one.
        while !Path::new(&file).exists() {
            thread::sleep(Duration::from_millis(10));
        }
        to_cancel.cancel();
    });
    worker.run_until(&token).unwrap();
}

pub(crate) fn pool_builder(slots: usize) -> as_completed::process::ProcessPoolBuilder {
    ProcessPool::builder(functions::all())
        .max_workers(slots)
        .env("RUST_BACKTRACE", "0")
        .args(["worker::serve", "--exact", "--nocapture", "--quiet"])
}

/// A worker in a process of its own, killed when dropped.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn threads(server: &Server, slots: usize) -> Self {
        Self::with(server, slots, &[])
    }

    pub(crate) fn processes(server: &Server, slots: usize) -> Self {
        Self::with(server, slots, &[(PROCESSES, "1")])
    }

    /// A worker whose program has these variables.
    pub(crate) fn with(server: &Server, slots: usize, variables: &[(&str, &str)]) -> Self {
        let mut command = program("worker::work");
        command
            .env(URL, server.url())
            .env(SLOTS, slots.to_string())
            .envs(variables.iter().copied());
        Self(command.spawn().unwrap())
    }

    /// Stops it, and blocks until it stands still.
    pub(crate) fn pause(&self) {
        server::pause(self.0.id());
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program, to run one of its tests.
pub(crate) fn program(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--quiet"])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A worker on threads of this process, ended when dropped.
pub(crate) struct Here {
    token: CancelToken,
    thread: Option<JoinHandle<()>>,
}

impl Here {
    pub(crate) fn threads(server: &Server, slots: usize) -> Self {
        Self::of(worker_builder(server).threads(slots))
    }

    pub(crate) fn of(builder: WorkerBuilder) -> Self {
        let token = CancelToken::new();
        let seen = token.clone();
        let worker = builder.build().unwrap();
        let thread = thread::spawn(move || worker.run_until(&seen).unwrap());
        Self {
            token,
            thread: Some(thread),
        }
    }

    /// Asks it to stop, and blocks until it has.
    pub(crate) fn stop(&mut self) {
        self.token.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn builder(server: &Server) -> ClusterBuilder {
    Cluster::builder(
        &server.url(),
        functions::all().with(functions::UNREGISTERED),
    )
    .lease(LEASE)
    // The store of the server may be slow beside other work.
    .connect_timeout(PATIENCE)
}

pub(crate) fn cluster(server: &Server) -> Cluster {
    builder(server).connect().unwrap()
}

pub(crate) fn worker_builder(server: &Server) -> WorkerBuilder {
    Worker::builder(&server.url(), functions::all())
        .lease(LEASE)
        .connect_timeout(PATIENCE)
}
