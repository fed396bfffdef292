//! What stands between clients and a server: it delays what passes, loses it, or takes
//! connections and says nothing.

use crate::server::Server;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Ends with the tests.
pub(crate) struct Relay {
    pub(crate) url: String,
    connections: Arc<Mutex<Connections>>,
}

#[derive(Default)]
struct Connections {
    is_silent: bool,
    open: Vec<TcpStream>,
    /// Of the connections since the last cut.
    loss: Arc<Loss>,
}

/// What does not pass any more.
#[derive(Default)]
struct Loss {
    requests: AtomicBool,
    answers: AtomicBool,
    /// How often something did not.
    count: AtomicUsize,
}

impl Relay {
    /// Starts one to this server, which passes on what is so old.
    pub(crate) fn new(server: &Server, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let connections = Arc::<Mutex<Connections>>::default();
        let (seen, to) = (Arc::clone(&connections), server.url());
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut connections = seen.lock().unwrap_or_else(PoisonError::into_inner);
                connections.open.push(client.try_clone().unwrap());
                if connections.is_silent {
                    continue;
                }
                let loss = Arc::clone(&connections.loss);
                drop(connections);
                let Ok(server) = TcpStream::connect(to.trim_start_matches("nats://")) else {
                    // The server is down.
                    let _ = client.shutdown(Shutdown::Both);
                    continue;
                };
                pass(&client, &server, delay, &loss, |loss| &loss.requests);
                pass(&server, &client, delay, &loss, |loss| &loss.answers);
            }
        });
        Self { url, connections }
    }

    /// Cuts all connections off. If it is silent, it takes new ones, and nobody answers
    /// there, then or ever.
    pub(crate) fn cut(&self, is_silent: bool) {
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.is_silent = is_silent;
        connections.loss = Arc::default();
        for connection in connections.open.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Passes on what comes from now on; those that are silent remain so.
    pub(crate) fn speak(&self) {
        let connections = self.connections.lock();
        connections
            .unwrap_or_else(PoisonError::into_inner)
            .is_silent = false;
    }

    /// Loses what the server says, until these connections are cut off.
    pub(crate) fn lose_answers(&self) {
        self.loss().answers.store(true, Ordering::SeqCst);
    }

    /// Loses what the clients say, until these connections are cut off.
    pub(crate) fn lose_requests(&self) {
        self.loss().requests.store(true, Ordering::SeqCst);
    }

    /// How often something was lost since the last cut.
    pub(crate) fn losses(&self) -> usize {
        self.loss().count.load(Ordering::SeqCst)
    }

    fn loss(&self) -> Arc<Loss> {
        let connections = self.connections.lock();
        let connections = connections.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&connections.loss)
    }

    /// How many connections were taken since the last cut.
    pub(crate) fn connections(&self) -> usize {
        let connections = self.connections.lock();
        connections
            .unwrap_or_else(PoisonError::into_inner)
            .open
            .len()
    }
}

/// Passes on what one says to the other, until one of them is gone.
fn pass(
    from: &TcpStream,
    to: &TcpStream,
    delay: Duration,
    loss: &Arc<Loss>,
    is_lost: fn(&Loss) -> &AtomicBool,
) {
    let loss = Arc::clone(loss);
    let (mut from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (sender, parts) = channel();
    thread::spawn(move || {
        let mut part = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut part) {
            if is_lost(&loss).load(Ordering::SeqCst) {
                loss.count.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let due = Instant::now() + delay;
            if sender.send((due, part[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || deliver(&parts, to));
}

fn deliver(parts: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, part) in parts {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&part).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
