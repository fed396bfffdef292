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
//!
//! # Who does what
//!
//! Two threads are at this: the one that runs calls, and the ticking one. The first
//! writes answers to a buffer of its own, from which it sends them, and copies short ones
//! to the [`Log`], from which the ticking thread sends them while a call runs. To add to
//! the log takes no lock, which would cost as much as a short call. An answer that is
//! long, or that the log has no room for, is moved to the [`State`] under the lock, with
//! those before.
//!
//! - The ticking thread closes the log in each tick: answers are due.
//! - The end of a call adds its answer, unless the log is closed. Then the thread
//!   flushes what was printed, sends all that is not sent, and clears the log, which
//!   opens it.
//! - A log that is closed still, a tick later, says that the same call has run all the
//!   time. The ticking thread flushes then, and looks again, for the call may have
//!   ended meanwhile. If the log is closed even then, all answers there are were there
//!   before the flush. So they are sent, and this call told of. Its own end finds the
//!   log closed.
//! - The last answer of a message is not added, but sent with the end of the message.
//!   So nothing is told of a message that is answered: the parent would take it for the
//!   answer to its next one.
//!
//! Whoever sends has the lock, and so has who closes or clears the log.

use super::frame;
use super::log::Log;
use crate::function::{begin_value, end_value};
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

/// The room of the log: for a thousand short answers.
const ROOM: usize = 16 * 1024;

/// The log takes answers up to this size: it is filled byte by byte.
const SHORT: usize = 256;

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
    /// What is in the log, and the room for the length of the next answer. That is
    /// written behind it.
    bytes: Vec<u8>,
    /// Where that room is: the end of what is in the log. At the end of a message, that
    /// of its last answer, which is not in the log.
    end: usize,
    is_ticking: bool,
    careful: bool,
}

struct Shared {
    socket: Arc<UnixStream>,
    /// Called where answers cannot be sent any more.
    lost: fn(),
    log: Log,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// What came before the log: each answer behind its length, and ending with its kind.
    unsent: Vec<u8>,
    /// How much of the log has been sent.
    sent: usize,
    /// Whether a message is being answered.
    is_busy: bool,
    /// Whether the ticking thread waits to be woken.
    is_asleep: bool,
}

