//! A server that speaks TLS, and then misbehaves as it is told.

use super::server::{Then, is_readable, listen, wake};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a client has asked for, and the stream on which to answer.
pub(crate) struct TlsExchange<'a> {
    pub(crate) path: &'a str,
    stream: &'a mut StreamOwned<ServerConnection, TcpStream>,
}

impl TlsExchange<'_> {
    /// Sends bytes in one record, if they fit into one.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Waits for the next request on this connection; whether it comes in time.
    pub(crate) fn is_asked_again(&self, within: Duration) -> bool {
        is_readable(self.stream.get_ref(), within)
    }
}

/// A server whose certificate is for `name`, until `year`.
pub(crate) struct TlsServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl TlsServer {
    pub(crate) fn start(
        authority: &Authority,
        name: &str,
        year: i32,
        answer: impl Into<String>,
    ) -> Self {
        let answer = answer.into();
        Self::start_with(
            authority,
            name,
            year,
            rustls::DEFAULT_VERSIONS,
            move |exchange| {
                exchange.send(&answer);
                Then::KeepOpen
            },
        )
    }

    /// Answers by a function. [`Then::Close`] ends TLS properly, and
    /// [`Then::Reset`] cuts the connection.
    pub(crate) fn start_with(
        authority: &Authority,
        name: &str,
        year: i32,
        versions: &[&'static SupportedProtocolVersion],
        handler: impl Fn(&mut TlsExchange<'_>) -> Then + Send + Sync + 'static,
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, authority).unwrap();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let config = Arc::new(config);
        let handler = Arc::new(handler);
        let listener = listen("127.0.0.1:0");
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (is_over, counter) = (Arc::clone(&over), Arc::clone(&connections));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let stream = StreamOwned::new(connection, stream.unwrap());
                let handler = Arc::clone(&handler);
                // Ends when the client closes the connection.
                thread::spawn(move || serve(stream, &*handler));
            }
        });
        Self {
            address,
            connections,
            over,
            acceptor: Some(acceptor),
        }
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.address.port())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    stream: StreamOwned<ServerConnection, TcpStream>,
    handler: &dyn Fn(&mut TlsExchange<'_>) -> Then,
) {
    let _ = stream.get_ref().set_nodelay(true);
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while matches!(stream.read_line(&mut head), Ok(1..)) {
        if !head.ends_with("\r\n\r\n") {
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        head.clear();
        let stream = stream.get_mut();
        let mut exchange = TlsExchange {
            path: &path,
            stream,
        };
        match handler(&mut exchange) {
            Then::KeepOpen => {}
            Then::Close => {
                stream.conn.send_close_notify();
                let _ = stream.flush();
                return;
            }
            Then::Reset => return,
        }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            wake(&acceptor, self.address);
            let _ = acceptor.join();
        }
    }
}
