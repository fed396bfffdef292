//! Submit work, take results as they finish.
#![forbid(unsafe_code)]

mod error;
mod sync;
mod unwind;

mod cancel;
mod watch;

mod task;

mod executor;
mod handle;

mod as_completed;
mod map;
mod wait;

mod submit;

mod inline;
mod pool;

#[cfg(feature = "download")]
pub mod download;

pub use as_completed::{AsCompleted, Timed, as_completed};
pub use cancel::CancelToken;
pub use error::{
    BuildError, InitializerError, JoinError, JoinTimeoutError, Panic, Rejected, SpawnError,
    SubmitError, TryJoinError, Unfinished, WaitTimeoutError,
};
pub use executor::{Executor, Task};
pub use handle::{Awaited, JoinHandle, ScopedJoinHandle};
pub use inline::Inline;
pub use map::{Map, MapUnordered};
pub use pool::{ScopedPool, ThreadPool, ThreadPoolBuilder};
pub use submit::ExecutorExt;
pub use wait::{ReturnWhen, Waited, wait};
pub use watch::TaskId;
