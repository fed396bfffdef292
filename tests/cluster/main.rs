//! Named functions on many machines: a real server, and workers that are killed.
//!
//! The tests start `nats-server`; where there is none they say so and pass.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../it/support.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod support;

mod blame;
mod chaos;
mod connect;
mod durable;
mod far;
mod functions;
mod queue;
mod relay;
mod replicas;
mod secure;
mod server;
#[cfg(feature = "tracing")]
mod spans;
mod status;
mod stop;
mod submitter;
mod worker;
mod workers;
