//! The tests of the public API, in one binary.

#[cfg(feature = "download")]
mod download;

mod bombs;
mod faults;
mod properties;
