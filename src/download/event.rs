//! [`Event`] and [`Observer`]: what happens during a run, as it happens.

use super::error::DownloadError;
use super::job::Job;
use super::report::Entry;
use std::time::Duration;

/// Something that happened during a run.
///
/// The first event of a job is `Started` and the last `Finished`; between them, `Bytes`
/// and `Retrying` come any number of times. A job that no worker starts, such as one
/// with an invalid URL, has only `Finished`. The events of different jobs are mixed.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{Downloader, Event, Job};
/// use std::sync::mpsc;
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
/// let (sender, events) = mpsc::channel();
/// let observer = move |event: &Event<'_, &str>| {
///     let text = match event {
///         Event::Started { key, .. } => format!("{key}: started"),
///         Event::Bytes { key, total, expected: Some(all), .. } => format!("{key}: {total} of {all}"),
///         Event::Finished { key, entry, .. } => format!("{key}: {}", entry.status()),
///         _ => return,
///     };
///     // The receiver may be gone.
///     let _ = sender.send(text);
/// };
/// let downloader = Downloader::builder(&folder).build()?;
/// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
/// downloader.download_many(&Inline, [job], observer)?;
/// let events: Vec<_> = events.iter().collect();
/// assert_eq!(events.first().map(String::as_str), Some("BR: started"));
/// assert!(events.iter().any(|text| text == "BR: 6 of 6"));
/// assert_eq!(events.last().map(String::as_str), Some("BR: ok"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        /// The position of the job in the input, from 0.
        number: u64,
        /// Bytes received since the last such event.
        received: u64,
        /// Bytes of the file so far, with those of a part that was resumed; less than
        /// before if the download had to start over.
        total: u64,
        /// Bytes of the whole file, if the server has sent the length.
        expected: Option<u64>,
    },
    /// An attempt has failed and will be retried.
    #[non_exhaustive]
    Retrying {
        /// The key of the job.
        key: &'a K,
        /// The position of the job in the input, from 0.
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
/// and `Retrying` concurrently, and the download waits while they are handled;
/// `Finished` one at a time and in the order in which jobs finish, also while the
/// next job is being read. The events of jobs that no worker has started, such as one
/// with an invalid URL, may be sent on the calling thread. A panic in an observer is
/// caught and counted in the [`Report`](super::Report), and the run goes on.
///
/// Closures that take `&Event` are observers, and `()` is the one that does nothing. An
/// observer is `'static`, as the tasks of an executor are, so it keeps what it counts in
/// an `Arc` or a static, or sends what it has seen to a channel.
/// [`Downloader::download_many_scoped`](super::Downloader::download_many_scoped) takes a
/// closure that borrows.
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
    ///
    /// # Examples
    ///
    /// A type of one's own can be an observer too:
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Event, Job, Observer};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// /// Counts the bytes of all runs.
    /// #[derive(Clone, Default)]
    /// struct Meter(Arc<AtomicU64>);
    ///
    /// impl<K> Observer<K> for Meter {
    ///     fn on_event(&self, event: &Event<'_, K>) {
    ///         if let Event::Bytes { received, .. } = event {
    ///             self.0.fetch_add(*received, Ordering::Relaxed);
    ///         }
    ///     }
    /// }
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let meter = Meter::default();
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// downloader.download_many(&Inline, [job], meter.clone())?;
    /// assert_eq!(meter.0.load(Ordering::Relaxed), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
