//! Random sequences of operations on a pool, against a sequential model.
//!
//! The model knows what must become of each task: it runs once, unless it was
//! refused or cancelled, then never. What the closures and results own counts
//! its drops. 256 sequences; `PROPTEST_CASES=10000` for more.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::bombs::{Count, Counted, keep_quiet, must_end, panic_as_meant, panics_in_drop};
use crate::support::eventually_or as eventually;
use as_completed::{
    CancelToken, JoinError, JoinHandle, Rejected, ReturnWhen, ThreadPool, as_completed, wait,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// What a task does when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Returns,
    Panics,
    /// Panics with a payload that panics in its drop.
    PanicsWithBomb,
    /// Its result panics in its drop.
    ReturnsBomb,
    /// Owns what panics in its drop, run or not.
    OwnsBomb,
    /// Waits for the gate.
    Waits,
    /// Waits for the gate or its token.
    Listens,
    /// Submits another to the same pool and joins it.
    Nests,
}

#[derive(Debug, Clone, Copy)]
enum Patience {
    None,
    Short,
    Endless,
}

impl Patience {
    fn duration(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Short => Duration::from_millis(1),
            Self::Endless => Duration::MAX,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Callback {
    Plain,
    Panicking,
    /// Uses the pool.
    Entering,
}

#[derive(Debug, Clone, Copy)]
enum Iteration {
    Full,
    DropAfter(usize),
    PushAfter(usize, Kind),
    TimedOut(Patience),
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Submit(Kind),
    TrySubmit(Kind),
    Cancel(Index),
    Join(Index),
    TryJoin(Index),
    WaitFor(Index, Patience),
    OnDone(Index, Callback),
    Poll(Index),
    DropHandle(Index),
    AsCompleted(Iteration),
    WaitForSome(ReturnWhen, Patience),
    Map {
        buffer: usize,
        chunk_size: usize,
        in_order: bool,
    },
    Scope {
        workers: usize,
    },
    OpenGate,
    CancelPending,
    ShutDown,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Drop,
    JoinThenDrop,
    CancelThenDrop,
    DropInside,
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    workers: usize,
    capacity: Option<usize>,
    is_impatient: bool,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Returns),
        1 => Just(Kind::Panics),
        1 => Just(Kind::PanicsWithBomb),
        1 => Just(Kind::ReturnsBomb),
        1 => Just(Kind::OwnsBomb),
        2 => Just(Kind::Waits),
        2 => Just(Kind::Listens),
        2 => Just(Kind::Nests),
    ]
}

fn patience() -> impl Strategy<Value = Patience> {
    prop_oneof![
        Just(Patience::None),
        Just(Patience::Short),
        Just(Patience::Endless)
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let index = any::<Index>;
    let callback = prop_oneof![
        Just(Callback::Plain),
        Just(Callback::Panicking),
        Just(Callback::Entering)
    ];
    let iteration = prop_oneof![
        Just(Iteration::Full),
        (0..4_usize).prop_map(Iteration::DropAfter),
        (0..4_usize, kind()).prop_map(|(taken, kind)| Iteration::PushAfter(taken, kind)),
        patience().prop_map(Iteration::TimedOut),
    ];
    let return_when = prop_oneof![
        Just(ReturnWhen::FirstCompleted),
        Just(ReturnWhen::FirstFailure),
        Just(ReturnWhen::AllCompleted)
    ];
    prop_oneof![
        12 => kind().prop_map(Operation::Submit),
        4 => kind().prop_map(Operation::TrySubmit),
        4 => index().prop_map(Operation::Cancel),
        4 => index().prop_map(Operation::Join),
        2 => index().prop_map(Operation::TryJoin),
        3 => (index(), patience()).prop_map(|(index, long)| Operation::WaitFor(index, long)),
        4 => (index(), callback).prop_map(|(index, callback)| Operation::OnDone(index, callback)),
        2 => index().prop_map(Operation::Poll),
        2 => index().prop_map(Operation::DropHandle),
        2 => iteration.prop_map(Operation::AsCompleted),
        2 => (return_when, patience()).prop_map(|(when, long)| Operation::WaitForSome(when, long)),
        1 => (1..5_usize, 1..5_usize, any::<bool>()).prop_map(|(buffer, chunk_size, in_order)| {
            Operation::Map { buffer, chunk_size, in_order }
        }),
        1 => (1..4_usize).prop_map(|workers| Operation::Scope { workers }),
        2 => Just(Operation::OpenGate),
        1 => Just(Operation::CancelPending),
        1 => Just(Operation::ShutDown),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        1..4_usize,
        proptest::option::weighted(0.3, 1..4_usize),
        any::<bool>(),
    )
        .prop_map(|(workers, capacity, is_impatient)| Setup {
            workers,
            capacity,
            is_impatient,
        })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Drop),
        Just(End::JoinThenDrop),
        Just(End::CancelThenDrop),
        Just(End::DropInside)
    ]
}

