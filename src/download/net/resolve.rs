//! Look-ups of host names: one per host and time to live.
//!
//! ureq looks the host up before every request, also where it then uses a
//! connection that is open already, and starts a thread for it if there is a
//! timeout. Here a host is looked up once in a while, on one thread however
//! many requests wait for it, and those wait no longer than they may.
//!
//! The operating system cannot be told to stop, so a look-up that hangs outlives
//! those who wait for it. There are [`MAX_THREADS`] of them at a time at most;
//! further hosts wait for their turn, and lose it once nobody waits for them.

use super::shortage::{has_been_short, is_shortage};
use super::transport::{Fault, deadline_of};
use crate::sync::{Condvar, Mutex};
use crate::task::CancelToken;
use crate::unwind;
use socket2::{Domain, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long a failed look-up counts.
const FAILURE_TTL: Duration = Duration::from_secs(1);
/// How long a waiting request waits before it looks at the token again.
const SLICE: Duration = Duration::from_millis(100);
/// How many hosts are remembered before those are forgotten whose time is over.
const MANY_HOSTS: usize = 1024;
/// How many hosts are looked up at a time.
const MAX_THREADS: usize = 32;
/// What ureq has room for.
const MAX_ADDRESSES: usize = 16;

/// A look-up that failed; it travels through ureq as the inner error of an
/// `io::Error`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{cause}")]
pub(crate) struct LookUpFailed {
    pub(crate) host: String,
    cause: Arc<io::Error>,
}

impl LookUpFailed {
    /// What the operating system has said.
    pub(crate) fn to_error(&self) -> io::Error {
        copy_of(&self.cause)
    }
}

/// What a look-up came to.
type Answer = Result<Arc<[IpAddr]>, LookUpFailed>;

/// What is known of a host.
#[derive(Debug)]
enum Knowledge {
    /// It is being looked up, or waits for its turn.
    Awaited(Arc<Pending>),
    Answered(Answer, Instant),
}

impl Knowledge {
    fn counts_at(&self, now: Instant) -> bool {
        match self {
            Self::Awaited(_) => true,
            Self::Answered(_, until) => now < *until,
        }
    }
}

/// A look-up, shared by those who wait for it: whoever waits takes its answer,
/// however short the time is for which others may use it.
#[derive(Debug, Default)]
struct Pending {
    answer: Mutex<Option<Answer>>,
    arrived: Condvar,
}

/// How the names of hosts become addresses.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

struct Shared {
    state: Mutex<State>,
    ttl: Duration,
    look_up: Box<LookUp>,
}

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<String, Knowledge>,
    /// The hosts that wait for a thread.
    queue: VecDeque<(String, Arc<Pending>)>,
    threads: usize,
}

/// A resolver that remembers. Clones share what they remember.
#[derive(Clone)]
pub(crate) struct CachingResolver {
    shared: Arc<Shared>,
    token: CancelToken,
}

impl CachingResolver {
    /// Asks the operating system.
    pub(crate) fn new(ttl: Duration, token: CancelToken) -> Self {
        Self::with_look_up(ttl, token, |host| {
            let look_up = || (host, 0).to_socket_addrs();
            let found = look_up_unless_short(look_up, shortage, has_been_short)?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    pub(super) fn with_look_up(
        ttl: Duration,
        token: CancelToken,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::default()),
                ttl,
                look_up: Box::new(look_up),
            }),
            token,
        }
    }

    /// Returns the addresses of a host, if it has any and they are found in time.
    pub(crate) fn look_up(&self, host: &str, limit: Duration) -> Option<Arc<[IpAddr]>> {
        let deadline = Instant::now().checked_add(limit);
        self.addresses_of(host, deadline, NextTimeout::default())
            .ok()
    }

    fn addresses_of(
        &self,
        host: &str,
        deadline: Option<Instant>,
        timeout: NextTimeout,
    ) -> Result<Arc<[IpAddr]>, ureq::Error> {
        let known = |answer: &Answer| {
            answer
                .clone()
                .map_err(|failed| io::Error::other(failed).into())
        };
        let pending = {
            let mut state = self.shared.state.lock();
            let now = Instant::now();
            match state.hosts.get(host) {
                Some(Knowledge::Awaited(pending)) => Arc::clone(pending),
                Some(Knowledge::Answered(answer, until)) if now < *until => return known(answer),
                _ => {
                    if state.hosts.len() >= MANY_HOSTS {
                        state.hosts.retain(|_, knowledge| knowledge.counts_at(now));
                    }
                    ask(&self.shared, &mut state, host)
                }
            }
        };
        let mut answer = pending.answer.lock();
        loop {
            if let Some(answer) = &*answer {
                return known(answer);
            }
            if self.token.is_cancelled() {
                return Err(io::Error::other(Fault::Cancelled).into());
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
            let until = deadline.map_or(now + SLICE, |deadline| deadline.min(now + SLICE));
            pending.arrived.wait_until(&mut answer, until);
        }
    }
}

