//! Submit work, take results as they finish.
//!
//! This crate is to Rust what `concurrent.futures` is to Python: it runs
//! blocking work side by side on a bounded number of threads, and returns
//! handles to wait on and results in completion order. It needs no async
//! runtime and contains no `unsafe` code.
//!
//! ```
//! use as_completed::{ThreadPool, as_completed};
//!
//! fn main() {
//!     let pool = ThreadPool::new(8);
//!     let lengths = ["Cargo.toml", "no such file"]
//!         .map(|path| (path, pool.submit(move || std::fs::read(path).map(|text| text.len()))));
//!
//!     for (path, length) in as_completed(lengths) {
//!         match length.join() { // never blocks here
//!             Ok(Ok(bytes)) => println!("{path}: {bytes} bytes"),
//!             Ok(Err(error)) => println!("{path}: {error}"), // what the task returned
//!             Err(error) => println!("{path}: {error}"), // it panicked or was cancelled
//!         }
//!     }
//! }
//! ```
//!
//! [`submit`](ExecutorExt::submit) takes a closure and returns the handle of
//! its task. [`as_completed()`] takes handles, or `(key, handle)` pairs as
//! here, and yields them as their tasks finish.
//!
//! Add the crate with `cargo add as-completed`, or with
//! `cargo add as-completed --no-default-features` for the executors alone, without the
//! [downloads](#downloads) and their HTTP client.
//!
//! # The life of a task
//!
//! A **task** is a closure and the place for its result. An **executor** runs
//! tasks: a [`ThreadPool`], [`Inline`], or your own type that implements
//! [`Executor`]. A **worker** is a thread of a pool. A **handle**, a
//! [`JoinHandle`], is the caller's end of a task.
//!
//! A task is *pending* until a worker starts it, then *running*, and then
//! *finished*: it returned or panicked. A pending task can be *cancelled*, and
//! then it never runs. A task that its executor does not take, or drops without
//! running it, is *rejected*. Finished, cancelled and rejected are final, and
//! every task becomes final in one of these ways. Its closure has been run or
//! dropped before anyone is notified.
//!
//! [`join`](ScopedJoinHandle::join) returns the result, or a [`JoinError`] that
//! says why there is none. Dropping a handle detaches its task, which runs all
//! the same.
//!
//! # The same function over many items
//!
//! [`map`](ExecutorExt::map) returns results in the order of the items,
//! [`map_unordered`](ExecutorExt::map_unordered) as they finish. Both read their
//! input lazily and keep a bounded number of tasks in flight, so the input may
//! be endless. Input that is slow is best read
//! [in the background](Map::read_in_background).
//!
//! ```
//! use as_completed::ThreadPool;
//!
//! let pool = ThreadPool::new(4);
//! let mut squares = pool.map(0..u64::MAX, |n| n * n).buffer(64);
//! assert_eq!(squares.nth(3).transpose()?, Some(9));
//! # Ok::<(), as_completed::JoinError>(())
//! ```
//!
//! # Results that bring new work
//!
//! [`push`](AsCompleted::push) adds a handle while you iterate.
//!
//! ```
//! use as_completed::{ThreadPool, as_completed};
//!
//! let pool = ThreadPool::new(4);
//! let mut numbers = as_completed([pool.submit(|| 8_u32)]);
//! let mut seen = Vec::new();
//! while let Some(number) = numbers.next() {
//!     let number = number.join()?;
//!     seen.push(number);
//!     if number > 1 {
//!         numbers.push(pool.submit(move || number / 2));
//!     }
//! }
//! assert_eq!(seen, [8, 4, 2, 1]);
//! # Ok::<(), as_completed::JoinError>(())
//! ```
//!
//! # At most so many at a time
//!
//! [`limit`](ThreadPool::limit) is a view of an executor that runs at most so many
//! tasks at a time: for a host, a database or a disk that can bear no more.
//!
//! ```
//! use as_completed::ThreadPool;
//!
//! let pool = ThreadPool::new(30);
//! let database = pool.limit(4);
//! let rows = database.map(0..100, |id| format!("row {id}"));
//! assert_eq!(rows.map(Result::unwrap).count(), 100);
//! ```
//!
//! # A connection for each worker
//!
//! The workers of a [`StatefulPool`] each keep a state, such as a connection to a
//! database, which their tasks are given as `&mut`.
//!
//! ```
//! use as_completed::ThreadPool;
//!
//! let pool = ThreadPool::builder()
//!     .max_workers(2)
//!     .build_with_state(|worker| Ok(format!("connection {worker}")))?;
//! let query = pool.submit(|connection| format!("answer over {connection}"));
//! assert_eq!(query.join()?, "answer over connection 0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tasks that borrow
//!
//! The tasks of a [`ThreadPool::scope`] may borrow local variables. The scope
//! ends when all its tasks have.
//!
//! ```
//! use as_completed::{ThreadPool, as_completed};
//!
//! let text = String::from("one\nthree");
//! let letters: usize = ThreadPool::scope(4, |pool| {
//!     let lengths = text.lines().map(|line| pool.submit(move || line.len()));
//!     as_completed(lengths).map(|length| length.join().unwrap()).sum()
//! });
//! assert_eq!(letters, 8);
//! ```
//!
//! # Tasks that wait for tasks
//!
//! A task may wait for other tasks of its own pool, at any pool size. A worker
//! that waits for a task which has not started runs *that* task itself if no other
//! worker is free to, and runs no other task.
//!
//! ```
//! use as_completed::ThreadPool;
//! use std::sync::Arc;
//!
//! let pool = Arc::new(ThreadPool::new(1));
//! let inner = Arc::clone(&pool);
//! let answer = pool.submit(move || inner.submit(|| 42).join().unwrap()).join()?;
//! assert_eq!(answer, 42);
//! # Ok::<(), as_completed::JoinError>(())
//! ```
//!
//! # Errors and panics
//!
//! A task that returns a `Result` has returned: `join` gives `Ok(Ok(value))` or
//! `Ok(Err(error))`. A [`JoinError`] means that there is no returned value. A
//! panic stays in its task: the worker goes on with the next one, and
//! [`JoinError::Panicked`] carries the [`Panic`] with its message and payload.
//!
//! # Cancellation
//!
//! [`cancel`](ScopedJoinHandle::cancel) keeps a pending task from running, and
//! notifies all who wait for it. A running thread cannot be stopped from outside,
//! so a task that should stop early is submitted by
//! [`submit_cancellable`](ExecutorExt::submit_cancellable) and looks at its
//! [`CancelToken`]. [`ThreadPool::cancel_pending`] cancels what is queued, and
//! [`ThreadPool::cancel_all`] also cancels the tokens of running tasks.
//!
//! ```
//! use as_completed::ThreadPool;
//! use std::time::Duration;
//!
//! let pool = ThreadPool::new(1);
//! let nap = pool.submit_cancellable(|token| token.sleep(Duration::from_secs(3600)));
//! nap.cancel();
//! assert!(!matches!(nap.join(), Ok(true))); // it did not sleep for an hour
//! ```
//!
//! # Returning early
//!
//! Returning early from a loop over [`as_completed()`], by `?` or `break`,
//! detaches the tasks that are left: they still run, and dropping their pool
//! waits for them. [`cancel_on_drop`](AsCompleted::cancel_on_drop) cancels them
//! instead. [`try_join_all()`] returns all results or the first error, and
//! cancels the rest then. Dropping a [`Map`] or a [`MapUnordered`] cancels what is
//! pending; [`Map::cancel_on_drop`] also reaches the items that run. A scope waits
//! for all its tasks; [`ScopedPool::cancel_on_return`] cancels what is left when its
//! body ends.
//!
//! ```
//! use as_completed::{JoinError, ThreadPool, as_completed};
//!
//! fn total(pool: &ThreadPool) -> Result<u32, JoinError> {
//!     let numbers = (0..1000).map(|n| pool.submit(move || 10 / n));
//!     let mut total = 0;
//!     for number in as_completed(numbers).cancel_on_drop() {
//!         total += number.join()?;
//!     }
//!     Ok(total)
//! }
//!
//! let pool = ThreadPool::new(1);
//! assert!(total(&pool).unwrap_err().is_panic()); // 10 / 0; the rest is cancelled
//! ```
//!
//! # Timeouts
//!
//! A timeout ends the wait and not the task, but for the last of these.
//!
//! - [`wait_timeout`](ScopedJoinHandle::wait_timeout) bounds the wait for one
//!   task;
//! - [`next_timeout`](AsCompleted::next_timeout) bounds the wait for the next of
//!   several, and [`timeout`](AsCompleted::timeout) the whole iteration;
//! - [`wait()`] waits for the first, the first failure or all of several tasks,
//!   with an optional timeout;
//! - [`Map::timeout`] and [`MapUnordered::timeout`] bound a map;
//! - [`ThreadPool::join_timeout`] bounds the shutdown of a pool;
//! - [`submit_with_timeout`](ExecutorExt::submit_with_timeout) bounds the task: it is
//!   asked to stop, and its handle says so.
//!
//! # Shutdown
//!
//! Dropping a [`ThreadPool`] takes no more tasks, runs those that are queued and
//! joins the workers; so does [`ThreadPool::join`]. [`ThreadPool::shutdown`]
//! does not wait. To end without running what is queued, call
//! [`ThreadPool::cancel_pending`] or [`ThreadPool::cancel_all`] first.
//!
//! Rust does not drop statics. The tasks of a pool in a static, such as a
//! `LazyLock<ThreadPool>`, are lost if they are pending or running when `main`
//! returns: join their handles, or the pool, before that.
//!
//! # Async
//!
//! A handle is a [`Future`]: `handle.await` works on any runtime, and returns
//! what `join` returns. With the feature `stream`, an [`AsCompleted`] turns into a
//! `Stream`.
//!
//! ```
//! use as_completed::ThreadPool;
//!
//! let pool = ThreadPool::new(2);
//! let sum = async { pool.submit(|| 1).await.unwrap() + pool.submit(|| 2).await.unwrap() };
//! assert_eq!(pollster::block_on(sum), 3);
//! ```
//!
//! Polling never blocks and never runs a task. So a task that blocks the only
//! worker of a pool by `block_on`, until another task of that pool has run, waits for
//! ever: [`join`](ScopedJoinHandle::join) the handle there.
//!
//! # Processes
//!
//! The feature `process` adds [`process::ProcessPool`], which calls functions in child
//! processes of the same program: for work that may crash, hang or need too much
//! memory, each of which fails one call, and for calls that must be stopped while they
//! run. The functions are named by a [`function::Function`], which every executor can
//! call, so that a program chooses at run time between processes and threads. See the
//! module [`process`].
//!
//! The feature `cluster` runs the same functions on many machines, over a NATS server:
//! see the module [`cluster`].
//!
//! # Downloads
//!
//! The feature `download`, which is on by default, adds [`download::download_many`]: it
//! downloads thousands of files on any executor, each completely or not at all, with retries,
//! timeouts and a report that names every failure. See the module [`download`].
//!
//! # Coming from Python
//!
//! | Python | here |
//! |---|---|
//! | `ThreadPoolExecutor(max_workers=n)` | [`ThreadPool::new`]`(n)` |
//! | `ThreadPoolExecutor()` | [`ThreadPool::default()`](ThreadPool#impl-Default-for-ThreadPool) |
//! | `thread_name_prefix=…`, `initializer=…` | [`ThreadPoolBuilder::thread_name`], [`ThreadPoolBuilder::initializer`] |
//! | `InterpreterPoolExecutor(n)` | [`ThreadPool::new`]`(n)`: threads compute side by side |
//! | `with ThreadPoolExecutor(n) as executor:` | [`ThreadPool::scope`]`(n, \|pool\| …)`, or the drop of a pool |
//! | `executor.submit(f, x)` | [`pool.submit`](ThreadPool::submit)`(move \|\| f(x))` |
//! | `executor.map(f, items)` | [`pool.map`](ThreadPool::map)`(items, f)`, or [`map_unordered`](ThreadPool::map_unordered) |
//! | `executor.map(…, timeout=s)` | [`Map::timeout`] |
//! | `executor.map(…, chunksize=n)` | [`Map::chunk_size`] |
//! | `executor.map(…, buffersize=n)` | [`Map::buffer`] |
//! | `executor.shutdown(wait=True)` | [`ThreadPool::join`] |
//! | `executor.shutdown(wait=False)` | [`ThreadPool::shutdown`] |
//! | `executor.shutdown(cancel_futures=True)` | [`ThreadPool::cancel_pending`], then [`ThreadPool::join`] |
//! | `Future` | [`JoinHandle`] |
//! | `future.result()` | [`join`](ScopedJoinHandle::join) |
//! | `future.result(timeout=s)` | [`wait_timeout`](ScopedJoinHandle::wait_timeout), then [`join`](ScopedJoinHandle::join) |
//! | `future.exception()` | the task's own `Err`, or the [`JoinError`] of [`join`](ScopedJoinHandle::join) |
//! | `future.done()` | [`is_finished`](ScopedJoinHandle::is_finished) |
//! | `future.running()` | [`is_running`](ScopedJoinHandle::is_running) |
//! | `future.cancelled()` | [`is_cancelled`](ScopedJoinHandle::is_cancelled) |
//! | `future.cancel()` | [`cancel`](ScopedJoinHandle::cancel) |
//! | `future.add_done_callback(f)` | [`on_done`](ScopedJoinHandle::on_done), or [`on_result`](JoinHandle::on_result), which hands on the result |
//! | `as_completed(fs)` | [`as_completed()`] |
//! | `as_completed(fs, timeout=s)` | [`AsCompleted::timeout`], or [`AsCompleted::next_timeout`] |
//! | `wait(fs, timeout=s, return_when=…)` | [`wait()`] with [`ReturnWhen`] |
//! | `done, not_done = …` | [`Waited`] |
//! | `CancelledError` | [`JoinError::Cancelled`] |
//! | `BrokenThreadPool` | [`JoinError::Rejected`] with [`Rejected::Initializer`] |
//! | `RuntimeError`, after a shutdown | [`JoinError::Rejected`] with [`Rejected::ShutDown`] |
//! | `TimeoutError` | [`WaitTimeoutError`], [`UnfinishedError`], [`JoinTimeoutError`] |
//! | `Future()`, `set_result`, `set_exception` | [`promise()`], [`Promise::settle`] |
//! | `set_running_or_notify_cancel` | [`Promise::start`] |
//! | `InvalidStateError` | none: [`Promise::settle`] takes the promise |
//! | `await loop.run_in_executor(executor, f)` | [`pool.submit`](ThreadPool::submit)`(f).await`, on any runtime |
//! | a subclass of `Executor` | [`Executor`] |
//! | `ProcessPoolExecutor` | [`process::ProcessPool`] |
//! | `executor.submit(f, x)`, in a process | [`function::FunctionExecutorExt::call`] |
//! | `executor.map(f, items, chunksize=n)`, in processes | [`function::FunctionExecutorExt::call_map`] with [`Map::chunk_size`] |
//! | `max_tasks_per_child=n` | [`process::ProcessPoolBuilder::max_tasks_per_child`] |
//! | `initializer=f, initargs=(x,)` | [`process::ProcessPoolBuilder::initializer`] |
//! | `executor.terminate_workers()`, `kill_workers()` | [`process::ProcessPool::kill`] |
//! | `if __name__ == "__main__":` | [`function::Functions::init`], first thing in `main` |
//! | dask's `Client`, Celery | [`cluster::Cluster`] |
//! | `BrokenProcessPool` | [`JoinError::Died`], for the one call that crashed |
//!
//! # Features
//!
//! - `download` (default): the module [`download`], for many files at once.
//! - `rustls` (default): https for `download`.
//! - `progress`: progress bars for `download`.
//! - `gzip`: decoding of what a server compresses although `download` asks it not to.
//! - `serde`: serialization of the report of `download`.
//! - `process`: the modules [`function`] and [`process`], for named functions in child
//!   processes. Unix only.
//! - `cluster`: the module [`cluster`], for the same functions on many machines, over a
//!   NATS server. Unix only.
//! - `stream`: [`AsCompleted::into_stream`].
//! - `tracing`: [`ThreadPoolBuilder::carry_spans`]; a span for each call that a child
//!   process or a worker of a cluster runs.
//!
//! With `default-features = false` only the executors remain.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        unix,
        feature = "cluster",
        feature = "download",
        feature = "process",
        feature = "stream",
        feature = "tracing"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "this page links to what is behind features; the links are checked with all of them"
    )
)]
#![allow(
    clippy::needless_doctest_main,
    reason = "the first program is whole, to be copied into a file of its own"
)]

