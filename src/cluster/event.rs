//! [`ClusterEvent`]: what happens to a cluster beside its calls.

/// What happens to a [`Cluster`](super::Cluster) beside its calls; told to its
/// [`observer`](super::ClusterBuilder::observer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// Calls wait, and no worker of the queue was heard of for two leases. Told
    /// once, and again only after there was one.
    NoWorkers,
    /// The last worker of the queue was not heard of for two leases.
    WorkersLost,
    /// The connection to the server is there again.
    Connected,
    /// The connection to the server was lost. Calls wait, and the client connects
    /// again by itself.
    Disconnected,
}

/// Who is told.
pub(super) type Observer = Box<dyn FnMut(ClusterEvent) + Send>;