proptest! {
    #[test]
    fn each_task_meets_its_fate_and_nothing_is_left(
        setup in setup(),
        operations in vec(operation(), 1..40),
        end in end(),
    ) {
        must_end(move || {
            let mut world = World::new(setup);
            for operation in operations {
                world.perform(operation);
            }
            world.end(end);
        });
    }
}

/// What is known to have become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Runs, or has run, whatever comes; unless it is among those cancelled.
    Accepted,
    /// As accepted, but was pending when all such were cancelled.
    MaybeCancelled,
    Cancelled,
    /// Came after the shutdown.
    Refused,
    /// Came back from `try_submit`.
    GivenBack,
}

/// What happened to a task, counted.
#[derive(Debug, Default)]
struct Record {
    closures: Count,
    closures_dropped: Count,
    runs: Count,
    outputs: Count,
    outputs_dropped: Count,
    callbacks: Count,
    callbacks_called: Count,
    token: OnceLock<CancelToken>,
}

impl Record {
    /// Whether it is final without having run; only the thread that cancels
    /// may ask.
    fn is_settled_unrun(&self) -> bool {
        self.closures_dropped.so_far() == 1 && self.runs.so_far() == 0
    }

    fn is_bad(&self) -> bool {
        self.closures.so_far() != self.closures_dropped.so_far()
            || self.runs.so_far() > self.closures.so_far()
            || self.outputs.so_far() != self.outputs_dropped.so_far()
            || self.callbacks.so_far() != self.callbacks_called.so_far()
    }
}

#[derive(Debug, Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn is_open(&self) -> bool {
        *self.is_open.lock().unwrap()
    }

    fn wait(&self) {
        let guard = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(guard, |is_open| !*is_open).unwrap());
    }
}

type Keyed = (usize, JoinHandle<Counted>);

#[derive(Debug)]
struct Known {
    kind: Kind,
    fate: Fate,
    record: Arc<Record>,
    /// Of the task that it nests.
    inner: Arc<Record>,
}

struct World {
    setup: Setup,
    pool: Arc<ThreadPool>,
    is_shut_down: bool,
    /// Whether a callback may have submitted a task.
    is_entered: bool,
    gate: Arc<Gate>,
    known: Vec<Known>,
    handles: Vec<Keyed>,
    /// Of tasks, in the order in which they started.
    started: Arc<Mutex<Vec<usize>>>,
    /// Held by every closure, result and callback.
    alive: Arc<()>,
}

impl World {
    fn new(setup: Setup) -> Self {
        keep_quiet();
        let mut builder = ThreadPool::builder().max_workers(setup.workers);
        if let Some(capacity) = setup.capacity {
            builder = builder.queue_capacity(capacity);
        }
        if setup.is_impatient {
            builder = builder.keep_alive(Duration::ZERO);
        }
        Self {
            setup,
            pool: Arc::new(builder.build().unwrap()),
            is_shut_down: false,
            is_entered: false,
            gate: Arc::default(),
            known: Vec::new(),
            handles: Vec::new(),
            started: Arc::default(),
            alive: Arc::new(()),
        }
    }