// The modules stand in floor order, lowest first: a module uses only those above
// its own line. The same holds for the `mod` lines in each folder.

mod sync;
mod unwind;

mod error;

mod task;

mod collect;

mod map;

mod executor;

mod thread_pool;

#[cfg(all(feature = "process", not(unix)))]
compile_error!(
    "the feature `process` of as-completed needs Unix: sockets, process groups, signals"
);

#[cfg(all(feature = "process", unix))]
pub mod function;

#[cfg(all(feature = "process", unix))]
mod process_pool;

#[cfg(all(feature = "cluster", unix))]
pub mod cluster;

#[cfg(feature = "download")]
pub mod download;

/// Child processes of the same program, which run named functions.
///
/// A [`ProcessPool`](process::ProcessPool) is to processes what [`ThreadPool`] is to threads, with the
/// same handles, [`as_completed()`] and [`wait()`]. Closures cannot cross to another
/// process, so it calls [functions with a name](function). A program that uses it
///
/// 1. names its functions, plain `fn`s of one argument, by a
///    [`Function`](function::Function) each;
/// 2. registers them in [`Functions`](function::Functions), and calls
///    [`init`](function::Functions::init) first thing in `main`: a child serves calls
///    there and never returns, so the rest of `main` runs in the parent only;
/// 3. gives them to the pool.
///
/// ```
/// use as_completed::function::{Function, Functions};
/// use as_completed::process::ProcessPool;
///
/// const AREA: Function<(u32, u32), u32> = Function::new("area", |(width, height)| width * height);
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let functions = Functions::new().with(AREA);
///     functions.init();
///     let pool = ProcessPool::new(2, functions)?;
///     let sizes = (1..=1000).map(|n| (n, 2));
///     let areas: Result<Vec<u32>, _> = pool.call_map(AREA, sizes).chunk_size(100).collect();
///     assert_eq!(areas?[999], 2000);
///     Ok(())
/// }
/// ```
///
/// # What fails one call
///
/// - The process crashes, exits, is killed or exceeds its
///   [`memory_limit`](process::ProcessPoolBuilder::memory_limit): [`JoinError::Died`] says which
///   process and how. Another takes its place, and the other calls do not notice.
/// - The function panics: [`JoinError::Panicked`], with message, thread and place. The
///   process goes on.
/// - The call is cancelled while it runs: its process is killed with all that it has
///   started, and the call resolves as cancelled. So does
///   [`call_timeout`](process::ProcessPoolBuilder::call_timeout), as timed out.
/// - The argument or the result cannot be encoded or decoded, or the process does not
///   know the function: [`JoinError::Call`] says where.
///
/// A call is made once. The only exception is `call_map` with a chunk size: see
/// [`call_map`](function::FunctionExecutorExt::call_map).
///
/// # What a function finds in its process
///
/// Standard input is empty; standard output and standard error are the parent's. The
/// process has a group of its own: Ctrl-C in the terminal reaches the parent alone,
/// which decides. When the parent ends, in whatever way, its children end at once, with
/// the processes that they have started and that are in their group.
///
/// Functions run one at a time, on the thread that called `init`. Statics are the
/// process's own, and live until it is replaced.
///
/// # Speed
///
/// A call costs two messages over a socket, and a wake-up at each end if it is joined
/// while no other waits; short functions are better called by `call_map` with a chunk
/// size. Where a process is idle, a short argument is encoded on the thread that calls,
/// and the result is decoded on the thread that joins; otherwise the pool's own threads
/// do both. A `Vec<u8>` is encoded number by number: for many
/// bytes, use a type that serializes as bytes, such as those of `serde_bytes`.
#[cfg(all(feature = "process", unix))]
pub mod process {
    // For the models.
    #[cfg(as_completed_loom)]
    #[doc(hidden)]
    pub use crate::process_pool::Log;
    #[doc(inline)]
    pub use crate::process_pool::{ProcessBuildError, ProcessPool, ProcessPoolBuilder};
}

#[cfg(feature = "stream")]
pub use collect::AsCompletedStream;
pub use collect::{
    AsCompleted, Awaited, ReturnWhen, Timed, Waited, as_completed, try_join_all, wait,
};
pub use error::{
    BuildError, CallError, Died, InitializerError, JoinError, JoinTimeoutError, Panic, Rejected,
    SpawnError, SubmitError, TimedOut, TryCallError, TryJoinError, UnfinishedError,
    WaitTimeoutError,
};
pub use executor::{Executor, ExecutorExt, Inline, Limit};
pub use map::{Map, MapUnordered};
pub use task::{
    CancelToken, JoinHandle, OnCancel, Promise, RejectedTask, ScopedJoinHandle, Task, TaskEvent,
    TaskId, promise,
};
pub use thread_pool::{ScopedPool, StatefulPool, ThreadPool, ThreadPoolBuilder};

/// The programs of the README, compiled with the other examples where it has all
/// features that they use.
#[cfg(all(doctest, feature = "download", feature = "process", unix))]
#[doc = include_str!("../README.md")]
struct Readme;
