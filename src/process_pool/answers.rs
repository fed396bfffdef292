//! [`Answers`]: the answers to one message of many calls, on the child's side.
//!
//! A write for each answer would cost more than many a call. So answers are
//! collected, and sent every millisecond: a thread asks for it, and the end of the
//! call that runs then does it. If that call runs for another millisecond, the thread
//! does it itself, and tells that the call runs: the parent then knows that this
//! one is to blame if the process dies, and gives each call its own timeout.
//! The end of such a call is sent at once, so that the next one is not taken for
//! it.
//!
//! What calls have printed is flushed whenever their answers are sent, and before.
//! So a process that dies takes along only the output of calls whose answers it has
//! not sent, and those are made again.

use super::frame;
use crate::function::append_value;
use crate::sync::{Condvar, Mutex};
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long answers wait for others.
const TICK: Duration = Duration::from_millis(1);

/// The size from which they do not wait.
const MOST: usize = 64 * 1024;

/// How many ticks without a message there are before the thread sleeps: to wake it for
/// each of many short messages takes longer.
const IDLE_TICKS: u32 = 8;

/// What a call has printed is there before its result.
pub(super) fn flush() {
    // There may be nobody to read it.
    let _ = std::io::stdout().flush();
}

/// Collects answers and sends them. The ticking thread is started by the first
/// calls.
pub(super) struct Answers {
    shared: Arc<Shared>,
    is_ticking: bool,
    careful: bool,
}

struct Shared {
    socket: Arc<UnixStream>,
    /// Called where answers cannot be sent any more.
    lost: fn(),
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// Each behind its length, and ending with its kind.
    unsent: Vec<u8>,
    /// How many calls have ended, in all messages.
    ended: u64,
    /// Whether a message is being answered.
    is_busy: bool,
    /// Whether the answers are to be sent when the call that runs ends.
    is_due: bool,
    /// Whether the ticking thread waits to be woken.
    is_asleep: bool,
}

impl State {
    #[inline]
    fn push(&mut self, answer: &[u8]) {
        append_value(&mut self.unsent, answer);
        self.ended += 1;
    }
}

