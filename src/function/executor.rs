//! [`FunctionExecutor`]: what calls named functions.

use super::caller::Scope;
use super::elsewhere::{There, call_chunk, call_from_here};
use super::registry::Function;
#[cfg(feature = "cluster")]
use super::remote::{self, Remote};
use super::route::Route;
use crate::error::{JoinError, TryCallError};
use crate::executor::{Executor, hand_over};
use crate::map::{Chunks, Map, MapUnordered};
use crate::task::{JoinHandle, Room, Work, launch, offer};
use crate::thread_pool::ThreadPool;
use crate::unwind;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
