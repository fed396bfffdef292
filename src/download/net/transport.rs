//! TCP for ureq that waits in short slices, and says how it failed.

use super::buffers::ConnectionBuffers;
use super::stop;
use crate::task::CancelToken;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport, time};

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
    /// The server reset the connection, or cut it without ending TLS; ureq would
    /// take that for the end of a body whose length nobody knows.
    #[error("{0}")]
    Reset(io::Error),
    /// What came is not what the protocol allows.
    #[error("{0}")]
    Malformed(&'static str),
    /// Less came than the minimum speed demands.
    #[error("too slow")]
    TooSlow,
    /// The proxy does not make the connection.
    #[error("proxy {proxy} refused with status {code}")]
    Refused { proxy: String, code: u16 },
}

/// The timeout of a read that never waits, and fails with
/// [`WouldBlock`](ErrorKind::WouldBlock) if nothing has come. No other has this
/// reason, and no other read fails so.
pub(crate) const LOOK: NextTimeout = NextTimeout {
    after: time::Duration::Exact(Duration::ZERO),
    reason: Timeout::PerWrite,
    per_read: None,
    per_write: None,
};

impl Fault {
    /// Finds the fault that an error was made of.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Takes the fault out of an error that was made of one.
    pub(crate) fn take(error: io::Error) -> Result<Self, io::Error> {
        if Self::of(&error).is_none() {
            return Err(error);
        }
        let kind = error.kind();
        match error.into_inner().ok_or(kind)?.downcast() {
            Ok(fault) => Ok(*fault),
            Err(other) => Err(io::Error::new(kind, other)),
        }
    }

    pub(crate) fn into_error(self) -> ureq::Error {
        ureq::Error::Io(io::Error::other(self))
    }
}

/// A TCP connection.
pub(crate) struct TcpTransport {
    stream: TcpStream,
    buffers: ConnectionBuffers,
    token: CancelToken,
    /// The timeouts that are set on the socket: setting them is a system call.
    read_slice: Option<Duration>,
    write_slice: Option<Duration>,
}

impl TcpTransport {
    pub(crate) fn new(stream: TcpStream, buffers: ConnectionBuffers, token: CancelToken) -> Self {
        Self {
            stream,
            buffers,
            token,
            read_slice: None,
            write_slice: None,
        }
    }

    /// Reads what is there already.
    fn look(&mut self) -> Result<bool, ureq::Error> {
        match system::read_at_once(&self.stream, self.buffers.input_append_buf()) {
            Ok(received) => {
                self.buffers.input_appended(received);
                Ok(received > 0)
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn check_token(&self) -> Result<(), ureq::Error> {
        if self.token.is_cancelled() || stop::is_stopped() {
            return Err(Fault::Cancelled.into_error());
        }
        Ok(())
    }
}

/// Says what an error of the socket means.
fn fault(error: io::Error) -> ureq::Error {
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => Fault::Reset(error).into_error(),
        _ => error.into(),
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
                Ok(0) => return Err(fault(ErrorKind::UnexpectedEof.into())),
                Ok(written) => sent += written,
                Err(error) if is_interruption(&error) => {}
                Err(error) if is_end_of_slice(&error) => check_deadline(deadline, timeout)?,
                Err(error) => return Err(fault(error)),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if timeout == LOOK {
            return self.look();
        }
        let timeout = timeout.for_read();
        let deadline = deadline_of(timeout);
        let patient_until = stop::patient_until();
        let end = match (deadline, patient_until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        loop {
            self.check_token()?;
            let slice = slice_until(end);
            if self.read_slice != Some(slice) {
                self.stream.set_read_timeout(Some(slice))?;
                self.read_slice = Some(slice);
            }
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(received) => {
                    self.buffers.input_appended(received);
                    return Ok(received > 0);
                }
                Err(error) if is_interruption(&error) => {}
                Err(error) if is_end_of_slice(&error) => {
                    check_deadline(deadline, timeout)?;
                    if patient_until.is_some_and(|until| Instant::now() >= until) {
                        return Err(Fault::TooSlow.into_error());
                    }
                }
                Err(error) => return Err(fault(error)),
            }
        }
    }

    /// Whether it is open is found by a [`LOOK`].
    fn is_open(&mut self) -> bool {
        true
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Sends bytes that may be more than there is room for.
pub(crate) fn transmit(
    transport: &mut dyn Transport,
    mut bytes: &[u8],
    timeout: NextTimeout,
) -> Result<(), ureq::Error> {
    while !bytes.is_empty() {
        let output = transport.buffers().output();
        let amount = bytes.len().min(output.len());
        let (now, later) = bytes.split_at(amount);
        output[..amount].copy_from_slice(now);
        transport.transmit_output(amount, timeout)?;
        bytes = later;
    }
    Ok(())
}

pub(crate) fn deadline_of(timeout: NextTimeout) -> Option<Instant> {
    if timeout.after.is_not_happening() {
        return None;
    }
    Instant::now().checked_add(*timeout.after)
}

/// What is left of a timeout of that deadline; an error if nothing is.
pub(crate) fn left_until(
    deadline: Option<Instant>,
    timeout: NextTimeout,
) -> Result<NextTimeout, ureq::Error> {
    no_later(deadline, timeout.reason, timeout)
}

/// Shortens a timeout to what is left until a deadline, which has that reason;
/// an error if nothing is.
pub(crate) fn no_later(
    deadline: Option<Instant>,
    reason: Timeout,
    timeout: NextTimeout,
) -> Result<NextTimeout, ureq::Error> {
    let Some(deadline) = deadline else {
        return Ok(timeout);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ureq::Error::Timeout(reason));
    }
    if left >= *timeout.after {
        return Ok(timeout);
    }
    Ok(NextTimeout {
        after: time::Duration::Exact(left),
        reason,
        ..timeout
    })
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

/// Reads without waiting, in one system call where there is one for that.
#[cfg(unix)]
mod system {
    use rustix::net::{RecvFlags, recv};
    use std::io;
    use std::net::TcpStream;

    pub(super) fn read_at_once(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = recv(stream, buffer, RecvFlags::DONTWAIT)?;
        Ok(received)
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::{self, Read};
    use std::net::TcpStream;

    pub(super) fn read_at_once(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.set_nonblocking(true)?;
        let read = stream.read(buffer);
        stream.set_nonblocking(false)?;
        read
    }
}
