//! The parent's side of one child: starting it, talking to it, killing it, and
//! learning how it died.

use super::builder::Settings;
use super::frame;
use crate::error::{CallError, Died, JoinError, Panic};
use crate::function::{decode, encode};
use crate::sync::{Condvar, Mutex};
use crate::task::CancelToken;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A child process that serves calls, one at a time.
pub(super) struct Child {
    pub(super) life: Arc<Life>,
    socket: UnixStream,
    /// Calls made so far.
    pub(super) calls: usize,
}

/// Whether a child lives, and what it does: shared with all who may kill it.
pub(super) struct Life {
    pub(super) pid: u32,
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    /// Set once the process has been waited for; it is never killed after that,
    /// for its id may be another's.
    status: Option<ExitStatus>,
    /// Whether a call is running, and which: a cancel that comes late must not
    /// kill the child under the next one.
    call: Option<usize>,
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
    /// Kills the child and all that it has started, if it runs that call, or
    /// whatever it does.
    pub(super) fn kill(&self, call: Option<usize>, cause: Cause) {
        let mut state = self.state.lock();
        if state.status.is_some() || (call.is_some() && state.call != call) {
            return;
        }
        state.cause.get_or_insert(cause);
        self.kill_group();
    }

    /// Called while the process has not been waited for, so the id is its own.
    fn kill_group(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // There may be nobody left in it.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Blocks until the process has ended and been waited for.
    fn status(&self) -> (ExitStatus, Option<Cause>) {
        let mut state = self.state.lock();
        loop {
            if let Some(status) = state.status {
                return (status, state.cause);
            }
            self.ended.wait(&mut state);
        }
    }

    /// Blocks until then, for `grace` at most; says whether it has ended.
    fn ends_within(&self, grace: Duration) -> bool {
        let deadline = Instant::now().checked_add(grace);
        let mut state = self.state.lock();
        while state.status.is_none() {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(deadline) if Instant::now() >= deadline => return false,
                Some(deadline) => {
                    self.ended.wait_until(&mut state, deadline);
                }
            }
        }
        true
    }
}

impl Child {
    pub(super) fn start(settings: &Settings) -> Result<Self, JoinError> {
        Self::try_start(settings)
            .map_err(|error| JoinError::call(CallError::Start(error.to_string())))
    }

    fn try_start(settings: &Settings) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let hello = encode(&settings.memory_limit).map_err(io::Error::other)?;
        let program = match &settings.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let mut command = Command::new(program);
        command
            .args(&settings.args)
            .envs(settings.env.iter().map(|(name, value)| (name, value)))
            .env(frame::CHILD, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // A group of its own: Ctrl-C in the terminal reaches the parent
            // alone, and a kill takes along what the child has started.
            .process_group(0);
        if let Some(directory) = &settings.current_dir {
            command.current_dir(directory);
        }
        let mut process = command.spawn()?;
        // It holds the child's end of the socket.
        drop(command);
        let life = Arc::new(Life {
            pid: process.id(),
            state: Mutex::new(State {
                status: None,
                call: None,
                cause: None,
            }),
            ended: Condvar::new(),
        });
        let waiting = (Arc::clone(&life), socket.try_clone());
        let waiter = thread::Builder::new()
            .name(format!("wait-{}", life.pid))
            .spawn(move || {
                let (life, socket) = waiting;
                if let Some(pid) = i32::try_from(life.pid).ok().and_then(Pid::from_raw) {
                    // Leaves the process waitable, so that its id stays its own
                    // until nobody can kill it any more.
                    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                    while matches!(
                        waitid(WaitId::Pid(pid), options),
                        Err(rustix::io::Errno::INTR)
                    ) {}
                }
                let mut state = life.state.lock();
                // What it has started ends with it.
                life.kill_group();
                state.status = Some(process.wait().unwrap_or_else(|_| ExitStatus::from_raw(0)));
                drop(state);
                life.ended.notify_all();
                // A descendant may still hold the other end.
                if let Ok(socket) = socket {
                    let _ = socket.shutdown(Shutdown::Both);
                }
            });
        if let Err(error) = waiter {
            // The socket ends with this, and the child with it.
            life.kill_group();
            return Err(error);
        }
        let mut child = Self {
            life,
            socket,
            calls: 0,
        };
        // A child that is dead already is noticed by the first call.
        let _ = frame::write(&mut child.socket, frame::HELLO, &hello, &[]);
        Ok(child)
    }

