//! The contract of the crate, seen from outside: one module per subject.
//!
//! `tests/README.md` says whose behaviours are ported and where they differ.

mod support;

mod as_completed;
mod cancel;
mod executor;
mod handle;
mod initializer;
mod pool;
mod shutdown;
mod wait;
