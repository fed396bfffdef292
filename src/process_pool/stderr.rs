//! [`Stderr`]: what a child wrote to its standard error last.

use crate::sync::{Condvar, Mutex};
use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How much is kept.
const MOST: usize = 4 * 1024;

/// How long the end of a dead child's output is waited for: a descendant that
/// has left its process group may hold the pipe open.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last output of a child; a thread copies all of it to that of this
/// process.
pub(super) struct Stderr {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    last: Vec<u8>,
    is_at_end: bool,
}

impl Stderr {
    pub(super) fn capture(mut pipe: impl Read + Send + 'static) -> io::Result<Arc<Self>> {
        let stderr = Arc::new(Self {
            state: Mutex::new(State::default()),
            ended: Condvar::new(),
        });
        let kept = Arc::clone(&stderr);
        thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || {
                let mut buffer = [0; MOST];
                loop {
                    match pipe.read(&mut buffer) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Ok(0) | Err(_) => break,
                        Ok(length) => {
                            kept.keep(&buffer[..length]);
                            // There may be nobody to read it.
                            let _ = io::stderr().write_all(&buffer[..length]);
                        }
                    }
                }
                kept.state.lock().is_at_end = true;
                kept.ended.notify_all();
            })?;
        Ok(stderr)
    }

    fn keep(&self, output: &[u8]) {
        let last = &mut self.state.lock().last;
        last.extend_from_slice(output);
        let surplus = last.len().saturating_sub(MOST);
        last.drain(..surplus);
    }

    /// What was written last, once the child is dead.
    pub(super) fn last(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        while !state.is_at_end && Instant::now() < deadline {
            self.ended.wait_until(&mut state, deadline);
        }
        String::from_utf8_lossy(&state.last).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_output_is_kept() {
        let written: Vec<u8> = (b'a'..=b'z').cycle().take(3 * MOST).collect();
        let stderr = Stderr {
            state: Mutex::new(State {
                last: Vec::new(),
                is_at_end: true,
            }),
            ended: Condvar::new(),
        };
        for output in written.chunks(1000) {
            stderr.keep(output);
        }
        assert_eq!(stderr.last().as_bytes(), &written[2 * MOST..]);
    }
}
