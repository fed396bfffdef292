//! [`Map`] and [`MapUnordered`]: a function over many items, lazily and within
//! bounds.
//!
//! Items are read when there is room for them in flight, and handed to workers
//! in chunks, so that a tiny item does not pay for a task of its own.
//! [`pipeline`] does that for both; they differ in the order of what is
//! [`in_flight`].

mod input;
mod settings;

mod chunks;

mod in_flight;

mod pipeline;

mod methods;

mod ordered;
mod unordered;

pub(crate) use chunks::Chunks;
#[cfg(feature = "cluster")]
pub(crate) use chunks::Results;
pub use ordered::Map;
pub use unordered::MapUnordered;
