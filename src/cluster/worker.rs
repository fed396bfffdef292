//! [`Worker`]: a process that runs the calls of a queue.

use super::connect;
use super::error::ClusterError;
use super::local::Local;
use super::serve::{self, Slots};
use super::settings::{Login, Settings, Storage, connection_settings};
use crate::function::{Functions, Place, Places as _, Route};
use crate::process_pool::{ProcessPool, ProcessPoolBuilder};
use crate::sync::processors;
use crate::task::CancelToken;
use crate::thread_pool::ThreadPool;
use std::fmt;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the calls of a queue, on threads or in child processes; made by
/// [`Worker::builder`].
///
/// A worker is a program with the same functions as the submitters, and as many
/// of it may run, on as many machines, as there is work for. They may come and
/// go at any time.
///
/// # Examples
///
/// ```no_run
/// use as_completed::cluster::Worker;
/// use as_completed::function::{Function, Functions};
///
/// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let functions = Functions::new().with(SQUARE);
///     functions.init(); // a child process serves here, and never returns
///     Worker::builder("nats://localhost", functions).processes(4).build()?.run()?;
///     Ok(())
/// }
/// ```
pub struct Worker {
    settings: Settings,
    functions: Functions,
    pool: Pool,
    stop_grace: Duration,
}

enum Pool {
    Threads(ThreadPool),
    Processes(ProcessPool),
}

impl Worker {
    /// Returns a builder for a worker of the server at `url`, such as
    /// `nats://localhost`; several servers of a group are separated by commas.
    ///
    /// The worker runs the calls of `functions` and no others.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::Worker;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let worker = Worker::builder("nats://localhost", functions).queue("nightly").build()?;
    /// # drop(worker);
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn builder(url: &str, functions: Functions) -> WorkerBuilder {
        WorkerBuilder {
            settings: Settings::new(url),
            functions,
            kind: Kind::Threads(processors()),
            stop_grace: Duration::from_secs(30),
        }
    }

    /// Serves until the process is asked to end, by SIGTERM or SIGINT.
    ///
    /// Then it takes no more calls, gives back those that have not started, and
    /// returns when those that run have ended, or after the
    /// [`stop_grace`](WorkerBuilder::stop_grace). Once it is connected, the two
    /// signals no longer end the process by themselves, also after it has returned.
    ///
    /// Blocks meanwhile. A call that runs on a thread when the grace is over is not
    /// waited for, and ends with the process.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if it cannot connect. A connection that is lost later is
    /// made again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Worker;
    /// use as_completed::function::{Function, Functions};
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let worker = Worker::builder("nats://localhost", functions).threads(8).build()?;
    /// worker.run()?; // until Ctrl-C, or until its service is stopped
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    pub fn run(self) -> Result<(), ClusterError> {
        self.serve(None)
    }