/// Looks up, and tells a lack of descriptors from a host that is unknown.
fn look_up_unless_short<T>(
    look_up: impl Fn() -> io::Result<T>,
    shortage: impl Fn() -> Option<io::Error>,
    has_been_short: impl Fn() -> bool,
) -> io::Result<T> {
    // Before as well: the one that is lacking may be there again afterwards.
    if let Some(shortage) = shortage() {
        return Err(shortage);
    }
    look_up().or_else(|error| match shortage() {
        Some(shortage) => Err(shortage),
        // There may have been one a moment ago.
        None if has_been_short() => look_up(),
        None => Err(error),
    })
}

/// Returns an error if no descriptor is left, which the operating system's look-up
/// reports as a host that is unknown.
fn shortage() -> Option<io::Error> {
    let tried = Socket::new(Domain::IPV4, Type::DGRAM, None);
    tried.err().filter(is_shortage)
}

/// Has the host looked up on another thread: the operating system may take
/// longer than anybody wants to wait.
fn ask(shared: &Arc<Shared>, state: &mut State, host: &str) -> Arc<Pending> {
    let pending = Arc::new(Pending::default());
    let knowledge = Knowledge::Awaited(Arc::clone(&pending));
    state.hosts.insert(host.to_owned(), knowledge);
    state
        .queue
        .push_back((host.to_owned(), Arc::clone(&pending)));
    if state.threads < MAX_THREADS {
        state.threads += 1;
        let theirs = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("as-completed-look-up".to_owned())
            .spawn(move || answer_all(&theirs));
        if let Err(error) = thread {
            state.threads -= 1;
            if state.threads == 0 {
                // Nobody would ever take a turn.
                for (host, pending) in std::mem::take(&mut state.queue) {
                    settle(shared, state, host, &pending, Err(copy_of(&error)));
                }
            }
        }
    }
    pending
}

/// An error of the same kind and message.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Looks up what waits for its turn, until nothing does.
fn answer_all(shared: &Shared) {
    loop {
        let (host, pending) = {
            let mut state = shared.state.lock();
            let Some((host, pending)) = next_awaited(&mut state) else {
                state.threads -= 1;
                return;
            };
            (host, pending)
        };
        let found = unwind::catch(|| (shared.look_up)(&host)).unwrap_or_else(|payload| {
            unwind::discard(payload);
            Err(io::Error::other("the look-up panicked"))
        });
        let mut state = shared.state.lock();
        settle(shared, &mut state, host, &pending, found);
    }
}

/// Returns the next host that somebody waits for, and forgets those before.
fn next_awaited(state: &mut State) -> Option<(String, Arc<Pending>)> {
    /// This one, and that of the map.
    const OURS: usize = 2;
    loop {
        let (host, pending) = state.queue.pop_front()?;
        if Arc::strong_count(&pending) > OURS {
            return Some((host, pending));
        }
        state.hosts.remove(&host);
    }
}

/// Tells those who wait, and remembers the answer for others.
fn settle(
    shared: &Shared,
    state: &mut State,
    host: String,
    pending: &Pending,
    found: io::Result<Vec<IpAddr>>,
) {
    let found = found.and_then(|addresses| {
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
        }
        Ok(addresses)
    });
    let (answer, ttl) = match found {
        Ok(addresses) => (Ok(addresses.into()), shared.ttl),
        Err(error) => {
            // There may be a descriptor in a moment.
            let ttl = if is_shortage(&error) {
                Duration::ZERO
            } else {
                FAILURE_TTL
            };
            let failed = LookUpFailed {
                host: host.clone(),
                cause: Arc::new(error),
            };
            (Err(failed), ttl)
        }
    };
    *pending.answer.lock() = Some(Answer::clone(&answer));
    pending.arrived.notify_all();
    let until = later(Instant::now(), ttl);
    state.hosts.insert(host, Knowledge::Answered(answer, until));
}

fn later(now: Instant, duration: Duration) -> Instant {
    const AGES: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    now + duration.min(AGES)
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        });
        let mut resolved = self.empty();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            resolved.push(SocketAddr::new(address, port));
            return Ok(resolved);
        }
        let addresses = self.addresses_of(host, deadline_of(timeout), timeout)?;
        for address in addresses.iter().take(MAX_ADDRESSES) {
            resolved.push(SocketAddr::new(*address, port));
        }
        Ok(resolved)
    }
}

