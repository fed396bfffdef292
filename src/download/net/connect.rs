//! Connections that can be cancelled: TCP for ureq that waits in short slices.
//!
//! ureq's own sockets block for as long as the timeout lets them. These look at
//! the token a few times a second, in the middle of whatever they wait for:
//! TCP, TLS or a proxy's handshake, a header, a body. They also know what ureq
//! does not say: whether a body ended or was reset.

use super::buffers::ConnectionBuffers;
use super::stop;
use super::transport::{Fault, TcpTransport, deadline_of, slice_until};
use crate::task::CancelToken;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::unversioned::transport::NextTimeout;

/// Opens TCP connections.
#[derive(Debug)]
pub(crate) struct TcpConnector {
    token: CancelToken,
}

impl TcpConnector {
    pub(crate) fn new(token: CancelToken) -> Self {
        Self { token }
    }

    pub(crate) fn connect(
        &self,
        addresses: &[SocketAddr],
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<TcpTransport, ureq::Error> {
        if self.token.is_cancelled() {
            return Err(Fault::Cancelled.into_error());
        }
        let stream = self.connect_any(addresses, timeout)?;
        let buffers =
            ConnectionBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(TcpTransport::new(stream, buffers, self.token.clone()))
    }

    /// Tries the addresses one after the other, each with half of the time
    /// that is left, the last with all of it.
    fn connect_any(
        &self,
        addresses: &[SocketAddr],
        timeout: NextTimeout,
    ) -> Result<TcpStream, ureq::Error> {
        let deadline = deadline_of(timeout);
        let mut failed = None;
        for (index, address) in addresses.iter().enumerate() {
            let until = match deadline {
                Some(deadline) if index + 1 < addresses.len() => {
                    let now = Instant::now();
                    Some(now + deadline.saturating_duration_since(now) / 2)
                }
                deadline => deadline,
            };
            match self.connect_one(*address, until) {
                Ok(stream) => return Ok(stream),
                Err(error) if Fault::of(&error).is_some() => return Err(error.into()),
                Err(error) => failed = Some(error),
            }
        }
        Err(match failed {
            Some(error) if error.kind() == ErrorKind::TimedOut => {
                ureq::Error::Timeout(timeout.reason)
            }
            Some(error) => error.into(),
            None => ureq::Error::HostNotFound,
        })
    }

    fn connect_one(&self, address: SocketAddr, deadline: Option<Instant>) -> io::Result<TcpStream> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        match socket.connect_timeout(&SockAddr::from(address), slice_until(deadline)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                self.await_connected(&socket, deadline)?;
            }
            Err(error) => return Err(error),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Goes on waiting for a connection that was not made in the first slice.
    ///
    /// The standard library cannot wait for the same attempt twice, so this
    /// looks again and again, which after a slice is a small delay.
    fn await_connected(&self, socket: &Socket, deadline: Option<Instant>) -> io::Result<()> {
        const PAUSE: Duration = Duration::from_millis(10);
        loop {
            if self.token.is_cancelled() || stop::is_stopped() {
                return Err(io::Error::other(Fault::Cancelled));
            }
            if let Some(error) = socket.take_error()? {
                return Err(error);
            }
            if socket.peer_addr().is_ok() {
                return Ok(());
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(ErrorKind::TimedOut.into());
            }
            thread::sleep(PAUSE);
        }
    }
}