    /// Serves until the token is cancelled, and then ends as [`run`](Self::run)
    /// does. Leaves signals alone.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if it cannot connect. A connection that is lost later is
    /// made again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::CancelToken;
    /// use as_completed::cluster::{Cluster, Worker};
    /// use as_completed::function::{Function, Functions};
    /// use std::thread;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let worker = Worker::builder("nats://localhost", functions.clone()).threads(2).build()?;
    /// let stop = CancelToken::new();
    /// let token = stop.clone();
    /// let serving = thread::spawn(move || worker.run_until(&token));
    ///
    /// let cluster = Cluster::connect("nats://localhost", functions)?;
    /// assert_eq!(cluster.call(SQUARE, 7).join()?, 49);
    /// stop.cancel();
    /// serving.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_until(self, token: &CancelToken) -> Result<(), ClusterError> {
        self.serve(Some(token))
    }

    fn serve(self, token: Option<&CancelToken>) -> Result<(), ClusterError> {
        let Self {
            settings,
            functions,
            pool,
            stop_grace,
        } = self;
        let start = |error: std::io::Error| ClusterError::Start(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(start)?;
        let (stop, mut stopped) = tokio::sync::mpsc::unbounded_channel();
        let on_cancel = token.map(|token| {
            token.on_cancel(move || {
                // Nobody hears it once serving has ended.
                let _ = stop.send(());
            })
        });
        let serving = || {
            runtime.block_on(async {
                let stop = async {
                    if token.is_some() {
                        stopped.recv().await;
                        return;
                    }
                    signalled().await;
                };
                let connected = connect::connect(&settings, async |_, _| Ok(()));
                let (connection, ()) = connected.await?;
                let local = |functions: &Functions| Arc::new(Local(functions.clone())) as _;
                let (threads, route): (_, Arc<dyn Route>) = match &pool {
                    Pool::Threads(threads) => (threads, local(&functions)),
                    Pool::Processes(processes) => match processes.place() {
                        Place::There(threads, route) => (threads, route),
                        _ => unreachable!("a process pool's functions run there"),
                    },
                };
                let slots = Slots::new(threads, route, functions.clone());
                serve::serve(connection, slots, stop_grace, stop).await
            })
        };
        // A thread of its own, since this one may be of a runtime.
        let served = thread::scope(|scope| {
            let thread = thread::Builder::new().name("cluster".to_owned());
            let thread = thread.spawn_scoped(scope, serving).map_err(start)?;
            let ended = || ClusterError::Start("the client's thread has ended".to_owned());
            thread.join().unwrap_or_else(|_| Err(ended()))
        });
        // Does not wait for a name that is being resolved.
        runtime.shutdown_background();
        drop(on_cancel);
        match &pool {
            Pool::Processes(processes) => processes.kill(),
            // What still runs cannot be stopped; it is not waited for.
            Pool::Threads(threads) if threads.active_count() > 0 => {
                threads.shutdown();
                let _ = thread::Builder::new().spawn(move || drop(pool));
            }
            Pool::Threads(_) => {}
        }
        served
    }
}

