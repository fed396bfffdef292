//! Submit work, take results as they finish.
//!
//! What Python's `concurrent.futures` is to Python, this crate is to Rust:
//! blocking work, run side by side on threads, with handles to wait on and
//! results in completion order. There is no async runtime, and no `unsafe`.
//!
//! ```
//! use as_completed::{as_completed, ThreadPool};
//! use std::collections::HashMap;
//! # fn fetch(cc: &str) -> Result<Vec<u8>, std::io::Error> {
//! #     if cc == "XX" { Err(std::io::Error::other("not found")) } else { Ok(cc.into()) }
//! # }
//!
//! let pool = ThreadPool::new(8);
//! let mut to_do = HashMap::new(); // handle → country code
//! let mut handles = Vec::new();
//! for cc in ["BR", "FR", "XX"] {
//!     let handle = pool.submit(move || fetch(cc));
//!     to_do.insert(handle.id(), cc);
//!     handles.push(handle);
//! }
//! # let mut ok = 0;
//! for handle in as_completed(handles) {
//!     let cc = to_do[&handle.id()];
//!     match handle.join() { // never blocks here
//!         Ok(Ok(flag)) => {
//!             println!("{cc}: {} bytes", flag.len());
//! #           ok += 1;
//!         }
//!         Ok(Err(error)) => println!("{cc}: {error}"),
//!         Err(join_error) => println!("{cc}: {join_error}"), // panicked, cancelled
//!     }
//! }
//! # assert_eq!(ok, 2);
//! ```
//!
//! # The life of a task
//!
//! An **executor** runs tasks: a [`ThreadPool`], [`Inline`], or what you make
//! one by implementing [`Executor`]. A **task** is a closure and the place for
//! its result; [`submit`](ExecutorExt::submit) makes one, hands it to the
//! executor and returns its **handle**, a [`JoinHandle`].
//!
//! The task is *pending* until a **worker**, a thread of the pool, takes it.
//! Until then it can be *cancelled*, which is final: it never runs. Once
//! *running*, it *finishes*, by returning or by panicking, which is final too.
//! An executor that does not take the task, or loses it, *rejects* it. Every
//! task becomes final one way or the other, and its closure is gone, run or
//! dropped, before anybody is told.
//!
//! Told are its **watchers**: a thread that [`join`](ScopedJoinHandle::join)s
//! the handle, an [`as_completed()`] that holds it, a callback of
//! [`on_done`](ScopedJoinHandle::on_done), the waker of a future. The result
//! moves out by `join`, as a `Result`, whose [`JoinError`] says what happened
//! instead. Dropping a handle detaches its task, which runs all the same.
//!
//! # Which way to wait
//!
//! ```
//! use as_completed::{as_completed, wait, ReturnWhen, ThreadPool};
//!
//! let pool = ThreadPool::new(4);
//!
//! // Results as they come, with what they belong to.
//! let lengths = ["a", "bb"].map(|word| (word, pool.submit(move || word.len())));
//! for (word, length) in as_completed(lengths) {
//!     assert_eq!(length.join()?, word.len());
//! }
//!
//! // Completions that bring new work: a crawl.
//! let mut numbers = as_completed([pool.submit(|| 8_u32)]);
//! let mut seen = 0;
//! while let Some(number) = numbers.next() {
//!     seen += 1;
//!     let half = number.join()? / 2;
//!     if half > 0 {
//!         numbers.push(pool.submit(move || half));
//!     }
//! }
//! assert_eq!(seen, 4);
//!
//! // A function over many items, lazily and within bounds.
//! let mut squares = pool.map(0..u64::MAX, |n| n * n).buffer(64);
//! assert_eq!(squares.nth(3).transpose()?, Some(9));
//!
//! // The first of several.
//! let waited = wait([pool.submit(|| 1)], ReturnWhen::FirstCompleted, None);
//! assert_eq!(waited.done.len(), 1);
//! # Ok::<(), as_completed::JoinError>(())
//! ```
//!
//! A task may wait for tasks of its own pool, at any pool size: a worker that
//! waits for a task which has not started runs *that* task itself, and nothing
//! else.
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
//! # Python's names
//!
//! | Python | here |
//! |---|---|
//! | `ThreadPoolExecutor(max_workers=n)` | [`ThreadPool::new`]`(n)`, [`ThreadPool::builder`] |
//! | `with ThreadPoolExecutor(n) as executor:` | [`ThreadPool::scope`]`(n, \|pool\| …)`, or the drop of a pool |
//! | `executor.submit(f, x)` | `pool.submit(move \|\| f(x))` |
//! | `executor.map(f, items, buffersize=n)` | `pool.map(items, f).buffer(n)` |
//! | `executor.shutdown(wait=True)` | [`ThreadPool::join`] |
//! | `executor.shutdown(wait=False)` | [`ThreadPool::shutdown`] |
//! | `executor.shutdown(cancel_futures=True)` | [`ThreadPool::cancel_pending`], then `shutdown` |
//! | `future.result()`, `.exception()` | [`JoinHandle`]`::join` |
//! | `future.result(timeout)` | `wait_timeout`, then `join` |
//! | `future.done()`, `.cancelled()`, `.cancel()` | `is_finished`, `is_cancelled`, `cancel` |
//! | `future.add_done_callback(f)` | `on_done` |
//! | `concurrent.futures.as_completed(fs)` | [`as_completed()`] |
//! | `concurrent.futures.wait(fs)` | [`wait()`] |
//!
//! # Features
//!
//! - `download` (default): the module `download`, for many files at once.
//! - `rustls` (default): https for it.
//! - `progress`: progress bars for it.
//! - `serde`: its report as data.
//! - `stream`: `Stream` for [`AsCompleted`].
//!
//! With `default-features = false` there is the bare executor.
#![forbid(unsafe_code)]

// The floors of the house, lowest first: a module uses the modules above its
// own line only. The same holds for the `mod` lines inside of each folder.

mod sync;
mod unwind;

mod error;

mod task;

mod collect;

mod map;

mod executor;

mod thread_pool;

#[cfg(feature = "download")]
pub mod download;

pub use collect::{AsCompleted, Awaited, ReturnWhen, Timed, Waited, as_completed, wait};
pub use error::{
    BuildError, InitializerError, JoinError, JoinTimeoutError, Panic, Rejected, SpawnError,
    SubmitError, TryJoinError, Unfinished, WaitTimeoutError,
};
pub use executor::{Executor, ExecutorExt, Inline};
pub use map::{Map, MapUnordered};
pub use task::{CancelToken, JoinHandle, ScopedJoinHandle, Task, TaskId};
pub use thread_pool::{ScopedPool, ThreadPool, ThreadPoolBuilder};

/// The programs of the README, compiled with the other examples.
#[cfg(all(doctest, feature = "download"))]
#[doc = include_str!("../README.md")]
struct Readme;
