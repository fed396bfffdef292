//! Loom's versions of the same things, for the models.
//!
//! Loom has no notion of time. A wait with a deadline lets the others run and
//! ends, as if time had passed: models ask for deadlines that are over, or for
//! none. Nobody spins. A parked thread waits on a condition variable of its
//! own, for loom does not tell `park` from other waits of the same thread.

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
pub(crate) use loom::thread_local;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only while a condition variable waits.
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

const HELD: &str = "a guard holds its lock unless a condition variable waits";
const UNPOISONED: &str = "no foreign code runs under a lock";

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            held: Some(self.0.lock().expect(UNPOISONED)),
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().expect(UNPOISONED)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).expect(UNPOISONED));
    }

    /// Times out, after the others had the lock.
    #[expect(clippy::unused_self, reason = "nobody waits")]
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) {
        drop(guard.held.take());
        *guard = guard.mutex.lock();
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[derive(Default)]
struct Token {
    given: Mutex<bool>,
    changed: Condvar,
}

pub(crate) struct Parker(Arc<Token>);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn unparker(&self) -> Unparker {
        Unparker(Arc::clone(&self.0))
    }

    /// Sleeps until unparked; not at all if there is a deadline.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        let mut given = self.0.given.lock();
        while deadline.is_none() && !*given {
            self.0.changed.wait(&mut given);
        }
        *given = false;
    }
}

pub(crate) struct Unparker(Arc<Token>);

pub(crate) type UnparkerKey = *const ();

impl Unparker {
    pub(crate) fn unpark(&self) {
        *self.0.given.lock() = true;
        self.0.changed.notify_one();
    }

    pub(crate) fn key(&self) -> UnparkerKey {
        Arc::as_ptr(&self.0).cast()
    }

    pub(crate) fn key_of(parker: &Parker) -> UnparkerKey {
        Arc::as_ptr(&parker.0).cast()
    }
}

struct Channel<T> {
    queue: Mutex<VecDeque<T>>,
    sent: Condvar,
}

pub(crate) struct Sender<T>(Arc<Channel<T>>);
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

#[derive(Debug)]
pub(crate) struct Closed;

pub(crate) enum RecvTimeoutError {
    Timeout,
    #[expect(dead_code, reason = "as the real channel has it")]
    Disconnected,
}

pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        queue: Mutex::new(VecDeque::new()),
        sent: Condvar::new(),
    });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) -> Result<(), Closed> {
        self.0.queue.lock().push_back(value);
        self.0.sent.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.queue.lock().len()
    }

    pub(crate) fn try_recv(&self) -> Result<T, Closed> {
        self.0.queue.lock().pop_front().ok_or(Closed)
    }

    pub(crate) fn recv(&self) -> Result<T, Closed> {
        let mut queue = self.0.queue.lock();
        loop {
            if let Some(value) = queue.pop_front() {
                return Ok(value);
            }
            self.0.sent.wait(&mut queue);
        }
    }

    /// Times out unless there is something to be had.
    pub(crate) fn recv_deadline(&self, _deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.try_recv().map_err(|Closed| RecvTimeoutError::Timeout)
    }
}

/// A thread of a pool.
#[derive(Debug)]
pub(crate) struct JoinHandle(loom::thread::JoinHandle<()>);

impl JoinHandle {
    /// Never says that a thread has ended, so that all are joined.
    #[expect(clippy::unused_self, reason = "loom does not tell")]
    pub(crate) fn is_finished(&self) -> bool {
        false
    }

    pub(crate) fn join(self) -> std::thread::Result<()> {
        self.0.join()
    }
}

/// A static that each run of a model makes anew.
macro_rules! global {
    (static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            static ref $name: $type = $value;
        }
    };
}
pub(crate) use global;

/// Starts a thread, which loom never refuses; those of an absurd stack size
/// fail here too, as with the real operating system, and all but the first of a pool
/// whose threads are named `lacking`.
pub(crate) fn spawn(
    name: String,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle> {
    let is_lacking = name.starts_with("lacking-") && name != "lacking-0";
    if is_lacking || stack_size.is_some_and(|bytes| bytes >= 1 << 40) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let builder = loom::thread::Builder::new().name(name);
    Ok(JoinHandle(builder.spawn(body)?))
}

/// Runs `f` here: the one who would wait for the other thread does nothing else
/// meanwhile.
#[expect(clippy::unnecessary_wraps, reason = "the real thread may not start")]
pub(crate) fn run_on_thread(_stack_size: usize, f: impl FnOnce()) -> io::Result<()> {
    f();
    Ok(())
}

pub(crate) fn default_stack_size() -> usize {
    usize::MAX
}

loom::thread_local! {
    static WORKER_OF: Cell<u32> = Cell::new(0);
    static THREAD_OF: Cell<u32> = Cell::new(0);
}

pub(crate) fn thread_of() -> u32 {
    THREAD_OF.with(Cell::get)
}

pub(crate) fn become_thread_of(pool: u32) {
    THREAD_OF.with(|thread_of| thread_of.set(pool));
}

pub(crate) use loom::thread::ThreadId;

pub(crate) fn this_thread() -> ThreadId {
    loom::thread::current().id()
}

pub(crate) fn worker_of() -> u32 {
    WORKER_OF.with(Cell::get)
}

pub(crate) fn become_worker_of(pool: u32) {
    WORKER_OF.with(|worker_of| worker_of.set(pool));
}

pub(crate) fn spin_until(mut done: impl FnMut() -> bool) -> bool {
    done()
}

pub(crate) fn pause() {}

pub(crate) fn processors() -> usize {
    2
}