/// Waits for SIGTERM or SIGINT.
async fn signalled() {
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    poll_fn(|context| {
        let came = |signal: &mut std::io::Result<Signal>| {
            signal
                .as_mut()
                .is_ok_and(|signal| signal.poll_recv(context).is_ready())
        };
        if signals.iter_mut().any(came) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("settings", &self.settings)
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

enum Kind {
    Threads(usize),
    Processes(usize),
    Pool(Box<ProcessPoolBuilder>),
}

/// Sets up a [`Worker`]; made by [`Worker::builder`].
///
/// A queue that exists keeps its settings, whether a cluster or a worker has made it:
/// what is not set here is as the queue has it, and what is set differently is an error.
///
/// # Examples
///
/// ```
/// use as_completed::cluster::Worker;
/// use as_completed::function::{Function, Functions};
/// use std::time::Duration;
///
/// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
///
/// let functions = Functions::new().with(SQUARE);
/// functions.init();
/// let worker = Worker::builder("nats://localhost", functions)
///     .queue("nightly")
///     .processes(4)
///     .stop_grace(Duration::from_secs(60))
///     .build()?;
/// # drop(worker);
/// # Ok::<(), as_completed::cluster::ClusterError>(())
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct WorkerBuilder {
    settings: Settings,
    functions: Functions,
    kind: Kind,
    stop_grace: Duration,
}

impl WorkerBuilder {
    connection_settings!(
        "",
        "use as_completed::cluster::Worker;
use as_completed::function::Functions;
",
        "let worker = Worker::builder(\"nats://localhost\", Functions::new())",
        ".build()?;"
    );

    /// Runs so many calls at the same time, on threads of this process; as many
    /// as there are processors by default. 0 makes [`build`](Self::build) fail.
    ///
    /// A call that crashes ends the worker, and all calls that it had run again
    /// elsewhere; see [`deliveries`](super::ClusterBuilder::deliveries). A thread
    /// cannot be stopped: a cancelled call runs to its end, and its result is
    /// dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::{ClusterError, Worker};
    /// use as_completed::function::Functions;
    ///
    /// let builder = || Worker::builder("nats://localhost", Functions::new());
    /// assert!(builder().threads(32).build().is_ok()); // for calls that wait more than they compute
    /// assert!(matches!(builder().threads(0).build(), Err(ClusterError::Settings(_))));
    /// ```
    pub fn threads(mut self, threads: usize) -> Self {
        self.kind = Kind::Threads(threads);
        self
    }

    /// Runs so many calls at the same time, each in a child process. 0 makes
    /// [`build`](Self::build) fail.
    ///
    /// A call that crashes fails alone, with
    /// [`JoinError::Died`](crate::JoinError::Died), and a cancelled call is
    /// killed. The program calls [`Functions::init`] first thing in `main`.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::{ClusterError, Worker};
    /// use as_completed::function::Functions;
    ///
    /// let functions = Functions::new();
    /// let builder = || Worker::builder("nats://localhost", functions.clone()).processes(4);
    /// assert!(matches!(builder().build(), Err(ClusterError::Processes(_))));
    /// functions.init(); // what was missing
    /// assert!(builder().build().is_ok());
    /// ```
    pub fn processes(mut self, processes: usize) -> Self {
        self.kind = Kind::Processes(processes);
        self
    }

    /// Runs the calls in the processes of a pool with these settings, such as limits of
    /// memory, time and calls. Its functions are those of the worker. Its
    /// `queue_capacity` has no effect: the queue is that of the cluster.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::Worker;
    /// use as_completed::function::Functions;
    /// use as_completed::process::ProcessPool;
    ///
    /// let functions = Functions::new();
    /// functions.init();
    /// let pool = ProcessPool::builder(functions.clone()).max_workers(4).memory_limit(1 << 30);
    /// let worker = Worker::builder("nats://localhost", functions).process_pool(pool).build();
    /// assert!(worker.is_ok());
    /// ```
    pub fn process_pool(mut self, pool: ProcessPoolBuilder) -> Self {
        self.kind = Kind::Pool(Box::new(pool));
        self
    }

    /// Sets how long calls that run may take to end after the worker was asked
    /// to stop; 30 seconds by default. Those that have not ended by then run
    /// again elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::Worker;
    /// use as_completed::function::Functions;
    /// use std::time::Duration;
    ///
    /// let worker = Worker::builder("nats://localhost", Functions::new())
    ///     .stop_grace(Duration::from_secs(5)) // less than its service manager waits
    ///     .build();
    /// assert!(worker.is_ok());
    /// ```
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// Creates the worker. Connects only when it is run.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if a setting makes no sense, or if processes are asked
    /// for and [`Functions::init`] was not called.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::cluster::{ClusterError, Worker};
    /// use as_completed::function::Functions;
    ///
    /// let builder = || Worker::builder("nats://localhost", Functions::new());
    /// assert!(builder().queue("nightly").build().is_ok()); // there need be no server yet
    /// assert!(matches!(builder().queue("every night").build(), Err(ClusterError::Settings(_))));
    /// ```
    pub fn build(self) -> Result<Worker, ClusterError> {
        self.settings.check()?;
        let threads = |threads| {
            let pool = ThreadPool::builder()
                .max_workers(threads)
                .thread_name("cluster-worker");
            pool.build()
                .map_err(|error| ClusterError::Settings(error.to_string()))
        };
        let pool = match self.kind {
            Kind::Threads(number) => Pool::Threads(threads(number)?),
            Kind::Processes(number) => {
                Pool::Processes(ProcessPool::new(number, self.functions.clone())?)
            }
            // The bound is that of the cluster's queue.
            Kind::Pool(builder) => Pool::Processes(builder.queue_capacity(usize::MAX).build()?),
        };
        Ok(Worker {
            settings: self.settings,
            functions: self.functions,
            pool,
            stop_grace: self.stop_grace,
        })
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("settings", &self.settings)
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}
