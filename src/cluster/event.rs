//! [`ClusterEvent`]: what happens to a cluster beside its calls.

use crate::unwind;

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
pub(super) struct Observer(Option<Box<dyn FnMut(ClusterEvent) + Send>>);

impl Observer {
    pub(super) fn new(observer: impl FnMut(ClusterEvent) + Send + 'static) -> Self {
        Self(Some(Box::new(observer)))
    }

    /// Runs foreign code.
    pub(super) fn tell(&mut self, event: ClusterEvent) {
        if let Some(observer) = &mut self.0 {
            observer(event);
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // A closure's drop is foreign, and may come with the end of a thread.
        unwind::discard(self.0.take());
    }
}
