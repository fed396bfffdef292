//! [`Stderr`]: what a child wrote to its standard error last.

use crate::sync::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

/// How much is kept, and read at once.
const MOST: usize = 4 * 1024;

/// How often a dead child's pipe is read at most: as much as the largest pipe holds. A
/// descendant that has left its process group may write for ever.
const READS: usize = 1024 * 1024 / MOST;

/// The last output of a child; a thread copies all of it to that of this
/// process.
///
/// The thread may be late. So whoever asks for a dead child's output reads what is left
/// in the pipe, which is all that it has written.
pub(super) struct Stderr {
    pipe: OwnedFd,
    /// Locked while the pipe is read.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Vec<u8>,
    /// What the thread has not copied yet.
    uncopied: Vec<u8>,
}

impl Stderr {
    pub(super) fn capture(pipe: impl Into<OwnedFd>) -> io::Result<Arc<Self>> {
        let stderr = Arc::new(Self::new(pipe.into())?);
        let kept = Arc::clone(&stderr);
        thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || while kept.copy_next() {})?;
        Ok(stderr)
    }

    fn new(pipe: OwnedFd) -> io::Result<Self> {
        // Two threads read: each has to come back from what the other has read.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pipe,
            state: Mutex::new(State::default()),
        })
    }

    /// Waits for output and copies it; says whether more may come.
    fn copy_next(&self) -> bool {
        let mut readable = [PollFd::new(&self.pipe, PollFlags::IN)];
        let polled = poll(&mut readable, None);
        let mut state = self.state.lock();
        let may_come = match polled {
            Ok(_) => !matches!(self.read(&mut state), Ok(0)),
            Err(error) => error == Errno::INTR,
        };
        let uncopied = std::mem::take(&mut state.uncopied);
        drop(state);
        // There may be nobody to read it.
        let _ = io::stderr().write_all(&uncopied);
        may_come
    }

    /// Reads once; 0 bytes at the end, and an error if there are none now.
    fn read(&self, state: &mut State) -> Result<usize, Errno> {
        let mut buffer = [0; MOST];
        let length = match rustix::io::read(&self.pipe, &mut buffer) {
            Err(error) if !matches!(error, Errno::AGAIN | Errno::INTR) => 0,
            read => read?,
        };
        let output = &buffer[..length];
        state.uncopied.extend_from_slice(output);
        state.last.extend_from_slice(output);
        let surplus = state.last.len().saturating_sub(MOST);
        state.last.drain(..surplus);
        Ok(length)
    }

    /// What was written last, once the child is dead.
    pub(super) fn last(&self) -> String {
        let mut state = self.state.lock();
        for _ in 0..READS {
            if matches!(self.read(&mut state), Ok(0) | Err(Errno::AGAIN)) {
                break;
            }
        }
        String::from_utf8_lossy(&state.last).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_end_of_the_output_is_kept() {
        let written: Vec<u8> = (b'a'..=b'z').cycle().take(3 * MOST).collect();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stderr = Stderr::new(ours.into()).unwrap();
        for output in written.chunks(1000) {
            theirs.write_all(output).unwrap();
        }
        drop(theirs);
        assert_eq!(stderr.last().as_bytes(), &written[2 * MOST..]);
    }

    #[test]
    fn what_was_written_is_there_though_no_thread_reads_and_the_pipe_stays_open() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stderr = Stderr::new(ours.into()).unwrap();
        theirs.write_all(b"last words").unwrap();
        assert_eq!(stderr.last(), "last words");
        theirs.write_all(b" of another\n").unwrap();
        assert!(stderr.copy_next());
        drop(theirs);
        assert!(!stderr.copy_next());
        assert_eq!(stderr.last(), "last words of another\n");
    }
}
