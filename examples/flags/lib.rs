//! The programs of *Fluent Python*, chapter 20, and the server that they bring
//! along, which benches and tests start too.

#[cfg(feature = "download")]
mod arguments;
#[cfg(feature = "download")]
mod codes;
#[cfg(feature = "download")]
mod program;
#[cfg(feature = "download")]
mod screen;
#[cfg(feature = "download")]
mod status;
#[cfg(feature = "download")]
mod texts;

// How the library draws its own bars, which is not public.
#[cfg(feature = "download")]
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../../src/download/progress/bars.rs"]
mod bars;
#[cfg(feature = "download")]
#[path = "../../src/download/progress/block.rs"]
mod block;
#[cfg(feature = "download")]
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../../src/download/progress/line.rs"]
mod line;
#[cfg(feature = "download")]
mod sync {
    pub(crate) use parking_lot::{Condvar, Mutex};
}

pub mod options;
pub mod server;
#[cfg(feature = "download")]
pub mod signals;

#[cfg(feature = "download")]
pub use program::{Connections, main};
