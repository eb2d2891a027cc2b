//! Host names to addresses.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use crate::destination::postgres::params::{Address, Host};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::threads::spawn;

/// The name of a host that needs the resolver.
pub(crate) fn name_of(host: &Host) -> Option<&str> {
    match &host.address {
        Address::Tcp { name, ip: None } if name.parse::<IpAddr>().is_err() => Some(name),
        _ => None,
    }
}

/// The addresses of a host; none for a Unix socket. It may block for as long as the resolver likes.
pub(super) fn addresses_of(host: &Host) -> Result<Vec<IpAddr>> {
    match &host.address {
        Address::Tcp { ip: Some(ip), .. } => Ok(vec![*ip]),
        Address::Tcp { name, ip: None } => resolve(name, host.port),
        Address::Unix(_) => Ok(Vec::new()),
    }
}

/// The addresses of a host, within `timeout`. A resolution cannot be interrupted, so it runs on a thread that is left behind.
pub(crate) fn addresses_within(host: &Host, timeout: Duration) -> Result<Vec<IpAddr>> {
    let (sender, receiver) = mpsc::channel();
    let resolved = host.clone();
    let resolve = move || drop(sender.send(addresses_of(&resolved)));
    spawn::spawn("cxsink-resolve", resolve)
        .map_err(|error| Error::new(ErrorKind::Connect, format!("no thread for the resolver: {error}")))?;
    let in_time = receiver.recv_timeout(timeout);
    in_time.unwrap_or_else(|_| Err(unresolved(host, format_args!("no answer within {timeout:?}"))))
}

fn resolve(name: &str, port: u16) -> Result<Vec<IpAddr>> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![ip]);
    }
    let found = (name, port).to_socket_addrs().map_err(|error| unresolved(name, error))?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

fn unresolved(name: impl std::fmt::Display, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Connect, format!("the name {name} cannot be resolved: {reason}"))
        .with_class(Class::Transient)
        .with_hint("check the host in destination.url, and the network's DNS")
}
