//! [`Held`]: the jobs that have been read and cannot run yet, because their host
//! has enough of them or wants to be left alone, or because a retry is not due.

use crate::download::fetch::pauses::Pauses;
use crate::download::job::Job;
use crate::download::net::location::Location;
use crate::download::report::Outcome;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A job that can be worked at, and what has been done for it so far.
pub(crate) struct QueuedJob<K> {
    pub(crate) job: Arc<Job<K>>,
    pub(crate) number: u64,
    pub(crate) location: Location,
    pub(crate) tried: Tried,
}

impl<K> QueuedJob<K> {
    pub(crate) fn new(job: Job<K>, number: u64, location: Location) -> Self {
        Self {
            job: Arc::new(job),
            number,
            location,
            tried: Tried::default(),
        }
    }
}

/// The attempts at a job so far.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// When the first began.
    pub(crate) started: Option<Instant>,
    pub(crate) outcome: Outcome,
    /// How often a reused connection turned out to be closed.
    pub(crate) stale: u32,
    /// Whether the job has begun anew because of what was there of its file.
    pub(crate) began_anew: bool,
    /// Whether its server does not serve segments.
    pub(crate) in_one_stream: bool,
}

impl Tried {
    /// Takes the outcome of a job that is over.
    pub(crate) fn take_outcome(&mut self) -> Outcome {
        Outcome {
            elapsed: self.started.map_or(Duration::ZERO, |start| start.elapsed()),
            ..std::mem::take(&mut self.outcome)
        }
    }
}

/// The jobs that cannot run yet.
///
/// A job is in one of three places: it waits for its host, whose others run; or
/// until a point in time; or it can be started and has its host's permission.
pub(crate) struct Held<K> {
    most: usize,
    hosts: Option<Hosts<K>>,
    later: BTreeMap<(Instant, u64), QueuedJob<K>>,
    startable: VecDeque<QueuedJob<K>>,
}

impl<K> Held<K> {
    /// Holds `most` jobs before it [is full](Self::is_full), and lets `per_host` of
    /// each host run at a time.
    pub(crate) fn new(most: usize, per_host: Option<usize>) -> Self {
        Self {
            most,
            hosts: per_host.map(Hosts::new),
            later: BTreeMap::new(),
            startable: VecDeque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        let waiting = self.hosts.as_ref().map_or(0, |hosts| hosts.waiting);
        waiting + self.later.len() + self.startable.len()
    }

    /// Gives the job back if it can be started, else keeps it.
    pub(crate) fn admit(&mut self, queued: QueuedJob<K>, pauses: &Pauses) -> Option<QueuedJob<K>> {
        let left = pauses.left(queued.location.authority());
        if !left.is_zero() {
            self.put_off(queued, Instant::now() + left);
            return None;
        }
        match &mut self.hosts {
            None => Some(queued),
            Some(hosts) => hosts.start_or_hold(queued),
        }
    }

    /// Keeps a job that can be started, as the first of all.
    pub(crate) fn keep(&mut self, queued: QueuedJob<K>) {
        self.startable.push_front(queued);
    }

    /// Keeps the job until then.
    pub(crate) fn put_off(&mut self, queued: QueuedJob<K>, until: Instant) {
        self.later.insert((until, queued.number), queued);
    }

    /// Returns a job that can be started now.
    pub(crate) fn next(&mut self, pauses: &Pauses) -> Option<QueuedJob<K>> {
        if let Some(queued) = self.startable.pop_front() {
            return Some(queued);
        }
        while self.next_due()? <= Instant::now() {
            let (_, queued) = self.later.pop_first()?;
            if let Some(queued) = self.admit(queued, pauses) {
                return Some(queued);
            }
        }
        None
    }

    /// Returns when the next of those that wait for their time is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.later.keys().next().map(|(until, _)| *until)
    }

    /// Takes note that a job which could be started no longer runs.
    pub(crate) fn stopped(&mut self, location: &Location) {
        if let Some(hosts) = &mut self.hosts {
            self.startable.extend(hosts.stopped(location.authority()));
        }
    }

