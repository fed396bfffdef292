//! Tests of the public API: one module per subject.
//!
//! `tests/README.md` lists the behaviours taken from other suites.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod support;

mod as_completed;
mod await_;
mod bombs;
mod cancel;
mod compile_fail;
mod deep;
mod early_end;
mod errors;
mod executor;
mod faults;
mod handed_on;
mod handle;
mod initializer;
mod limit;
mod map;
mod map_input;
mod nested;
mod observer;
mod panics;
mod pool;
mod promise;
mod properties;
mod queue;
mod scope;
mod shutdown;
#[cfg(feature = "stream")]
mod stream;
mod third_party;
mod timeout;
mod wait;
mod worker_state;
mod wrap;
