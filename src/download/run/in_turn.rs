//! [`InTurn`]: values that are handled one at a time and in order, by whichever
//! thread brings them.

use crate::sync::Mutex;
use std::collections::VecDeque;

/// Values on their way to a handler.
///
/// A thread that adds a value while another handles one leaves it to that thread
/// and goes on, so nobody waits, and a handler may add values itself.
///
/// # Invariants
///
/// - `is_handled` is true while one thread, and only one, runs a handler or is
///   about to look for the next value.
/// - It becomes false in the critical section that finds no value. So each value
///   is handled: whoever adds one either sees false and handles it, or adds it
///   before the last look.
#[derive(Debug)]
pub(crate) struct InTurn<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    is_handled: bool,
}

impl<T> InTurn<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            waiting: VecDeque::new(),
            is_handled: false,
        }))
    }

    /// Adds a value, and handles it and those that others add meanwhile, unless
    /// another thread is at it. `handle` must not panic.
    pub(crate) fn add(&self, value: T, mut handle: impl FnMut(T)) {
        let mut state = self.0.lock();
        state.waiting.push_back(value);
        if state.is_handled {
            return;
        }
        state.is_handled = true;
        while let Some(next) = state.waiting.pop_front() {
            drop(state);
            handle(next);
            state = self.0.lock();
        }
        state.is_handled = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn handler_may_add_values() {
        let turn = InTurn::new();
        let seen = Mutex::new(Vec::new());
        turn.add(0, |value| {
            if value == 0 {
                turn.add(1, |_| unreachable!("the other handler is at it"));
            }
            seen.lock().push(value);
        });
        assert_eq!(seen.into_inner(), [0, 1]);
    }

    #[test]
    fn nobody_waits_for_a_handler() {
        let turn = InTurn::new();
        let (entered, is_in) = mpsc::channel();
        let (go_on, may_go) = mpsc::channel::<()>();
        let mut seen = thread::scope(|scope| {
            let turn = &turn;
            let handler = scope.spawn(move || {
                let mut seen = Vec::new();
                turn.add(0, |value| {
                    seen.push(value);
                    entered.send(()).unwrap();
                    may_go.recv().unwrap();
                });
                seen
            });
            is_in.recv().unwrap();
            turn.add(1, |_| unreachable!("the other handler is at it"));
            turn.add(2, |_| unreachable!("the other handler is at it"));
            for _ in 0..3 {
                go_on.send(()).unwrap();
            }
            handler.join().unwrap()
        });
        turn.add(3, |value| seen.push(value));
        assert_eq!(seen, [0, 1, 2, 3]);
    }

    #[test]
    fn each_value_is_handled_once_whoever_adds_it() {
        const EACH: usize = 1000;
        let turn = InTurn::new();
        let seen = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for first in 0..4 {
                let (turn, seen) = (&turn, &seen);
                scope.spawn(move || {
                    for number in 0..EACH {
                        turn.add((first, number), |value| {
                            seen.try_lock().expect("one at a time").push(value);
                        });
                    }
                });
            }
        });
        let mut seen = seen.into_inner();
        assert_eq!(seen.len(), 4 * EACH);
        // The order of each thread is kept.
        seen.sort_by_key(|(first, _)| *first);
        assert!(seen.is_sorted());
    }
}
