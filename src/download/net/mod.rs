//! The way to a server: its URL, the name of its host, the connection.

pub(crate) mod location;
pub(crate) mod stop;
pub(crate) mod transport;

pub(crate) mod connect;
pub(crate) mod resolve;

pub(crate) mod agent;
