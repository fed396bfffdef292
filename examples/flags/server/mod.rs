//! [`FlagServer`]: a small HTTP/1.1 server of flags, with a thread for each
//! connection.
//!
//! `{url}/br/br.gif` is the flag of Brazil. Connections are kept alive. A
//! thousand of them cost little: their threads sleep in the kernel and have small
//! stacks.

mod connection;
mod gif;
mod manner;
mod png;
mod request;

pub use manner::Manner;

use as_completed::CancelToken;
use gif::Gifs;
use parking_lot::{Condvar, Mutex};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The stack of a connection's thread, in bytes: enough to convert a flag.
const STACK_SIZE: usize = 256 * 1024;
/// How many connections can wait to be accepted.
const MOST_WAITING: i32 = 4096;
/// How long to wait if the system refuses a connection or a thread.
const BREATH: Duration = Duration::from_millis(10);

/// What a server serves.
#[derive(Debug)]
pub enum Source {
    /// Flags that come with the program.
    BuiltIn,
    /// The files of a folder, as `xx/xx.gif`.
    Folder(PathBuf),
}

/// Raises the limit of open files as far as the system allows, where it has one:
/// each connection takes a file descriptor.
///
/// # Errors
///
/// If the system refuses.
pub fn allow_open_files() -> io::Result<()> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};

        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    }
    Ok(())
}

/// A server that runs until it is dropped.
///
/// Drop closes its connections and waits for their threads.
#[allow(missing_debug_implementations, reason = "nobody prints a server")]
pub struct FlagServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    files: Files,
    manner: Manner,
    stop: CancelToken,
    connections: Mutex<Connections>,
    all_closed: Condvar,
    requests: AtomicUsize,
}

enum Files {
    BuiltIn(Gifs),
    Folder(PathBuf),
}

#[derive(Default)]
struct Connections {
    open: HashMap<usize, Arc<TcpStream>>,
    accepted: usize,
    most_open: usize,
}

impl FlagServer {
    /// Starts a server on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened at.
    pub fn start(source: Source, manner: Manner) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0), source, manner)
    }

    /// Starts a server at an address; port 0 is any free one.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened at.
    pub fn start_at(
        address: impl ToSocketAddrs,
        source: Source,
        manner: Manner,
    ) -> io::Result<Self> {
        let address = address.to_socket_addrs()?.next();
        let listener = listen(address.ok_or(io::ErrorKind::AddrNotAvailable)?)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            files: match source {
                Source::BuiltIn => Files::BuiltIn(Gifs::new()),
                Source::Folder(root) => Files::Folder(root),
            },
            manner,
            stop: CancelToken::new(),
            connections: Mutex::default(),
            all_closed: Condvar::new(),
            requests: AtomicUsize::new(0),
        });
        let accepting = thread::Builder::new()
            .name("flag-server".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || accept(&listener, &shared)
            })?;
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Returns the base URL of the flags, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of connections so far.
    pub fn connections_accepted(&self) -> usize {
        self.shared.connections.lock().accepted
    }

    /// Returns the largest number of simultaneous connections so far.
    pub fn most_connections(&self) -> usize {
        self.shared.connections.lock().most_open
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Blocks for ever: the server does not end by itself.
    pub fn run_for_ever(mut self) {
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.join();
        }
    }
}

impl Drop for FlagServer {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        let mut door = self.address;
        if door.ip().is_unspecified() {
            door.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        // The thread waits for a connection.
        while !accepting.is_finished()
            && TcpStream::connect_timeout(&door, Duration::from_secs(1)).is_err()
        {
            thread::sleep(BREATH);
        }
        let _ended = accepting.join();
        let mut connections = self.shared.connections.lock();
        for stream in connections.open.values() {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
        while !connections.open.is_empty() {
            self.shared.all_closed.wait(&mut connections);
        }
    }
}

/// Listens as [`TcpListener::bind`] does, but with a longer backlog than its 128:
/// connections beyond the backlog would be a second late.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Elsewhere this would let another process take the port over.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(MOST_WAITING)?;
    Ok(socket.into())
}

/// Starts a thread for each connection until the server stops.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.is_cancelled() {
            return;
        }
        let started = stream.and_then(|stream| start_connection(stream, shared));
        if started.is_err() && !shared.stop.sleep(BREATH) {
            return;
        }
    }
}

fn start_connection(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let opened = Opened::new(stream, shared);
    thread::Builder::new()
        .stack_size(STACK_SIZE)
        .spawn(move || {
            // A client that leaves early is no trouble of ours.
            let _broken = connection::serve(&opened.stream, &opened.shared);
        })?;
    Ok(())
}

/// An open connection; drop removes it from the list.
struct Opened {
    number: usize,
    stream: Arc<TcpStream>,
    shared: Arc<Shared>,
}

impl Opened {
    fn new(stream: TcpStream, shared: &Arc<Shared>) -> Self {
        let stream = Arc::new(stream);
        let mut connections = shared.connections.lock();
        let number = connections.accepted;
        connections.accepted += 1;
        connections.open.insert(number, Arc::clone(&stream));
        connections.most_open = connections.most_open.max(connections.open.len());
        drop(connections);
        Self {
            number,
            stream,
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut connections = self.shared.connections.lock();
        connections.open.remove(&self.number);
        if connections.open.is_empty() {
            self.shared.all_closed.notify_all();
        }
    }
}
