//! [`Child`]: the parent's side of one child: starting it, calling it, and
//! parting with it.

use super::builder::Settings;
use super::frame;
use super::life::{Cause, Life, Lives};
use super::stderr::Stderr;
use super::stream::Stream;
use crate::error::{CallError, JoinError, Panic};
use crate::function::{OnAnswer, Values, current_caller, decode, encode, take_value};
use crate::task::{CancelToken, OnCancel};
use std::io;
use std::iter;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A child process that serves calls, one at a time.
///
/// Dropping it blocks until the process has ended: it is asked to exit, and
/// killed if it has not after the grace of the settings.
pub(super) struct Child {
    life: Arc<Life>,
    socket: Arc<UnixStream>,
    stream: Stream,
    /// Room for the answers to a message of many calls.
    answers: Vec<u8>,
    /// Counts the calls; a message of many is one.
    call: u64,
    /// How many functions it has run.
    tasks: usize,
    /// Kills it if the call that it runs is cancelled.
    on_cancel: Option<OnCancel>,
    /// Whether it has been asked to exit.
    is_dismissed: bool,
    grace: Duration,
}

/// Why a child has not answered.
pub(super) enum Unanswered {
    /// It was dead before it had read the call.
    NotStarted,
    /// It has ended while it ran the call.
    Ended(JoinError),
}

impl Child {
    pub(super) fn start(settings: &Settings, lives: &Arc<Lives>) -> Result<Self, JoinError> {
        Self::try_start(settings, lives)
            .map_err(|error| JoinError::call(CallError::Start(error.to_string())))
    }

    fn try_start(settings: &Settings, lives: &Arc<Lives>) -> io::Result<Self> {
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
        if settings.capture_stderr {
            command.stderr(Stdio::piped());
        }
        let mut process = command.spawn()?;
        // It holds the child's end of the socket.
        drop(command);
        let stderr = process.stderr.take().map(Stderr::capture).transpose();
        let stderr = stderr.inspect_err(|_| {
            let _ = process.kill().and_then(|()| process.wait());
        })?;
        let socket = Arc::new(socket);
        let child = Self {
            life: Life::watch(process, stderr, &socket, lives)?,
            stream: Stream::new(Arc::clone(&socket)),
            socket,
            answers: Vec::new(),
            call: 0,
            tasks: 0,
            on_cancel: None,
            is_dismissed: false,
            grace: settings.stop_grace,
        };
        // A child that is dead already is noticed by the first call.
        let _ = frame::write(&mut &*child.socket, frame::HELLO, &hello, &[]);
        Ok(child)
    }

