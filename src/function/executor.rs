//! [`FunctionExecutor`]: what calls named functions.

use super::caller::Scope;
use super::codec::{decode, encode, encode_onto, encode_short};
use super::registry::Function;
#[cfg(feature = "cluster")]
use super::remote::{self, Remote};
use super::values::Values;
use crate::error::{CallError, JoinError, Panic, TryCallError};
use crate::executor::{Executor, hand_over};
use crate::map::{Chunks, Map, MapUnordered};
use crate::task::{CancelToken, JoinHandle, Room, Work, launch, offer};
use crate::thread_pool::ThreadPool;
use crate::unwind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

/// Where a function runs. Not public: the trait that names it is sealed.
#[expect(missing_debug_implementations, reason = "nobody outside can name it")]
pub enum Place<'a> {
    /// In this process.
    Here(Box<dyn Executor + 'a>),
    /// Elsewhere; a thread of this pool waits for the answer.
    There(&'a ThreadPool, Arc<dyn Route>),
    /// Elsewhere; nobody waits for the answer, which comes as a message.
    #[cfg(feature = "cluster")]
    Remote(Arc<dyn Remote>),
}

/// Takes the next answer.
pub(crate) type OnAnswer<'a> = dyn FnMut(Result<&[u8], JoinError>) + 'a;

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

/// Seals [`FunctionExecutor`], whose inside is not settled yet.
pub trait Places: Send + Sync {
    fn place(&self) -> Place<'_>;
}

impl<E: Executor + ?Sized> Places for E {
    fn place(&self) -> Place<'_> {
        Place::Here(Box::new(self))
    }
}

/// Makes the pointers to a type that is no [`Executor`] callers of functions too;
/// the pointers to an executor are executors.
macro_rules! place_behind_pointers {
    ($place:ty) => {
        $crate::function::place_behind_pointers!(
            $place: &$place, std::boxed::Box<$place>, std::sync::Arc<$place>
        );
    };
    ($place:ty: $($pointer:ty),+) => {$(
        impl $crate::function::Places for $pointer {
            fn place(&self) -> $crate::function::Place<'_> {
                (**self).place()
            }
        }
    )+};
}
pub(crate) use place_behind_pointers;

