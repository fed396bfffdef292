//! [`Slots`]: what runs the functions of a worker, and how much of it is in use.

use super::held::Stage;
use crate::cluster::large;
use crate::cluster::message::Served;
use crate::error::JoinError;
use crate::executor::hand_over;
use crate::function::{Caller, Functions, Route, in_span};
use crate::task::{CancelToken, Room, launch};
use crate::thread_pool::ThreadPool;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A run that has ended.
pub(super) struct Done {
    pub(super) sequence: u64,
    pub(super) run: u64,
    pub(super) function: &'static str,
    pub(super) result: Result<Vec<u8>, JoinError>,
    took: Duration,
}

/// A run has taken as long as its call may.
pub(super) struct Overdue {
    pub(super) sequence: u64,
    pub(super) run: u64,
    pub(super) limit: Duration,
}

/// What is known of a call when it is started.
pub(super) struct Request {
    pub(super) submitter: Arc<str>,
    pub(super) number: u64,
    pub(super) caller: Option<Caller>,
    /// How long it may run.
    pub(super) timeout: Option<Duration>,
}

/// Work that a worker keeps at hand beyond its slots: what it does in this
/// time. Longer calls are left to whoever is free.
const AHEAD: Duration = Duration::from_millis(20);

/// Calls that are kept at hand at most.
const MOST_AHEAD: usize = 512;

/// What runs the functions of a worker.
pub(in crate::cluster) struct Slots<'a> {
    threads: &'a ThreadPool,
    route: Arc<dyn Route>,
    functions: Functions,
    done: UnboundedSender<Done>,
    pub(super) ended: UnboundedReceiver<Done>,
    late: UnboundedSender<Overdue>,
    pub(super) overdue: UnboundedReceiver<Overdue>,
    runs: u64,
    /// Calls that are in the pool, those that nobody waits for any more too, or on
    /// their way there.
    busy: usize,
    /// Runs that have ended since the last tick.
    has_ended: usize,
    /// The mean duration of a call, recent ones counting more.
    mean: Option<Duration>,
}

impl<'a> Slots<'a> {
    pub(in crate::cluster) fn new(
        threads: &'a ThreadPool,
        route: Arc<dyn Route>,
        functions: Functions,
    ) -> Self {
        let (done, ended) = unbounded_channel();
        let (late, overdue) = unbounded_channel();
        Self {
            threads,
            route,
            functions,
            done,
            ended,
            late,
            overdue,
            runs: 0,
            busy: 0,
            has_ended: 0,
            mean: None,
        }
    }

    /// How many calls run at the same time.
    pub(super) fn number(&self) -> usize {
        self.threads.max_workers()
    }

    /// What is served here.
    pub(super) fn functions(&self) -> impl Iterator<Item = Served> {
        let served = |(name, version): (&str, u32)| Served {
            name: name.to_owned(),
            version,
        };
        self.functions.versions().map(served)
    }

    /// Returns the name as this program has it, if it has the function in that
    /// version.
    pub(super) fn find(&self, function: &str, version: u32) -> Option<&'static str> {
        let (name, here) = self.functions.version_of(function)?;
        (here == version).then_some(name)
    }

    /// How many calls may be here, waiting ones included.
    pub(super) fn capacity(&self) -> usize {
        let slots = self.number();
        let ahead = self.mean.map_or(0, |mean| {
            let each = mean.as_nanos().max(1);
            usize::try_from(AHEAD.as_nanos() / each).unwrap_or(MOST_AHEAD)
        });
        slots + ahead.saturating_mul(slots).min(MOST_AHEAD)
    }

    /// Whether nothing runs, and nothing is about to.
    pub(super) fn are_idle(&self) -> bool {
        self.busy == 0
    }

    /// How many slots are idle.
    pub(super) fn free(&self) -> usize {
        self.number().saturating_sub(self.busy)
    }

    /// How many calls may come.
    pub(super) fn room(&self) -> usize {
        self.capacity().saturating_sub(self.busy)
    }

    /// A call will be in the pool soon.
    pub(super) fn reserve(&mut self) {
        self.busy += 1;
    }

    /// A call is not, or not any more, on its way to the pool.
    pub(super) fn release(&mut self) {
        self.busy -= 1;
    }

    /// Hands a call to the pool.
    pub(super) fn start(
        &mut self,
        sequence: u64,
        function: &'static str,
        request: Request,
        argument: Bytes,
    ) -> Stage {
        self.runs += 1;
        self.busy += 1;
        let (run, done) = (self.runs, self.done.clone());
        let route = Arc::clone(&self.route);
        let token = CancelToken::new();
        let seen = token.clone();
        let started = Arc::new(OnceLock::new());
        let starts = Arc::clone(&started);
        // On the client's thread, where no function runs.
        let client = tokio::runtime::Handle::current();
        let clock = request.timeout;
        let clock = clock.map(|limit| (limit, self.late.clone(), client));
        let work = move || {
            let start = *starts.get_or_init(Instant::now);
            let clock = clock.map(|(limit, late, client)| {
                let overdue = async move {
                    tokio::time::sleep(limit).await;
                    Overdue {
                        sequence,
                        run,
                        limit,
                    }
                };
                let _entered = client.enter();
                large::run(late, overdue)
            });
            let from = Some((&*request.submitter, request.number));
            let call = || route.call(function, &argument, &seen);
            let result = in_span(function, request.caller.as_ref(), from, call);
            drop(clock);
            let _ = done.send(Done {
                sequence,
                run,
                function,
                result,
                took: start.elapsed(),
            });
        };
        let threads = self.threads;
        let handle = launch(work, token, |task| hand_over(threads, task, Room::Wait));
        Stage::InPool {
            run,
            handle,
            function,
            started,
        }
    }

    /// A run has ended, which nobody need wait for any more.
    pub(super) fn end(&mut self, done: &Done) {
        self.busy -= 1;
        self.has_ended += 1;
        let mean = self.mean.unwrap_or(done.took);
        self.mean = Some((mean * 7 + done.took) / 8);
    }

    /// Says whether calls wait here behind longer ones: none has ended since it was
    /// last asked, which is once in each period.
    pub(super) fn are_stuck(&mut self, period: Duration) -> bool {
        let are_stuck = self.has_ended == 0 && self.busy > self.number();
        self.has_ended = 0;
        if are_stuck {
            self.mean = self.mean.max(Some(period));
        }
        are_stuck
    }
}
