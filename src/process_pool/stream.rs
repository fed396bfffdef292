//! [`Stream`]: one end of the socket between a pool and a child.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is read ahead: enough for most frames, headers included.
const BUFFER: usize = 16 * 1024;

/// One end of the socket.
///
/// A read does not look for a while before it sleeps: the system passes the
/// processor on to the process that is written to, which a look would only hold
/// up.
pub(super) struct Stream {
    socket: Arc<UnixStream>,
    /// When reads and writes end with an error of their own.
    deadline: Option<Instant>,
}

impl Stream {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self {
            socket,
            deadline: None,
        }
    }

    pub(super) fn buffered(socket: Arc<UnixStream>) -> BufReader<Self> {
        BufReader::with_capacity(BUFFER, Self::new(socket))
    }

    /// Has reads and writes end with an error of their own after that time.
    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

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

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.socket.set_read_timeout(Some(left))?;
        }
        (&*self.socket).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.socket.set_write_timeout(Some(left))?;
        }
        (&*self.socket).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
