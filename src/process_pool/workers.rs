//! [`Workers`]: what the threads of a pool do with a call: each has a child of
//! its own, and gives it one call, or one message of calls, after the other.

use super::builder::Settings;
use super::child::{Child, Unanswered};
use super::life::Lives;
use super::serve::check_known;
use crate::error::{CallError, InitializerError, JoinError, Rejected};
use crate::function::{Functions, OnAnswer, Route, Values, decode};
use crate::task::CancelToken;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

thread_local! {
    /// The child of this thread, which belongs to one pool for all its life. It
    /// ends with the thread, so all of a pool end side by side.
    static CHILD: RefCell<Option<Child>> = const { RefCell::new(None) };
}

/// What the threads of a pool share.
pub(super) struct Workers {
    functions: Functions,
    settings: Settings,
    pub(super) lives: Arc<Lives>,
    /// Why the pool is broken, if it is.
    broken: OnceLock<InitializerError>,
}

impl Workers {
    pub(super) fn new(functions: Functions, settings: Settings) -> Self {
        Self {
            functions,
            settings,
            lives: Arc::default(),
            broken: OnceLock::new(),
        }
    }

    /// The child of this thread, if it lives, or a new one.
    fn take(&self, token: &CancelToken) -> Result<Child, JoinError> {
        if let Some(child) = CHILD.take() {
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
        let answer = child.call(initializer.function, &initializer.argument, token, timeout);
        let cause = match answer {
            Ok(Ok(result)) => match decode::<Result<(), String>>(&result) {
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

    /// Keeps the child for the next call of this thread. One that is worn out
    /// is asked to exit now, and exits while the answer is on its way.
    fn give_back(&self, mut child: Child) {
        if let Some(most) = self.settings.max_tasks_per_child {
            if child.tasks() >= most {
                child.dismiss();
            }
        }
        CHILD.replace(Some(child));
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

impl Route for Workers {
    fn call(
        &self,
        function: &'static str,
        argument: &[u8],
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError> {
        loop {
            self.check(function, token)?;
            let mut child = self.take(token)?;
            let answer = child.call(function, argument, token, self.settings.call_timeout);
            self.give_back(child);
            match answer {
                Ok(answer) => return answer,
                Err(Unanswered::Ended(error)) => return Err(error),
                Err(Unanswered::NotStarted) => {}
            }
        }
    }

    fn call_each(&self, function: &'static str, arguments: &Values, answer: &mut OnAnswer<'_>) {
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
                Unanswered::Ended(JoinError::Died(_))
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
