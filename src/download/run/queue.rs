//! [`Queue`]: the jobs that are to come, looked through before they are run,
//! and held back while their host has enough.

use super::names::Names;
use crate::download::error::DownloadErrorKind;
use crate::download::job::Job;
use crate::download::net::location::Location;
use crate::download::settings::Settings;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A job that can be worked at.
pub(crate) struct QueuedJob<K> {
    pub(crate) job: Arc<Job<K>>,
    pub(crate) number: u64,
    pub(crate) location: Location,
}

impl<K> Clone for QueuedJob<K> {
    fn clone(&self) -> Self {
        Self {
            job: Arc::clone(&self.job),
            number: self.number,
            location: self.location.clone(),
        }
    }
}

/// How far the input is read ahead of what may run, per job in flight.
const LOOK_AHEAD: usize = 4;

/// The next job.
pub(crate) enum Next<K> {
    /// It can be run.
    Ready(QueuedJob<K>),
    /// It cannot, ever.
    Refused(Arc<Job<K>>, u64, DownloadErrorKind),
}

/// The jobs that are to come.
pub(crate) struct Queue<K, I> {
    input: I,
    is_over: bool,
    next_number: u64,
    names: Names,
    resumes: bool,
    hosts: Option<Hosts<K>>,
}

impl<K, I: Iterator<Item = Job<K>>> Queue<K, I> {
    pub(crate) fn new(input: I, settings: &Settings) -> Self {
        Self {
            input,
            is_over: false,
            next_number: 0,
            names: Names::new(settings.remember_names),
            resumes: settings.resume,
            hosts: settings
                .max_in_flight_per_host
                .map(|limit| Hosts::new(limit, settings.max_in_flight.saturating_mul(LOOK_AHEAD))),
        }
    }

    /// Returns the next job, or `None` if there is none, or none until another
    /// has [finished](Self::finished).
    pub(crate) fn next(&mut self) -> Option<Next<K>> {
        if let Some(queued) = self.hosts.as_mut().and_then(Hosts::next_startable) {
            return Some(Next::Ready(queued));
        }
        while !self.is_over && !self.hosts.as_ref().is_some_and(Hosts::is_full) {
            let Some(job) = self.input.next() else {
                self.is_over = true;
                break;
            };
            let number = self.next_number;
            self.next_number += 1;
            let location = match self.validate(&job) {
                Ok(location) => location,
                Err(kind) => return Some(Next::Refused(Arc::new(job), number, kind)),
            };
            let queued = QueuedJob {
                job: Arc::new(job),
                number,
                location,
            };
            let Some(hosts) = &mut self.hosts else {
                return Some(Next::Ready(queued));
            };
            if let Some(queued) = hosts.start_or_hold(queued) {
                return Some(Next::Ready(queued));
            }
        }
        None
    }

    /// Returns whether the input has been read to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    fn validate(&mut self, job: &Job<K>) -> Result<Location, DownloadErrorKind> {
        let location = Location::parse(job.url())?;
        job.wanted().required_sha256()?;
        self.names.take(job.file_name(), self.resumes)?;
        Ok(location)
    }

    /// Takes note that a job which was returned is over.
    pub(crate) fn finished(&mut self, queued: &QueuedJob<K>) {
        self.names.release(queued.job.file_name());
        if let Some(hosts) = &mut self.hosts {
            hosts.finished(queued.location.authority());
        }
    }

    /// Returns the jobs that have been read and not returned.
    pub(crate) fn held_back(&mut self) -> Vec<QueuedJob<K>> {
        self.hosts.as_mut().map_or_else(Vec::new, Hosts::held_back)
    }
}

/// The hosts of jobs that run or wait.
struct Hosts<K> {
    limit: usize,
    most_waiting: usize,
    busy: HashMap<String, Host<K>>,
    waiting: usize,
    /// Those whose host has room for them again.
    startable: VecDeque<QueuedJob<K>>,
}

struct Host<K> {
    running: usize,
    waiting: VecDeque<QueuedJob<K>>,
}

impl<K> Hosts<K> {
    fn new(limit: usize, most_waiting: usize) -> Self {
        Self {
            limit,
            most_waiting,
            busy: HashMap::new(),
            waiting: 0,
            startable: VecDeque::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.waiting >= self.most_waiting
    }

    fn next_startable(&mut self) -> Option<QueuedJob<K>> {
        self.startable.pop_front()
    }

    /// Gives the job back if its host has room for it, else keeps it.
    fn start_or_hold(&mut self, queued: QueuedJob<K>) -> Option<QueuedJob<K>> {
        let authority = queued.location.authority();
        let host = self.busy.entry(authority.to_owned()).or_insert(Host {
            running: 0,
            waiting: VecDeque::new(),
        });
        if host.running < self.limit {
            host.running += 1;
            return Some(queued);
        }
        host.waiting.push_back(queued);
        self.waiting += 1;
        None
    }

    fn finished(&mut self, authority: &str) {
        let Some(host) = self.busy.get_mut(authority) else {
            return;
        };
        if let Some(queued) = host.waiting.pop_front() {
            self.waiting -= 1;
            self.startable.push_back(queued);
            return;
        }
        host.running -= 1;
        if host.running == 0 {
            self.busy.remove(authority);
        }
    }

    fn held_back(&mut self) -> Vec<QueuedJob<K>> {
        self.waiting = 0;
        let waiting = self
            .busy
            .values_mut()
            .flat_map(|host| host.waiting.drain(..));
        self.startable.drain(..).chain(waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(host: &str, number: u64) -> QueuedJob<()> {
        let url = format!("http://{host}/");
        QueuedJob {
            location: Location::parse(&url).unwrap(),
            job: Arc::new(Job::new((), url, number.to_string())),
            number,
        }
    }

    #[test]
    fn job_waits_for_its_host_and_others_pass() {
        let mut hosts = Hosts::new(1, 10);
        assert!(hosts.start_or_hold(queued("a", 0)).is_some());
        assert!(hosts.start_or_hold(queued("a", 1)).is_none());
        assert!(hosts.start_or_hold(queued("b", 2)).is_some());
        assert!(hosts.next_startable().is_none());
        hosts.finished("b");
        assert!(hosts.next_startable().is_none());
        hosts.finished("a");
        assert_eq!(hosts.next_startable().unwrap().number, 1);
        hosts.finished("a");
        assert!(hosts.busy.is_empty());
    }

    #[test]
    fn as_many_wait_as_may() {
        let mut hosts = Hosts::new(1, 2);
        assert!(hosts.start_or_hold(queued("a", 0)).is_some());
        for number in 1..=2 {
            assert!(!hosts.is_full());
            assert!(hosts.start_or_hold(queued("a", number)).is_none());
        }
        assert!(hosts.is_full());
        assert_eq!(hosts.held_back().len(), 2);
        assert!(!hosts.is_full());
    }
}