    fn perform(&mut self, operation: Operation) {
        match operation {
            Operation::Submit(kind) => self.submit(kind),
            Operation::TrySubmit(kind) => self.try_submit(kind),
            Operation::Cancel(index) => self.cancel(index),
            Operation::Join(index) => {
                if let Some(handle) = self.take(index) {
                    self.open_gate();
                    self.join(handle);
                }
            }
            Operation::TryJoin(index) => self.try_join(index),
            Operation::WaitFor(index, patience) => self.wait_for(index, patience),
            Operation::OnDone(index, callback) => self.on_done(index, callback),
            Operation::Poll(index) => self.poll(index),
            Operation::DropHandle(index) => {
                if let Some(handle) = self.take(index) {
                    panics_in_drop(handle);
                }
            }
            Operation::AsCompleted(iteration) => self.as_completed(iteration),
            Operation::WaitForSome(when, patience) => self.wait_for_some(when, patience),
            Operation::Map {
                buffer,
                chunk_size,
                in_order,
            } => self.map(buffer, chunk_size, in_order),
            Operation::Scope { workers } => scope(workers),
            Operation::OpenGate => self.open_gate(),
            Operation::CancelPending => self.cancel_pending(),
            Operation::ShutDown => {
                self.pool.shutdown();
                self.is_shut_down = true;
            }
        }
    }

    /// Lets all go on that wait.
    fn open_gate(&mut self) {
        self.gate.open();
        for known in &self.known {
            if let Some(token) = known.record.token.get() {
                token.cancel();
            }
        }
        self.gate = Arc::default();
    }

    fn take(&mut self, index: Index) -> Option<Keyed> {
        if self.handles.is_empty() {
            return None;
        }
        let place = index.index(self.handles.len());
        Some(self.handles.swap_remove(place))
    }

    fn peek(&self, index: Index) -> Option<&Keyed> {
        (!self.handles.is_empty()).then(|| index.get(&self.handles))
    }

