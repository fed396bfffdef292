//! The same functions on many machines, over a [NATS](https://nats.io) server with
//! `JetStream`.
//!
//! [`Cluster`] calls named functions, as a
//! [`ProcessPool`](crate::process::ProcessPool) does, and [`Worker`]s on any
//! machine run them. Both connect to the same queue of a NATS server, which keeps
//! each call until its result has arrived. `nats-server -js` starts such a server.
//!
//! One program can be both, by its first argument; most often they are two programs that
//! share a crate with their functions.
//!
//! ```no_run
//! use as_completed::as_completed;
//! use as_completed::cluster::{Cluster, Worker};
//! use as_completed::function::{Function, Functions};
//!
//! const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let functions = Functions::new().with(SQUARE);
//!     functions.init(); // a child process of a worker serves here, and never returns
//!     let url = "nats://localhost";
//!     if std::env::args().nth(1).as_deref() == Some("worker") {
//!         Worker::builder(url, functions).processes(4).build()?.run()?;
//!         return Ok(());
//!     }
//!     let cluster = Cluster::connect(url, functions)?;
//!     for (n, square) in as_completed((1..=100).map(|n| (n, cluster.call(SQUARE, n)))) {
//!         assert_eq!(square.join()?, n * n);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A call runs **at least once**, since a worker may die before it has answered,
//! and its handle resolves once. So a function should be safe to run twice with the same
//! argument; see [`deliveries`](ClusterBuilder::deliveries) for one that is not.
//!
//! With the feature `tracing`, a worker runs each call in a span `call` with the
//! fields `function`, `submitter` and `number`; `caller.span` and `caller.id` are the
//! name and the id of the span in which the call was made. The ids are those of the
//! submitter's own subscriber, since `tracing` has none that two processes share: put
//! what else is to cross, such as the id of a trace, into the argument. The events
//! `started` and `ended` are of the level debug.
//!
//! A user of the server needs the right to publish and to subscribe to
//! `as_completed.<queue>.>` and `_INBOX.>`, and to publish to `$JS.API.>` and
//! `$JS.ACK.>`.
// # The protocol
//
// A queue is one work-queue stream, `as_completed_<queue>`, whose messages are
// removed when they are acknowledged, and one pull consumer, `workers`, which
// all workers share. The lease is the consumer's ack wait. A submitter and a
// worker each have a unique id. The subjects, below `as_completed.<queue>.`:
//
//   call.<submitter>       the calls; the only ones in the stream
//   submitter.<id>.told    answers, and what else workers tell a submitter
//   submitter.<id>.stored… the server's receipts for stored calls
//   submitter.<id>.recorded…, worker.<id>.recorded…
//                          and for stored records, and answers in them
//   worker.<id>.told       which answers have arrived
//   worker.<id>.pulled…    the deliveries, and the ends of pulls
//   workers                cancellations, to all workers
//   alive                  a submitter lives: three times in each lease
//   announcements          who a worker is and what it runs, as often
//   large.<submitter>.<call>.<tag>.<place>
//                          chunks of what is too large for a message; in a stream
//                          of its own, `as_completed_<queue>_large`; and the mark
//                          of a last attempt, with the tag `alone`
//
//   record.<submitter>.<call>
//                          the calls of submitters with a durable name, and then
//                          their results too; in `as_completed_<queue>_records`
//
// A call, as its submitter sees it:
//
//   waiting ──► sent ──► stored(sequence) ──► ended
//      ▲          │            │
//      └──────────┴────────────┘ no receipt, or no longer in the stream
//
// and as a worker sees it: pulled ──► in the pool ──► answered ──► arrived, acked.
//
// - Each handle settles once: settling takes the call out of the submitter's
//   map, and whatever answers it again finds nothing there.
// - A worker acknowledges a call when its submitter has said that the answer has
//   arrived, and repeats the answer until then: no restart of the server loses
//   it. If the acknowledgement is lost, the call runs again, and its second
//   answer is dropped.
// - A call whose receipt is lost, as in a restart, is looked for in the stream, behind
//   what was known to be there when it was sent, and sent again if it is not found. One
//   that was still on its way is told of by a late receipt, and deleted. A call that
//   must not run twice, for its limit of deliveries is one, or that has a record, has an
//   id instead: the server stores the same message with the same id once, but works a
//   third longer on an empty call.
// - A worker sends the answers to one submitter that it has at one time in one message.
// - The lease of all that a worker holds is renewed on the client's own thread,
//   where no function runs. A worker that is dead or cut off does not renew, and
//   the server delivers its calls to others.
// - The server counts deliveries. A dead worker may have had many calls, and one of
//   them killed it. So the last attempt of a call runs alone, and is marked at the
//   server before it starts; a call that is delivered again with its mark is
//   answered with `WorkersLost`, and one without a mark gets its last attempt.
//   What a worker gives back it publishes as a new message, for a delivery that
//   cost no worker must not count.
// - A submitter that was not heard of for a lease is dead: its running calls are
//   stopped and its stored ones purged, by whichever worker notices first. If it
//   was only cut off or stopped, it is told, or notices by the gap in its own
//   clock or by the reconnection; it then asks for each stored call whether it
//   is in the stream, and sends again what is not.
// - The calls of a submitter with a durable name are not dropped with it. Each has
//   a record, written before the call is sent; a worker whose answer nobody takes
//   writes it there before it acknowledges the call. Who takes the record out of
//   its stream settles the handle: the server says to one that it was there. So no
//   result is picked up twice, and none is left of a call that was picked up, for
//   an answer is written over a record only. `record.rs` has the details.
// - The next submitter of the name lists the records, and takes over those that its
//   callers claim. It looks for their calls in the stream, sends those that are not
//   there and have no answer, and never touches what nobody has claimed.
// - A call that may run for so long only is timed by its worker, on the client's
//   thread, which answers it and stops the run.
// - Cancelling settles the handle at once, deletes the message by its sequence,
//   and tells all workers, which stop the run or skip the delivery.
// - What is too large for a message is stored before the message that names it,
//   and removed when the call has ended or its submitter is dead. An argument
//   stays with its submitter, and a result with its worker, until then: either
//   stores it again if the server has lost it.
// - A worker that does not have a function in the version of the call gives the call
//   to its submitter, which sends it again as long as some worker announces the
//   function, and ends it after the grace if none does.
// - A worker keeps no more calls at hand than it runs in a few milliseconds, and
//   gives them back when it is stuck behind a long one.

