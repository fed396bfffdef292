//! Models of the answers of a child process: the thread that runs calls adds them to a
//! log, and the ticking thread sends them while a call runs.

use super::explore;
use as_completed::process::Log;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;

/// What both threads do here is what they do in the crate, with an answer of one byte
/// to each call.
struct Child {
    calls: u8,
    log: Log,
    state: Mutex<State>,
    /// How many calls have printed something: all that have ended, and perhaps the one
    /// that runs.
    printed: AtomicUsize,
    /// The call that runs.
    running: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Whether the message has been answered.
    is_over: bool,
    /// How much of the log has been sent.
    sent: usize,
    /// The answers that have arrived, from both threads.
    arrived: Vec<u8>,
}

impl Child {
    fn new(calls: u8, room: usize) -> Arc<Self> {
        Arc::new(Self {
            calls,
            log: Log::new(room),
            state: Mutex::new(State::default()),
            printed: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
        })
    }

    fn run(&self) {
        let mut all = Vec::new();
        let last = self.calls - 1;
        for call in 0..self.calls {
            self.running.store(usize::from(call), Ordering::Relaxed);
            self.printed.store(usize::from(call) + 1, Ordering::Relaxed);
            all.push(call);
            if call == last || !self.log.add(&all, all.len() - 1) {
                self.send(&mut all, call == last);
            }
        }
    }

    fn send(&self, all: &mut Vec<u8>, is_over: bool) {
        let mut state = self.state.lock().unwrap();
        state.is_over = is_over;
        let sent = state.sent;
        state.arrived.extend_from_slice(&all[sent..]);
        state.sent = 0;
        self.log.clear();
        all.clear();
    }

    fn tick(&self) {
        let state = self.state.lock().unwrap();
        if state.is_over || self.log.close() {
            return;
        }
        drop(state);
        let flushed = self.printed.load(Ordering::Relaxed);
        let mut state = self.state.lock().unwrap();
        if !self.log.is_closed() {
            return;
        }
        let unsent = self.log.read(state.sent);
        state.sent += unsent.len();
        state.arrived.extend(unsent);
        // The one that is told of, and is to blame if the process dies.
        let told = state.arrived.len();
        assert!(told < usize::from(self.calls));
        assert!(self.running.load(Ordering::Relaxed) <= told);
        assert!(told <= flushed);
    }
}

fn each_answer_arrives_once(calls: u8, room: usize, ticks: usize) {
    explore(3, move || {
        let child = Child::new(calls, room);
        let ticking = {
            let child = Arc::clone(&child);
            thread::spawn(move || (0..ticks).for_each(|_| child.tick()))
        };
        child.run();
        ticking.join().unwrap();
        let expected: Vec<_> = (0..calls).collect();
        assert_eq!(child.state.lock().unwrap().arrived, expected);
    });
}

#[test]
fn answers_sent_while_a_call_runs_are_sent_once_and_no_other_call_is_told_of() {
    each_answer_arrives_once(3, 8, 3);
}

#[test]
fn answers_for_which_there_is_no_room_are_sent_once() {
    each_answer_arrives_once(4, 2, 2);
}
