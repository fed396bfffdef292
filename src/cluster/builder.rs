//! [`ClusterBuilder`]: what can be set about a cluster.

use super::connect;
use super::error::ClusterError;
use super::large;
use super::settings::{Login, Settings, Storage, connection_settings};
use super::submitter::{self, Identity};
use super::{Cluster, Link, State};
use crate::function::Functions;
use crate::sync::{Condvar, Mutex, unbounded};
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
#[derive(Debug)]
#[must_use = "a builder does nothing until connect() is called"]
pub struct ClusterBuilder {
    functions: Functions,
    settings: Settings,
    deliveries: u32,
    grace: Duration,
}

impl ClusterBuilder {
    pub(super) fn new(url: &str, functions: Functions) -> Self {
        Self {
            functions,
            settings: Settings::new(url),
            deliveries: 3,
            grace: Duration::from_secs(10),
        }
    }

    connection_settings!();

    /// Sets how many workers may die while they have a call; 3 by default, and 1
    /// at least. Then it is given up, with
    /// [`JoinError::WorkersLost`](crate::JoinError::WorkersLost).
    pub fn deliveries(mut self, workers: u32) -> Self {
        self.deliveries = workers.max(1);
        self
    }

    /// Sets how long a call may wait for a worker that has its function, while
    /// others are there; 10 seconds by default. Then it ends with
    /// [`CallError::Unserved`](crate::CallError::Unserved). Without any worker a
    /// call waits.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Connects, and makes the queue if there is none.
    ///
    /// Blocks until connected, for the
    /// [`connect_timeout`](Self::connect_timeout) at most.
    ///
    /// # Errors
    ///
    /// [`ClusterError`], which names the server.
    pub fn connect(self) -> Result<Cluster, ClusterError> {
        let Self {
            functions,
            settings,
            deliveries,
            grace,
        } = self;
        let (commands, to_obey) = unbounded_channel();
        let (settlements, to_settle) = unbounded();
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
                    let connection = match connect::connect(&settings).await {
                        Ok(connection) => connection,
                        Err(error) => return drop(report.send(Err(error))),
                    };
                    let id = connect::unique(&connection.client);
                    let of_submitter = connection.names.of_submitter(&id);
                    let announcements = connection.names.announcements();
                    let mut subscriptions = Vec::new();
                    for subject in [of_submitter, announcements] {
                        match connection.client.subscribe(subject).await {
                            Ok(subscription) => subscriptions.push(subscription),
                            Err(error) => {
                                let error = ClusterError::Start(error.to_string());
                                return drop(report.send(Err(error)));
                            }
                        }
                    }
                    let is_bounded = connection.settings.queue_capacity.is_some();
                    let limit = large::limit(connection.client.server_info().max_payload);
                    if report.send(Ok((is_bounded, limit))).is_ok() {
                        let identity = Identity { id, grace };
                        submitter::serve(connection, identity, subscriptions, to_obey, settlements)
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
            next: AtomicU64::new(0),
            is_bounded,
            state: Mutex::new(State::default()),
            idle: Condvar::new(),
        });
        let settler = Arc::clone(&link);
        let results = thread::Builder::new()
            .name("cluster-results".to_owned())
            .spawn(move || settler.settle_all(&to_settle))
            .map_err(start)?;
        Ok(Cluster {
            link,
            threads: Some([client, results]),
        })
    }
}
