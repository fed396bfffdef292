//! [`RouteConnector`]: connections to servers, direct or through a proxy, plain
//! or secure.

use super::answer::AnswerTransport;
use super::connect::TcpConnector;
use super::pooled::{IdleConnections, PooledTransport, origin_of};
use super::proxy;
use super::shortage::is_shortage;
use super::transport::{deadline_of, left_until};
use std::fmt;
use std::sync::Arc;
use ureq::Proxy;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

/// Opens the connections of one downloader, or takes idle ones.
pub(crate) struct RouteConnector {
    tcp: TcpConnector,
    idle: Arc<IdleConnections>,
    #[cfg(feature = "rustls")]
    tls: ureq::unversioned::transport::RustlsConnector,
    user_agent: String,
}

impl RouteConnector {
    pub(crate) fn new(tcp: TcpConnector, idle: Arc<IdleConnections>, user_agent: String) -> Self {
        Self {
            tcp,
            idle,
            #[cfg(feature = "rustls")]
            tls: ureq::unversioned::transport::RustlsConnector::default(),
            user_agent,
        }
    }

    fn open(&self, details: &ConnectionDetails<'_>) -> Result<AnswerTransport, ureq::Error> {
        let proxy = details.config.proxy();
        match proxy.filter(|proxy| !proxy.is_no_proxy(details.uri)) {
            Some(proxy) => self.connect_through(proxy, details),
            None => Ok(AnswerTransport::new(self.connect_directly(details)?, None)),
        }
    }

    /// Connects to the proxy, and through it to the target if that is secure.
    fn connect_through(
        &self,
        proxy: &Proxy,
        details: &ConnectionDetails<'_>,
    ) -> Result<AnswerTransport, ureq::Error> {
        let deadline = deadline_of(details.timeout);
        let uri = proxy.uri();
        let addresses = details
            .resolver
            .resolve(uri, details.config, details.timeout)?;
        let to_proxy = ConnectionDetails {
            uri,
            addrs: addresses,
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: left_until(deadline, details.timeout)?,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let transport = self.connect_directly(&to_proxy)?;
        if !details.needs_tls() {
            let forward = proxy::forward(proxy, details.uri);
            return Ok(AnswerTransport::new(transport, Some(forward)));
        }
        let tunnel = proxy::tunnel(
            transport,
            proxy,
            details.uri,
            &self.user_agent,
            left_until(deadline, details.timeout)?,
        )?;
        let transport = self.secure(details, Box::new(tunnel))?;
        Ok(AnswerTransport::new(transport, None))
    }

    fn connect_directly(
        &self,
        details: &ConnectionDetails<'_>,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        let tcp = self
            .tcp
            .connect(&details.addrs, details.config, details.timeout)?;
        self.secure(details, Box::new(tcp))
    }

    /// Wraps a connection in TLS if that is wanted. ureq refuses what should
    /// be secure and is not.
    #[cfg_attr(
        not(feature = "rustls"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "there is no TLS that could fail"
        )
    )]
    fn secure(
        &self,
        details: &ConnectionDetails<'_>,
        transport: Box<dyn Transport>,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        #[cfg(feature = "rustls")]
        if details.needs_tls() {
            let secured = self.tls.connect(details, Some(transport))?;
            let secured = secured.ok_or(ureq::Error::ConnectionFailed)?;
            return Ok(Box::new(secured));
        }
        let _ = details;
        Ok(transport)
    }
}

impl Connector for RouteConnector {
    type Out = PooledTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<PooledTransport>, ureq::Error> {
        let origin = origin_of(details.uri);
        if let Some(transport) = PooledTransport::take(&origin, &self.idle) {
            return Ok(Some(transport));
        }
        loop {
            match self.open(details) {
                // An idle connection gives way.
                Err(ureq::Error::Io(error)) if is_shortage(&error) && self.idle.close_oldest() => {}
                opened => {
                    let transport = PooledTransport::new(Box::new(opened?), origin, &self.idle);
                    return Ok(Some(transport));
                }
            }
        }
    }
}

impl fmt::Debug for RouteConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteConnector").finish_non_exhaustive()
    }
}
