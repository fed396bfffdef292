//! Calls that nobody waits for: the answer comes as a message, and settles a
//! promise.

use super::marshal::{decoded, encoded};
use super::registry::Function;
use crate::error::{JoinError, Rejected, TryCallError};
use crate::map::Results;
use crate::sync::Mutex;
use crate::task::{JoinHandle, Promise, promise};
use crate::unwind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What is done with an answer. Decodes and runs callbacks, which is foreign
/// code: not for a thread that others wait for.
pub(crate) type Settle = Box<dyn FnOnce(Result<&[u8], JoinError>) + Send>;

/// Sends calls to where they run.
pub trait Remote: Send + Sync {
    /// Returns a number by which a call can be cancelled.
    fn number(&self) -> u64;

    /// Sends a call; blocks only for room in a bounded queue, if it may. Once it
    /// is sent, `settle` is run exactly once.
    fn send(
        &self,
        number: u64,
        function: &'static str,
        argument: Vec<u8>,
        settle: Settle,
        may_wait: bool,
    ) -> Result<(), Rejected>;

    /// Tells that nobody waits for the call any more. Never blocks.
    fn cancel(&self, number: u64);
}

pub(super) fn call<A, R>(
    remote: &Arc<dyn Remote>,
    function: Function<A, R>,
    argument: A,
) -> JoinHandle<R>
where
    A: Serialize,
    R: DeserializeOwned + Send + 'static,
{
    let sent = send(remote, function, &argument, true);
    unwind::discard(argument);
    sent.unwrap_or_else(refused)
}

pub(super) fn try_call<A, R>(
    remote: &Arc<dyn Remote>,
    function: Function<A, R>,
    argument: A,
) -> Result<JoinHandle<R>, TryCallError<A>>
where
    A: Serialize,
    R: DeserializeOwned + Send + 'static,
{
    match send(remote, function, &argument, false) {
        Ok(handle) => {
            unwind::discard(argument);
            Ok(handle)
        }
        Err(reason) => Err(TryCallError::new(argument, reason)),
    }
}

/// The handle of a call that was not taken.
fn refused<R: Send + 'static>(reason: Rejected) -> JoinHandle<R> {
    let (promise, handle) = promise();
    promise.settle(Err(JoinError::Rejected(reason)));
    handle
}

fn send<A, R>(
    remote: &Arc<dyn Remote>,
    function: Function<A, R>,
    argument: &A,
    may_wait: bool,
) -> Result<JoinHandle<R>, Rejected>
where
    A: Serialize,
    R: DeserializeOwned + Send + 'static,
{
    let name = function.name();
    let number = remote.number();
    let bytes = encoded(name, argument);
    let (handle, settle) = handle(remote, number, name);
    match bytes {
        Ok(bytes) => remote.send(number, name, bytes, settle, may_wait)?,
        Err(error) => settle(Err(error)),
    }
    Ok(handle)
}

/// Creates the handle of a call, and what settles it.
pub(crate) fn handle<R>(
    remote: &Arc<dyn Remote>,
    number: u64,
    name: &'static str,
) -> (JoinHandle<R>, Settle)
where
    R: DeserializeOwned + Send + 'static,
{
    let (promise, handle) = promise();
    let canceller = Arc::downgrade(remote);
    promise.on_cancel(move || {
        if let Some(remote) = canceller.upgrade() {
            remote.cancel(number);
        }
    });
    let settle: Settle =
        Box::new(move |answer| promise.settle(answer.and_then(|bytes| decoded(name, bytes))));
    (handle, settle)
}

/// The results of a chunk, until all are here.
struct Gathered<R: Send + 'static> {
    results: Vec<Option<Result<R, JoinError>>>,
    missing: usize,
    promise: Option<Promise<Results<R>>>,
}

impl<R: Send + 'static> Drop for Gathered<R> {
    /// Some calls were lost, on whichever thread that was.
    fn drop(&mut self) {
        for result in std::mem::take(&mut self.results) {
            unwind::discard(result);
        }
    }
}

