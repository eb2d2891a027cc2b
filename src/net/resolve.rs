//! Names to addresses, before a deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::net::detached::DetachedCalls;
use crate::threads::stop_signal::StopSignal;

/// A resolver: the addresses of a host with this port.
pub(crate) type Resolver = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver. Every connection resolves again, because a name may move.
pub(crate) fn system_resolver() -> Resolver {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// The addresses of `host`, a name or an IP address without brackets: at least one, each once, in the resolver's order.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    deadline: Instant,
    stop: &StopSignal,
    resolver: &Resolver,
) -> Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let calls = DetachedCalls::new(stop);
    let (name, resolver) = (host.to_owned(), Arc::clone(resolver));
    calls.start("cxsink-resolve", move || resolver(&name, port))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    match calls.next(deadline)? {
        None => return Err(unresolved(host, "no answer before the deadline")),
        Some(Err(error)) => return Err(unresolved(host, &error.to_string())),
        Some(Ok(found)) => {
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }
    if addresses.is_empty() {
        return Err(unresolved(host, "the name has no address"));
    }
    Ok(addresses)
}

fn unresolved(host: &str, why: &str) -> Error {
    Error::new(ErrorKind::Connect, format!("resolving the name {host}: {why}"))
        .with_hint("check the host name in the configuration and this machine's name resolution (DNS)")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_name_that_does_not_resolve_is_named() {
        let check = |resolver: fn(&str, u16) -> io::Result<Vec<SocketAddr>>, why: &str| {
            let error = resolve("localhost", 1, soon(), &StopSignal::new(), &(Arc::new(resolver) as _)).unwrap_err();
            assert!(error.message().contains("resolving the name localhost"), "{error}");
            assert!(error.message().contains(why), "{error}");
            assert!(error.is_retryable() && error.hint().is_some_and(|hint| hint.contains("DNS")));
        };
        check(|_, _| Err(io::Error::other("failed to lookup address information")), "failed to lookup");
        check(|_, _| Ok(Vec::new()), "no address");
    }

    #[test]
    fn each_address_comes_once_and_an_address_needs_no_resolver() {
        let resolver: Resolver = Arc::new(|host, port| {
            assert_eq!(host, "db.example");
            Ok(["[::1]", "127.0.0.1", "[::1]"].map(|ip| format!("{ip}:{port}").parse().unwrap()).to_vec())
        });
        let check = |host: &str, expected: &[&str]| {
            let found = resolve(host, 5, soon(), &StopSignal::new(), &resolver).unwrap();
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        };
        check("db.example", &["[::1]:5", "127.0.0.1:5"]);
        check("::1", &["[::1]:5"]);
        check("10.0.0.1", &["10.0.0.1:5"]);
    }
}
