//! A server that misbehaves as it is told, on plain sockets.

use as_completed::CancelToken;
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a client has asked for, and the socket on which to answer.
pub(crate) struct Exchange {
    pub(crate) path: String,
    /// By name in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// The place of this request among all, from 0.
    pub(crate) number: usize,
    /// The place of this request among those on its connection, from 0.
    pub(crate) on_connection: usize,
    stream: Arc<TcpStream>,
    over: CancelToken,
}

/// What to do with the connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    KeepOpen,
    Close,
    Reset,
}

impl Exchange {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Sends bytes as they are; it does not matter if nobody takes them.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        (&*self.stream).write_all(bytes.as_ref()).is_ok()
    }

    /// Answers as a server should.
    pub(crate) fn answer(&mut self, status: &str, headers: &str, body: &[u8]) -> Then {
        let length = body.len();
        let mut all =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n").into_bytes();
        all.extend_from_slice(body);
        self.send(all);
        Then::KeepOpen
    }

    pub(crate) fn ok(&mut self, body: &[u8]) -> Then {
        self.answer("200 OK", "", body)
    }

    /// Says nothing more until the client goes, or the test is over.
    pub(crate) fn stall(&mut self) -> Then {
        let _ = (&*self.stream).read(&mut [0]);
        Then::Close
    }

    /// Waits for the next request on this connection; whether it comes in time.
    pub(crate) fn is_asked_again(&self, within: Duration) -> bool {
        is_readable(&self.stream, within)
    }

    /// The connection, for others to look at.
    pub(crate) fn stream(&self) -> Arc<TcpStream> {
        Arc::clone(&self.stream)
    }

    /// Waits a little; false once the test is over.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        self.over.sleep(pause)
    }
}

/// Whether something can be read in time.
pub(crate) fn is_readable(stream: &TcpStream, within: Duration) -> bool {
    let _ = stream.set_read_timeout(Some(within));
    let peeked = stream.peek(&mut [0]);
    let _ = stream.set_read_timeout(None);
    peeked.is_ok_and(|bytes| bytes > 0)
}

type Handler = dyn Fn(&mut Exchange) -> Then + Send + Sync;

struct State {
    handler: Box<Handler>,
    over: CancelToken,
    connections: AtomicUsize,
    requests: AtomicUsize,
    open: Mutex<HashMap<usize, Arc<TcpStream>>>,
    closed: Condvar,
}

impl State {
    /// Also after a test has failed with the lock held.
    fn open(&self) -> MutexGuard<'_, HashMap<usize, Arc<TcpStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers each request by a function. Drop ends it.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", handler)
    }

    /// Answers at all addresses of this machine, of which some systems have many.
    pub(crate) fn start_everywhere(
        handler: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("0.0.0.0:0", handler)
    }

    fn start_at(
        address: &str,
        handler: impl Fn(&mut Exchange) -> Then + Send + Sync + 'static,
    ) -> Self {
        let listener = listen(address);
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            handler: Box::new(handler),
            over: CancelToken::new(),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            open: Mutex::new(HashMap::new()),
            closed: Condvar::new(),
        });
        let theirs = Arc::clone(&state);
        let acceptor = thread::spawn(move || accept(&listener, &theirs));
        Self {
            address,
            state,
            acceptor: Some(acceptor),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many requests there have been.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Waits until no client is connected.
    pub(crate) fn await_no_connection(&self) {
        let open = self.state.open();
        let (_open, timeout) = self
            .state
            .closed
            .wait_timeout_while(open, Duration::from_secs(60), |open| !open.is_empty())
            .unwrap();
        assert!(!timeout.timed_out(), "a connection is left");
    }
}

/// Listens as [`TcpListener::bind`] does, but has room for a thousand connections that
/// are not accepted yet: one for which there is none comes seconds later, or never.
pub(crate) fn listen(address: &str) -> TcpListener {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(4096).unwrap();
    socket.into()
}

/// Wakes an acceptor until it has seen that it is over.
pub(crate) fn wake(acceptor: &JoinHandle<()>, address: SocketAddr) {
    // There may be no descriptor at first.
    while !acceptor.is_finished() && TcpStream::connect(address).is_err() {
        thread::yield_now();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.over.cancel();
        for stream in self.state.open().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            wake(&acceptor, self.address);
            let joined = acceptor.join();
            // What a handler asserts counts.
            assert!(
                joined.is_ok() || thread::panicking(),
                "an answer has panicked"
            );
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            if state.over.is_cancelled() {
                break;
            }
            let Ok(stream) = stream else { continue };
            let number = state.connections.fetch_add(1, Ordering::SeqCst);
            let stream = Arc::new(stream);
            let other = Arc::clone(&stream);
            state.open().insert(number, other);
            if state.over.is_cancelled() {
                // It came too late to be shut down with the others.
                let _ = stream.shutdown(Shutdown::Both);
            }
            scope.spawn(move || {
                serve(&stream, state);
                drop(stream);
                state.open().remove(&number);
                state.closed.notify_all();
            });
        }
    });
}

/// Answers the requests on one connection. The last to hold the stream closes
/// it: the map of open ones, right after this.
fn serve(stream: &Arc<TcpStream>, state: &State) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(&**stream);
    for on_connection in 0.. {
        let Some((path, headers)) = read_head(&mut reader) else {
            return;
        };
        let mut exchange = Exchange {
            path,
            headers,
            number: state.requests.fetch_add(1, Ordering::SeqCst),
            on_connection,
            stream: Arc::clone(stream),
            over: state.over.clone(),
        };
        match (state.handler)(&mut exchange) {
            Then::KeepOpen => {}
            Then::Close => {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            Then::Reset => {
                // Closing with a linger of zero resets the connection.
                let _ = SockRef::from(&**stream).set_linger(Some(Duration::ZERO));
                return;
            }
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<(String, HashMap<String, String>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_lowercase(), value.trim().to_owned());
            }
            None if line.trim_end().is_empty() => return Some((path, headers)),
            None => return None,
        }
    }
}
