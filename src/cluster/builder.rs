//! [`ClusterBuilder`]: what can be set about a cluster.

use super::Cluster;
use super::connect::{self, Connection, Obstacle};
use super::error::ClusterError;
use super::event::{ClusterEvent, Observer};
use super::link::{Link, State};
use super::names;
use super::settings::{Login, Settings, Storage, connection_settings};
use super::submitter::{self, Durable, Identity, Once};
use crate::function::Functions;
use crate::sync::{Condvar, Mutex, unbounded};
use async_nats::Subscriber;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

/// Sets up a [`Cluster`]; made by [`Cluster::builder`].
///
/// A queue that exists keeps its settings: what is not set here is as the queue
/// has it, and what is set differently is an error.
///
/// # Examples
///
/// ```no_run
/// use as_completed::cluster::Cluster;
/// use as_completed::function::Functions;
/// use std::time::Duration;
///
/// let cluster = Cluster::builder("nats://localhost", Functions::new())
///     .queue("nightly")
///     .lease(Duration::from_secs(10))
///     .queue_capacity(100_000)
///     .connect()?;
/// # Ok::<(), as_completed::cluster::ClusterError>(())
/// ```
#[must_use = "a builder does nothing until connect() is called"]
pub struct ClusterBuilder {
    functions: Functions,
    settings: Settings,
    deliveries: u32,
    call_timeout: Option<Duration>,
    grace: Duration,
    observer: Option<Observer>,
}

impl ClusterBuilder {
    pub(super) fn new(url: &str, functions: Functions) -> Self {
        Self {
            functions,
            settings: Settings::new(url),
            deliveries: 3,
            call_timeout: None,
            grace: Duration::from_secs(10),
            observer: None,
        }
    }

    connection_settings!(
        "no_run",
        "use as_completed::cluster::Cluster;
use as_completed::function::Functions;
",
        "let cluster = Cluster::builder(\"nats://localhost\", Functions::new())",
        ".connect()?;"
    );

    /// Sets how many workers may die while they have a call; 3 by default, and 1
    /// at least. Then it is given up, with
    /// [`JoinError::WorkersLost`](crate::JoinError::WorkersLost).
    ///
    /// The last attempt runs alone: its worker takes nothing else and first ends
    /// what it runs, for which it waits five [leases](Self::lease) at most. So a
    /// call that kills its workers is given up, and those beside it are not. With a
    /// limit of 1 there is no second attempt, and all calls that a dead worker had
    /// are given up.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::JoinError;
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const CHARGE: Function<u64, ()> = Function::new("charge", |cents| println!("{cents}"));
    ///
    /// // What must not run twice is given up when its worker dies.
    /// let functions = Functions::new().with(CHARGE);
    /// let cluster = Cluster::builder("nats://localhost", functions).deliveries(1).connect()?;
    /// match cluster.call(CHARGE, 100).join() {
    ///     Err(JoinError::WorkersLost(workers)) => assert_eq!(workers, 1),
    ///     other => other?,
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deliveries(mut self, workers: u32) -> Self {
        self.deliveries = workers.max(1);
        self
    }

    /// Sets how long a call may run, without end by default. Its clock starts when
    /// it starts on its worker, again if it runs again elsewhere.
    ///
    /// At the end the call resolves to
    /// [`JoinError::TimedOut`](crate::JoinError::TimedOut), and its process is
    /// killed. On a worker with [`threads`](super::WorkerBuilder::threads) it keeps
    /// its thread until it returns, for a thread cannot be killed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::JoinError;
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    /// use std::time::Duration;
    ///
    /// const NAP: Function<u64, ()> = Function::new("nap", |seconds| {
    ///     std::thread::sleep(Duration::from_secs(seconds));
    /// });
    ///
    /// let functions = Functions::new().with(NAP);
    /// let cluster = Cluster::builder("nats://localhost", functions)
    ///     .call_timeout(Duration::from_secs(10))
    ///     .connect()?;
    /// assert!(matches!(cluster.call(NAP, 3600).join(), Err(JoinError::TimedOut(_))));
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// Sets how long a call may wait for a worker that has its function, while
    /// others are there; 10 seconds by default. Then it ends with
    /// [`CallError::Unserved`](crate::CallError::Unserved). Without any worker a
    /// call waits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::{CallError, JoinError};
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    /// use std::time::Duration;
    ///
    /// // The workers are older, and do not have it yet.
    /// const NEW: Function<(), u64> = Function::new("new", |()| 1);
    ///
    /// let functions = Functions::new().with(NEW);
    /// let cluster = Cluster::builder("nats://localhost", functions)
    ///     .grace(Duration::from_secs(60)) // for the workers to be replaced
    ///     .connect()?;
    /// match cluster.call(NEW, ()).join() {
    ///     Err(JoinError::Call(error)) => assert!(matches!(*error, CallError::Unserved { .. })),
    ///     other => assert_eq!(other?, 1),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets a function that is told when calls wait without a worker, and when the
    /// connection is lost and restored. A later one replaces it.
    ///
    /// It runs on the thread on which callbacks of handles run, which it must not
    /// block for long; it may use the cluster.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::{Cluster, ClusterEvent};
    /// use as_completed::function::Functions;
    ///
    /// let builder = Cluster::builder("nats://localhost", Functions::new());
    /// let cluster = builder
    ///     .observer(|event| {
    ///         if event == ClusterEvent::NoWorkers {
    ///             eprintln!("calls wait: start a worker");
    ///         }
    ///     })
    ///     .connect()?;
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn observer(mut self, observer: impl FnMut(ClusterEvent) + Send + 'static) -> Self {
        self.observer = Some(Observer::new(observer));
        self
    }