    /// Takes out all jobs.
    pub(crate) fn take_all(&mut self) -> Vec<QueuedJob<K>> {
        let mut all: Vec<_> = self.startable.drain(..).collect();
        all.extend(std::mem::take(&mut self.later).into_values());
        if let Some(hosts) = &mut self.hosts {
            all.extend(hosts.take_waiting());
        }
        all.sort_by_key(|queued| queued.number);
        all
    }
}

/// The hosts of jobs that run or wait.
struct Hosts<K> {
    limit: usize,
    busy: HashMap<String, Host<K>>,
    waiting: usize,
}

struct Host<K> {
    running: usize,
    waiting: VecDeque<QueuedJob<K>>,
}

impl<K> Hosts<K> {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            busy: HashMap::new(),
            waiting: 0,
        }
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

    /// Takes note that a job of the host stopped, and returns the one that has its
    /// place now.
    fn stopped(&mut self, authority: &str) -> Option<QueuedJob<K>> {
        let host = self.busy.get_mut(authority)?;
        if let Some(queued) = host.waiting.pop_front() {
            self.waiting -= 1;
            return Some(queued);
        }
        host.running -= 1;
        if host.running == 0 {
            self.busy.remove(authority);
        }
        None
    }

    fn take_waiting(&mut self) -> Vec<QueuedJob<K>> {
        self.waiting = 0;
        self.busy
            .values_mut()
            .flat_map(|host| host.waiting.drain(..))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn queued(host: &str, number: u64) -> QueuedJob<()> {
        let url = format!("http://{host}/");
        let location = Location::parse(&url).unwrap();
        QueuedJob::new(Job::new((), url, number.to_string()), number, location)
    }

    #[test]
    fn job_waits_for_its_host_and_others_pass() {
        let pauses = Pauses::default();
        let mut held = Held::new(10, Some(1));
        assert!(held.admit(queued("a", 0), &pauses).is_some());
        assert!(held.admit(queued("a", 1), &pauses).is_none());
        let other = held.admit(queued("b", 2), &pauses).unwrap();
        assert!(held.next(&pauses).is_none());
        held.stopped(&other.location);
        assert!(held.next(&pauses).is_none());
        held.stopped(&queued("a", 0).location);
        let next = held.next(&pauses).unwrap();
        assert_eq!(next.number, 1);
        held.stopped(&next.location);
        assert!(held.hosts.unwrap().busy.is_empty());
    }

    #[test]
    fn as_many_wait_as_may() {
        let pauses = Pauses::default();
        let mut held = Held::new(3, Some(1));
        assert!(held.admit(queued("a", 0), &pauses).is_some());
        for number in 1..=2 {
            assert!(!held.is_full());
            assert!(held.admit(queued("a", number), &pauses).is_none());
        }
        held.put_off(queued("b", 3), Instant::now() + LONG);
        assert!(held.is_full());
        let numbers: Vec<_> = held.take_all().iter().map(|queued| queued.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert!(held.is_empty());
    }

    #[test]
    fn job_put_off_comes_when_it_is_due_and_its_host_has_room() {
        let pauses = Pauses::default();
        let mut held = Held::new(10, Some(1));
        let now = Instant::now();
        held.put_off(queued("a", 0), now + LONG);
        held.put_off(queued("a", 2), now);
        held.put_off(queued("a", 1), now);
        assert_eq!(held.next_due(), Some(now));
        assert_eq!(held.next(&pauses).unwrap().number, 1);
        assert!(held.next(&pauses).is_none());
        held.stopped(&queued("a", 1).location);
        assert_eq!(held.next(&pauses).unwrap().number, 2);
        assert_eq!(held.next_due(), Some(now + LONG));
    }

    #[test]
    fn job_of_a_host_that_pauses_is_put_off() {
        let pauses = Pauses::default();
        let mut held = Held::new(10, None);
        let first = queued("a", 0);
        pauses.pause(first.location.authority(), LONG);
        assert!(held.admit(first, &pauses).is_none());
        assert!(held.next_due().unwrap() > Instant::now() + LONG / 2);
        assert!(held.admit(queued("b", 1), &pauses).is_some());
    }
}
