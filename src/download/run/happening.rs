//! [`Happening`]: what an event says besides the job that it is about.

use crate::download::error::DownloadError;
use crate::download::event::Event;
use crate::download::job::Job;
use std::time::Duration;

/// What happened to a job that is not over; see [`Event`].
#[derive(Debug)]
pub(crate) enum Happening {
    Started,
    Bytes {
        received: u64,
        total: u64,
        expected: Option<u64>,
    },
    Retrying {
        error: DownloadError,
        retry: u32,
        delay: Duration,
    },
}

impl Happening {
    /// The event that an observer is told.
    pub(crate) fn event<'a, K>(&'a self, job: &'a Job<K>, number: u64) -> Event<'a, K> {
        let key = job.key();
        match self {
            Self::Started => Event::Started { key, job, number },
            Self::Bytes {
                received,
                total,
                expected,
            } => Event::Bytes {
                key,
                number,
                received: *received,
                total: *total,
                expected: *expected,
            },
            Self::Retrying {
                error,
                retry,
                delay,
            } => Event::Retrying {
                key,
                number,
                error,
                retry: *retry,
                delay: *delay,
            },
        }
    }
}
