//! [`Stream`]: one end of the socket between a pool and a child.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is read ahead: enough for most frames, headers included.
const BUFFER: usize = 16 * 1024;

/// The shortest timeout of a socket: 0 would be none.
const LEAST: Duration = Duration::from_micros(1);

/// One end of the socket.
///
/// A read does not look for a while before it sleeps: the system passes the
/// processor on to the process that is written to, which a look would only hold
/// up.
pub(super) struct Stream {
    socket: Arc<UnixStream>,
    /// What has been read ahead, in a part of the buffer. `BufReader` would set all of
    /// the buffer to zero before each read.
    buffer: Box<[u8]>,
    unread: Range<usize>,
    /// When reads and writes end with an error of their own.
    deadline: Option<Instant>,
}

impl Stream {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self {
            socket,
            buffer: vec![0; BUFFER].into(),
            unread: 0..0,
            deadline: None,
        }
    }

    /// Has reads and writes end with an error of their own after that time. What is there
    /// by then is read all the same: this thread may be late, and not the other end.
    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    fn left(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Before a read from the socket.
    fn limit_read(&self) -> io::Result<()> {
        match self.left() {
            Some(left) => self.socket.set_read_timeout(Some(left.max(LEAST))),
            None => Ok(()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.limit_read()?;
            if buffer.len() >= self.buffer.len() {
                return (&*self.socket).read(buffer);
            }
            self.unread = 0..(&*self.socket).read(&mut self.buffer)?;
        }
        let length = buffer.len().min(self.unread.len());
        let end = self.unread.start + length;
        buffer[..length].copy_from_slice(&self.buffer[self.unread.start..end]);
        self.unread.start = end;
        Ok(length)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.left() {
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_write_timeout(Some(left))?;
        }
        (&*self.socket).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_comes_before_the_rest_whatever_the_sizes() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(Arc::new(ours));
        let written: Vec<u8> = (0..=255).cycle().take(5 * BUFFER).collect();
        let mut read = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| theirs.write_all(&written).unwrap());
            for size in [1, 9, BUFFER - 3, 2 * BUFFER, 7, BUFFER, BUFFER - 14] {
                let start = read.len();
                read.resize(start + size, 0);
                stream.read_exact(&mut read[start..]).unwrap();
            }
        });
        assert!(read == written);
        drop(theirs);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_is_there_is_read_though_the_time_is_over() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(Arc::new(ours));
        theirs.write_all(b"answer").unwrap();
        stream.set_timeout(Some(Duration::ZERO));
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        let late = stream.read(&mut answer).unwrap_err();
        assert!(
            matches!(
                late.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
            "{late}"
        );
        assert!(stream.write(b"late").is_err());
    }
}
