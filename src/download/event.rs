//! [`Event`] and [`Observer`]: what happens during a run, as it happens.

use super::error::DownloadError;
use super::job::Job;
use super::report::Entry;
use std::time::Duration;

/// Something that happened during a run.
///
/// The events of one job come in the order of the variants here, each `Bytes`
/// and `Retrying` any number of times; those of different jobs are mixed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a, K> {
    /// A worker has started the job.
    #[non_exhaustive]
    Started {
        /// The key of the job.
        key: &'a K,
        /// The job.
        job: &'a Job<K>,
        /// The position of the job in the input, from 0.
        number: u64,
    },
    /// Some of the body has been received.
    #[non_exhaustive]
    Bytes {
        /// The key of the job.
        key: &'a K,
        /// The place of the job in the input, from 0.
        number: u64,
        /// Bytes received since the last such event.
        received: u64,
        /// Bytes of the file so far; less than before if the download had to
        /// start over.
        total: u64,
        /// Bytes of the whole file, if the server has sent the length.
        expected: Option<u64>,
    },
    /// An attempt has failed and will be retried.
    #[non_exhaustive]
    Retrying {
        /// The key of the job.
        key: &'a K,
        /// The place of the job in the input, from 0.
        number: u64,
        /// Why the attempt failed.
        error: &'a DownloadError,
        /// Which retry comes next, from 1.
        retry: u32,
        /// The delay before it.
        delay: Duration,
    },
    /// The job has ended, successfully or not.
    #[non_exhaustive]
    Finished {
        /// The key of the job.
        key: &'a K,
        /// The job's entry in the report.
        entry: &'a Entry<K>,
    },
}

/// Receives the events of a run.
///
/// They are sent on the threads of the executor, as they happen: `Started`, `Bytes`
/// and `Retrying` concurrently, and they delay the download while they are handled;
/// `Finished` one at a time and in the order in which jobs finish, also while the
/// next job is being read. Those of jobs that no worker has started, such as one
/// with an invalid URL, may be sent on the calling thread. A panic in an observer is
/// caught and counted in the [`Report`](super::Report), and the run goes on.
///
/// Closures over `&Event` are observers, and `()` is the one that does nothing. An
/// observer borrows nothing, since the tasks of an executor may not: what it counts is
/// in an `Arc` or a static, or it sends what it has seen to a channel.
///
/// # Examples
///
/// ```
/// use as_completed::download::{Event, Observer};
///
/// let print_failures = |event: &Event<'_, String>| {
///     if let Event::Finished { key, entry, .. } = event {
///         if let Some(error) = entry.error() {
///             eprintln!("{key}: {error}");
///         }
///     }
/// };
///
/// let (sender, received_bytes) = std::sync::mpsc::channel();
/// let send_bytes = move |event: &Event<'_, String>| {
///     if let Event::Bytes { received, .. } = event {
///         // Nobody may be listening any more.
///         let _ = sender.send(*received);
///     }
/// };
/// # fn check(_: impl Observer<String> + 'static) {}
/// # check(print_failures);
/// # check(send_bytes);
/// # assert!(received_bytes.recv().is_err());
/// ```
pub trait Observer<K>: Send + Sync {
    /// Receives one event.
    fn on_event(&self, event: &Event<'_, K>);
}

impl<K, F> Observer<K> for F
where
    F: Fn(&Event<'_, K>) + Send + Sync,
{
    fn on_event(&self, event: &Event<'_, K>) {
        self(event);
    }
}

impl<K> Observer<K> for () {
    fn on_event(&self, _event: &Event<'_, K>) {}
}
