//! Named functions on every executor, and what only processes can promise.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../it/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

#[cfg(feature = "cluster")]
#[path = "../cluster/server.rs"]
#[allow(dead_code, reason = "the tests of the cluster use the rest")]
mod server;

mod alike;
mod campaign;
mod children;
mod chunks;
mod executors;
mod functions;
mod guards;
mod paths;
mod sent;
mod settings;
mod worker;
