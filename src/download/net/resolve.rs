//! Look-ups of host names: one per host and time to live.
//!
//! ureq looks the host up before every request, also where it then uses a
//! connection that is open already, and starts a thread for it if there is a
//! timeout. Here a host is looked up once in a while, on one thread however
//! many requests wait for it, and those wait no longer than they may.

use super::transport::Fault;
use crate::sync::{Condvar, Mutex};
use crate::task::CancelToken;
use std::collections::HashMap;
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
/// What ureq has room for.
const MAX_ADDRESSES: usize = 16;

/// A look-up that failed; it travels through ureq as the inner error of an
/// `io::Error`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct LookUpFailed {
    pub(crate) host: String,
    pub(crate) kind: io::ErrorKind,
    pub(crate) message: String,
}

/// What is known of a host.
#[derive(Debug, Clone)]
enum Knowledge {
    /// Somebody is asking.
    Awaited,
    Found(Arc<[IpAddr]>, Instant),
    Failed(LookUpFailed, Instant),
}

impl Knowledge {
    fn counts_at(&self, now: Instant) -> bool {
        match self {
            Self::Awaited => true,
            Self::Found(_, until) | Self::Failed(_, until) => now < *until,
        }
    }
}

/// How the names of hosts become addresses.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

struct Shared {
    hosts: Mutex<HashMap<String, Knowledge>>,
    arrived: Condvar,
    ttl: Duration,
    look_up: Box<LookUp>,
}

/// A resolver that remembers.
pub(crate) struct CachingResolver {
    shared: Arc<Shared>,
    token: CancelToken,
}

impl CachingResolver {
    /// Asks the operating system.
    pub(crate) fn new(ttl: Duration, token: CancelToken) -> Self {
        Self::with_look_up(ttl, token, |host| {
            let found = (host, 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }

    fn with_look_up(
        ttl: Duration,
        token: CancelToken,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                hosts: Mutex::new(HashMap::new()),
                arrived: Condvar::new(),
                ttl,
                look_up: Box::new(look_up),
            }),
            token,
        }
    }

    fn addresses_of(
        &self,
        host: &str,
        deadline: Option<Instant>,
        timeout: NextTimeout,
    ) -> Result<Arc<[IpAddr]>, ureq::Error> {
        let mut hosts = self.shared.hosts.lock();
        loop {
            let now = Instant::now();
            match hosts.get(host) {
                Some(Knowledge::Found(addresses, until)) if now < *until => {
                    return Ok(Arc::clone(addresses));
                }
                Some(Knowledge::Failed(failed, until)) if now < *until => {
                    return Err(io::Error::other(failed.clone()).into());
                }
                Some(Knowledge::Awaited) => {}
                _ => {
                    if hosts.len() >= MANY_HOSTS {
                        hosts.retain(|_, knowledge| knowledge.counts_at(now));
                    }
                    hosts.insert(host.to_owned(), Knowledge::Awaited);
                    drop(hosts);
                    ask(&self.shared, host);
                    hosts = self.shared.hosts.lock();
                    continue;
                }
            }
            if self.token.is_cancelled() {
                return Err(io::Error::other(Fault::Cancelled).into());
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(ureq::Error::Timeout(timeout.reason));
            }
            let until = deadline.map_or(now + SLICE, |deadline| deadline.min(now + SLICE));
            self.shared.arrived.wait_until(&mut hosts, until);
        }
    }
}

/// Has the host looked up on a thread of its own: the operating system may
/// take longer than anybody wants to wait.
fn ask(shared: &Arc<Shared>, host: &str) {
    let (theirs, name) = (Arc::clone(shared), host.to_owned());
    let thread = thread::Builder::new()
        .name("as-completed-look-up".to_owned())
        .spawn(move || answer(&theirs, &name));
    if thread.is_err() {
        // Without a thread the caller itself asks, for as long as it takes.
        answer(shared, host);
    }
}

fn answer(shared: &Shared, host: &str) {
    let found = (shared.look_up)(host).and_then(|addresses| {
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
        }
        Ok(addresses)
    });
    let now = Instant::now();
    let knowledge = match found {
        Ok(addresses) => Knowledge::Found(addresses.into(), later(now, shared.ttl)),
        Err(error) => Knowledge::Failed(
            LookUpFailed {
                host: host.to_owned(),
                kind: error.kind(),
                message: error.to_string(),
            },
            later(now, FAILURE_TTL),
        ),
    };
    shared.hosts.lock().insert(host.to_owned(), knowledge);
    shared.arrived.notify_all();
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
        let deadline = if timeout.after.is_not_happening() {
            None
        } else {
            Instant::now().checked_add(*timeout.after)
        };
        let addresses = self.addresses_of(host, deadline, timeout)?;
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
}