mod error;
mod event;
mod names;
mod settings;

mod refusal;
mod requests;

mod api;
mod search;

mod large;

mod message;

mod status;

mod inbox;

mod queue;

mod line;

mod connect;

mod delivery;
mod record;

mod submitter;

mod link;

mod local;
mod serve;

mod builder;
mod worker;

mod resume;

pub use self::builder::ClusterBuilder;
pub use self::error::ClusterError;
pub use self::event::ClusterEvent;
pub use self::settings::Storage;
pub use self::status::{ClusterStatus, RunningCall, WorkerStatus};
pub use self::worker::{Worker, WorkerBuilder};

use self::link::Link;
use self::submitter::Command;
use crate::error::JoinTimeoutError;
use crate::function::{self, Functions, Places, call_without_import};
use crate::sync::unbounded;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Runs named functions on the [`Worker`]s of a queue, on any machine.
///
/// Every call is kept by the NATS server until its result has arrived here. If
/// a worker dies, or is cut off for longer than the
/// [`lease`](ClusterBuilder::lease), its calls run again elsewhere: a call runs
/// **at least once**, and its handle resolves once. Cancelling a call resolves
/// its handle at once, removes the call from the queue, and stops it where it
/// runs. If this process dies, its calls are dropped within a lease, unless
/// the cluster has a [`durable`](ClusterBuilder::durable) name: then the next of the
/// name gets them by [`resume`](Self::resume). If the server restarts, calls wait for
/// it and go on.
///
/// Callbacks of handles run on a thread of the cluster, and the
/// [`observer`](ClusterBuilder::observer) on the same: while one blocks, no handle
/// resolves. Whether calls wait or run, only [`status`](Self::status) tells: a handle is
/// pending until its call has ended.
///
/// Dropping the cluster blocks: it takes no more calls and waits for those that
/// have not ended. Without workers, or without a server, it waits until there
/// are some; call [`cancel_pending`](Self::cancel_pending) first to end sooner. Then
/// it removes what is left of them at the server, which takes the
/// [`connect_timeout`](ClusterBuilder::connect_timeout) at most.
///
/// # Examples
///
/// ```no_run
/// use as_completed::as_completed;
/// use as_completed::cluster::Cluster;
/// use as_completed::function::{Function, Functions};
///
/// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
///
/// let cluster = Cluster::connect("nats://localhost", Functions::new().with(SQUARE))?;
/// for (n, square) in as_completed([1, 2, 3].map(|n| (n, cluster.call(SQUARE, n)))) {
///     assert_eq!(square.join()?, n * n);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster {
    link: Arc<Link>,
    threads: Option<[thread::JoinHandle<()>; 2]>,
}

impl Cluster {
    /// Connects to the queue `default` of the server at `url`, such as
    /// `nats://localhost`; several servers of a group are separated by commas.
    ///
    /// Blocks as [`ClusterBuilder::connect`] does: until it is connected, for 5 seconds at
    /// most.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], which names the server.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// assert_eq!(cluster.call(SQUARE, 7).join()?, 49); // once there is a worker
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(url: &str, functions: Functions) -> Result<Self, ClusterError> {
        Self::builder(url, functions).connect()
    }