    /// Whether it can be given a call, as far as is known.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_dismissed && self.life.is_alive()
    }

    /// How many functions it has run.
    pub(super) fn tasks(&self) -> usize {
        self.tasks
    }

    /// What it has run so far was not a task.
    pub(super) fn is_initialized(&mut self) {
        self.tasks = 0;
    }

    /// Asks it to exit. Does not wait for that.
    pub(super) fn dismiss(&mut self) {
        if !self.is_dismissed {
            self.is_dismissed = true;
            let _ = frame::write(&mut &*self.socket, frame::EXIT, &[], &[]);
        }
    }

    /// Calls a function, and blocks until the child has answered or is dead. The
    /// result takes the place of the argument.
    pub(super) fn call(
        &mut self,
        function: &str,
        value: &mut Vec<u8>,
        token: &CancelToken,
        timeout: Option<Duration>,
    ) -> Result<Result<(), JoinError>, Unanswered> {
        self.send(function, value, token, timeout)?;
        self.receive(function, value, timeout)
    }

    /// Sends a call, whose answer is [received](Self::receive) then; blocks only if
    /// the argument is large.
    pub(super) fn send(
        &mut self,
        function: &str,
        argument: &[u8],
        token: &CancelToken,
        timeout: Option<Duration>,
    ) -> Result<(), Unanswered> {
        self.tasks += 1;
        self.begin();
        self.stream.set_timeout(timeout);
        let (life, call) = (Arc::clone(&self.life), self.call);
        self.on_cancel = Some(token.on_cancel(move || life.kill(Some(call), Cause::Cancelled)));
        let name = frame::name_of(function);
        let sent = self
            .tell_caller()
            .and_then(|()| frame::write(&mut self.stream, frame::CALL, &name, argument));
        sent.map_err(|error| {
            self.end();
            self.unanswered(&error, timeout, true)
        })
    }

    /// Blocks until the child has answered the call that was sent, or is dead. The
    /// result takes the place of what is in the buffer; if the call has not started
    /// that stays.
    pub(super) fn receive(
        &mut self,
        function: &str,
        value: &mut Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<Result<(), JoinError>, Unanswered> {
        let answer = frame::read_onto(&mut self.stream, value);
        self.end();
        match answer {
            Ok(frame::RETURNED) => Ok(Ok(())),
            Ok(kind) => Ok(Err(failure(function, kind, value))),
            Err(error) => Err(self.unanswered(&error, timeout, true)),
        }
    }

    /// The child runs no call from here on.
    fn end(&mut self) {
        self.life.set_call(None);
        self.on_cancel = None;
    }

    fn begin(&mut self) {
        self.call += 1;
        self.life.set_call(Some(self.call));
    }

    /// Tells in which span the next call is made, if in one.
    fn tell_caller(&mut self) -> io::Result<()> {
        let Some(caller) = current_caller() else {
            return Ok(());
        };
        let caller = encode(&caller).map_err(io::Error::other)?;
        frame::write(&mut self.stream, frame::CALLER, &[], &caller)
    }

    /// Why there is no answer, or no more of it.
    fn unanswered(
        &mut self,
        error: &io::Error,
        timeout: Option<Duration>,
        is_whole: bool,
    ) -> Unanswered {
        match (error.kind(), timeout) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some(timeout)) => {
                self.life.kill(None, Cause::TimedOut(timeout));
            }
            // The call could not be sent, or it was not read: the system tells
            // of what is left unread at the end of a socket. A child that has
            // never run anything is not given the benefit of the doubt, for the
            // next one would not run it either.
            (io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset, _)
                if is_whole && self.call > 1 && !self.life.is_killed() =>
            {
                // Nor is it given another.
                self.is_dismissed = true;
                return Unanswered::NotStarted;
            }
            // The socket is at its end, and a child without it is of no use: nobody
            // else can cancel what it runs, or end it in time. Most often it is dead
            // already, and this does nothing.
            _ => {
                let _ = self.socket.shutdown(Shutdown::Both);
                self.life.end_within(self.grace);
            }
        }
        Unanswered::Ended(self.life.end())
    }

    /// Calls a function with each of those arguments, and gives
    /// the answers out as they come; blocks until all are there or the child is
    /// dead.
    ///
    /// A `careful` one answers each before it starts the next. Otherwise they
    /// come together, every millisecond or so.
    pub(super) fn call_each(
        &mut self,
        function: &str,
        arguments: &Values,
        those: Range<usize>,
        careful: bool,
        timeout: Option<Duration>,
        answer: &mut OnAnswer<'_>,
    ) -> Result<(), Stopped> {
        let count = those.len();
        self.begin();
        self.stream.set_timeout(timeout);
        let mut answered = 0;
        // Whether the first that is unanswered is known to have been started.
        let mut is_running = careful;
        let receive = || {
            self.tell_caller()?;
            let mut name = vec![u8::from(careful)];
            name.extend_from_slice(&frame::name_of(function));
            let values = arguments.bytes(those);
            frame::write(&mut self.stream, frame::CALL_EACH, &name, values)?;
            let body = &mut self.answers;
            while answered < count {
                let kind = frame::read_onto(&mut self.stream, body)?;
                // The timeout is that of each call.
                self.stream.set_timeout(timeout);
                if kind == frame::RUNNING {
                    is_running = true;
                    continue;
                }
                is_running = careful;
                let mut answers = &body[..];
                while !answers.is_empty() && kind == frame::ANSWERS {
                    let mut results = iter::from_fn(|| {
                        let (value, rest) = split_result(answers)?;
                        answers = rest;
                        answered += 1;
                        self.tasks += 1;
                        Some(value)
                    });
                    answer(Ok(&mut results));
                    // The end, or an answer that is no result.
                    let Some(value) = take_value(&mut answers) else {
                        break;
                    };
                    let (kind, text) = value.split_last().ok_or(io::ErrorKind::InvalidData)?;
                    answered += 1;
                    self.tasks += 1;
                    answer(Err(failure(function, *kind, text)));
                }
                if kind != frame::ANSWERS || !answers.is_empty() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
            Ok(())
        };
        let received: io::Result<()> = receive();
        if self.answers.capacity() > frame::KEPT {
            self.answers = Vec::new();
        }
        self.end();
        received.map_err(|error| Stopped {
            answered,
            is_running,
            why: self.unanswered(&error, timeout, answered == 0 && !is_running),
        })
    }
}

/// A message of many calls was not answered to its end.
pub(super) struct Stopped {
    /// How many were answered.
    pub(super) answered: usize,
    /// Whether the next one is known to be the one that ran.
    pub(super) is_running: bool,
    pub(super) why: Unanswered,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.dismiss();
        self.life.end_within(self.grace);
    }
}

/// Splits the first of many answers off, if it is a result.
#[inline]
fn split_result(mut answers: &[u8]) -> Option<(&[u8], &[u8])> {
    let (kind, result) = take_value(&mut answers)?.split_last()?;
    (*kind == frame::RETURNED).then_some((result, answers))
}

/// What an answer says that is not a result.
fn failure(function: &str, kind: u8, body: &[u8]) -> JoinError {
    let function = function.to_owned();
    let text = || String::from_utf8_lossy(body).into_owned();
    match kind {
        frame::PANICKED => {
            let (message, thread_name, location) =
                decode::<frame::Panicked>(body).unwrap_or_default();
            JoinError::Panicked(Panic::elsewhere(message, thread_name, location))
        }
        frame::ARGUMENT => JoinError::call(CallError::Decode {
            function,
            part: "argument",
            cause: text(),
        }),
        frame::RESULT => JoinError::call(CallError::Encode {
            function,
            part: "result",
            cause: text(),
        }),
        frame::UNKNOWN => {
            let (program, known) = decode(body).unwrap_or_default();
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
    }
}