place_behind_pointers!(dyn FunctionExecutor + '_);

/// What calls named functions: every [`Executor`], which runs them in this
/// process, [`ProcessPool`](crate::process::ProcessPool) and
/// [`Cluster`](crate::cluster::Cluster).
///
/// Functions are called by the methods of [`FunctionExecutorExt`], which every
/// one has; `dyn FunctionExecutor`, the process pool and the cluster have the same
/// methods without an import. To run your own functions elsewhere, implement
/// [`Executor`]: every executor calls functions.
///
/// # Examples
///
/// ```
/// use as_completed::function::{Function, FunctionExecutor};
/// use as_completed::Inline;
///
/// const LENGTH: Function<String, usize> = Function::new("length", |text| text.len());
///
/// fn length(executor: &dyn FunctionExecutor) -> usize {
///     executor.call(LENGTH, "four".to_owned()).join().unwrap()
/// }
///
/// assert_eq!(length(&Inline), 4);
/// ```
pub trait FunctionExecutor: Places {}

impl<E: Places + ?Sized> FunctionExecutor for E {}

/// The ways to call named functions on any [`FunctionExecutor`].
///
/// # Examples
///
/// ```
/// use as_completed::function::{Function, FunctionExecutor, FunctionExecutorExt};
/// use as_completed::ThreadPool;
///
/// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
///
/// fn doubled(executor: &impl FunctionExecutor) -> u32 {
///     executor.call(DOUBLE, 21).join().unwrap()
/// }
///
/// assert_eq!(doubled(&ThreadPool::new(1)), 42);
/// ```
pub trait FunctionExecutorExt: FunctionExecutor {
    /// Calls a function and returns the handle of the call.
    ///
    /// Never fails: what goes wrong is in the handle, as with
    /// [`submit`](crate::ExecutorExt::submit). Blocks only where the executor waits
    /// for room in its queue, or runs the function on this thread, as
    /// [`Inline`](crate::Inline) does. A process pool may encode the argument here, and
    /// decode the result where the handle is joined. Dropping the handle detaches the
    /// call.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::ThreadPool;
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    ///
    /// let pool = ThreadPool::new(1);
    /// assert_eq!(pool.call(DOUBLE, 21).join()?, 42);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    fn call<A, R>(&self, function: Function<A, R>, argument: A) -> JoinHandle<R>
    where
        A: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        match self.place() {
            Place::Here(executor) => launch(Here { function, argument }, (), |task| {
                hand_over(&*executor, task, Room::Wait)
            }),
            Place::There(threads, route) => {
                if let Some(handle) = call_from_here(threads, &route, function, &argument) {
                    unwind::discard(argument);
                    return handle;
                }
                let (call, token) = There::new(route, function, argument);
                launch(call, token, |task| hand_over(threads, task, Room::Wait))
            }
            #[cfg(feature = "cluster")]
            Place::Remote(remote) => remote::call(&remote, function, argument),
        }
    }

    /// Calls a function, or gives its argument back. Never waits for room.
    ///
    /// # Errors
    ///
    /// [`TryCallError`] with the argument if the executor does not take the
    /// call: it is shut down, or its queue is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::{Rejected, ThreadPool};
    ///
    /// const LENGTH: Function<String, usize> = Function::new("length", |text| text.len());
    ///
    /// let pool = ThreadPool::new(1);
    /// assert_eq!(pool.try_call(LENGTH, "four".to_owned()).unwrap().join().unwrap(), 4);
    /// pool.shutdown();
    /// let error = pool.try_call(LENGTH, "four".to_owned()).unwrap_err();
    /// assert!(matches!(error.reason(), Rejected::ShutDown));
    /// assert_eq!(error.into_argument(), "four");
    /// ```
    fn try_call<A, R>(
        &self,
        function: Function<A, R>,
        argument: A,
    ) -> Result<JoinHandle<R>, TryCallError<A>>
    where
        A: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        match self.place() {
            Place::Here(executor) => {
                let call = Here { function, argument };
                offer(call, (), |task| hand_over(&*executor, task, Room::Now)).map_err(|error| {
                    let reason = error.reason().clone();
                    TryCallError::new(error.into_closure().argument, reason)
                })
            }
            Place::There(threads, route) => {
                if let Some(handle) = call_from_here(threads, &route, function, &argument) {
                    unwind::discard(argument);
                    return Ok(handle);
                }
                let (call, token) = There::new(route, function, argument);
                offer(call, token, |task| hand_over(threads, task, Room::Now)).map_err(|error| {
                    let reason = error.reason().clone();
                    TryCallError::new(error.into_closure().argument, reason)
                })
            }
            #[cfg(feature = "cluster")]
            Place::Remote(remote) => remote::try_call(&remote, function, argument),
        }
    }

    /// Calls a function for each argument, and returns the results in the
    /// order of the arguments.
    ///
    /// Lazy and bounded as [`map`](crate::ExecutorExt::map): see [`Map`]. A
    /// call that fails costs its own result only, also where it kills its
    /// process.
    ///
    /// With a [`chunk_size`](Map::chunk_size), a process is sent so many
    /// arguments at once, which is much faster where calls are short. It returns
    /// results every millisecond or so. If it dies, or a call times out, and it is not
    /// clear which call it was, those of that moment are made again, one by one;
    /// without a chunk size a process pool makes no call twice.
    ///
    /// A [`Cluster`](crate::cluster::Cluster) makes one call for each argument, whatever
    /// the chunk size, and may run it more than once.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::ThreadPool;
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    ///
    /// let pool = ThreadPool::new(2);
    /// let doubled: Result<Vec<_>, _> = pool.call_map(DOUBLE, 1..=3).collect();
    /// assert_eq!(doubled?, [2, 4, 6]);
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    fn call_map<A, R, I>(&self, function: Function<A, R>, arguments: I) -> Map<'_, I::IntoIter, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        Map::new(chunks(self.place(), function, arguments.into_iter()))
    }

    /// Calls a function for each argument, and returns the results as they
    /// come; otherwise as [`call_map`](Self::call_map).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::ThreadPool;
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    ///
    /// let pool = ThreadPool::new(2);
    /// let sum: u32 = pool.call_map_unordered(DOUBLE, 1..=3).map(Result::unwrap).sum();
    /// assert_eq!(sum, 12);
    /// ```
    fn call_map_unordered<A, R, I>(
        &self,
        function: Function<A, R>,
        arguments: I,
    ) -> MapUnordered<'_, I::IntoIter, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        MapUnordered::new(chunks(self.place(), function, arguments.into_iter()))
    }
}

