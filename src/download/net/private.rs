//! Which hosts only this machine or its network can reach.
//!
//! A server that is public must not make a client ask them: behind a redirect there
//! may be the interface of a router, or the metadata of a cloud machine.

use super::location::Location;
use super::resolve::CachingResolver;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Returns whether a location is at a private address. Of a host behind a proxy
/// only the name is known, and one that cannot be looked up is at no address.
pub(crate) fn is_private(
    location: &Location,
    resolver: &CachingResolver,
    proxy: Option<&ureq::Proxy>,
    limit: Duration,
) -> bool {
    let host = location.uri().host().unwrap_or_default();
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return is_private_address(address);
    }
    if proxy.is_some_and(|proxy| !proxy.is_no_proxy(location.uri())) {
        return is_local_name(host);
    }
    let addresses = resolver.look_up(host, limit);
    addresses.is_some_and(|found| found.iter().copied().any(is_private_address))
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_private_v4(mapped),
            None => is_private_v6(address),
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8 is this machine, and 100.64.0.0/10 the network of a provider.
    let [first, second, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || first == 0
        || first == 100 && second & 0xc0 == 64
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_networks_are_private() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private_address(address.parse().unwrap()), "{address}");
        }
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_private_address(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn names_are_private_by_what_they_lead_to() {
        let limit = Duration::from_secs(60);
        let resolver =
            CachingResolver::with_look_up(Duration::MAX, crate::CancelToken::new(), |host| {
                Ok(match host {
                    "inside.example" => {
                        vec!["8.8.8.8".parse().unwrap(), "10.0.0.1".parse().unwrap()]
                    }
                    "outside.example" => vec!["8.8.8.8".parse().unwrap()],
                    _ => vec![],
                })
            });
        let judge = |url: &str, proxy: Option<&ureq::Proxy>| {
            is_private(&Location::parse(url).unwrap(), &resolver, proxy, limit)
        };
        assert!(judge("http://inside.example/", None));
        assert!(!judge("http://outside.example/", None));
        assert!(!judge("http://nowhere.example/", None));
        assert!(judge("http://[::1]:80/", None));
        let proxy = ureq::Proxy::new("http://proxy.example").unwrap();
        assert!(!judge("http://inside.example/", Some(&proxy)));
        assert!(judge("http://LocalHost./", Some(&proxy)));
        assert!(judge("http://127.0.0.1/", Some(&proxy)));
    }
}
