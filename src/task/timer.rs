//! [`Timer`]: sets tokens when their time is over.
//!
//! One thread for the whole process. The first task with a timeout starts it, at
//! submit, so that a start that fails rejects that task; it ends when there has
//! been no such task for [`LINGER`].
//!
//! # Invariants
//!
//! - While there is a [`TimerUser`], the thread runs, or is about to.
//! - An alarm is in `alarms` until it is taken back or rings: whoever removes it
//!   decides which. A task that takes it back looks at the time itself, so it knows for
//!   sure whether its time was over, however late the thread is.
//! - The thread sleeps until `wakes_at` at most. Whoever sets an earlier alarm, or
//!   is the last user while it sleeps without an end, wakes it.

use super::cancel::CancelToken;
use crate::sync::{Condvar, Mutex, global, spawn};
use crate::unwind;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the thread waits for the next task with a timeout.
const LINGER: Duration = if cfg!(as_completed_loom) {
    Duration::ZERO
} else {
    Duration::from_secs(1)
};

global! {
    static TIMER: Arc<Timer> = Arc::new(Timer::new());
}

struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// By the time at which they ring, and a number for those of the same time.
    alarms: BTreeMap<(Instant, u64), CancelToken>,
    next_number: u64,
    /// Tasks with a timeout that have not ended, also those that are pending.
    users: usize,
    is_running: bool,
    /// When the thread looks again without being woken; `None` for never.
    wakes_at: Option<Instant>,
}

impl Timer {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                alarms: BTreeMap::new(),
                next_number: 0,
                users: 0,
                is_running: false,
                wakes_at: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// The life of the thread.
    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            let first = state.alarms.first_key_value().map(|(key, _)| *key);
            state.wakes_at = match first {
                Some(key) if key.0 <= now => {
                    let token = state.alarms.remove(&key);
                    drop(state);
                    if let Some(token) = &token {
                        token.cancel();
                    }
                    unwind::discard(token);
                    state = self.state.lock();
                    continue;
                }
                Some((time, _)) => Some(time),
                None if state.users > 0 => None,
                None => Some(now + LINGER),
            };
            match state.wakes_at {
                None => self.changed.wait(&mut state),
                Some(time) => {
                    self.changed.wait_until(&mut state, time);
                    let is_idle = state.users == 0 && state.alarms.is_empty();
                    if first.is_none() && is_idle && Instant::now() >= time {
                        state.is_running = false;
                        return;
                    }
                }
            }
        }
    }
}

/// Keeps the timer's thread running.
pub(super) struct TimerUser(Arc<Timer>);

impl TimerUser {
    /// Starts the thread unless it runs.
    pub(super) fn new() -> io::Result<Self> {
        let timer = Arc::clone(&TIMER);
        let mut state = timer.state.lock();
        if !state.is_running {
            let own = Arc::clone(&timer);
            spawn("as-completed-timer".to_owned(), None, move || own.run())?;
            state.is_running = true;
            state.wakes_at = None;
        }
        state.users += 1;
        drop(state);
        Ok(Self(timer))
    }

    /// Has the token set after `timeout`, unless the alarm is taken back before.
    pub(super) fn alarm(&self, timeout: Duration, token: &CancelToken) -> Alarm<'_> {
        // What is too far away to be told from never does not ring.
        let key = Instant::now().checked_add(timeout).map(|time| {
            let mut state = self.0.state.lock();
            let key = (time, state.next_number);
            state.next_number += 1;
            state.alarms.insert(key, token.clone());
            if state.wakes_at.is_none_or(|wakes_at| time < wakes_at) {
                self.0.changed.notify_one();
            }
            key
        });
        Alarm {
            timer: &self.0,
            key,
        }
    }
}

impl Drop for TimerUser {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.users -= 1;
        if state.users == 0 && state.wakes_at.is_none() {
            self.0.changed.notify_one();
        }
    }
}

/// A token to be set when its time is over. Drop takes it back.
pub(super) struct Alarm<'a> {
    timer: &'a Timer,
    /// `None` if it does not ring, or has been taken back.
    key: Option<(Instant, u64)>,
}

impl Alarm<'_> {
    /// Takes the alarm back; says whether its time is over. If the thread is late, which
    /// foreign code holds up, the token is set here.
    pub(super) fn stop(mut self) -> bool {
        let Some((time, _)) = self.key else {
            return false;
        };
        let is_over = Instant::now() >= time;
        match self.take_back() {
            // It has rung.
            None => true,
            Some(token) => {
                if is_over {
                    token.cancel();
                }
                is_over
            }
        }
    }

    /// The token, unless the alarm has rung or does not ring.
    fn take_back(&mut self) -> Option<CancelToken> {
        let key = self.key.take()?;
        self.timer.state.lock().alarms.remove(&key)
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.take_back();
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn alarms_ring_by_their_time_and_not_by_the_order_in_which_they_are_set() {
        // A machine under load may take longer to set them than the first has to wait,
        // but not than any.
        let mut units = [1, 10, 100, 1000].map(Duration::from_millis).into_iter();
        assert!(units.any(ring_in_order));
    }

    /// Sets alarms and sees them ring, unless it took too long to set them.
    fn ring_in_order(unit: Duration) -> bool {
        let user = TimerUser::new().expect("a thread can be started");
        let (sender, rung) = mpsc::channel();
        let start = Instant::now();
        let alarms: Vec<_> = [u32::MAX, 100_000, 8, 1, 4]
            .into_iter()
            .map(|units| {
                let (sender, token) = (sender.clone(), CancelToken::new());
                let tell = move || {
                    let _ = sender.send(units);
                };
                token.on_cancel(tell).detach();
                let timeout = match units {
                    u32::MAX => Duration::MAX,
                    100_000 => PATIENCE * 60,
                    _ => unit * units,
                };
                user.alarm(timeout, &token)
            })
            .collect();
        // Else the first of them may ring before the last, by order of time, is set.
        if start.elapsed() >= unit * 4 {
            return false;
        }
        for expected in [1, 4, 8] {
            assert_eq!(rung.recv_timeout(PATIENCE), Ok(expected));
        }
        let rung: Vec<_> = alarms.into_iter().map(Alarm::stop).collect();
        assert_eq!(rung, [false, false, true, true, true]);
        true
    }

    #[test]
    fn the_thread_ends_without_users_and_starts_again() {
        let timer = Arc::new(Timer::new());
        for _ in 0..2 {
            let own = Arc::clone(&timer);
            let mut state = timer.state.lock();
            (state.users, state.is_running) = (1, true);
            drop(state);
            let thread = std::thread::spawn(move || own.run());
            let token = CancelToken::new();
            let user = TimerUser(Arc::clone(&timer));
            let alarm = user.alarm(Duration::ZERO, &token);
            token.sleep(PATIENCE);
            assert!(token.is_cancelled() && alarm.stop());
            drop(user);
            thread.join().unwrap();
            assert!(!timer.state.lock().is_running);
        }
    }
}
