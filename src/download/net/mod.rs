//! The way to a server: its URL, the name of its host, the connection.

mod buffers;
pub(crate) mod idle;
pub(crate) mod location;
pub(crate) mod shortage;
pub(crate) mod stop;
pub(crate) mod transport;

mod chunks;
mod forward;
pub(crate) mod head;
mod ready;

mod answer;
mod connect;

pub(crate) mod pooled;

mod proxy;
pub(crate) mod resolve;

pub(crate) mod private;

mod route;

pub(crate) mod agent;
