//! [`Route`]: the way to functions that run elsewhere, and back.

use super::values::Values;
use crate::error::JoinError;
use crate::task::CancelToken;
use std::sync::Arc;

/// Takes the next answers: results, all of which it reads, or the reason why there is
/// none for the next call.
pub(crate) type OnAnswer<'a> = dyn FnMut(Result<&mut dyn Iterator<Item = &[u8]>, JoinError>) + 'a;

/// Blocks until the result of a call that was sent is here, or it is clear that there
/// will be none.
pub(crate) type Receive = Box<dyn FnOnce() -> Result<Vec<u8>, JoinError> + Send>;

/// The way to functions that run elsewhere, and back.
pub trait Route: Send + Sync {
    /// Calls the function and blocks until its result is here, or it is clear
    /// that there will be none. Cancelling the token ends it.
    fn call(
        &self,
        function: &'static str,
        argument: &[u8],
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError>;

    /// As [`call`](Self::call), of bytes whose room the result may use.
    fn call_in_place(
        &self,
        function: &'static str,
        value: Vec<u8>,
        token: &CancelToken,
    ) -> Result<Vec<u8>, JoinError> {
        self.call(function, &value, token)
    }

    /// How long an argument is at most that [`send`](Self::send) takes now, if it
    /// takes any.
    fn sends_up_to(&self) -> Option<usize> {
        None
    }

    /// Sends a call from this thread, if somebody is idle who can run it. Never
    /// blocks.
    fn send(
        self: Arc<Self>,
        _function: &'static str,
        _argument: Vec<u8>,
        _token: &CancelToken,
    ) -> Option<Receive> {
        None
    }

    /// Calls the function with one argument after the other, and gives out as
    /// many answers, in their order; blocks meanwhile.
    fn call_each(&self, function: &'static str, arguments: &Values, answer: &mut OnAnswer<'_>);
}
