//! [`Answers`]: the answers to one message of many calls, on the child's side.
//!
//! A write for each answer would cost more than many a call. So answers are
//! collected, and a thread sends what there is every millisecond. If a call has
//! run for all of that millisecond, it says so: the parent then knows that this
//! one is to blame if the process dies, and gives each call its own timeout.
//! The end of such a call is sent at once, so that the next one is not taken for
//! it.

use super::frame;
use super::serve::end_group;
use crate::function::Values;
use crate::sync::{Condvar, Mutex};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long answers wait for others.
const TICK: Duration = Duration::from_millis(1);

/// The size from which they do not wait.
const MOST: usize = 64 * 1024;

/// Collects answers and sends them. The ticking thread is started by the first
/// calls.
pub(super) struct Answers {
    shared: Arc<Shared>,
    is_ticking: bool,
    careful: bool,
}

struct Shared {
    socket: Arc<UnixStream>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    unsent: Values,
    /// How many calls have ended, in all messages.
    ended: u64,
    /// Whether a message is being answered.
    is_busy: bool,
    /// Whether the parent has been told which call runs.
    is_told: bool,
    /// Whether the ticking thread waits to be woken.
    is_asleep: bool,
}

impl Answers {
    pub(super) fn new(socket: Arc<UnixStream>) -> Self {
        Self {
            shared: Arc::new(Shared {
                socket,
                state: Mutex::new(State::default()),
                wake: Condvar::new(),
            }),
            is_ticking: false,
            careful: false,
        }
    }

    /// Begins with the answers to another message. If `careful`, each is sent
    /// before the next call starts.
    pub(super) fn begin(&mut self, careful: bool) {
        self.careful = careful;
        if !careful && !self.is_ticking {
            let shared = Arc::clone(&self.shared);
            let ticking = thread::Builder::new()
                .name("answers".to_owned())
                // Of the memory that may be limited.
                .stack_size(64 * 1024)
                .spawn(move || shared.tick());
            self.is_ticking = ticking.is_ok();
        }
        // Without the thread, whose start failed, each is sent at once.
        self.careful |= !self.is_ticking;
        if self.careful {
            return;
        }
        let mut state = self.shared.state.lock();
        state.is_busy = true;
        let is_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if is_asleep {
            self.shared.wake.notify_one();
        }
    }

    pub(super) fn push(&mut self, kind: u8, answer: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.unsent.push(|bytes| {
            bytes.reserve(answer.len() + 1);
            bytes.extend_from_slice(answer);
            bytes.push(kind);
            Ok::<(), io::Error>(())
        })?;
        state.ended += 1;
        if self.careful || state.is_told || state.unsent.size() >= MOST {
            self.shared.send(&mut state)?;
        }
        state.is_told = false;
        Ok(())
    }

    /// Sends what is left.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.is_busy = false;
        self.shared.send(&mut state)
    }
}

impl Shared {
    fn send(&self, state: &mut State) -> io::Result<()> {
        if state.unsent.len() > 0 {
            frame::write(
                &mut &*self.socket,
                frame::ANSWERS,
                &[],
                state.unsent.bytes(0..state.unsent.len()),
            )?;
            state.unsent.clear();
        }
        Ok(())
    }

    fn tick(&self) {
        let mut state = self.state.lock();
        loop {
            while !state.is_busy {
                state.is_asleep = true;
                self.wake.wait(&mut state);
            }
            let ended = state.ended;
            let deadline = Instant::now() + TICK;
            while Instant::now() < deadline {
                self.wake.wait_until(&mut state, deadline);
            }
            if !state.is_busy {
                continue;
            }
            let mut sent = self.send(&mut state);
            if sent.is_ok() && state.ended == ended && !state.is_told {
                state.is_told = true;
                sent = frame::write(&mut &*self.socket, frame::RUNNING, &[], &[]);
            }
            if sent.is_err() {
                end_group();
            }
        }
    }
}
