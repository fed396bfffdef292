//! TCP for ureq that waits in short slices, and says how it failed.

use super::stop;
use crate::task::CancelToken;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

/// How long a socket waits before it looks at the token again.
const SLICE: Duration = Duration::from_millis(250);

/// What is wrong with a connection, as seen from below ureq. It travels up as
/// the inner error of an `io::Error`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The token was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The server had closed a connection that was kept for further requests.
    #[error("server closed a kept connection: {0}")]
    Stale(io::Error),
    /// The server reset the connection; ureq would take that for the end of a
    /// body whose length nobody knows.
    #[error("{0}")]
    Reset(io::Error),
}

impl Fault {
    /// Finds the fault that an error was made of.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(crate) fn into_error(self) -> ureq::Error {
        ureq::Error::Io(io::Error::other(self))
    }
}

/// Where a connection is between the pool and its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// In use, and the server has answered, or it is the first use.
    First,
    /// In the pool.
    Returned,
    /// Taken from the pool; the server has not yet said anything since.
    Again,
}

/// A TCP connection.
pub(crate) struct TcpTransport {
    stream: TcpStream,
    buffers: LazyBuffers,
    token: CancelToken,
    lease: Lease,
    /// The timeouts that are set on the socket: setting them is a system call.
    read_slice: Option<Duration>,
    write_slice: Option<Duration>,
}

impl TcpTransport {
    pub(crate) fn new(stream: TcpStream, buffers: LazyBuffers, token: CancelToken) -> Self {
        Self {
            stream,
            buffers,
            token,
            lease: Lease::First,
            read_slice: None,
            write_slice: None,
        }
    }

    /// Says what an error of the socket means.
    fn fault(&self, error: io::Error) -> ureq::Error {
        let lost = matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
                | ErrorKind::NotConnected
        );
        match self.lease {
            Lease::Again if lost => Fault::Stale(error).into_error(),
            _ if lost => Fault::Reset(error).into_error(),
            _ => error.into(),
        }
    }

    fn check_token(&self) -> Result<(), ureq::Error> {
        if self.token.is_cancelled() || stop::is_stopped() {
            return Err(Fault::Cancelled.into_error());
        }
        Ok(())
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let deadline = deadline_of(timeout);
        let mut sent = 0;
        while sent < amount {
            self.check_token()?;
            let slice = slice_until(deadline);
            if self.write_slice != Some(slice) {
                self.stream.set_write_timeout(Some(slice))?;
                self.write_slice = Some(slice);
            }
            match self.stream.write(&self.buffers.output()[sent..amount]) {
                Ok(0) => return Err(self.fault(ErrorKind::UnexpectedEof.into())),
                Ok(written) => sent += written,
                Err(error) if is_interruption(&error) => {}
                Err(error) if is_end_of_slice(&error) => check_deadline(deadline, timeout)?,
                Err(error) => return Err(self.fault(error)),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let deadline = deadline_of(timeout);
        loop {
            self.check_token()?;
            let slice = slice_until(deadline);
            if self.read_slice != Some(slice) {
                self.stream.set_read_timeout(Some(slice))?;
                self.read_slice = Some(slice);
            }
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(0) if self.lease == Lease::Again => {
                    return Err(self.fault(ErrorKind::UnexpectedEof.into()));
                }
                Ok(received) => {
                    self.lease = Lease::First;
                    self.buffers.input_appended(received);
                    return Ok(received > 0);
                }
                Err(error) if is_interruption(&error) => {}
                Err(error) if is_end_of_slice(&error) => check_deadline(deadline, timeout)?,
                Err(error) => return Err(self.fault(error)),
            }
        }
    }

    /// ureq asks when it puts a connection into its pool and when it takes it
    /// out. Looking at the socket the second time is enough, and catches what
    /// came in between.
    fn is_open(&mut self) -> bool {
        if self.lease != Lease::Returned {
            self.lease = Lease::Returned;
            return true;
        }
        self.lease = Lease::Again;
        is_quiet(&self.stream).unwrap_or(false)
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("stream", &self.stream)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// Looks whether the server has said nothing, not even goodbye.
fn is_quiet(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock))
}

pub(crate) fn deadline_of(timeout: NextTimeout) -> Option<Instant> {
    if timeout.after.is_not_happening() {
        return None;
    }
    Instant::now().checked_add(*timeout.after)
}

/// The next slice, which ends with the deadline at the latest. It is the same
/// nearly always, so that it need not be set again.
pub(crate) fn slice_until(deadline: Option<Instant>) -> Duration {
    const LEAST: Duration = Duration::from_millis(1);
    match deadline {
        None => SLICE,
        Some(deadline) => deadline
            .saturating_duration_since(Instant::now())
            .clamp(LEAST, SLICE),
    }
}

fn check_deadline(deadline: Option<Instant>, timeout: NextTimeout) -> Result<(), ureq::Error> {
    match deadline {
        Some(deadline) if Instant::now() >= deadline => Err(ureq::Error::Timeout(timeout.reason)),
        _ => Ok(()),
    }
}

fn is_interruption(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Interrupted
}

/// A timeout of a socket is the one on Unix and the other on Windows.
fn is_end_of_slice(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