impl fmt::Debug for CachingResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingResolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use ureq::Timeout;
    use ureq::unversioned::transport::time;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn resolve(
        resolver: &CachingResolver,
        url: &str,
        timeout: Option<Duration>,
    ) -> Result<Vec<SocketAddr>, ureq::Error> {
        let timeout = NextTimeout {
            after: timeout.map_or(time::Duration::NotHappening, time::Duration::Exact),
            reason: Timeout::Resolve,
            ..NextTimeout::default()
        };
        let uri = url.parse().unwrap();
        let config = ureq::config::Config::default();
        Ok(resolver.resolve(&uri, &config, timeout)?.to_vec())
    }

    #[test]
    fn host_is_looked_up_once_for_many_who_wait() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let resolver =
            CachingResolver::with_look_up(Duration::MAX, CancelToken::new(), move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(vec![LOCAL])
            });
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for port in 1..=8 {
                let (resolver, start) = (&resolver, &start);
                scope.spawn(move || {
                    start.wait();
                    let found = resolve(resolver, &format!("http://host:{port}/"), None);
                    assert_eq!(found.unwrap(), [SocketAddr::new(LOCAL, port)]);
                });
            }
        });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn addresses_need_no_look_up() {
        let resolver = CachingResolver::with_look_up(Duration::ZERO, CancelToken::new(), |host| {
            unreachable!("{host} was looked up")
        });
        let found = resolve(&resolver, "https://[::1]/", None).unwrap();
        assert_eq!(found, ["[::1]:443".parse().unwrap()]);
    }

    #[test]
    fn look_up_that_hangs_times_out_and_is_answered_later() {
        let (let_go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let resolver =
            CachingResolver::with_look_up(Duration::MAX, CancelToken::new(), move |_| {
                let _ = gate.lock().recv();
                Ok(vec![LOCAL])
            });
        let error = resolve(&resolver, "http://host/", Some(Duration::from_millis(1))).unwrap_err();
        assert!(matches!(error, ureq::Error::Timeout(Timeout::Resolve)));
        drop(let_go);
        assert!(resolve(&resolver, "http://host/", None).is_ok());
    }

    #[test]
    fn cancelled_wait_ends() {
        let (_never, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let token = CancelToken::new();
        let resolver = CachingResolver::with_look_up(Duration::MAX, token.clone(), move |_| {
            let _ = gate.lock().recv();
            Ok(vec![LOCAL])
        });
        token.cancel();
        assert!(resolve(&resolver, "http://host/", None).is_err());
    }

    #[test]
    fn descriptor_that_is_lacking_for_a_moment_only_makes_no_host_unknown() {
        let is_short = std::cell::Cell::new(true);
        let look_up = || {
            if is_short.replace(false) {
                return Err(io::Error::new(io::ErrorKind::NotFound, "host is unknown"));
            }
            Ok(LOCAL)
        };
        let code = rustix::io::Errno::MFILE.raw_os_error();
        let shortage = || is_short.get().then(|| io::Error::from_raw_os_error(code));
        let error = look_up_unless_short(look_up, shortage, || false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(code));
        is_short.set(false);
        assert_eq!(
            look_up_unless_short(look_up, shortage, || false).unwrap(),
            LOCAL
        );
    }

    #[test]
    fn failure_names_the_host() {
        let resolver =
            CachingResolver::with_look_up(Duration::MAX, CancelToken::new(), |_| Ok(vec![]));
        let ureq::Error::Io(error) = resolve(&resolver, "http://host/", None).unwrap_err() else {
            panic!("not an error of the resolver");
        };
        let failed = error
            .get_ref()
            .unwrap()
            .downcast_ref::<LookUpFailed>()
            .unwrap();
        assert_eq!(failed.host, "host");
    }

    #[test]
    fn look_up_is_of_use_to_who_waits_for_it_also_if_it_is_not_kept() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let resolver =
            CachingResolver::with_look_up(Duration::ZERO, CancelToken::new(), move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(vec![LOCAL])
            });
        let limit = Some(Duration::from_secs(60));
        for number in 1..=3 {
            assert!(resolve(&resolver, "http://host/", limit).is_ok());
            assert_eq!(asked.load(Ordering::SeqCst), number);
        }
    }

    #[test]
    fn look_up_that_panics_is_a_failure() {
        let resolver = CachingResolver::with_look_up(Duration::MAX, CancelToken::new(), |host| {
            panic!("{host} is unlucky")
        });
        let limit = Some(Duration::from_secs(60));
        let error = resolve(&resolver, "http://host/", limit).unwrap_err();
        assert!(!matches!(error, ureq::Error::Timeout(_)), "{error:?}");
    }

    #[test]
    fn hosts_that_hang_take_a_bounded_number_of_threads() {
        let (let_go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let running = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&running);
        let asked = Arc::new(AtomicUsize::new(0));
        let total = Arc::clone(&asked);
        let resolver =
            CachingResolver::with_look_up(Duration::MAX, CancelToken::new(), move |host| {
                total.fetch_add(1, Ordering::SeqCst);
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = gate.lock().recv();
                counter.fetch_sub(1, Ordering::SeqCst);
                assert!(!host.is_empty());
                Ok(vec![LOCAL])
            });
        for number in 0..300 {
            let url = format!("http://host-{number}/");
            let error = resolve(&resolver, &url, Some(Duration::from_millis(1))).unwrap_err();
            assert!(matches!(error, ureq::Error::Timeout(_)));
        }
        assert!(running.load(Ordering::SeqCst) <= MAX_THREADS);
        drop(let_go);
        assert!(resolve(&resolver, "http://another/", None).is_ok());
        // Those whose turn nobody waited for were passed over.
        assert!(asked.load(Ordering::SeqCst) <= MAX_THREADS + 1);
    }
}
