//! [`FunctionExecutor`]: what calls named functions.

use super::codec::{decode, encode};
use super::registry::Function;
use crate::error::{CallError, JoinError};
use crate::executor::{Executor, ExecutorExt, hand_over};
use crate::map::{Chunks, Map, MapUnordered};
use crate::task::{CancelToken, Fallible, JoinHandle, Room, launch};
use crate::thread_pool::ThreadPool;
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
}

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

/// What calls named functions: every [`Executor`], which runs them in this
/// process, and [`ProcessPool`](crate::process::ProcessPool).
///
/// Functions are called by the methods of [`FunctionExecutorExt`], which every
/// one has; `dyn FunctionExecutor` and the process pool have the same methods
/// without an import. To run your own functions elsewhere, implement
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
    /// [`submit`](ExecutorExt::submit). Blocks only where the executor waits
    /// for room in its queue, or runs the function on this thread, as
    /// [`Inline`](crate::Inline) does. Dropping the handle detaches the call.
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
            Place::Here(executor) => executor.submit(move || (function.run)(argument)),
            Place::There(threads, route) => {
                let token = CancelToken::new();
                let seen = token.clone();
                let call = Fallible(move || call_there(&*route, function, argument, &seen));
                launch(call, token, |task| hand_over(threads, task, Room::Wait))
            }
        }
    }

    /// Calls a function for each argument, and returns the results in the
    /// order of the arguments.
    ///
    /// Lazy and bounded as [`map`](ExecutorExt::map): see [`Map`], whose
    /// `chunk_size` is here how many calls one worker makes in a row. A call
    /// that fails, its process's death included, costs its own result only.
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
            let call = move |argument| call_there(&*route, function, argument, &CancelToken::new());
            Chunks::fallible(arguments, call, move |task, room| {
                hand_over(threads, task, room)
            })
        }
    }
}

fn call_there<A: Serialize, R: DeserializeOwned>(
    route: &dyn Route,
    function: Function<A, R>,
    argument: A,
    token: &CancelToken,
) -> Result<R, JoinError> {
    let name = function.name();
    let bytes = encode(&argument).map_err(|cause| {
        JoinError::call(CallError::Encode {
            function: name.to_owned(),
            part: "argument",
            cause,
        })
    })?;
    drop(argument);
    let answer = route.call(name, &bytes, token)?;
    decode(&answer).map_err(|cause| {
        JoinError::call(CallError::Decode {
            function: name.to_owned(),
            part: "result",
            cause,
        })
    })
}

/// Gives a type the methods of [`FunctionExecutorExt`] without an import.
macro_rules! call_without_import {
    () => {
        /// Calls a function and returns the handle of the call; see
        /// [`FunctionExecutorExt::call`](crate::function::FunctionExecutorExt::call).
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

        /// Calls a function for each argument, results in the order of the
        /// arguments; see
        /// [`FunctionExecutorExt::call_map`](crate::function::FunctionExecutorExt::call_map).
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

        /// Calls a function for each argument, results as they come; see
        /// [`FunctionExecutorExt::call_map_unordered`](crate::function::FunctionExecutorExt::call_map_unordered).
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
    call_without_import!();
}

impl fmt::Debug for dyn FunctionExecutor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn FunctionExecutor")
    }
}