impl Answers {
    pub(super) fn new(socket: Arc<UnixStream>, lost: fn()) -> Self {
        let mut bytes = Vec::new();
        let end = begin_value(&mut bytes);
        Self {
            shared: Arc::new(Shared {
                socket,
                lost,
                log: Log::new(ROOM),
                state: Mutex::new(State::default()),
                wake: Condvar::new(),
            }),
            bytes,
            end,
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

    /// Where the next answer is written, behind what is there.
    #[inline]
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes back what has been written of the next answer.
    pub(super) fn unwrite(&mut self) {
        self.bytes.truncate(self.end);
        begin_value(&mut self.bytes);
    }

    /// Adds the answer that has been written, and its kind. The last one waits for the
    /// [`end`](Self::end) of the message.
    #[inline]
    pub(super) fn push(&mut self, kind: u8, is_last: bool) -> io::Result<()> {
        self.bytes.push(kind);
        end_value(&mut self.bytes, self.end);
        if is_last {
            self.end = self.bytes.len();
            return Ok(());
        }
        let is_short = self.bytes.len() - self.end <= SHORT;
        if self.careful || !is_short || !self.shared.log.add(&self.bytes, self.end) {
            return self.push_locked();
        }
        self.end = begin_value(&mut self.bytes);
        Ok(())
    }

    #[cold]
    fn push_locked(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let is_due = self.careful || shared.log.is_closed();
        if is_due || state.unsent.len() + self.bytes.len() >= MOST {
            drop(state);
            // The call has not ended for others before that.
            flush();
            state = shared.state.lock();
            self.end = self.bytes.len();
            return self.send(&mut state);
        }
        self.end = self.bytes.len();
        self.move_to(&mut state);
        Ok(())
    }

    /// Sends what is left.
    pub(super) fn end(&mut self) -> io::Result<()> {
        flush();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        state.is_busy = false;
        self.send(&mut state)
    }

    /// Sends all answers, whose output has been flushed.
    fn send(&mut self, state: &mut State) -> io::Result<()> {
        self.move_to(state);
        self.shared.send(state)
    }

    /// Moves what has not been sent out of the log.
    fn move_to(&mut self, state: &mut State) {
        state
            .unsent
            .extend_from_slice(&self.bytes[state.sent..self.end]);
        state.sent = 0;
        self.shared.log.clear();
        if self.bytes.capacity() > frame::KEPT {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.end = begin_value(&mut self.bytes);
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
        // Whether the call that runs has been told of.
        let mut is_told = false;
        let mut idle = 0;
        loop {
            if idle >= IDLE_TICKS {
                while !state.is_busy {
                    state.is_asleep = true;
                    self.wake.wait(&mut state);
                }
                idle = 0;
            }
            let deadline = Instant::now() + TICK;
            while Instant::now() < deadline {
                self.wake.wait_until(&mut state, deadline);
            }
            if !state.is_busy {
                idle += 1;
                continue;
            }
            idle = 0;
            if self.log.close() {
                is_told = false;
                continue;
            }
            if is_told {
                continue;
            }
            // The call has run for all of the tick. It may have the standard output
            // locked: then it is waited for, but not with the state.
            drop(state);
            flush();
            state = self.state.lock();
            if !self.log.is_closed() {
                continue;
            }
            is_told = true;
            let unsent = self.log.read(state.sent);
            state.sent += unsent.len();
            state.unsent.extend(unsent);
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
        answers.buffer().extend_from_slice(answer);
        answers.push(7, false).unwrap();
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

    /// So many answers or more, in the order in which they come.
    fn received(theirs: &mut UnixStream, count: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        while received.len() < count {
            received.extend(next_answers(theirs));
        }
        received
    }

    #[test]
    fn answers_of_all_sizes_are_sent_once_and_in_their_order() {
        let (mut answers, mut theirs) = pair();
        let sizes = [0, 1, 252, 253, 254, 255, 256, 3, 5000, 20_000, 0, 70_000, 1];
        let all: Vec<_> = (0..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
        let (few, many) = (all.clone(), vec![vec![9; 40]; 2000]);
        let sender = thread::spawn(move || {
            for message in [few, many] {
                answers.begin(false);
                for answer in message {
                    push(&mut answers, &answer);
                }
                answers.end().unwrap();
            }
        });
        let expected = all.into_iter().chain(vec![vec![9; 40]; 2000]);
        let expected: Vec<_> = expected.map(|answer| [answer, vec![7]].concat()).collect();
        assert!(received(&mut theirs, expected.len()) == expected);
        sender.join().unwrap();
        theirs.set_nonblocking(true).unwrap();
        while let Ok((kind, _)) = frame::read(&mut theirs) {
            assert_eq!(kind, frame::RUNNING);
        }
    }

    #[test]
    fn what_is_not_in_the_log_is_sent_while_a_call_runs() {
        let (mut answers, mut theirs) = pair();
        answers.begin(false);
        let all = [vec![1; 300], vec![2; 3], vec![3; ROOM], vec![4; 3]];
        for answer in &all {
            push(&mut answers, answer);
        }
        // The fifth call does not end.
        let expected = all.map(|answer| [answer, vec![7]].concat());
        assert!(received(&mut theirs, 4) == expected);
        while next(&mut theirs) != (frame::RUNNING, Vec::new()) {}
        push(&mut answers, b"slow");
        theirs.set_nonblocking(true).unwrap();
        assert_eq!(next_answers(&mut theirs), [b"slow\x07"]);
    }

    #[test]
    fn nothing_is_told_of_a_message_that_is_answered() {
        let (mut answers, mut theirs) = pair();
        answers.begin(false);
        push(&mut answers, b"first");
        answers.buffer().extend_from_slice(b"last");
        answers.push(7, true).unwrap();
        // However long it takes to flush what was printed.
        assert_eq!(received(&mut theirs, 1), [b"first\x07"]);
        while next(&mut theirs) != (frame::RUNNING, Vec::new()) {}
        answers.end().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let last = vec![b"last\x07".to_vec()];
        assert_eq!(next(&mut theirs), (frame::ANSWERS, last));
        assert!(theirs.read(&mut [0]).is_err());
    }

    #[test]
    fn what_is_taken_back_is_not_sent() {
        let (mut answers, mut theirs) = pair();
        answers.begin(false);
        push(&mut answers, b"first");
        answers.buffer().extend_from_slice(b"half a res");
        answers.unwrite();
        push(&mut answers, b"it panicked");
        answers.end().unwrap();
        let expected = [&b"first\x07"[..], b"it panicked\x07"];
        assert_eq!(received(&mut theirs, 2), expected);
    }
}