impl Answers {
    pub(super) fn new(socket: Arc<UnixStream>, lost: fn()) -> Self {
        Self {
            shared: Arc::new(Shared {
                socket,
                lost,
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

    /// Adds one answer: its text, and its kind.
    #[inline]
    pub(super) fn push(&mut self, answer: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        if self.careful || state.is_due || state.unsent.len() + answer.len() >= MOST {
            drop(state);
            return self.push_and_send(answer);
        }
        state.push(answer);
        Ok(())
    }

    #[cold]
    fn push_and_send(&self, answer: &[u8]) -> io::Result<()> {
        // The call has not ended for others before that.
        flush();
        let mut state = self.shared.state.lock();
        state.push(answer);
        state.is_due = false;
        self.shared.send(&mut state)
    }

    /// Sends what is left.
    pub(super) fn end(&mut self) -> io::Result<()> {
        flush();
        let mut state = self.shared.state.lock();
        state.is_busy = false;
        state.is_due = false;
        self.shared.send(&mut state)
    }
}

impl Shared {
    /// Sends what is there, whose output has been flushed.
    fn send(&self, state: &mut State) -> io::Result<()> {
        if !state.unsent.is_empty() {
            frame::write(&mut &*self.socket, frame::ANSWERS, &[], &state.unsent)?;
            state.unsent.clear();
        }
        Ok(())
    }

    fn tick(&self) {
        let mut state = self.state.lock();
        // What had ended when the call that runs now was told of.
        let mut told = None;
        let mut idle = 0;
        loop {
            if idle >= IDLE_TICKS {
                while !state.is_busy {
                    state.is_asleep = true;
                    self.wake.wait(&mut state);
                }
                idle = 0;
            }
            let ended = state.ended;
            let deadline = Instant::now() + TICK;
            while Instant::now() < deadline {
                self.wake.wait_until(&mut state, deadline);
            }
            if !state.is_busy {
                idle += 1;
                continue;
            }
            idle = 0;
            let was_due = std::mem::replace(&mut state.is_due, true);
            if state.ended != ended || !was_due || told == Some(ended) {
                continue;
            }
            // The call has run for all of the tick. It may have the standard output
            // locked: then it is waited for, but not with the state.
            drop(state);
            flush();
            state = self.state.lock();
            if state.ended != ended || !state.is_busy {
                continue;
            }
            told = Some(ended);
            let sent = self
                .send(&mut state)
                .and_then(|()| frame::write(&mut &*self.socket, frame::RUNNING, &[], &[]));
            if sent.is_err() {
                drop(state);
                return (self.lost)();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::take_value;
    use std::io::Read as _;

    fn pair() -> (Answers, UnixStream) {
        let (socket, theirs) = UnixStream::pair().unwrap();
        // Long enough for any machine, so that a test that fails does not hang.
        theirs
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        (Answers::new(Arc::new(socket), || ()), theirs)
    }

    fn push(answers: &mut Answers, answer: &[u8]) {
        answers.push(&[answer, &[7]].concat()).unwrap();
    }

    /// The next answers, whatever is told of calls that run before them: as much as this
    /// thread stands still.
    fn next_answers(theirs: &mut UnixStream) -> Vec<Vec<u8>> {
        loop {
            if let (frame::ANSWERS, answers) = next(theirs) {
                return answers;
            }
        }
    }

    /// The next frame, as the answers in it.
    fn next(theirs: &mut UnixStream) -> (u8, Vec<Vec<u8>>) {
        let (kind, body) = frame::read(theirs).unwrap();
        let mut rest = &body[..];
        let answers = std::iter::from_fn(|| take_value(&mut rest).map(<[u8]>::to_vec)).collect();
        (kind, answers)
    }

    #[test]
    fn answers_are_sent_together_at_the_end() {
        let (mut answers, mut theirs) = pair();
        answers.begin(false);
        let mut expected = Vec::new();
        for n in 0..5 {
            push(&mut answers, &[n]);
            expected.push(vec![n, 7]);
        }
        answers.end().unwrap();
        let mut received = Vec::new();
        while received.len() < 5 {
            received.extend(next_answers(&mut theirs));
        }
        assert_eq!(received, expected);
    }

    #[test]
    fn a_call_that_takes_long_is_told_of_and_its_end_sent_at_once() {
        let (mut answers, mut theirs) = pair();
        answers.begin(false);
        push(&mut answers, b"quick");
        // Sent by the clock, while the second call runs.
        assert_eq!(next_answers(&mut theirs), [b"quick\x07"]);
        while next(&mut theirs) != (frame::RUNNING, Vec::new()) {}
        push(&mut answers, b"slow");
        // There already, whatever the third call does.
        theirs.set_nonblocking(true).unwrap();
        let second = vec![b"slow\x07".to_vec()];
        assert_eq!(next(&mut theirs), (frame::ANSWERS, second));
    }

    #[test]
    fn a_careful_one_sends_each_answer_at_once() {
        let (mut answers, mut theirs) = pair();
        theirs.set_nonblocking(true).unwrap();
        answers.begin(true);
        for n in 0..3 {
            push(&mut answers, &[n]);
            assert_eq!(next(&mut theirs), (frame::ANSWERS, vec![vec![n, 7]]));
        }
        answers.end().unwrap();
        assert!(theirs.read(&mut [0]).is_err());
    }

    #[test]
    fn many_answers_do_not_wait_for_the_clock() {
        let (mut answers, mut theirs) = pair();
        answers.begin(false);
        push(&mut answers, &vec![1; MOST]);
        theirs.set_nonblocking(true).unwrap();
        assert_eq!(next_answers(&mut theirs)[0].len(), MOST + 1);
    }
}
