//! What the tests share: gates in the place of sleeps, an alarm against hangs,
//! and a quiet place for panics that are meant.

use as_completed::{Executor, JoinHandle, Timed, UnfinishedError};
use std::cell::Cell;
use std::fmt::Debug;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen before it fails. No test takes
/// anything like it when it passes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often an alarm looks at the time.
const LOOK: Duration = Duration::from_secs(5);

/// Long enough to be worth a measurement, short enough for a test.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// Tells when a wait has lasted for too long. Nine tenths of the time in which threads
/// of the machine wait for a processor do not count: a test beside much other work is
/// slow, and does not hang.
pub(crate) struct Patience {
    start: Instant,
    starved: Duration,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            starved: starved(),
        }
    }

    pub(crate) fn is_over(&self, patience: Duration) -> bool {
        let elapsed = self.start.elapsed();
        let starved = starved().saturating_sub(self.starved).min(elapsed);
        elapsed.saturating_sub(starved * 9 / 10) > patience
    }
}

/// For how long some thread of this machine has waited for a processor; nothing where
/// the system does not tell it.
fn starved() -> Duration {
    let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = pressure
        .lines()
        .next()
        .and_then(|some| some.rsplit_once("total="));
    let micros = total.and_then(|(_, total)| total.parse().ok());
    Duration::from_micros(micros.unwrap_or(0))
}

/// Ends the process if it still lives after twice [`PATIENCE`]: a test that hangs
/// has failed, and has to say so.
#[must_use]
pub(crate) struct Alarm {
    _alive: mpsc::Sender<()>,
}

pub(crate) fn alarm() -> Alarm {
    // Early: the hook is set when no other runs, and one that reports a panic may take
    // its time.
    expect_panics();
    let (alive, hang) = mpsc::channel::<()>();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let start = Patience::new();
    thread::spawn(move || {
        while hang.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
            if start.is_over(PATIENCE + PATIENCE) {
                // Past the capture of a test's output, which dies with the process.
                let _ = writeln!(std::io::stderr(), "{test} hangs");
                std::process::abort();
            }
        }
    });
    Alarm { _alive: alive }
}

/// Closed until opened or dropped, so that a failing test frees those who wait.
pub(crate) struct Gate(Arc<Latch>);

/// A way through a [`Gate`].
#[derive(Clone)]
pub(crate) struct Turnstile(Arc<Latch>);

struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Latch {
            open: Mutex::new(false),
            opened: Condvar::new(),
        }))
    }

    pub(crate) fn open(&self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }

    pub(crate) fn turnstile(&self) -> Turnstile {
        Turnstile(Arc::clone(&self.0))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Turnstile {
    /// Blocks until the gate is open.
    pub(crate) fn pass(&self) {
        let start = Patience::new();
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            assert!(!start.is_over(PATIENCE), "the gate was never opened");
            let waited = self.0.opened.wait_timeout(open, LOOK);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Workers that are kept busy until released or dropped.
pub(crate) struct Busy {
    gate: Gate,
    handles: Vec<JoinHandle<()>>,
}

/// Occupies that many workers: when this returns, all of them run a task.
pub(crate) fn occupy(executor: &dyn Executor, workers: usize) -> Busy {
    let gate = Gate::new();
    let (started, starts) = mpsc::channel();
    let handles = (0..workers)
        .map(|_| {
            let (turnstile, started) = (gate.turnstile(), started.clone());
            executor.submit(move || {
                started.send(()).expect("the test waits for the start");
                turnstile.pass();
            })
        })
        .collect();
    for _ in 0..workers {
        starts
            .recv_timeout(PATIENCE)
            .expect("a free worker takes the task");
    }
    Busy { gate, handles }
}

impl Busy {
    /// The tasks that keep the workers busy.
    pub(crate) fn handles(&self) -> &[JoinHandle<()>] {
        &self.handles
    }

    /// Lets the workers go, and waits for nothing.
    pub(crate) fn open(&self) {
        self.gate.open();
    }

    /// Lets the workers go and waits until they have gone.
    pub(crate) fn release(self) {
        self.gate.open();
        for handle in self.handles {
            handle.join().expect("a busy task only waits");
        }
    }
}

/// Waits until `condition` holds, for what cannot tell when it does.
pub(crate) fn eventually(condition: impl Fn() -> bool) {
    eventually_or(condition, &"the condition never came true");
}

/// As [`eventually`]; tells what there is otherwise.
pub(crate) fn eventually_or(condition: impl Fn() -> bool, otherwise: &dyn Debug) {
    let start = Patience::new();
    while !condition() {
        assert!(!start.is_over(PATIENCE), "{otherwise:?}");
        thread::yield_now();
    }
}

/// Asks a map for a result that cannot come until it has submitted what `is_filled`
/// says, and then once more, so that it submits whatever else it would. Returns the map
/// and what its last timeout reported.
///
/// Nobody knows how long a map takes for that on a machine under load: a timeout that is
/// too short is followed by another.
pub(crate) fn ask_in_vain<M, R>(
    mut map: M,
    timeout: fn(M, Duration) -> Timed<M>,
    is_filled: impl Fn() -> bool,
) -> (M, UnfinishedError)
where
    Timed<M>: Iterator<Item = Result<R, UnfinishedError>>,
{
    let start = Patience::new();
    loop {
        let was_filled = is_filled();
        let mut timed = timeout(map, SHORT);
        let Some(Err(error)) = timed.next() else {
            panic!("there is a result, or the end");
        };
        map = timed.into_inner();
        if was_filled {
            return (map, error);
        }
        assert!(!start.is_over(PATIENCE), "the map submits too little");
    }
}

/// What panics that are meant have in their message.
pub(crate) const ON_PURPOSE: &str = "on purpose";

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic that is meant, but is not the test's own, and keeps its report out of
/// the test's output.
pub(crate) fn catch_quietly<T>(body: impl FnOnce() -> T) -> thread::Result<T> {
    expect_panics();
    IS_QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    IS_QUIET.set(false);
    outcome
}

/// Keeps the reports of panics that are meant out of the test's output, and
/// for [`reports_of`].
pub(crate) fn expect_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let message = payload
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
                .unwrap_or(ON_PURPOSE);
            if message.contains(ON_PURPOSE) || IS_QUIET.get() {
                let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
                reports.push(message.to_owned());
            } else {
                usual(info);
            }
        }));
    });
}

/// How many panics with that message the panic hook has reported.
pub(crate) fn reports_of(message: &str) -> usize {
    let reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    reports.iter().filter(|report| *report == message).count()
}

/// Panics in its `Drop`, with that message.
pub(crate) struct Bomb(pub(crate) &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}