impl<E: FunctionExecutor + ?Sized> FunctionExecutorExt for E {}

fn chunks<A, R, I>(place: Place<'_>, function: Function<A, R>, arguments: I) -> Chunks<'_, I, R>
where
    I: Iterator<Item = A>,
    A: Serialize + Send + 'static,
    R: DeserializeOwned + Send + 'static,
{
    match place {
        Place::Here(executor) => Chunks::new(arguments, function.run, move |task, room| {
            hand_over(&*executor, task, room)
        }),
        Place::There(threads, route) => {
            let scope = Scope::current();
            Chunks::by_chunk(
                arguments,
                move |chunk| scope.run(|| call_chunk(&*route, function, chunk)),
                move |task, room| hand_over(threads, task, room),
            )
        }
        #[cfg(feature = "cluster")]
        Place::Remote(remote) => Chunks::handed_on(arguments, move |chunk, room| {
            remote::call_each(&remote, function, chunk, matches!(room, Room::Wait))
        }),
    }
}

/// A call in this process, as a closure whose argument can be taken back.
struct Here<A, R> {
    function: Function<A, R>,
    argument: A,
}

impl<A, R> Work<R> for Here<A, R> {
    fn work(self) -> Result<R, JoinError> {
        Ok((self.function.run)(self.argument))
    }
}

/// A call elsewhere.
struct There<A, R> {
    route: Arc<dyn Route>,
    function: Function<A, R>,
    argument: A,
    token: CancelToken,
    scope: Scope,
}

impl<A, R> There<A, R> {
    /// The token is for the cell of the call.
    fn new(route: Arc<dyn Route>, function: Function<A, R>, argument: A) -> (Self, CancelToken) {
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
fn call_from_here<A, R>(
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
fn call_chunk<A: Serialize, R: DeserializeOwned>(
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
    route.call_each(name, &arguments, &mut |answer| {
        results.push(answer.and_then(|bytes| decoded(name, bytes)));
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

/// Decodes a result, whose type may panic over it.
pub(super) fn decoded<R: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<R, JoinError> {
    match unwind::catch(|| decode(bytes)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(cause)) => Err(result_error(name, cause)),
        Err(payload) => Err(panicked(payload)),
    }
}

fn panicked(payload: unwind::Payload) -> JoinError {
    JoinError::Panicked(Panic::new(payload))
}

/// Encodes the arguments of a chunk; those that cannot be encoded are told by their
/// place in it.
fn encode_each<A: Serialize>(name: &str, chunk: Vec<A>) -> (Values, Vec<(usize, JoinError)>) {
    let mut values = Values::with_capacity(chunk.len());
    let mut failed = Vec::new();
    let (mut place, mut chunk) = (0, chunk.into_iter());
    // Kept here, so that the drop of one whose encoding panics is no second panic.
    let mut argument = None;
    loop {
        // One for all: it costs as much as the encoding of a number.
        let all = unwind::catch(|| {
            for next in chunk.by_ref() {
                let next = argument.insert(next);
                if let Err(cause) = values.push(|bytes| encode_onto(next, bytes)) {
                    failed.push((place, argument_error(name, cause)));
                }
                unwind::discard(argument.take());
                place += 1;
            }
        });
        let Err(payload) = all else {
            return (values, failed);
        };
        failed.push((place, panicked(payload)));
        unwind::discard(argument.take());
        place += 1;
    }
}

/// Encodes an argument, whose type may panic over it.
pub(super) fn encoded<A: Serialize>(name: &str, argument: &A) -> Result<Vec<u8>, JoinError> {
    unwind::catch(|| encode(argument).map_err(|cause| argument_error(name, cause)))
        .unwrap_or_else(|payload| Err(JoinError::Panicked(Panic::new(payload))))
}

fn argument_error(function: &str, cause: String) -> JoinError {
    JoinError::call(CallError::Encode {
        function: function.to_owned(),
        part: "argument",
        cause,
    })
}

pub(super) fn result_error(function: &str, cause: String) -> JoinError {
    JoinError::call(CallError::Decode {
        function: function.to_owned(),
        part: "result",
        cause,
    })
}

/// Gives a type the methods of [`FunctionExecutorExt`] without an import.
///
/// Given are the fence of the examples, and their first lines, which make of the
/// function `LENGTH` what calls it: `executor`.
macro_rules! call_without_import {
    ($fence:expr, $first:expr) => {
        /// Calls a function and returns the handle of the call; see
        /// [`FunctionExecutorExt::call`](crate::function::FunctionExecutorExt::call).
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
let length = executor.call(LENGTH, \"four\".to_owned());
assert_eq!(length.join()?, 4);
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn call<A, R>(
            &self,
            function: crate::function::Function<A, R>,
            argument: A,
        ) -> crate::JoinHandle<R>
        where
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::call(self, function, argument)
        }

        /// Calls a function, or gives its argument back; see
        /// [`FunctionExecutorExt::try_call`](crate::function::FunctionExecutorExt::try_call).
        ///
        /// # Errors
        ///
        /// [`TryCallError`](crate::TryCallError) with the argument if the call
        /// is not taken: shut down, or the queue is full.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
match executor.try_call(LENGTH, \"four\".to_owned()) {
    Ok(length) => assert_eq!(length.join()?, 4),
    Err(refused) => assert_eq!(refused.into_argument(), \"four\"), // try again later
}
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn try_call<A, R>(
            &self,
            function: crate::function::Function<A, R>,
            argument: A,
        ) -> Result<crate::JoinHandle<R>, crate::TryCallError<A>>
        where
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::try_call(self, function, argument)
        }

        /// Calls a function for each argument, and returns the results in the order of
        /// the arguments; see
        /// [`FunctionExecutorExt::call_map`](crate::function::FunctionExecutorExt::call_map).
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
let words = [\"a\", \"bc\", \"def\"].map(str::to_owned);
let lengths: Result<Vec<usize>, _> = executor.call_map(LENGTH, words).collect();
assert_eq!(lengths?, [1, 2, 3]);
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn call_map<A, R, I>(
            &self,
            function: crate::function::Function<A, R>,
            arguments: I,
        ) -> crate::Map<'_, I::IntoIter, R>
        where
            I: IntoIterator<Item = A>,
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::call_map(self, function, arguments)
        }

        /// Calls a function for each argument, and returns the results as they come; see
        /// [`FunctionExecutorExt::call_map_unordered`](crate::function::FunctionExecutorExt::call_map_unordered).
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
let words = [\"a\", \"bc\", \"def\"].map(str::to_owned);
let mut all = 0;
for length in executor.call_map_unordered(LENGTH, words) {
    all += length?;
}
assert_eq!(all, 6);
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn call_map_unordered<A, R, I>(
            &self,
            function: crate::function::Function<A, R>,
            arguments: I,
        ) -> crate::MapUnordered<'_, I::IntoIter, R>
        where
            I: IntoIterator<Item = A>,
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::call_map_unordered(self, function, arguments)
        }
    };
}
pub(crate) use call_without_import;

impl dyn FunctionExecutor + '_ {
    call_without_import!(
        "",
        "use as_completed::ThreadPool;
use as_completed::function::{Function, FunctionExecutor};

const LENGTH: Function<String, usize> = Function::new(\"length\", |text| text.len());

let executor: &dyn FunctionExecutor = &ThreadPool::new(1);"
    );
}

impl fmt::Debug for dyn FunctionExecutor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn FunctionExecutor")
    }
}