impl<R: Send + 'static> Gathered<R> {
    /// Puts one result in its place, and settles the chunk with the last.
    fn put(this: &Mutex<Self>, place: usize, result: Result<R, JoinError>) {
        let mut slot = this.lock();
        slot.results[place] = Some(result);
        slot.missing -= 1;
        if slot.missing == 0 {
            let results = std::mem::take(&mut slot.results);
            let promise = slot.promise.take();
            drop(slot);
            if let Some(promise) = promise {
                promise.settle(Ok(results.into_iter().flatten().collect()));
            }
        }
    }
}

/// Makes one call for each argument; the handle has all their results. Gives the
/// arguments back if there is no room for the first that can be sent.
pub(super) fn call_each<A, R>(
    remote: &Arc<dyn Remote>,
    function: Function<A, R>,
    arguments: Vec<A>,
    mut may_wait: bool,
) -> Result<JoinHandle<Results<R>>, (Vec<A>, Rejected)>
where
    A: Serialize,
    R: DeserializeOwned + Send + 'static,
{
    let name = function.name();
    let (promise, handle) = promise();
    let numbers: Vec<_> = arguments.iter().map(|_| remote.number()).collect();
    let canceller = Arc::downgrade(remote);
    let to_cancel = numbers.clone();
    promise.on_cancel(move || {
        if let Some(remote) = canceller.upgrade() {
            for number in to_cancel {
                remote.cancel(number);
            }
        }
    });
    let gathered = Arc::new(Mutex::new(Gathered {
        results: arguments.iter().map(|_| None).collect(),
        missing: arguments.len(),
        promise: Some(promise),
    }));
    for (place, number) in numbers.into_iter().enumerate() {
        let settle = {
            let gathered = Arc::clone(&gathered);
            move |result| Gathered::put(&gathered, place, result)
        };
        let bytes = match encoded(name, &arguments[place]) {
            Ok(bytes) => bytes,
            Err(error) => {
                settle(Err(error));
                continue;
            }
        };
        let on_answer = settle.clone();
        let on_answer: Settle =
            Box::new(move |answer| on_answer(answer.and_then(|bytes| decoded(name, bytes))));
        match remote.send(number, name, bytes, on_answer, may_wait) {
            Ok(()) => {}
            // None has been sent: those before it, if any, could not be encoded.
            Err(reason) if !may_wait => {
                return Err((arguments, reason));
            }
            Err(reason) => settle(Err(JoinError::Rejected(reason))),
        }
        // The rest of a chunk that has begun is sent.
        may_wait = true;
    }
    for argument in arguments {
        unwind::discard(argument);
    }
    Ok(handle)
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use serde::Serializer;

    /// Has no room for those who do not wait.
    struct Full;

    impl Remote for Full {
        fn number(&self) -> u64 {
            0
        }

        fn send(
            &self,
            _: u64,
            _: &'static str,
            argument: Vec<u8>,
            settle: Settle,
            may_wait: bool,
        ) -> Result<(), Rejected> {
            if !may_wait {
                return Err(Rejected::QueueFull);
            }
            settle(Ok(&argument));
            Ok(())
        }

        fn cancel(&self, _: u64) {}
    }

    /// Cannot be encoded if it is 0.
    #[derive(Debug, PartialEq)]
    struct NotZero(u8);

    impl Serialize for NotZero {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                0 => Err(serde::ser::Error::custom("zero")),
                number => serializer.serialize_u8(number),
            }
        }
    }

    #[test]
    fn a_chunk_is_given_back_whole_if_there_is_no_room_for_the_first_that_can_be_sent() {
        let remote: Arc<dyn Remote> = Arc::new(Full);
        let function = Function::new("same", |number: NotZero| number.0);
        let chunk = || vec![NotZero(0), NotZero(0), NotZero(7), NotZero(8)];
        let Err((given_back, Rejected::QueueFull)) = call_each(&remote, function, chunk(), false)
        else {
            panic!("the chunk is not given back");
        };
        assert_eq!(given_back, chunk());
        let results = call_each(&remote, function, chunk(), true).ok();
        let results = results.expect("it may wait").join().unwrap();
        assert!(results[..2].iter().all(Result::is_err));
        let sent = results.into_iter().flatten();
        assert_eq!(sent.collect::<Vec<_>>(), [7, 8]);
    }
}
