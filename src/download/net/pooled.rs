//! [`PooledTransport`]: a connection that further requests use.
//!
//! ureq asks a transport whether it is open once an answer has been read to its
//! end and another request may follow, and then, its own pool being of size zero,
//! drops it. So a connection that was asked is kept by its drop, and any other is
//! closed.

use super::answer::AnswerTransport;
use super::idle::Idle;
use std::sync::Arc;
use std::time::Instant;
use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// The connections of one downloader that no request uses.
pub(crate) type IdleConnections = Idle<Box<AnswerTransport>>;

/// A connection in use. Drop keeps it for another request, or closes it.
#[derive(Debug)]
pub(crate) struct PooledTransport {
    /// There until it is dropped.
    transport: Option<Box<AnswerTransport>>,
    origin: Arc<str>,
    idle: Arc<IdleConnections>,
    is_reusable: bool,
}

/// What the server of a connection is known by.
pub(crate) fn origin_of(uri: &Uri) -> Arc<str> {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    [scheme, "://", authority].concat().into()
}

impl PooledTransport {
    pub(crate) fn new(
        transport: Box<AnswerTransport>,
        origin: Arc<str>,
        idle: &Arc<IdleConnections>,
    ) -> Self {
        Self {
            transport: Some(transport),
            origin,
            idle: Arc::clone(idle),
            is_reusable: false,
        }
    }

    /// Takes a connection from the idle ones that has been quiet meanwhile.
    pub(crate) fn take(origin: &Arc<str>, idle: &Arc<IdleConnections>) -> Option<Self> {
        let now = Instant::now();
        while let Some(mut transport) = idle.take(origin, now) {
            if transport.begin_again() {
                return Some(Self::new(transport, Arc::clone(origin), idle));
            }
        }
        None
    }

    fn transport(&mut self) -> &mut AnswerTransport {
        self.transport
            .as_mut()
            .expect("only drop takes the transport out")
    }
}

impl Transport for PooledTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport().buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.transport().transmit_output(amount, timeout)
    }

    fn maybe_await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.transport().maybe_await_input(timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.transport().await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.is_reusable = true;
        true
    }

    fn is_tls(&self) -> bool {
        self.transport.as_deref().is_some_and(Transport::is_tls)
    }
}

impl Drop for PooledTransport {
    fn drop(&mut self) {
        if let Some(transport) = self.transport.take().filter(|_| self.is_reusable) {
            let origin = Arc::clone(&self.origin);
            self.idle.keep(origin, transport, Instant::now());
        }
    }
}
