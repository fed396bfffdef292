//! The agent: ureq with the connections, the names and the settings of ours.

use super::connect::TcpConnector;
use super::pooled::IdleConnections;
use super::resolve::CachingResolver;
use super::route::RouteConnector;
use crate::download::error::DownloaderBuildError;
use crate::download::settings::{Proxy, Settings, finite};
use std::sync::Arc;
use ureq::http::Uri;

/// Large enough for a large body to come in few system calls: with a quarter of it, a
/// download takes a third longer.
const INPUT_BUFFER: usize = 256 * 1024;
/// Large enough for what is handed on of the header of any answer that is
/// accepted.
const MAX_HEADER: usize = 128 * 1024;
/// Large enough for a request.
const OUTPUT_BUFFER: usize = 16 * 1024;

/// Builds the agent of a downloader, which finds hosts by that resolver and keeps its
/// idle connections there.
pub(crate) fn build_agent(
    settings: &Settings,
    resolver: CachingResolver,
    idle: Arc<IdleConnections>,
) -> Result<ureq::Agent, DownloaderBuildError> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(settings.user_agent.as_str())
        .accept("*/*")
        .accept_encoding("identity")
        .proxy(build_proxy(&settings.proxy)?)
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(OUTPUT_BUFFER)
        .max_response_header_size(MAX_HEADER)
        // Idle ones are kept by the connector.
        .max_idle_connections(0)
        .timeout_resolve(finite(settings.connect_timeout))
        .timeout_connect(finite(settings.connect_timeout))
        .timeout_send_request(finite(settings.read_timeout))
        .timeout_recv_response(finite(settings.read_timeout))
        .timeout_per_read(finite(settings.read_timeout))
        .timeout_global(finite(settings.total_timeout));
    #[cfg(feature = "rustls")]
    let config = config.tls_config(build_tls(settings.root_certificates.as_deref())?);
    let config = config.build();

    let tcp = TcpConnector::new(settings.token.clone());
    let connector = RouteConnector::new(tcp, idle, settings.user_agent.clone());
    Ok(ureq::Agent::with_parts(config, connector, resolver))
}

fn build_proxy(proxy: &Proxy) -> Result<Option<ureq::Proxy>, DownloaderBuildError> {
    match proxy {
        Proxy::Direct => Ok(None),
        Proxy::Environment => proxy_of_environment(),
        Proxy::Url(url) => parse_proxy(url).map(Some),
    }
    .map_err(DownloaderBuildError::Proxy)
}

/// Reads the variables as ureq does, which ignores what it cannot use, and would then
/// connect without a proxy.
fn proxy_of_environment() -> Result<Option<ureq::Proxy>, String> {
    const NAMES: [&str; 6] = [
        "ALL_PROXY",
        "all_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ];
    for name in NAMES {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let checked = match value.to_str() {
            None => Err("not a text".to_owned()),
            Some(url) => parse_proxy(url),
        };
        checked.map_err(|error| format!("{name}: {error}"))?;
        // With the exceptions of NO_PROXY.
        return Ok(ureq::Proxy::try_from_env());
    }
    Ok(None)
}

fn parse_proxy(url: &str) -> Result<ureq::Proxy, String> {
    let proxy = ureq::Proxy::new(url).map_err(|error| error.to_string())?;
    if !matches!(
        proxy.protocol(),
        ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https
    ) {
        return Err(format!(
            "{:?} is not supported, only http and https are",
            proxy.protocol()
        ));
    }
    let uri = url.parse::<Uri>().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    // ureq would take the usual port.
    let has_wrong_port = authority.is_some_and(|authority| {
        let host_and_port = authority.as_str().rsplit('@').next();
        host_and_port != Some(authority.host()) && authority.port_u16().is_none()
    });
    if has_wrong_port {
        return Err("port is not a number below 65536".to_owned());
    }
    Ok(proxy)
}

#[cfg(feature = "rustls")]
fn build_tls(roots: Option<&[u8]>) -> Result<ureq::tls::TlsConfig, DownloaderBuildError> {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

    let builder = TlsConfig::builder();
    let Some(pem) = roots else {
        return Ok(builder.root_certs(RootCerts::WebPki).build());
    };
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(DownloaderBuildError::RootCertificates(error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(DownloaderBuildError::RootCertificates(
            "no certificate in the text".to_owned(),
        ));
    }
    let roots = RootCerts::from(certificates.into_iter());
    Ok(builder.root_certs(roots).build())
}