    /// A closure of that kind, which notes what happens to it.
    fn closure(&mut self, kind: Kind) -> impl FnOnce(CancelToken) -> Counted + Send + 'static {
        let key = self.known.len();
        let record = Arc::new(Record::default());
        let inner = Arc::new(Record::default());
        self.known.push(Known {
            kind,
            fate: if self.is_shut_down {
                Fate::Refused
            } else {
                Fate::Accepted
            },
            record: Arc::clone(&record),
            inner: Arc::clone(&inner),
        });
        record.closures.add();
        let owned = if kind == Kind::OwnsBomb {
            record.closures_dropped.bomb()
        } else {
            record.closures_dropped.on_drop()
        };
        let pool = Arc::downgrade(&self.pool);
        let (gate, started) = (Arc::clone(&self.gate), Arc::clone(&self.started));
        let (workers, alive) = (self.setup.workers, Arc::clone(&self.alive));
        move |token| {
            let _owned = &owned;
            record.runs.add();
            let on_worker = is_on_worker(workers);
            started.lock().unwrap().push(key);
            assert!(on_worker, "a task runs outside of its pool");
            match kind {
                Kind::Waits => gate.wait(),
                Kind::Listens => {
                    record.token.set(token.clone()).unwrap();
                    if !gate.is_open() {
                        assert!(!token.sleep(Duration::MAX));
                    }
                }
                Kind::Nests => nest(&pool, &inner, &alive),
                _ => {}
            }
            if kind == Kind::OwnsBomb {
                // Here, for a result that is there already would be leaked
                // when this panics (rust-lang/rust#47949).
                drop(owned);
                unreachable!("a bomb panics in its drop");
            }
            record.outputs.add();
            match kind {
                Kind::Panics => panic_any(record.outputs_dropped.on_drop()),
                Kind::PanicsWithBomb => panic_any(record.outputs_dropped.bomb()),
                Kind::ReturnsBomb => record.outputs_dropped.bomb(),
                _ => record.outputs_dropped.on_drop(),
            }
        }
    }

    fn submit(&mut self, kind: Kind) {
        if self.setup.capacity.is_some() {
            // Else it waits for room that nobody makes.
            self.open_gate();
        }
        let key = self.known.len();
        let closure = self.closure(kind);
        let handle = if kind == Kind::Listens {
            self.pool.submit_cancellable(closure)
        } else {
            self.pool.submit(move || closure(CancelToken::new()))
        };
        if self.is_shut_down {
            assert!(handle.is_finished(), "a refused task is not final");
        }
        self.handles.push((key, handle));
    }

    fn try_submit(&mut self, kind: Kind) {
        let key = self.known.len();
        let closure = self.closure(kind);
        match self.pool.try_submit(move || closure(CancelToken::new())) {
            Ok(handle) => {
                assert!(!self.is_shut_down, "a pool that is shut down takes a task");
                self.handles.push((key, handle));
            }
            Err(error) => {
                assert_eq!(
                    self.is_shut_down,
                    matches!(error.reason(), Rejected::ShutDown)
                );
                assert_eq!(
                    !self.is_shut_down,
                    matches!(error.reason(), Rejected::QueueFull)
                );
                self.known[key].fate = Fate::GivenBack;
                panics_in_drop(error.into_closure());
            }
        }
    }

    fn cancel(&mut self, index: Index) {
        let Some((key, handle)) = self.peek(index) else {
            return;
        };
        let key = *key;
        let (was_finished, was_cancelled) = (handle.is_finished(), handle.is_cancelled());
        let cancelled = handle.cancel();
        assert_eq!(handle.is_cancelled(), cancelled);
        assert!(!cancelled || !was_finished || was_cancelled);
        assert!(cancelled || !was_cancelled);
        let known = &mut self.known[key];
        if cancelled {
            assert!(known.record.is_settled_unrun());
            known.fate = Fate::Cancelled;
        } else if known.fate != Fate::Refused {
            known.fate = Fate::Accepted;
        }
    }

    fn cancel_pending(&mut self) {
        let settled = |known: &[Known]| {
            let records = known.iter().flat_map(|known| [&known.record, &known.inner]);
            records.filter(|record| record.is_settled_unrun()).count()
        };
        let before = settled(&self.known);
        let cancelled = self.pool.cancel_all();
        // After a shutdown nested tasks are being refused at the same time, and
        // what callbacks submit is not known.
        if !self.is_shut_down && !self.is_entered {
            assert_eq!(settled(&self.known) - before, cancelled);
        }
        for known in &mut self.known {
            if known.fate == Fate::Accepted && known.record.runs.so_far() == 0 {
                known.fate = Fate::MaybeCancelled;
            }
        }
    }

    /// Joins the task and holds what it says against what is known.
    fn join(&mut self, (key, handle): Keyed) {
        let outcome = handle.join();
        self.check(key, outcome);
    }

    fn check(&mut self, key: usize, outcome: Result<Counted, JoinError>) {
        let known = &self.known[key];
        let ran = known.record.runs.so_far() == 1;
        let panics = matches!(
            known.kind,
            Kind::Panics | Kind::PanicsWithBomb | Kind::OwnsBomb
        );
        match &outcome {
            Ok(_) => assert!(ran && !panics),
            Err(JoinError::Panicked(_)) => assert!(ran && panics),
            Err(JoinError::Cancelled) => {
                assert!(!ran);
                assert!(matches!(known.fate, Fate::Cancelled | Fate::MaybeCancelled));
            }
            Err(JoinError::Rejected(Rejected::ShutDown)) => {
                assert!(!ran);
                assert_eq!(known.fate, Fate::Refused);
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(
            known.record.closures_dropped.so_far(),
            1,
            "the closure outlives the task"
        );
        let is_bomb = match known.kind {
            Kind::PanicsWithBomb | Kind::ReturnsBomb => ran,
            // It panics with what its own drop panics with.
            _ => false,
        };
        assert_eq!(panics_in_drop(outcome), is_bomb);
    }

    fn try_join(&mut self, index: Index) {
        let Some((key, handle)) = self.take(index) else {
            return;
        };
        match handle.try_join() {
            Ok(outcome) => self.check(key, outcome),
            Err(error) => self.handles.push((key, error.into_handle())),
        }
    }

    fn wait_for(&mut self, index: Index, patience: Patience) {
        if matches!(patience, Patience::Endless) {
            self.open_gate();
        }
        if let Some((_, handle)) = self.peek(index) {
            if handle.wait_timeout(patience.duration()).is_ok() {
                assert!(handle.is_finished());
            } else {
                assert!(!matches!(patience, Patience::Endless));
            }
        }
    }

    fn on_done(&mut self, index: Index, callback: Callback) {
        self.is_entered |= matches!(callback, Callback::Entering);
        let Some((key, handle)) = self.peek(index) else {
            return;
        };
        let record = Arc::clone(&self.known[*key].record);
        record.callbacks.add();
        let (id, pool) = (handle.id(), Arc::downgrade(&self.pool));
        let alive = Arc::clone(&self.alive);
        handle.on_done(move |of| {
            record.callbacks_called.add();
            assert_eq!(of, id);
            assert_eq!(record.closures_dropped.so_far(), 1);
            drop(alive);
            match callback {
                Callback::Plain => {}
                Callback::Panicking => panic_as_meant(),
                Callback::Entering => {
                    if let Some(pool) = pool.upgrade() {
                        let _ = pool.try_submit(|| ());
                        let _ = pool.queued_count();
                    }
                }
            }
        });
    }

    fn poll(&mut self, index: Index) {
        /// Panics when it is to wake.
        struct Bad;

        impl Wake for Bad {
            fn wake(self: Arc<Self>) {
                panic_as_meant();
            }
        }

        let Some((key, mut handle)) = self.take(index) else {
            return;
        };
        let waker = Waker::from(Arc::new(Bad));
        match Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => self.check(key, outcome),
            Poll::Pending => self.handles.push((key, handle)),
        }
    }

    fn as_completed(&mut self, iteration: Iteration) {
        let handles = std::mem::take(&mut self.handles);
        let mut left = handles.len();
        if !matches!(
            iteration,
            Iteration::TimedOut(Patience::None | Patience::Short)
        ) {
            self.open_gate();
        }
        let mut all = as_completed(handles);
        let mut taken = 0;
        loop {
            assert_eq!(all.len(), left);
            let next = match iteration {
                Iteration::DropAfter(limit) if taken == limit => break,
                Iteration::PushAfter(limit, kind) if taken == limit => {
                    self.submit(kind);
                    self.open_gate();
                    for handle in self.handles.drain(..) {
                        all.push(handle);
                        left += 1;
                    }
                    taken += 1;
                    continue;
                }
                Iteration::TimedOut(patience) => match all.next_timeout(patience.duration()) {
                    Ok(next) => next,
                    Err(unfinished) => {
                        assert_eq!(unfinished.pending, left);
                        break;
                    }
                },
                _ => all.next(),
            };
            let Some(handle) = next else {
                assert_eq!(left, 0);
                assert!(all.next().is_none());
                break;
            };
            assert!(handle.1.is_finished());
            left -= 1;
            taken += 1;
            self.join(handle);
        }
        if matches!(iteration, Iteration::TimedOut(_)) {
            self.handles = all.into_pending();
            assert_eq!(self.handles.len(), left);
        } else {
            panics_in_drop(all);
        }
    }

    fn wait_for_some(&mut self, when: ReturnWhen, patience: Patience) {
        if matches!(patience, Patience::Endless) {
            self.open_gate();
        }
        let handles = std::mem::take(&mut self.handles);
        let total = handles.len();
        let waited = wait(handles, when, Some(patience.duration()));
        assert_eq!(waited.done.len() + waited.pending.len(), total);
        assert!(waited.done.iter().all(|(_, handle)| handle.is_finished()));
        if matches!(patience, Patience::Endless) {
            let failed = |(_, handle): &Keyed| !handle.is_cancelled();
            match when {
                ReturnWhen::FirstCompleted => assert_eq!(waited.done.is_empty(), total == 0),
                ReturnWhen::FirstFailure => {
                    assert!(waited.pending.is_empty() || waited.done.iter().any(failed));
                }
                ReturnWhen::AllCompleted => assert!(waited.pending.is_empty()),
                other => unreachable!("{other:?} is not asked for"),
            }
        }
        self.handles = waited.pending;
        for handle in waited.done {
            self.join(handle);
        }
    }

    fn map(&mut self, buffer: usize, chunk_size: usize, in_order: bool) {
        const ITEMS: usize = 12;
        self.open_gate();
        let function = |n: usize| {
            if n % 5 == 4 {
                panic_as_meant();
            }
            2 * n
        };
        let is_shut_down = self.is_shut_down;
        let flat = |result: Result<usize, JoinError>| match result {
            Ok(n) => Some(n),
            Err(error) => {
                assert_eq!(error.is_rejected(), is_shut_down);
                None
            }
        };
        let mut results: Vec<_> = if in_order {
            let map = self.pool.map(0..ITEMS, function);
            map.buffer(buffer)
                .chunk_size(chunk_size)
                .map(flat)
                .collect()
        } else {
            let map = self.pool.map_unordered(0..ITEMS, function);
            map.buffer(buffer)
                .chunk_size(chunk_size)
                .map(flat)
                .collect()
        };
        let mut expected: Vec<_> = (0..ITEMS)
            .map(|n| (n % 5 != 4 && !is_shut_down).then_some(2 * n))
            .collect();
        if !in_order {
            results.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(results, expected);
    }

    fn end(mut self, end: End) {
        match end {
            End::CancelThenDrop => {
                self.pool.shutdown();
                self.is_shut_down = true;
                self.cancel_pending();
                self.open_gate();
            }
            End::JoinThenDrop => {
                self.open_gate();
                self.pool.join();
                assert_eq!(self.pool.worker_count(), 0);
                assert_eq!(self.pool.queued_count(), 0);
                assert!(self.handles.iter().all(|(_, handle)| handle.is_finished()));
            }
            End::Drop => self.open_gate(),
            End::DropInside => {
                self.open_gate();
                let pool = Arc::clone(&self.pool);
                if !self.is_shut_down {
                    pool.clone().submit(move || drop(pool)).detach();
                }
            }
        }
        let pool = Arc::downgrade(&self.pool);
        let World {
            pool: owned,
            known,
            handles,
            started,
            alive,
            setup,
            ..
        } = self;
        drop(owned);
        for (_, handle) in handles {
            handle.wait();
            panics_in_drop(handle);
        }
        // The last owner may be a task that nests another.
        eventually(|| pool.strong_count() == 0, &"the pool is alive");
        for known in &known {
            eventually(|| !known.record.is_bad(), known);
            eventually(|| !known.inner.is_bad(), known);
        }
        eventually(|| Arc::strong_count(&alive) == 1, &"something is alive");
        for known in &known {
            let runs = known.record.runs.so_far();
            match known.fate {
                Fate::Accepted => assert_eq!(runs, 1, "an accepted task never ran"),
                Fate::MaybeCancelled => assert!(runs <= 1),
                Fate::Cancelled | Fate::Refused | Fate::GivenBack => assert_eq!(runs, 0),
            }
            assert_eq!(known.record.closures_dropped.so_far(), 1);
            let outputs = known.record.outputs.so_far();
            assert_eq!(outputs, runs * usize::from(known.kind != Kind::OwnsBomb));
            assert_eq!(known.record.outputs_dropped.so_far(), outputs);
            assert!(known.inner.runs.so_far() <= 1);
        }
        let started = started.lock().unwrap();
        if setup.workers == 1 {
            assert!(started.is_sorted(), "not first in, first out: {started:?}");
        }
    }
}

fn is_on_worker(workers: usize) -> bool {
    let current = thread::current();
    let index = current
        .name()
        .and_then(|name| name.split_once("-worker-"))
        .and_then(|(_, index)| index.parse::<usize>().ok());
    index.is_some_and(|index| index < workers)
}

/// Submits a task to the pool and joins it, from a task of the same pool.
fn nest(pool: &Weak<ThreadPool>, inner: &Arc<Record>, alive: &Arc<()>) {
    let Some(pool) = pool.upgrade() else {
        return;
    };
    inner.closures.add();
    let owned = inner.closures_dropped.on_drop();
    let (record, alive) = (Arc::clone(inner), Arc::clone(alive));
    let handle = pool.submit(move || {
        let _owned = (&owned, &alive);
        record.runs.add();
        record.outputs.add();
        record.outputs_dropped.on_drop()
    });
    match handle.join() {
        Ok(_) => assert_eq!(inner.runs.so_far(), 1),
        Err(error) => {
            assert!(error.is_cancelled() || error.is_rejected());
            assert_eq!(inner.runs.so_far(), 0);
        }
    }
}

/// Tasks that borrow, and bring more tasks.
fn scope(workers: usize) {
    let numbers: Vec<usize> = (0..8).collect();
    let seen = Count::default();
    let sum: usize = ThreadPool::scope(workers, |pool| {
        let handles: Vec<_> = numbers
            .iter()
            .map(|number| {
                let (inside, seen) = (pool.clone(), &seen);
                pool.submit(move || {
                    // Nobody joins it, and yet it is waited for.
                    inside.submit(move || seen.add()).detach();
                    *number
                })
            })
            .collect();
        as_completed(handles)
            .map(|handle| handle.join().unwrap())
            .sum()
    });
    assert_eq!(sum, 28);
    assert_eq!(seen.so_far(), 8);
}
