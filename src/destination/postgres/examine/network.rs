//! Name resolution and TCP.

use std::net::IpAddr;
use std::time::Instant;

use crate::destination::postgres::connection::from_io;
use crate::destination::postgres::params::{Address, Host};
use crate::destination::postgres::server::Server;
use crate::error::{Error, Result};
use crate::net::connect::connect;
use crate::net::resolve::{resolve, system_resolver};
use crate::report::finding::Finding;

/// `None` if there are only addresses and Unix sockets.
pub(super) fn names(server: &Server) -> Result<Option<Finding>> {
    let needs_resolver = |host: &&Host| {
        let address = host.network_address();
        !address.is_empty() && address.parse::<IpAddr>().is_err()
    };
    let hosts = server.target().hosts.iter().filter(needs_resolver);
    let resolved: Vec<_> = hosts.map(|host| resolve_name(server, host)).collect();
    if resolved.is_empty() { Ok(None) } else { summary(resolved).map(Some) }
}

fn resolve_name(server: &Server, host: &Host) -> Result<String> {
    let (name, deadline) = (host.network_address(), Instant::now() + server.config().connect_timeout);
    let found = resolve(&name, host.port, deadline, server.abort(), &system_resolver())?;
    let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
    Ok(format!("{name} is {}", shown.join(", ")))
}

pub(super) fn tcp(server: &Server) -> Result<Finding> {
    summary(server.target().hosts.iter().map(|host| reach(server, host)).collect())
}

/// Connects to one of the host's addresses, and returns it.
fn reach(server: &Server, host: &Host) -> Result<String> {
    #[cfg(unix)]
    if let Address::Unix(_) = &host.address {
        let connected = std::os::unix::net::UnixStream::connect(host.socket_path());
        return connected
            .map(|_| host.to_string())
            .map_err(|error| from_io(&error).while_doing(format_args!("connecting to PostgreSQL at {host}")));
    }
    let deadline = Instant::now() + server.config().connect_timeout;
    let connected = connect(&host.network_address(), host.port, deadline, server.abort(), &system_resolver());
    let stream = connected.map_err(|error| {
        error.with_hint("check that PostgreSQL is running there, on this port, and that no firewall is in between")
    })?;
    Ok(stream.peer_addr().map_or_else(|_| host.to_string(), |address| address.to_string()))
}

/// One finding for all hosts: one that works is enough, but all should.
fn summary(outcomes: Vec<Result<String>>) -> Result<Finding> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(message) => good.push(message),
            Err(error) => bad.push(error),
        }
    }
    let Some(first) = bad.first().cloned() else { return Ok(Finding::good(good.join("; "))) };
    let messages = bad.iter().map(ToString::to_string);
    if !good.is_empty() {
        let all: Vec<String> = good.iter().cloned().chain(messages).collect();
        let hint = first.hint().unwrap_or("the sink uses the others");
        return Ok(Finding::warning(all.join("; "), hint));
    }
    if bad.len() == 1 {
        return Err(first);
    }
    let error = Error::new(first.kind(), messages.collect::<Vec<_>>().join("; "));
    Err(match first.hint() {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}