    /// Gives the submitter a name under which its calls outlive it: letters,
    /// digits, `_` and `-`. Without one, the calls of a process that dies are
    /// dropped within a lease.
    ///
    /// Calls go on without their submitter, and the next cluster with the name
    /// gets their handles by [`resume`](Cluster::resume). Until then the server
    /// keeps, beside the queue and in the same storage, a record of each call with
    /// its argument, and then its result; for seven days after the later of the
    /// two was stored. A call that takes longer than that is lost.
    /// [`queue_capacity`](Self::queue_capacity) bounds the number of the records too.
    ///
    /// A result is deleted at the server right before its handle resolves: a process
    /// that dies before it has used the result has lost it, and the next one does not
    /// find the call in its list.
    ///
    /// A call is kept from when the server has stored it, a little after `call`
    /// returned. Dropping the cluster waits for its calls all the same; a process
    /// that exits instead leaves them. Only one cluster with the name may be
    /// connected to a queue at a time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::{Cluster, ClusterError};
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let builder = || Cluster::builder("nats://localhost", functions.clone()).durable("nightly");
    /// let cluster = builder().connect()?;
    /// for (n, square) in cluster.resume(SQUARE)? {
    ///     assert_eq!(square.join()?, n * n); // a call of last night
    /// }
    /// assert!(matches!(builder().connect(), Err(ClusterError::NameInUse { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durable(mut self, name: impl Into<String>) -> Self {
        self.settings.durable = Some(name.into());
        self
    }

    /// Connects, and makes the queue if there is none.
    ///
    /// Blocks until it is connected, has its queue, and has got a message back that it
    /// sent to itself, to check the rights of the user: milliseconds where the server
    /// answers, and the [`connect_timeout`](Self::connect_timeout) at most.
    ///
    /// With a [`durable`](Self::durable) name it first asks whether that is in use. A
    /// cluster of this name that was cut off, or is stopped, does not answer, and counts
    /// as gone after a [`lease`](Self::lease): a longer lease than the `connect_timeout`
    /// makes it an error.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], which names the server.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::{Cluster, ClusterError};
    /// use as_completed::function::Functions;
    ///
    /// let builder = Cluster::builder("nats://127.0.0.1:1", Functions::new());
    /// match builder.connect() {
    ///     Err(ClusterError::Unreachable { server, .. }) => assert_eq!(server, "nats://127.0.0.1:1"),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// ```
    pub fn connect(self) -> Result<Cluster, ClusterError> {
        let Self {
            functions,
            settings,
            deliveries,
            call_timeout,
            grace,
            observer,
        } = self;
        // Submitters of one name number their calls apart.
        let first = match settings.durable {
            None => 0,
            Some(_) => RandomState::new().build_hasher().finish() >> 1,
        };
        let (commands, to_obey) = unbounded_channel();
        let (reports, to_settle) = unbounded();
        let (report, connected) = unbounded();
        let start = |error: std::io::Error| ClusterError::Start(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(start)?;
        let client = thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let connected = connect::connect(&settings, enter).await;
                    let (connection, (id, subscriptions)) = match connected {
                        Ok(connected) => connected,
                        Err(error) => return drop(report.send(Err(error))),
                    };
                    let durable = connection.settings.durable.is_some();
                    let durable = durable.then(|| Durable::new(first));
                    let is_bounded = connection.settings.queue_capacity.is_some();
                    let mut limit = connection.limit;
                    if durable.is_some() {
                        // The record of a call has room for its result.
                        limit /= 2;
                    }
                    if report.send(Ok((is_bounded, limit))).is_ok() {
                        let identity = Identity {
                            id,
                            grace,
                            // The server works a third longer on an empty call with an id.
                            once: if deliveries == 1 || durable.is_some() {
                                Once::ById
                            } else {
                                Once::BySearch
                            },
                            durable,
                        };
                        submitter::serve(connection, identity, subscriptions, to_obey, reports)
                            .await;
                    }
                });
                // Does not wait for a name that is being resolved.
                runtime.shutdown_background();
            })
            .map_err(start)?;
        let lost = || ClusterError::Start("the client's thread has ended".to_owned());
        let (is_bounded, limit) = connected.recv().map_err(|_| lost())??;
        let link = Arc::new(Link {
            functions,
            commands,
            limit,
            deliveries,
            call_timeout,
            next: AtomicU64::new(first),
            is_bounded,
            state: Mutex::new(State::default()),
            idle: Condvar::new(),
        });
        let settler = Arc::clone(&link);
        let results = thread::Builder::new()
            .name("cluster-results".to_owned())
            .spawn(move || settler.settle_all(&to_settle, observer))
            .map_err(start)?;
        Ok(Cluster {
            link,
            threads: Some([client, results]),
        })
    }
}

/// Takes the name of a submitter, and subscribes to what it is told and to what the
/// workers announce.
async fn enter(
    connection: &mut Connection,
    obstacle: &Obstacle,
) -> Result<(String, [Subscriber; 2]), ClusterError> {
    let id = match connection.settings.durable.as_deref() {
        None => connect::unique(&connection.client),
        Some(name) if connect::is_in_use(connection, name, obstacle).await => {
            let name = name.to_owned();
            return Err(ClusterError::NameInUse { name });
        }
        Some(name) => names::durable(name),
    };
    let names = connection.names.clone();
    let subjects = [names.of_submitter(&id), names.announcements()];
    let [mut inbox, announcements] = connection.subscribe(subjects).await?;
    let to_submitter = names.to_submitter(&id);
    connection.check_rights(to_submitter, &mut inbox).await?;
    Ok((id, [inbox, announcements]))
}

impl fmt::Debug for ClusterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder")
            .field("settings", &self.settings)
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}
