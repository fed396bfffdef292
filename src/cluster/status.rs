//! [`ClusterStatus`]: what a queue and its workers do.

use super::message::Announcement;
use std::time::Duration;

/// What a queue and its workers do; returned by
/// [`Cluster::status`](super::Cluster::status).
///
/// # Examples
///
/// ```no_run
/// use as_completed::cluster::Cluster;
/// use as_completed::function::Functions;
///
/// let cluster = Cluster::connect("nats://localhost", Functions::new())?;
/// let status = cluster.status()?;
/// let slots: usize = status.workers.iter().map(|worker| worker.slots).sum();
/// println!("{} calls wait for {slots} slots", status.queued());
/// assert!(status.queued() <= status.calls);
/// # Ok::<(), as_completed::cluster::ClusterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// The number of calls that have not ended, running ones included, of all
    /// submitters.
    pub calls: u64,
    /// The workers, by host and process.
    pub workers: Vec<WorkerStatus>,
}

impl ClusterStatus {
    /// Returns how many calls run now, on all workers.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::Functions;
    ///
    /// let cluster = Cluster::connect("nats://localhost", Functions::new())?;
    /// let status = cluster.status()?;
    /// let slots: usize = status.workers.iter().map(|worker| worker.slots).sum();
    /// assert!(status.running() <= slots);
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn running(&self) -> usize {
        self.workers.iter().map(|worker| worker.running.len()).sum()
    }

    /// Returns how many calls wait for a worker.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::Functions;
    ///
    /// let cluster = Cluster::connect("nats://localhost", Functions::new())?;
    /// let status = cluster.status()?;
    /// if status.queued() > 10_000 {
    ///     eprintln!("start more workers: there are {}", status.workers.len());
    /// }
    /// # assert!(status.queued() <= status.calls);
    /// # Ok::<(), as_completed::cluster::ClusterError>(())
    /// ```
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.calls.saturating_sub(self.running() as u64)
    }
}

/// What one worker does.
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
///     assert!(worker.functions.contains(&"area v2".to_owned()), "{} is old", worker.host);
/// }
/// # Ok::<(), as_completed::cluster::ClusterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// The name of its machine.
    pub host: String,
    /// The id of its process.
    pub pid: u32,
    /// How many calls it runs at the same time.
    pub slots: usize,
    /// The names of the functions that it serves, with their versions where they
    /// have one: `area v2`.
    pub functions: Vec<String>,
    /// The calls that it runs.
    pub running: Vec<RunningCall>,
}

/// A call that a worker runs.
///
/// # Examples
///
/// ```no_run
/// use as_completed::cluster::Cluster;
/// use as_completed::function::Functions;
/// use std::time::Duration;
///
/// let cluster = Cluster::connect("nats://localhost", Functions::new())?;
/// let status = cluster.status()?;
/// for worker in &status.workers {
///     for call in &worker.running {
///         assert!(call.elapsed < Duration::from_secs(3600), "{} hangs", call.function);
///     }
/// }
/// # Ok::<(), as_completed::cluster::ClusterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningCall {
    /// The name of the function.
    pub function: String,
    /// For how long it has been running on this worker.
    pub elapsed: Duration,
}

impl From<&Announcement> for WorkerStatus {
    fn from(announcement: &Announcement) -> Self {
        let functions = announcement.functions.iter();
        let running = announcement.running.iter();
        Self {
            host: announcement.host.clone(),
            pid: announcement.pid,
            slots: announcement.slots,
            functions: functions.map(ToString::to_string).collect(),
            running: running
                .map(|(function, elapsed)| RunningCall {
                    function: function.clone(),
                    elapsed: *elapsed,
                })
                .collect(),
        }
    }
}
