//! What the programs draw, as a terminal in memory shows it: `script` of util-linux
//! lends them a terminal of a certain size, and `vt100` is its screen.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on is to fail its test"
)]

#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../download/server.rs"]
mod server;

mod download;
mod flags2;
mod terminal;