    pub(super) fn is_alive(&self) -> bool {
        let state = self.life.state.lock();
        state.status.is_none() && state.cause.is_none()
    }

    /// Calls a function, and blocks until the child has answered or is dead.
    pub(super) fn call(
        &mut self,
        function: &str,
        argument: &[u8],
        token: &CancelToken,
        timeout: Option<Duration>,
    ) -> Result<Vec<u8>, JoinError> {
        self.calls += 1;
        let call = self.calls;
        self.life.state.lock().call = Some(call);
        let life = Arc::clone(&self.life);
        let on_cancel = token.on_cancel(move || life.kill(Some(call), Cause::Cancelled));
        let answer = self.exchange(function, argument, timeout);
        self.life.state.lock().call = None;
        drop(on_cancel);
        match answer {
            Ok((kind, body)) => understand(function, kind, body),
            Err(error) => {
                match (error.kind(), timeout) {
                    (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some(timeout)) => {
                        self.life.kill(None, Cause::TimedOut(timeout));
                    }
                    // The socket is at its end, and a child without it is of no
                    // use; most often it is dead already, and this does nothing.
                    _ => drop(self.socket.shutdown(Shutdown::Both)),
                }
                Err(match self.life.status() {
                    (_, Some(Cause::Cancelled)) => JoinError::Cancelled,
                    (_, Some(Cause::TimedOut(timeout))) => JoinError::TimedOut(timeout),
                    (status, _) => JoinError::Died(Died::new(self.life.pid, status, None)),
                })
            }
        }
    }

    fn exchange(
        &self,
        function: &str,
        argument: &[u8],
        timeout: Option<Duration>,
    ) -> io::Result<(u8, Vec<u8>)> {
        let mut socket = Timed {
            socket: &self.socket,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        };
        frame::write(
            &mut socket,
            frame::CALL,
            &frame::name_of(function),
            argument,
        )?;
        frame::read(&mut socket)
    }

    /// Asks the child to exit, and kills it if it has not after `grace`.
    pub(super) fn retire(mut self, grace: Duration) {
        let _ = frame::write(&mut self.socket, frame::EXIT, &[], &[]);
        if !self.life.ends_within(grace) {
            self.life.kill(None, Cause::Retired);
            self.life.status();
        }
    }
}

/// A socket whose reads and writes end by a deadline.
struct Timed<'a> {
    socket: &'a UnixStream,
    deadline: Option<Instant>,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.socket.set_read_timeout(Some(left))?;
        }
        let mut socket = self.socket;
        socket.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.socket.set_write_timeout(Some(left))?;
        }
        let mut socket = self.socket;
        socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn understand(function: &str, kind: u8, body: Vec<u8>) -> Result<Vec<u8>, JoinError> {
    let function = function.to_owned();
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    Err(match kind {
        frame::RETURNED => return Ok(body),
        frame::PANICKED => {
            let (message, thread_name, location) =
                decode::<frame::Panicked>(&body).unwrap_or_default();
            JoinError::Panicked(Panic::elsewhere(message, thread_name, location))
        }
        frame::ARGUMENT => JoinError::call(CallError::Decode {
            function,
            part: "argument",
            cause: text(&body),
        }),
        frame::RESULT => JoinError::call(CallError::Encode {
            function,
            part: "result",
            cause: text(&body),
        }),
        frame::UNKNOWN => {
            let (program, known) = decode(&body).unwrap_or_default();
            JoinError::call(CallError::Unknown {
                function,
                program,
                known,
            })
        }
        kind => JoinError::call(CallError::Decode {
            function,
            part: "result",
            cause: format!("an answer of the unknown kind {kind}: another version of this crate?"),
        }),
    })
}
