//! Host names to addresses.

use std::net::IpAddr;
use std::time::Instant;

use crate::destination::postgres::params::{Address, Host};
use crate::error::Result;
use crate::net::resolve::{resolve, system_resolver};
use crate::threads::stop_signal::StopSignal;

/// The name of a host that needs the resolver.
pub(crate) fn name_of(host: &Host) -> Option<&str> {
    match &host.address {
        Address::Tcp { name, ip: None } if name.parse::<IpAddr>().is_err() => Some(name),
        _ => None,
    }
}

/// The addresses of a host, before `deadline`; none for a Unix socket.
pub(crate) fn addresses_of(host: &Host, deadline: Instant, abort: &StopSignal) -> Result<Vec<IpAddr>> {
    match &host.address {
        Address::Tcp { ip: Some(ip), .. } => Ok(vec![*ip]),
        Address::Tcp { name, ip: None } => {
            let addresses = resolve(name, host.port, deadline, abort, &system_resolver())?;
            Ok(addresses.iter().map(std::net::SocketAddr::ip).collect())
        }
        Address::Unix(_) => Ok(Vec::new()),
    }
}
