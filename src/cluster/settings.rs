//! What submitters and workers of a queue set alike.

use super::error::ClusterError;
use super::names;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the server keeps the calls of a queue.
///
/// # Examples
///
/// ```
/// use as_completed::cluster::{Storage, Worker};
/// use as_completed::function::Functions;
///
/// let worker = Worker::builder("nats://localhost", Functions::new())
///     .queue("thumbnails")
///     .storage(Storage::Memory) // if the worker is the first to come
///     .build()?;
/// assert_eq!(Storage::default(), Storage::File);
/// # drop(worker);
/// # Ok::<(), as_completed::cluster::ClusterError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// In files: calls survive a restart of the server.
    #[default]
    File,
    /// In memory: calls do not survive a restart of the server, but the submitters that
    /// still live send theirs again.
    Memory,
}

impl Storage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Memory => "memory",
        }
    }
}

/// How the client proves who it is.
#[derive(Clone)]
pub(super) enum Login {
    None,
    User(String, String),
    Token(String),
    Nkey(String),
    File(PathBuf),
}

/// The settings of a connection to a queue.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) servers: Vec<String>,
    pub(super) queue: String,
    /// The name of a submitter whose calls outlive it.
    pub(super) durable: Option<String>,
    /// What is not set here is as the queue has it.
    pub(super) lease: Option<Duration>,
    pub(super) queue_capacity: Option<usize>,
    pub(super) replicas: Option<usize>,
    pub(super) storage: Option<Storage>,
    pub(super) connect_timeout: Duration,
    pub(super) login: Login,
    pub(super) roots: Vec<PathBuf>,
    pub(super) client_certificate: Option<(PathBuf, PathBuf)>,
}

const LEAST_LEASE: Duration = Duration::from_millis(100);

impl Settings {
    pub(super) fn new(url: &str) -> Self {
        Self {
            servers: url.split(',').map(|url| url.trim().to_owned()).collect(),
            queue: "default".to_owned(),
            durable: None,
            lease: None,
            queue_capacity: None,
            replicas: None,
            storage: None,
            connect_timeout: Duration::from_secs(5),
            login: Login::None,
            roots: Vec::new(),
            client_certificate: None,
        }
    }

    /// The addresses, as errors name them.
    pub(super) fn server(&self) -> String {
        self.servers.join(", ")
    }

