//! [`Workers`]: how calls get to children: one child is given one call, or one message
//! of calls, after the other.

use super::builder::Settings;
use super::child::{Child, Unanswered};
use super::frame;
use super::idle::Idle;
use super::life::Lives;
use super::serve::check_known;
use crate::error::{CallError, InitializerError, JoinError, Rejected};
use crate::function::{Functions, OnAnswer, Receive, Route, Values, decode};
use crate::task::CancelToken;
use std::sync::{Arc, OnceLock};

/// What the threads of a pool share.
pub(super) struct Workers {
    functions: Functions,
    settings: Settings,
    pub(super) lives: Arc<Lives>,
    pub(super) idle: Arc<Idle>,
    /// Why the pool is broken, if it is.
    broken: OnceLock<InitializerError>,
}

impl Workers {
    pub(super) fn new(functions: Functions, settings: Settings) -> Self {
        let lives = Arc::default();
        Self {
            functions,
            settings,
            idle: Idle::new(Arc::clone(&lives)),
            lives,
            broken: OnceLock::new(),
        }
    }

    /// An idle child, if it lives, or a new one: there are never more than threads
    /// that ask.
    fn take(&self, token: &CancelToken) -> Result<Child, JoinError> {
        if let Some(child) = self.idle.take() {
            if child.is_usable() {
                return Ok(child);
            }
            // Its end is waited for, so that there are never too many.
        }
        let mut child = Child::start(&self.settings, &self.lives)?;
        let Some(initializer) = &self.settings.initializer else {
            return Ok(child);
        };
        let timeout = self.settings.call_timeout;
        let mut value = initializer.argument.clone();
        let answer = child.call(initializer.function, &mut value, token, timeout);
        let cause = match answer {
            Ok(Ok(())) => match decode::<Result<(), String>>(&value) {
                Ok(Ok(())) => {
                    child.is_initialized();
                    return Ok(child);
                }
                Ok(Err(text)) => text.into(),
                Err(cause) => CallError::Decode {
                    function: initializer.function.to_owned(),
                    part: "result",
                    cause,
                }
                .into(),
            },
            Ok(Err(JoinError::Panicked(panic))) => panic.into(),
            Ok(Err(error)) => error.into(),
            Err(Unanswered::Ended(error)) => return Err(error),
            Err(Unanswered::NotStarted) => return self.take(token),
        };
        // The first to fail gives the reason.
        let cause = self.broken.get_or_init(|| InitializerError::new(cause));
        Err(JoinError::Rejected(Rejected::Initializer(cause.clone())))
    }

    /// Keeps the child for the next call. One that is worn out is asked to exit now,
    /// and exits while the answer is on its way.
    fn give_back(&self, mut child: Child) {
        if let Some(most) = self.settings.max_tasks_per_child {
            if child.tasks() >= most {
                child.dismiss();
            }
        }
        self.idle.put(child);
    }

    /// Whether calls are made at all, and calls of this function.
    fn check(&self, function: &str, token: &CancelToken) -> Result<(), JoinError> {
        if token.is_cancelled() || self.lives.is_killed() {
            return Err(JoinError::Cancelled);
        }
        if let Some(cause) = self.broken.get() {
            return Err(JoinError::Rejected(Rejected::Initializer(cause.clone())));
        }
        check_known(&self.functions, function).map_err(JoinError::call)
    }
}

impl Workers {
    /// Has a child make the call. If that child turns out to have been dead before,
    /// another makes it.
    fn call_child<T>(
        &self,
        function: &str,
        token: &CancelToken,
        mut call: impl FnMut(&mut Child) -> Result<Result<T, JoinError>, Unanswered>,
    ) -> Result<T, JoinError> {
        loop {
            self.check(function, token)?;
            let mut child = self.take(token)?;
            let answer = call(&mut child);
            self.give_back(child);
            match answer {
                Ok(answer) => return answer,
                Err(Unanswered::Ended(error)) => return Err(error),
                Err(Unanswered::NotStarted) => {}
            }
        }
    }
}

impl Route for Workers {
    fn call(
        &self,
        function: &'static str,
        argument: &[u8],
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError> {
        self.idle.join_thread();
        let timeout = self.settings.call_timeout;
        self.call_child(function, token, |child| {
            let mut value = Vec::new();
            child.send(function, argument, token, timeout)?;
            let received = child.receive(function, &mut value, timeout)?;
            Ok(received.map(|()| value))
        })
    }

    fn call_in_place(
        &self,
        function: &'static str,
        mut value: Vec<u8>,
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError> {
        self.idle.join_thread();
        let timeout = self.settings.call_timeout;
        self.call_child(function, token, |child| {
            child.call(function, &mut value, token, timeout)
        })?;
        Ok(value)
    }

    /// A call with a timeout is not left to whoever may wait for it.
    fn sends_up_to(&self) -> Option<usize> {
        // What an idle child's socket has room for, whatever the child does.
        self.settings.call_timeout.is_none().then_some(frame::SMALL)
    }

    fn send(
        self: Arc<Self>,
        function: &'static str,
        argument: Vec<u8>,
        token: &CancelToken,
    ) -> Option<Receive> {
        self.check(function, token).ok()?;
        let mut child = self.idle.take_usable()?;
        if child.send(function, &argument, token, None).is_err() {
            self.give_back(child);
            return None;
        }
        let (mut value, token) = (argument, token.clone());
        Some(Box::new(move || {
            let received = child.receive(function, &mut value, None);
            self.give_back(child);
            match received {
                Ok(received) => received?,
                Err(Unanswered::Ended(error)) => return Err(error),
                Err(Unanswered::NotStarted) => self.call_child(function, &token, |child| {
                    child.call(function, &mut value, &token, None)
                })?,
            }
            Ok(value)
        }))
    }

    fn call_each(&self, function: &'static str, arguments: &Values, answer: &mut OnAnswer<'_>) {
        self.idle.join_thread();
        let token = CancelToken::new();
        let mut first = 0;
        // Whether each call is answered before the next is started, to find the
        // one that kills its process.
        let mut careful = false;
        while first < arguments.len() {
            let child = self
                .check(function, &token)
                .and_then(|()| self.take(&token));
            let mut child = match child {
                Ok(child) => child,
                Err(error) => {
                    answer(Err(error));
                    first += 1;
                    continue;
                }
            };
            let timeout = self.settings.call_timeout;
            let left = arguments.len() - first;
            // A child that can be used has some left.
            let most = self.settings.max_tasks_per_child;
            let some = most.map_or(left, |most| left.min(most - child.tasks()));
            let those = first..first + some;
            let outcome = child.call_each(function, arguments, those, careful, timeout, answer);
            self.give_back(child);
            let Err(stopped) = outcome else {
                first += some;
                continue;
            };
            first += stopped.answered;
            match stopped.why {
                Unanswered::NotStarted => {}
                // One of the calls since the last answer, and only those of a
                // moment are in question.
                Unanswered::Ended(JoinError::Died(_) | JoinError::TimedOut(_))
                    if !stopped.is_running && first + 1 < arguments.len() =>
                {
                    careful = true;
                }
                Unanswered::Ended(error) => {
                    answer(Err(error));
                    first += 1;
                    careful = false;
                }
            }
        }
    }
}
