//! The child's side: a program that finds itself a child serves calls, and
//! never returns.

use super::answers::{Answers, flush};
use super::frame;
use super::stream::Stream;
use crate::error::CallError;
use crate::function::{
    Caller, Calls, Failure, Functions, Outcomes, decode, encode, in_span, take_value,
};
use crate::unwind;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, Signal, kill_current_process_group, setrlimit};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::panic::PanicHookInfo;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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
    /// use as_completed::process::ProcessPool;
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    ///
    /// let functions = Functions::new().with(DOUBLE);
    /// functions.init();
    /// // Only the parent gets here.
    /// let pool = ProcessPool::new(1, functions)?;
    /// assert_eq!(pool.call(DOUBLE, 21).join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn init(&self) {
        INIT_REACHED.store(true, Ordering::Release);
        if let Some(socket) = socket_of_parent() {
            self.serve(socket);
        }
    }

    fn serve(&self, socket: UnixStream) -> ! {
        let socket = Arc::new(socket);
        let mut reader = Stream::new(Arc::clone(&socket));
        match frame::read(&mut reader) {
            Ok((frame::HELLO, body)) => limit_memory(&body),
            _ => process::exit(1),
        }
        watch(&socket);
        note_locations();
        let mut answers = Answers::new(Arc::clone(&socket), || end_group());
        let mut value = Vec::new();
        let mut caller = None;
        while let Ok(kind) = frame::read_onto(&mut reader, &mut value) {
            if kind == frame::CALLER {
                caller = decode::<Caller>(&value).ok();
                continue;
            }
            let caller = caller.take();
            let sent = match kind {
                frame::CALL => {
                    let kind = self.answer(caller.as_ref(), &mut value);
                    frame::write(&mut &*socket, kind, &[], &value)
                }
                frame::CALL_EACH => self.answer_each(&value, caller.as_ref(), &mut answers),
                // The pool has no more use for this process.
                _ => {
                    flush();
                    process::exit(0);
                }
            };
            if sent.is_err() {
                break;
            }
            if value.capacity() > frame::KEPT {
                value = Vec::new();
            }
        }
        end_group();
    }

    /// Runs the function of a call, whose answer takes its place; returns the kind of
    /// the answer.
    fn answer(&self, caller: Option<&Caller>, value: &mut Vec<u8>) -> u8 {
        let Some((name, argument)) = frame::split_call(value) else {
            *value = b"the call is cut short".to_vec();
            return frame::ARGUMENT;
        };
        let Some((name, function)) = self.find(name) else {
            return self.answer_unknown(value);
        };
        let start = value.len() - argument.len();
        let run = || in_span(name, caller, None, || function.run_in_place(start, value));
        let outcome = unwind::catch(run);
        flush();
        let failed = match outcome {
            Ok(Ok(())) => return frame::RETURNED,
            Ok(Err(failure)) => Failed::Here(failure),
            Err(payload) => Failed::Panicked(payload),
        };
        let (kind, text) = failed.answer();
        *value = text;
        kind
    }

    fn answer_unknown(&self, answer: &mut Vec<u8>) -> u8 {
        let known: Vec<_> = self.names().collect();
        let program = format!("child process {} ({})", process::id(), this_program());
        *answer = encode(&(program, known)).unwrap_or_default();
        frame::UNKNOWN
    }

    fn answer_each(
        &self,
        body: &[u8],
        caller: Option<&Caller>,
        answers: &mut Answers,
    ) -> io::Result<()> {
        let Some((&careful, call)) = body.split_first() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let Some((name, mut arguments)) = frame::split_call(call) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        answers.begin(careful != 0);
        let Some((name, function)) = self.find(name) else {
            let mut unknown = Vec::new();
            let kind = self.answer_unknown(&mut unknown);
            while take_value(&mut arguments).is_some() {
                answers.buffer().extend_from_slice(&unknown);
                answers.push(kind, arguments.is_empty())?;
            }
            return answers.end();
        };
        let mut calls = Calls {
            name,
            caller,
            arguments,
        };
        let mut answering = Answering {
            answers,
            sent: Ok(()),
        };
        // A panic ends one call; the others have not been run.
        while let Err(payload) = unwind::catch(|| function.run_each(&mut calls, &mut answering)) {
            if !answering.fail(Failed::Panicked(payload), calls.arguments.is_empty()) {
                break;
            }
        }
        answering.sent?;
        answers.end()
    }
}

/// Answers calls by what came of them, until an answer cannot be sent.
struct Answering<'a> {
    answers: &'a mut Answers,
    sent: io::Result<()>,
}

impl Answering<'_> {
    fn push(&mut self, kind: u8, is_last: bool) -> bool {
        match self.answers.push(kind, is_last) {
            Ok(()) => true,
            Err(error) => {
                self.sent = Err(error);
                false
            }
        }
    }

    #[cold]
    fn fail(&mut self, failed: Failed, is_last: bool) -> bool {
        let (kind, text) = failed.answer();
        self.answers.unwrite();
        self.answers.buffer().extend_from_slice(&text);
        self.push(kind, is_last)
    }
}

impl Outcomes for Answering<'_> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.answers.buffer()
    }

    fn add(&mut self, outcome: Result<(), Failure>, is_last: bool) -> bool {
        match outcome {
            Ok(()) => self.push(frame::RETURNED, is_last),
            Err(failure) => self.fail(Failed::Here(failure), is_last),
        }
    }
}

/// Why a call has no result.
enum Failed {
    Here(Failure),
    Panicked(unwind::Payload),
}

impl Failed {
    /// The kind of the answer, and what it says.
    fn answer(self) -> (u8, Vec<u8>) {
        match self {
            Self::Here(Failure::Argument(cause)) => (frame::ARGUMENT, cause.into_bytes()),
            Self::Here(Failure::Result(cause)) => (frame::RESULT, cause.into_bytes()),
            Self::Panicked(payload) => {
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

/// Ends this process when its parent ends, whatever a function does meanwhile.
fn watch(socket: &Arc<UnixStream>) {
    let socket = Arc::clone(socket);
    let watcher = thread::Builder::new()
        .name("watcher".to_owned())
        // Of the memory that may be limited.
        .stack_size(64 * 1024)
        .spawn(move || {
            loop {
                // No events are asked for: the end of the socket is always told.
                let mut end = [PollFd::new(&*socket, PollFlags::empty())];
                if poll(&mut end, None).is_ok() {
                    if !end[0].revents().is_empty() {
                        end_group();
                    }
                    // Not expected.
                    thread::sleep(Duration::from_millis(100));
                }
            }
        });
    if watcher.is_err() {
        process::exit(1);
    }
}

/// Makes the panic hook note where a function panicked.
fn note_locations() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        let location = info.location().map(ToString::to_string);
        // Not there any more while the thread ends.
        let _ = LOCATION.try_with(|slot| slot.replace(location));
        usual(info);
    }));
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

/// Whether the registry has a function of that name.
pub(crate) fn check_known(functions: &Functions, function: &str) -> Result<(), CallError> {
    if functions.find(function).is_some() {
        return Ok(());
    }
    Err(CallError::Unknown {
        function: function.to_owned(),
        program: this_program(),
        known: functions.names().map(str::to_owned).collect(),
    })
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
pub(super) fn end_group() -> ! {
    let _ = kill_current_process_group(Signal::KILL);
    process::exit(1);
}
