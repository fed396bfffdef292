//! The real things: `parking_lot`'s locks, crossbeam's channel, std's threads.

pub(crate) use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
pub(crate) use std::thread_local;

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
pub(crate) use std::thread::ThreadId;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Puts the current thread to sleep until its [`Unparker`] is used.
///
/// A stray wake-up is possible, as with [`std::thread::park`], on which it
/// stands: callers look at what they wait for in a loop.
pub(crate) struct Parker(Thread);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(thread::current())
    }

    pub(crate) fn unparker(&self) -> Unparker {
        Unparker(self.0.clone())
    }

    /// Sleeps until unparked or until `deadline`.
    #[expect(clippy::unused_self, reason = "only the thread it was made on has it")]
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }
}

/// Wakes the thread of the [`Parker`] it came from.
pub(crate) struct Unparker(Thread);

impl Unparker {
    pub(crate) fn unpark(&self) {
        self.0.unpark();
    }

    /// Names the thread that is woken: two of one thread are interchangeable.
    pub(crate) fn key(&self) -> ThreadId {
        self.0.id()
    }

    pub(crate) fn key_of(parker: &Parker) -> ThreadId {
        parker.0.id()
    }
}

pub(crate) type UnparkerKey = ThreadId;

/// A static that is made when it is first used.
macro_rules! global {
    (static $name:ident: $type:ty = $value:expr;) => {
        static $name: std::sync::LazyLock<$type> = std::sync::LazyLock::new(|| $value);
    };
}
pub(crate) use global;

/// A thread of a pool.
pub(crate) type JoinHandle = thread::JoinHandle<()>;

/// Starts a thread.
pub(crate) fn spawn(
    name: String,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle> {
    let builder = thread::Builder::new().name(name);
    let builder = match stack_size {
        Some(bytes) => builder.stack_size(bytes),
        None => builder,
    };
    builder.spawn(body)
}

/// Runs `f`, which does not panic, on a thread of its own named as this one,
/// and waits for its end.
pub(crate) fn run_on_thread(stack_size: usize, f: impl FnOnce() + Send) -> io::Result<()> {
    let builder = match thread::current().name() {
        Some(name) => thread::Builder::new().name(name.to_owned()),
        None => thread::Builder::new(),
    };
    thread::scope(|scope| {
        let thread = builder.stack_size(stack_size).spawn_scoped(scope, f)?;
        // What a destructor of a thread-local panics with aborts the process.
        let _ = thread.join();
        Ok(())
    })
}

/// The stack of a thread for which none is asked, in bytes: what std gives it.
pub(crate) fn default_stack_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let asked = std::env::var("RUST_MIN_STACK").ok();
        asked
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(2 << 20)
    })
}

thread_local! {
    // Constant and without a destructor: still readable while the thread's
    // other thread-locals are destroyed, from where tasks may be submitted
    // and pools dropped.
    static WORKER_OF: Cell<u32> = const { Cell::new(0) };
    static THREAD_OF: Cell<u32> = const { Cell::new(0) };
}

/// The pool that has started the current thread; 0 outside of all pools.
pub(crate) fn thread_of() -> u32 {
    THREAD_OF.get()
}

/// Marks the current thread as one of a pool's, for good. It is no worker yet.
pub(crate) fn become_thread_of(pool: u32) {
    THREAD_OF.set(pool);
}

/// Names the current thread.
pub(crate) fn this_thread() -> ThreadId {
    thread::current().id()
}

/// The pool whose worker the current thread is; 0 outside of all pools.
pub(crate) fn worker_of() -> u32 {
    WORKER_OF.get()
}

/// Marks the current thread as a worker of a pool, for good.
pub(crate) fn become_worker_of(pool: u32) {
    WORKER_OF.set(pool);
}

/// Looks taken while spinning, and the pauses before each: about two
/// microseconds in all. More pauses between two looks would let a waiter
/// oversleep what takes no longer than they do, such as a round trip.
const SPINS: u32 = 24;
const PAUSES: u32 = 4;

/// Looks taken after that, each after giving the processor to whoever wants
/// it: a few microseconds on a machine with nothing else to do.
const YIELDS: u32 = 16;

/// Yields that have taken this long were not free, and the next so many waits
/// do without.
const BUSY: Duration = Duration::from_micros(200);
const WAITS: u32 = 200;

static WITHOUT_YIELDS: AtomicU32 = AtomicU32::new(0);

/// Waits a few microseconds for `done`, about what going to sleep and being
/// woken would cost; says whether it became true.
pub(crate) fn spin_until(mut done: impl FnMut() -> bool) -> bool {
    if done() {
        return true;
    }
    // On a single processor nobody can bring it about while this thread spins.
    if processors() > 1 {
        for _ in 0..SPINS {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            if done() {
                return true;
            }
        }
    }
    let left = WITHOUT_YIELDS.load(Ordering::Relaxed);
    if left > 0 {
        // Waits that meet here may count as one.
        WITHOUT_YIELDS.store(left - 1, Ordering::Relaxed);
        return false;
    }
    let start = Instant::now();
    for _ in 0..YIELDS {
        thread::yield_now();
        if done() {
            return true;
        }
        // Others want the processor: a yield costs a slice of the time of each,
        // and a wake-up does not wait for that.
        if start.elapsed() > BUSY {
            WITHOUT_YIELDS.store(WAITS, Ordering::Relaxed);
            break;
        }
    }
    false
}

/// Lets others go on for about two microseconds.
pub(crate) fn pause() {
    for _ in 0..SPINS * PAUSES {
        std::hint::spin_loop();
    }
}

/// The number of threads that can run at the same time, asked for once.
pub(crate) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}
