//! The child's side: a program that finds itself a child serves calls, and
//! never returns.

use super::frame;
use crate::function::{Failure, Functions, decode, encode};
use crate::unwind;
use rustix::process::{Resource, Rlimit, Signal, kill_current_process_group, setrlimit};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::PanicHookInfo;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

/// Whether this process has got as far as `init`.
static INIT_REACHED: AtomicBool = AtomicBool::new(false);

/// Whether a pool may be built: children of it would get to `init` as this
/// process did, instead of building a pool of their own.
pub(super) fn init_reached() -> bool {
    INIT_REACHED.load(Ordering::Acquire)
}

thread_local! {
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Functions {
    /// Makes a child process a worker; returns at once anywhere else.
    ///
    /// Call it first thing in `main`, before threads are started or standard
    /// input is read. In a child of a [`ProcessPool`](crate::process::ProcessPool)
    /// it runs the functions that the pool calls, and never returns: the
    /// process ends with its pool. Without this call no pool can be built, for
    /// its children would run the program's `main` instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    ///
    /// Functions::new().with(DOUBLE).init();
    /// println!("this is the parent");
    /// ```
    pub fn init(&self) {
        INIT_REACHED.store(true, Ordering::Release);
        if let Some(socket) = socket_of_parent() {
            self.serve(socket);
        }
    }

    fn serve(&self, mut socket: UnixStream) -> ! {
        let Ok(reader) = socket.try_clone() else {
            process::exit(1);
        };
        let mut reader = BufReader::with_capacity(64 * 1024, reader);
        match frame::read(&mut reader) {
            Ok((frame::HELLO, body)) => limit_memory(&body),
            _ => process::exit(1),
        }
        let (calls, to_run) = mpsc::channel();
        // Reads all the time, so that the end of the parent is noticed whatever
        // a function does, and the parent can always write its whole call.
        let reading = thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                loop {
                    match frame::read(&mut reader) {
                        Ok(frame) => {
                            if calls.send(frame).is_err() {
                                return;
                            }
                        }
                        Err(_) => end_group(),
                    }
                }
            });
        if reading.is_err() {
            process::exit(1);
        }
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let location = info.location().map(ToString::to_string);
            // Not there any more while the thread ends.
            let _ = LOCATION.try_with(|slot| slot.replace(location));
            usual(info);
        }));
        for (kind, body) in to_run {
            if kind != frame::CALL {
                break;
            }
            let (kind, answer) = self.answer(&body);
            drop(body);
            if frame::write(&mut socket, kind, &[], &answer).is_err() {
                end_group();
            }
        }
        let _ = std::io::stdout().flush();
        process::exit(0);
    }

    fn answer(&self, body: &[u8]) -> (u8, Vec<u8>) {
        let Some((name, argument)) = frame::split_call(body) else {
            return (frame::ARGUMENT, b"the call is cut short".to_vec());
        };
        let Some(function) = self.find(name) else {
            let known: Vec<_> = self.names().collect();
            return (
                frame::UNKNOWN,
                encode(&(this_program(), known)).unwrap_or_default(),
            );
        };
        match unwind::catch(|| function(argument)) {
            Ok(Ok(result)) => (frame::RETURNED, result),
            Ok(Err(Failure::Argument(cause))) => (frame::ARGUMENT, cause.into_bytes()),
            Ok(Err(Failure::Result(cause))) => (frame::RESULT, cause.into_bytes()),
            Err(payload) => {
                let panic = crate::Panic::new(payload);
                let texts: frame::Panicked = (
                    panic.message().to_owned(),
                    panic.thread_name().map(str::to_owned),
                    LOCATION.take(),
                );
                unwind::discard(panic);
                (frame::PANICKED, encode(&texts).unwrap_or_default())
            }
        }
    }
}

/// The socket on descriptor 0, if this is a child of a pool; `/dev/null` takes
/// its place there, so that a function that reads standard input reads nothing.
///
/// A process that a function starts inherits the variable, but not the socket.
fn socket_of_parent() -> Option<UnixStream> {
    std::env::var_os(frame::CHILD)?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let socket = UnixStream::from(socket);
    socket.peer_addr().ok()?;
    let null = File::open("/dev/null").ok()?;
    rustix::stdio::dup2_stdin(&null).ok()?;
    Some(socket)
}

/// Whether this process is a child that has not got to `init`.
pub(super) fn is_unserved_child() -> bool {
    !init_reached() && std::env::var_os(frame::CHILD).is_some()
}

/// What an error calls the program of this process.
pub(super) fn this_program() -> String {
    std::env::current_exe().map_or_else(
        |_| "this program".to_owned(),
        |program| program.display().to_string(),
    )
}

fn limit_memory(hello: &[u8]) {
    if let Ok(Some(bytes)) = decode::<Option<u64>>(hello) {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        if setrlimit(Resource::As, limit).is_err() {
            eprintln!("cannot limit the memory of a child process to {bytes} bytes");
            process::exit(1);
        }
    }
}

/// Ends this process and all that it started.
fn end_group() -> ! {
    let _ = kill_current_process_group(Signal::KILL);
    process::exit(1);
}