    /// Returns a builder, to set more than the server: the queue, its bounds, a login, a
    /// name under which calls outlive this process.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let servers = "nats://a.example,nats://b.example,nats://c.example";
    /// let cluster = Cluster::builder(servers, functions).queue("nightly").replicas(3).connect()?;
    /// assert_eq!(cluster.call(SQUARE, 7).join()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(url: &str, functions: Functions) -> ClusterBuilder {
        ClusterBuilder::new(url, functions)
    }

    call_without_import!(
        "no_run",
        "use as_completed::cluster::Cluster;
use as_completed::function::{Function, Functions};

const LENGTH: Function<String, usize> = Function::new(\"length\", |text| text.len());

let executor = Cluster::connect(\"nats://localhost\", Functions::new().with(LENGTH))?;"
    );

    /// Takes no more calls; those that have been made go on. Never blocks.
    ///
    /// Later calls resolve to [`Rejected::ShutDown`](crate::Rejected::ShutDown).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// let before = cluster.call(SQUARE, 7);
    /// cluster.shutdown();
    /// assert!(cluster.call(SQUARE, 8).join().unwrap_err().is_rejected());
    /// assert_eq!(before.join()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) {
        self.link.state.lock().shut = true;
    }

    /// Cancels all calls of this cluster that have not ended, those that run on workers
    /// too, and returns how many there were.
    ///
    /// Their handles resolve soon. Does not wait until the workers have stopped them.
    /// Calls that an earlier cluster of the [`durable`](ClusterBuilder::durable) name has
    /// left are cancelled only if they were [resumed](Self::resume).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// let squares = [1, 2, 3].map(|n| cluster.call(SQUARE, n));
    /// if cluster.status()?.workers.is_empty() {
    ///     cluster.cancel_pending(); // nobody would run them
    ///     assert!(squares.into_iter().all(|square| square.join().is_err()));
    /// }
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn cancel_pending(&self) -> usize {
        let (count, counted) = unbounded();
        let asked = self.link.commands.send(Command::CancelAll(count));
        asked.map_or(0, |()| counted.recv().unwrap_or(0))
    }

    /// Shuts the cluster down and blocks until all its calls have ended: without
    /// workers, or without a server, for as long as there are none.
    ///
    /// A callback of a handle, or the observer, must not call it: it would wait for
    /// itself.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// let squares = [1, 2, 3].map(|n| cluster.call(SQUARE, n));
    /// cluster.join();
    /// assert!(squares.iter().all(|square| square.is_finished()));
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn join(&self) {
        self.shutdown();
        let mut state = self.link.state.lock();
        while state.pending > 0 {
            self.link.idle.wait(&mut state);
        }
    }

    /// Shuts the cluster down and blocks until all its calls have ended, for
    /// `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`JoinTimeoutError`] with the number of the calls that are left: whether a call
    /// runs is not known here, and all count as queued. They go on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    /// use std::time::Duration;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// let square = cluster.call(SQUARE, 7);
    /// if let Err(error) = cluster.join_timeout(Duration::from_secs(60)) {
    ///     assert_eq!(error.queued, 1);
    ///     cluster.cancel_pending();
    /// }
    /// assert!(square.is_finished() || square.is_cancelled());
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinTimeoutError> {
        self.shutdown();
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            self.join();
            return Ok(());
        };
        let mut state = self.link.state.lock();
        while state.pending > 0 {
            if Instant::now() >= deadline {
                return Err(JoinTimeoutError {
                    running: 0,
                    queued: state.pending,
                });
            }
            self.link.idle.wait_until(&mut state, deadline);
        }
        Ok(())
    }

    /// Returns what the queue and its workers do.
    ///
    /// Blocks until the workers have had time to say it: for a fifth of a second,
    /// or a third of the lease if that is shorter.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if the server does not answer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::Functions;
    ///
    /// let cluster = Cluster::connect("nats://localhost", Functions::new())?;
    /// let status = cluster.status()?;
    /// for worker in &status.workers {
    ///     println!("{}:{} runs {} calls", worker.host, worker.pid, worker.running.len());
    /// }
    /// assert!(!status.workers.is_empty(), "start a worker");
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn status(&self) -> Result<ClusterStatus, ClusterError> {
        let (status, told) = unbounded();
        // Either end is gone only together with the client.
        let ended = || ClusterError::Start("the client has ended".to_owned());
        let asked = self.link.commands.send(Command::Status(status));
        asked.map_err(|_| ended())?;
        told.recv().map_err(|_| ended())?
    }

    /// Returns how many calls of this cluster have not ended; those of other submitters
    /// of the queue do not count, but in [`status`](Self::status).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// let squares = [1, 2, 3].map(|n| cluster.call(SQUARE, n));
    /// assert!(cluster.pending_count() <= 3);
    /// cluster.join();
    /// assert_eq!(cluster.pending_count(), 0);
    /// # drop(squares);
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.link.state.lock().pending
    }
}

impl Places for Cluster {
    fn place(&self) -> function::Place<'_> {
        function::Place::Remote(Arc::clone(&self.link) as _)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some([client, results]) = self.threads.take() else {
            return;
        };
        if thread::current().id() == results.thread().id() {
            // In a callback: the calls that are left could never end.
            self.cancel_pending();
            let _ = self.link.commands.send(Command::Stop);
            return;
        }
        self.join();
        let _ = self.link.commands.send(Command::Stop);
        for thread in [client, results] {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("pending_count", &self.pending_count())
            .finish_non_exhaustive()
    }
}
