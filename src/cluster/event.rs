//! [`ClusterEvent`]: what happens to a cluster beside its calls.

/// What happens to a [`Cluster`](super::Cluster) beside its calls; told to its
/// [`observer`](super::ClusterBuilder::observer).
///
/// # Examples
///
/// ```no_run
/// use as_completed::cluster::{Cluster, ClusterEvent};
/// use as_completed::function::{Function, Functions};
///
/// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
///
/// let cluster = Cluster::builder("nats://localhost", Functions::new().with(SQUARE))
///     .observer(|event| match event {
///         ClusterEvent::NoWorkers | ClusterEvent::WorkersLost => eprintln!("start a worker"),
///         ClusterEvent::Disconnected => eprintln!("no server: calls wait"),
///         _ => eprintln!("{event:?}"),
///     })
///     .connect()?;
/// assert_eq!(cluster.call(SQUARE, 7).join()?, 49);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// Calls wait, and no worker of the queue was heard of for two leases. Told
    /// once, and again only after there was one.
    NoWorkers,
    /// The last worker of the queue was not heard of for two leases.
    WorkersLost,
    /// The connection to the server was lost and is restored.
    Connected,
    /// The connection to the server was lost. Calls wait, and the client connects
    /// again by itself.
    Disconnected,
}

/// Who is told.
pub(super) type Observer = Box<dyn FnMut(ClusterEvent) + Send>;
