//! [`ClusterError`]: why a cluster or a worker could not be connected.

use thiserror::Error;

/// Why a [`Cluster`](super::Cluster) or a [`Worker`](super::Worker) could not
/// connect to its queue, or did not learn what it asked of the server.
///
/// # Examples
///
/// ```
/// use as_completed::cluster::{Cluster, ClusterError};
/// use as_completed::function::Functions;
///
/// let error = Cluster::connect("nats://127.0.0.1:1", Functions::new()).unwrap_err();
/// assert!(matches!(error, ClusterError::Unreachable { .. }));
/// assert!(error.to_string().starts_with("cannot reach the NATS server at nats://127.0.0.1:1: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A setting makes no sense.
    #[error("{0}")]
    Settings(String),
    /// No server answered within the connect timeout.
    #[error("cannot reach the NATS server at {server}: {cause}")]
    Unreachable {
        /// The address, or the addresses.
        server: String,
        /// What the client said.
        cause: String,
    },
    /// The server did not accept the user, the password, the token or the key.
    #[error("the NATS server at {server} does not accept these credentials")]
    Credentials {
        /// The address, or the addresses.
        server: String,
    },
    /// The user is known and lacks a right.
    #[error("the NATS server at {server} refuses: {cause}")]
    Forbidden {
        /// The address, or the addresses.
        server: String,
        /// What the server said, with the subject.
        cause: String,
    },
    /// The server runs without `JetStream`, or it is off for the account.
    #[error("the NATS server at {server} runs without JetStream: start it with -js")]
    NoJetStream {
        /// The address, or the addresses.
        server: String,
    },
    /// The queue exists with other settings.
    #[error("queue {queue:?} exists with {setting} {found}, where {wanted} is asked for")]
    Mismatch {
        /// The name of the queue.
        queue: String,
        /// The setting that differs.
        setting: &'static str,
        /// What is asked for here.
        wanted: String,
        /// What the queue has.
        found: String,
    },
    /// The queue could not be made.
    #[error("cannot create queue {queue:?}: {cause}")]
    Queue {
        /// The name of the queue.
        queue: String,
        /// What the server said.
        cause: String,
    },
    /// Another cluster with this durable name is connected to the queue.
    #[error("a cluster with the durable name {name:?} is connected already")]
    NameInUse {
        /// The name.
        name: String,
    },
    /// An argument that was stored cannot be decoded: its type has changed.
    #[error("cannot decode a stored argument of function {function:?}: {cause}")]
    Argument {
        /// The name of the function.
        function: String,
        /// Why.
        cause: String,
    },
    /// The child processes of a worker could not be set up.
    #[error(transparent)]
    Processes(#[from] crate::process::ProcessBuildError),
    /// A thread or a signal handler could not be set up.
    #[error("cannot start the client: {0}")]
    Start(String),
}
