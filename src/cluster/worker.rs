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
    /// [`stop_grace`](WorkerBuilder::stop_grace). From this call on the two
    /// signals do not end the process by themselves.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if it cannot connect. A connection that is lost later is
    /// made again.
    pub fn run(self) -> Result<(), ClusterError> {
        self.serve(None)
    }

    /// Serves until the token is cancelled, and then ends as [`run`](Self::run)
    /// does. Leaves signals alone.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if it cannot connect.
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
                let connection = connect::connect(&settings).await?;
                let local = |functions: &Functions| Arc::new(Local(functions.clone())) as _;
                let (threads, route): (_, Arc<dyn Route>) = match &pool {
                    Pool::Threads(threads) => (threads, local(&functions)),
                    Pool::Processes(processes) => match processes.place() {
                        Place::There(threads, route) => (threads, route),
                        _ => unreachable!("a process pool's functions run there"),
                    },
                };
                let slots = Slots::new(threads, route, functions.clone());
                serve::serve(connection, slots, stop_grace, stop)
                    .await
                    .map_err(|error| ClusterError::Start(error.to_string()))
            })
        };
        // A thread of its own, since this one may be of a runtime.
        let served = thread::scope(|scope| {
            let thread = thread::Builder::new().name("cluster".to_owned());
            let thread = thread.spawn_scoped(scope, serving).map_err(start)?;
            let ended = || ClusterError::Start("the client's thread has ended".to_owned());
            thread.join().unwrap_or_else(|_| Err(ended()))
        });
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
#[must_use = "a builder does nothing until build() is called"]
pub struct WorkerBuilder {
    settings: Settings,
    functions: Functions,
    kind: Kind,
    stop_grace: Duration,
}

impl WorkerBuilder {
    connection_settings!();

    /// Runs so many calls at the same time, on threads of this process; as many
    /// as there are processors by default.
    ///
    /// A call that crashes ends the worker, and all calls that it had run again
    /// elsewhere; see [`deliveries`](super::ClusterBuilder::deliveries). A thread
    /// cannot be stopped: a cancelled call runs to its end, and its result is
    /// dropped.
    pub fn threads(mut self, threads: usize) -> Self {
        self.kind = Kind::Threads(threads);
        self
    }

    /// Runs so many calls at the same time, each in a child process.
    ///
    /// A call that crashes fails alone, with
    /// [`JoinError::Died`](crate::JoinError::Died), and a cancelled call is
    /// killed. The program calls [`Functions::init`] first thing in `main`.
    pub fn processes(mut self, processes: usize) -> Self {
        self.kind = Kind::Processes(processes);
        self
    }

    /// Runs the calls in the processes of this pool, with its limits of memory,
    /// time and calls.
    pub fn process_pool(mut self, pool: ProcessPoolBuilder) -> Self {
        self.kind = Kind::Pool(Box::new(pool));
        self
    }

    /// Sets how long calls that run may take to end after the worker was asked
    /// to stop; 30 seconds by default. Those that have not ended by then run
    /// again elsewhere.
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