    pub(super) fn check(&self) -> Result<(), ClusterError> {
        let wrong = |text: String| Err(ClusterError::Settings(text));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let named = [
            ("queue", Some(&self.queue)),
            ("durable", self.durable.as_ref()),
        ];
        for (what, name) in named {
            if let Some(name) = name.filter(|name| name.is_empty() || !name.chars().all(plain)) {
                return wrong(format!(
                    "the {what} name {name:?} is not made of letters, digits, _ and -"
                ));
            }
        }
        if let Some((other, ending)) = names::beside(&self.queue) {
            let name = &self.queue;
            return wrong(format!(
                "the queue name {name:?} ends in {ending}, as what is kept beside queue {other:?} does"
            ));
        }
        if self.queue_capacity == Some(0) {
            return wrong("a queue needs room for at least one call: queue_capacity is 0".into());
        }
        if self.lease.is_some_and(|lease| lease < LEAST_LEASE) {
            return wrong(format!("a lease is {LEAST_LEASE:?} or longer"));
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("servers", &self.servers)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// The setters that both builders have.
///
/// Given are the parts of the examples: the fence, what they import, and the first and
/// the last line of the statement that makes a cluster or a worker.
macro_rules! connection_settings {
    ($fence:expr, $uses:expr, $first:expr, $last:expr) => {
        /// Sets the name of the queue, `default` otherwise: letters, digits,
        /// `_` and `-`. Workers run the calls of their own queue only.
        ///
        /// A name that ends in `_large`, `_large_durable` or `_records` is an error:
        /// the server keeps what belongs to another queue under such a name.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .queue(\"nightly\")
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn queue(mut self, name: impl Into<String>) -> Self {
            self.settings.queue = name.into();
            self
        }

        /// Sets after which silence a worker or a submitter counts as dead; 3
        /// seconds by default, and 100 milliseconds at least: less is an error.
        ///
        /// A call of a dead worker runs again elsewhere. The worker renews the
        /// lease of a call while it runs, however long it takes.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "use std::time::Duration;\n", "\n", $first, "
    .lease(Duration::from_secs(30))
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn lease(mut self, lease: Duration) -> Self {
            self.settings.lease = Some(lease);
            self
        }

        /// Bounds the queue to so many calls that have not ended, running ones
        /// included, of all submitters together; unbounded by default. 0 is an error.
        ///
        /// While it is full, `call` waits for room and `try_call` gives the argument
        /// back.
        ///
        /// It bounds the memory of both sides: beside its argument, a call that waits
        /// takes about one kilobyte at its submitter and 300 bytes at the server.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .queue_capacity(100_000)
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn queue_capacity(mut self, calls: usize) -> Self {
            self.settings.queue_capacity = Some(calls);
            self
        }

        /// Sets on how many servers of a group each call is kept, 1 by default: with 3
        /// of them the queue survives the loss of one, with 5 the loss of two.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .replicas(3)
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn replicas(mut self, replicas: usize) -> Self {
            self.settings.replicas = Some(replicas);
            self
        }

        /// Sets where the server keeps the calls, in files by default.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "use as_completed::cluster::Storage;\n", "\n", $first, "
    .storage(Storage::Memory)
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn storage(mut self, storage: Storage) -> Self {
            self.settings.storage = Some(storage);
            self
        }

        /// Sets how long connecting may take, with all that is asked of the server
        /// meanwhile; 5 seconds by default. After that it is an error, which names the
        /// server. A connection that is lost later is made again, for as long as it takes.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "use std::time::Duration;\n", "\n", $first, "
    .connect_timeout(Duration::from_secs(60)) // the server may start later
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn connect_timeout(mut self, timeout: Duration) -> Self {
            self.settings.connect_timeout = timeout;
            self
        }

        /// Logs in with a user and a password. Of several logins, the last one set is
        /// used.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .user_and_password(\"alice\", std::env::var(\"NATS_PASSWORD\").unwrap_or_default())
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn user_and_password(
            mut self,
            user: impl Into<String>,
            password: impl Into<String>,
        ) -> Self {
            self.settings.login = Login::User(user.into(), password.into());
            self
        }

        /// Logs in with a token.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .token(std::env::var(\"NATS_TOKEN\").unwrap_or_default())
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn token(mut self, token: impl Into<String>) -> Self {
            self.settings.login = Login::Token(token.into());
            self
        }

        /// Logs in with the seed of an
        /// [nkey](https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth):
        /// a text that begins with `SU`.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .nkey(std::env::var(\"NATS_SEED\").unwrap_or_default())
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn nkey(mut self, seed: impl Into<String>) -> Self {
            self.settings.login = Login::Nkey(seed.into());
            self
        }

        /// Logs in with a credentials file, as
        /// [`nsc`](https://docs.nats.io/using-nats/nats-tools/nsc) writes them. It is read
        /// when the client connects.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .credentials_file(\"alice.creds\")
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
            self.settings.login = Login::File(path.into());
            self
        }

        /// Trusts the certificates in this PEM file, besides those of the
        /// system; several files add up. Use a `tls://` address, or a server that demands
        /// TLS.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .root_certificates(\"ca.pem\")
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
            self.settings.roots.push(path.into());
            self
        }

        /// Shows the server this certificate, with its key; both in PEM files.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $uses, "\n", $first, "
    .client_certificate(\"client.pem\", \"client-key.pem\")
    ", $last, "
# Ok::<(), as_completed::cluster::ClusterError>(())
```")]
        pub fn client_certificate(
            mut self,
            certificate: impl Into<PathBuf>,
            key: impl Into<PathBuf>,
        ) -> Self {
            self.settings.client_certificate = Some((certificate.into(), key.into()));
            self
        }
    };
}
pub(super) use connection_settings;
