//! [`Shared`]: what all jobs of a downloader share.

use super::descriptors::Descriptors;
use super::hosts::Hosts;
use super::pace::RateLimit;
use crate::download::error::DownloaderBuildError;
use crate::download::net::agent::build_agent;
use crate::download::net::pooled::IdleConnections;
use crate::download::net::resolve::CachingResolver;
use crate::download::settings::Settings;
use crate::sync::Mutex;
use std::sync::Arc;

/// As much as a connection takes in at a time.
const BODY_BUFFER: usize = 256 * 1024;

/// What all jobs of a downloader share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) agent: ureq::Agent,
    pub(crate) resolver: CachingResolver,
    pub(crate) idle: Arc<IdleConnections>,
    pub(super) descriptors: Descriptors,
    pub(crate) rate_limit: Option<RateLimit>,
    /// Only if files come in segments and the connections of a host are limited.
    pub(crate) hosts: Option<Hosts>,
    /// Buffers for bodies that no job is using.
    buffers: Mutex<Vec<Box<[u8]>>>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Result<Self, DownloaderBuildError> {
        let resolver = CachingResolver::new(settings.look_up_ttl, settings.token.clone());
        let idle = Arc::new(IdleConnections::new(
            settings.max_in_flight.max(settings.segments),
        ));
        let agent = build_agent(&settings, resolver.clone(), Arc::clone(&idle))?;
        Ok(Self {
            agent,
            resolver,
            idle,
            descriptors: Descriptors::new(),
            rate_limit: settings.bytes_per_second.map(RateLimit::new),
            hosts: settings
                .max_in_flight_per_host
                .filter(|_| settings.segments > 1)
                .map(Hosts::new),
            buffers: Mutex::new(Vec::new()),
            settings,
        })
    }

    /// Lends a buffer to `f`.
    pub(crate) fn with_buffer<T>(&self, f: impl FnOnce(&mut [u8]) -> T) -> T {
        let kept = self.buffers.lock().pop();
        let mut buffer = kept.unwrap_or_else(|| vec![0; BODY_BUFFER].into_boxed_slice());
        let result = f(&mut buffer);
        self.buffers.lock().push(buffer);
        result
    }
}
