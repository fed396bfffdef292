//! Calls of functions that run elsewhere, for whose answers a thread waits.

use super::caller::Scope;
use super::codec::{decode, encode_short};
use super::marshal::{decode_each, encode_each, encoded, panicked, result_error};
use super::registry::Function;
use super::route::Route;
use crate::error::{JoinError, Panic};
use crate::task::{CancelToken, JoinHandle, Work};
use crate::thread_pool::ThreadPool;
use crate::unwind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A call elsewhere.
pub(super) struct There<A, R> {
    route: Arc<dyn Route>,
    function: Function<A, R>,
    pub(super) argument: A,
    token: CancelToken,
    scope: Scope,
}

impl<A, R> There<A, R> {
    /// The token is for the cell of the call.
    pub(super) fn new(
        route: Arc<dyn Route>,
        function: Function<A, R>,
        argument: A,
    ) -> (Self, CancelToken) {
        let token = CancelToken::new();
        let call = Self {
            route,
            function,
            argument,
            token: token.clone(),
            scope: Scope::current(),
        };
        (call, token)
    }
}

impl<A: Serialize, R: DeserializeOwned> Work<R> for There<A, R> {
    fn work(self) -> Result<R, JoinError> {
        self.scope
            .run(|| call_there(&*self.route, self.function, self.argument, &self.token))
    }
}

/// Sends the call from this thread, if it is short and somebody is idle who can run
/// it: then no thread of the pool need be woken, neither to send it nor, if this
/// thread waits for it next, to receive the answer.
pub(super) fn call_from_here<A, R>(
    threads: &ThreadPool,
    route: &Arc<dyn Route>,
    function: Function<A, R>,
    argument: &A,
) -> Option<JoinHandle<R>>
where
    A: Serialize,
    R: DeserializeOwned + Send + 'static,
{
    let name = function.name();
    let most = route.sends_up_to()?;
    let worker = threads.reserve()?;
    let token = CancelToken::new();
    let bytes = match unwind::catch(|| encode_short(argument, most)) {
        Ok(bytes) => bytes?,
        Err(payload) => {
            let panic = Panic::new(payload);
            return Some(worker.begin(&token, || Err(JoinError::Panicked(panic))));
        }
    };
    let receive = Arc::clone(route).send(name, bytes, &token)?;
    let scope = Scope::current();
    Some(worker.begin(&token, move || {
        let result = scope.run(receive)?;
        decode(&result).map_err(|cause| result_error(name, cause))
    }))
}

fn call_there<A: Serialize, R: DeserializeOwned>(
    route: &dyn Route,
    function: Function<A, R>,
    argument: A,
    token: &CancelToken,
) -> Result<R, JoinError> {
    let name = function.name();
    let bytes = encoded(name, &argument);
    // Before it waits. It is sent by now: its drop has no say in what comes of it.
    unwind::discard(argument);
    let answer = route.call_in_place(name, bytes?, token)?;
    decode(&answer).map_err(|cause| result_error(name, cause))
}

/// The results are in the order of the arguments, whose own code may fail or
/// panic for each of them.
pub(super) fn call_chunk<A: Serialize, R: DeserializeOwned>(
    route: &dyn Route,
    function: Function<A, R>,
    chunk: Vec<A>,
) -> Vec<Result<R, JoinError>> {
    let name = function.name();
    let items = chunk.len();
    let mut results = Vec::with_capacity(items);
    if items == 1 {
        results.extend(chunk.into_iter().map(|argument| {
            unwind::catch(|| call_there(route, function, argument, &CancelToken::new()))
                .unwrap_or_else(|payload| Err(panicked(payload)))
        }));
        return results;
    }
    let (arguments, unsent) = encode_each(name, chunk);
    route.call_each(name, &arguments, &mut |answers| match answers {
        Ok(values) => decode_each(name, values, &mut results),
        Err(error) => results.push(Err(error)),
    });
    if unsent.is_empty() {
        return results;
    }
    let (mut sent, mut unsent) = (results.into_iter(), unsent.into_iter().peekable());
    let in_order = (0..items).filter_map(|place| {
        let unsent = unsent.next_if(|(unsent, _)| *unsent == place);
        unsent.map_or_else(|| sent.next(), |(_, error)| Some(Err(error)))
    });
    in_order.collect()
}
