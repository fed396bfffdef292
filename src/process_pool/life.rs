//! [`Life`]: whether a child lives, who may kill it, and how it ended.

use super::stderr::Stderr;
use crate::error::{Died, JoinError, TimedOut};
use crate::sync::{Condvar, Mutex};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The children of a pool that live now.
#[derive(Default)]
pub(super) struct Lives(Mutex<All>);

#[derive(Default)]
struct All {
    by_pid: BTreeMap<u32, Arc<Life>>,
    /// The pool was killed: what is started from now on is killed at once.
    is_killed: bool,
}

impl Lives {
    pub(super) fn pids(&self) -> Vec<u32> {
        self.0.lock().by_pid.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().by_pid.len()
    }

    pub(super) fn is_killed(&self) -> bool {
        self.0.lock().is_killed
    }

    /// Kills all that live, and all that will be started.
    pub(super) fn kill_all(&self) {
        let mut all = self.0.lock();
        all.is_killed = true;
        let lives: Vec<_> = all.by_pid.values().cloned().collect();
        drop(all);
        for life in lives {
            life.kill(None, Cause::Cancelled);
        }
    }
}

/// Whether a child lives, and what it does: shared with all who may kill it.
pub(super) struct Life {
    pub(super) pid: u32,
    stderr: Option<Arc<Stderr>>,
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    /// Set once the process has been waited for; it is never killed after that,
    /// for its id may be another's.
    status: Option<ExitStatus>,
    /// Whether a call is running, and which: a cancel that comes late must not
    /// kill the child under the next one.
    call: Option<u64>,
    /// Why this pool killed it.
    cause: Option<Cause>,
}

#[derive(Clone, Copy)]
pub(super) enum Cause {
    Cancelled,
    TimedOut(Duration),
    /// The pool has no more use for it.
    Retired,
}

impl Life {
    /// Watches over a process that was just started, on a thread of its own,
    /// which also shuts the socket down when the process has ended: a descendant
    /// may still hold the other end.
    pub(super) fn watch(
        process: process::Child,
        stderr: Option<Arc<Stderr>>,
        socket: &Arc<UnixStream>,
        lives: &Arc<Lives>,
    ) -> io::Result<Arc<Self>> {
        let life = Arc::new(Self {
            pid: process.id(),
            stderr,
            state: Mutex::new(State {
                status: None,
                call: None,
                cause: None,
            }),
            ended: Condvar::new(),
        });
        let mut all = lives.0.lock();
        all.by_pid.insert(life.pid, Arc::clone(&life));
        let is_killed = all.is_killed;
        drop(all);
        if is_killed {
            life.kill(None, Cause::Cancelled);
        }
        // Where this thread finds it if the other cannot be started.
        let process = Arc::new(Mutex::new(Some(process)));
        let theirs = Arc::clone(&process);
        let (same, socket, all) = (Arc::clone(&life), Arc::clone(socket), Arc::clone(lives));
        let waiter = thread::Builder::new()
            .name(format!("wait-{}", life.pid))
            .spawn(move || {
                same.wait_for_end();
                let mut state = same.state.lock();
                // What it has started ends with it.
                same.kill_group();
                // While nobody else can have its id.
                all.0.lock().by_pid.remove(&same.pid);
                let status = theirs.lock().take().map(|mut process| process.wait());
                let lost = || ExitStatus::from_raw(0);
                state.status = Some(status.and_then(Result::ok).unwrap_or_else(lost));
                drop(state);
                same.ended.notify_all();
                let _ = socket.shutdown(Shutdown::Both);
            });
        if let Err(error) = waiter {
            life.kill_group();
            lives.0.lock().by_pid.remove(&life.pid);
            if let Some(mut process) = process.lock().take() {
                let _ = process.wait();
            }
            return Err(error);
        }
        Ok(life)
    }

    /// Blocks until the process has ended, and leaves it waitable, so that its
    /// id stays its own until nobody can kill it any more.
    fn wait_for_end(&self) {
        if let Some(pid) = self.group() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(
                waitid(WaitId::Pid(pid), options),
                Err(rustix::io::Errno::INTR)
            ) {}
        }
    }

    fn group(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    /// Kills the child and all that it has started, if it runs that call, or
    /// whatever it does.
    pub(super) fn kill(&self, call: Option<u64>, cause: Cause) {
        let mut state = self.state.lock();
        if state.status.is_some() || (call.is_some() && state.call != call) {
            return;
        }
        state.cause.get_or_insert(cause);
        self.kill_group();
    }

    /// Called while the process has not been waited for, so the id is its own.
    fn kill_group(&self) {
        if let Some(group) = self.group() {
            // There may be nobody left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Notes which call the child runs from here on, or that it runs none.
    pub(super) fn set_call(&self, call: Option<u64>) {
        self.state.lock().call = call;
    }

    /// Whether it can be given a call, as far as is known.
    pub(super) fn is_alive(&self) -> bool {
        let state = self.state.lock();
        state.status.is_none() && state.cause.is_none()
    }

    /// Whether this pool has killed it.
    pub(super) fn is_killed(&self) -> bool {
        self.state.lock().cause.is_some()
    }

    /// Blocks until the process has ended, and says why a call that it ran has
    /// no result.
    pub(super) fn end(&self) -> JoinError {
        let mut state = self.state.lock();
        loop {
            if let Some(status) = state.status {
                let cause = state.cause;
                drop(state);
                return match cause {
                    Some(Cause::Cancelled) => JoinError::Cancelled,
                    Some(Cause::TimedOut(timeout)) => JoinError::TimedOut(TimedOut::new(timeout)),
                    Some(Cause::Retired) | None => {
                        let stderr = self.stderr.as_ref().map(|stderr| stderr.last());
                        JoinError::Died(Died::new(self.pid, status, stderr))
                    }
                };
            }
            self.ended.wait(&mut state);
        }
    }

    /// Blocks until the process has ended, and kills it if it has not after
    /// `grace`.
    pub(super) fn end_within(&self, grace: Duration) {
        let deadline = Instant::now().checked_add(grace);
        let mut state = self.state.lock();
        while state.status.is_none() {
            match deadline {
                Some(deadline) if Instant::now() < deadline => {
                    self.ended.wait_until(&mut state, deadline);
                }
                Some(_) if state.cause.is_none() => {
                    state.cause = Some(Cause::Retired);
                    self.kill_group();
                }
                _ => self.ended.wait(&mut state),
            }
        }
    }
}
