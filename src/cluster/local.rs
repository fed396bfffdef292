//! Functions that run on the threads of a worker.

use crate::error::{CallError, JoinError, Panic};
use crate::function::{Failure, Functions, OnAnswer, Route, Values, take_value};
use crate::process_pool::check_known;
use crate::task::CancelToken;
use crate::unwind;

/// Runs functions on the thread that asks.
pub(super) struct Local(pub(super) Functions);

impl Local {
    fn run(&self, function: &str, argument: &[u8]) -> Result<Vec<u8>, JoinError> {
        let mut answer = Vec::new();
        let known = check_known(&self.0, function).map_err(JoinError::call);
        let on_bytes = known.map(|()| self.0.find(function))?;
        let outcome = unwind::catch(|| {
            on_bytes.map_or(Ok(()), |(_, on_bytes)| on_bytes.run(argument, &mut answer))
        });
        let function = function.to_owned();
        match outcome {
            Ok(Ok(())) => Ok(answer),
            Ok(Err(Failure::Argument(cause))) => Err(JoinError::call(CallError::Decode {
                function,
                part: "argument",
                cause,
            })),
            Ok(Err(Failure::Result(cause))) => Err(JoinError::call(CallError::Encode {
                function,
                part: "result",
                cause,
            })),
            Err(payload) => {
                let panic = Panic::new(payload);
                let message = panic.message().to_owned();
                let thread = panic.thread_name().map(str::to_owned);
                // Here, and not on the thread that answers: its drop is foreign code.
                unwind::discard(panic);
                Err(JoinError::Panicked(Panic::elsewhere(message, thread, None)))
            }
        }
    }
}

impl Route for Local {
    fn call(
        &self,
        function: &'static str,
        argument: &[u8],
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError> {
        if token.is_cancelled() {
            return Err(JoinError::Cancelled);
        }
        self.run(function, argument)
    }

    fn call_each(&self, function: &'static str, arguments: &Values, answer: &mut OnAnswer<'_>) {
        let mut bytes = arguments.bytes(0..arguments.len());
        while let Some(argument) = take_value(&mut bytes) {
            match self.run(function, argument) {
                Ok(result) => answer(Ok(&mut std::iter::once(&result[..]))),
                Err(error) => answer(Err(error)),
            }
        }
    }
}
