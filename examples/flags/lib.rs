//! The programs of *Fluent Python*, chapter 20, and the server that they bring
//! along, which benches and tests start too.

#[cfg(feature = "download")]
mod arguments;
#[cfg(feature = "download")]
mod codes;
#[cfg(feature = "download")]
mod line;
#[cfg(feature = "download")]
mod program;
#[cfg(feature = "download")]
mod screen;
#[cfg(feature = "download")]
mod texts;

pub mod options;
pub mod server;
#[cfg(feature = "download")]
pub mod signals;

#[cfg(feature = "download")]
pub use program::{Connections, main};
