//! Name resolution and TCP.

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::destination::postgres::connection::{addresses_of, from_io, name_of};
use crate::destination::postgres::params::{Address, Host};
use crate::destination::postgres::server::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::threads::stop_signal::StopSignal;

/// `None` if there are only addresses and Unix sockets.
pub(super) fn names(server: &Server) -> Result<Option<Finding>> {
    let timeout = server.config().connect_timeout;
    let resolved: Vec<Result<String>> = server
        .target()
        .hosts
        .iter()
        .filter_map(|host| Some((host, name_of(host)?)))
        .map(|(host, name)| {
            let found = addresses_of(host, Instant::now() + timeout, server.abort())?;
            let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
            Ok(format!("{name} is {}", shown.join(", ")))
        })
        .collect();
    if resolved.is_empty() { Ok(None) } else { summary(resolved).map(Some) }
}

pub(super) fn tcp(server: &Server) -> Result<Finding> {
    let timeout = server.config().connect_timeout;
    summary(server.target().hosts.iter().map(|host| reach(host, timeout, server.abort())).collect())
}

/// Connects to one of the host's addresses, and returns it.
fn reach(host: &Host, timeout: Duration, abort: &StopSignal) -> Result<String> {
    #[cfg(unix)]
    if let Address::Unix(_) = &host.address {
        let connected = std::os::unix::net::UnixStream::connect(host.socket_path());
        return connected.map(|_| host.to_string()).map_err(|error| connect_failed(host, &error));
    }
    let addresses = addresses_of(host, Instant::now() + timeout, abort)?;
    let until = Instant::now() + timeout;
    let mut last = None;
    for (tried, ip) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*ip, host.port);
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1))) {
            Ok(_) => return Ok(address.to_string()),
            Err(error) => last = Some(connect_failed(&address, &error)),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(ErrorKind::Connect, format!("{host} has no address"))))
}

fn connect_failed(place: &dyn Display, error: &io::Error) -> Error {
    from_io(error).while_doing(format_args!("connecting to PostgreSQL at {place}"))
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
