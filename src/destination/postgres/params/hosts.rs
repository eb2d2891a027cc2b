//! The servers that a connection string names: lists of names, addresses and ports.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::settings::{Parameter, Settings};
use crate::error::{Error, Result};

const PORT: u16 = 5432;

/// One of the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) address: Address,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A name or an IP address, as in certificates and password files, and its address if `hostaddr` gives one.
    Tcp { name: String, ip: Option<IpAddr> },
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Address::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
            Address::Unix(_) => write!(f, "{}", self.socket_path().display()),
        }
    }
}

impl Host {
    /// The name or IP address to connect to; empty for a Unix socket.
    pub(crate) fn network_address(&self) -> String {
        match &self.address {
            Address::Tcp { ip: Some(ip), .. } => ip.to_string(),
            Address::Tcp { name, ip: None } => name.clone(),
            Address::Unix(_) => String::new(),
        }
    }

    /// The Unix socket's file.
    pub(crate) fn socket_path(&self) -> PathBuf {
        match &self.address {
            Address::Unix(directory) => directory.join(format!(".s.PGSQL.{}", self.port)),
            Address::Tcp { .. } => PathBuf::new(),
        }
    }
}

/// The hosts, at least one, in their order.
pub(super) fn hosts(settings: &Settings) -> Result<Vec<Host>> {
    let list = |name: &str| List::read(settings, name);
    let (names, ips, ports) = (list("host"), list("hostaddr"), list("port"));
    let (names_len, ips_len, ports_len) = (names.entries.len(), ips.entries.len(), ports.entries.len());
    let count = names_len.max(ips_len).max(1);
    if ips_len > 0 && names_len > 0 && ips_len != names_len {
        return Err(ips.bad_length("addresses", count));
    }
    if ports_len > 1 && ports_len != count {
        return Err(ports.bad_length("ports", count).with_hint("give one port, or one for each host"));
    }
    let host = |i: usize| Ok(Host { address: address(names.get(i), ips.ip(i)?)?, port: ports.port(i)? });
    (0..count).map(host).collect()
}

fn address(name: &str, ip: Option<IpAddr>) -> Result<Address> {
    Ok(match (name, ip) {
        // Here libpq looks for a socket in the directory that was compiled into it.
        ("", None) => Address::Tcp { name: "localhost".into(), ip: None },
        ("", Some(ip)) => Address::Tcp { name: ip.to_string(), ip: Some(ip) },
        (directory, None) if directory.starts_with('/') => Address::Unix(directory.into()),
        (abstract_name, _) if abstract_name.starts_with('@') => {
            return Err(Error::config(
                "destination.url: sockets of the abstract namespace (host=@…) are not supported",
            )
            .with_hint("name the directory of a Unix socket, or a host"));
        }
        _ => Address::Tcp { name: name.into(), ip },
    })
}

/// A parameter that is a list separated by commas; empty if it is not set.
struct List<'a> {
    parameter: Option<Parameter<'a>>,
    entries: Vec<&'a str>,
}

impl<'a> List<'a> {
    fn read(settings: &'a Settings, name: &str) -> Self {
        let parameter = settings.get(name);
        let entries = parameter.map_or_else(Vec::new, |parameter| parameter.text().split(',').map(str::trim).collect());
        Self { parameter, entries }
    }

    /// An entry; empty if there are fewer.
    fn get(&self, i: usize) -> &'a str {
        self.entries.get(i).copied().unwrap_or_default()
    }

    fn ip(&self, i: usize) -> Result<Option<IpAddr>> {
        match (self.get(i), self.parameter) {
            ("", _) | (_, None) => Ok(None),
            (ip, Some(parameter)) => ip.parse().map(Some).map_err(|_| parameter.bad("is not an IP address")),
        }
    }

    /// One port for each host, or one for all.
    fn port(&self, i: usize) -> Result<u16> {
        let entry = if self.entries.len() > 1 { self.get(i) } else { self.get(0) };
        match (entry, self.parameter) {
            ("", _) | (_, None) => Ok(PORT),
            (port, Some(parameter)) => {
                port.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad_port(port, parameter))
            }
        }
    }

    fn bad_length(&self, entries: &str, hosts: usize) -> Error {
        let reason = format!("gives {} {entries} for {hosts} hosts", self.entries.len());
        self.parameter.map_or_else(|| Error::config(&*reason), |parameter| parameter.bad(&reason))
    }
}

/// Does not show the port: after an unencoded : or @ it can be a piece of the password.
fn bad_port(port: &str, parameter: Parameter<'_>) -> Error {
    let is_link = parameter.is_of_the_environment() && port.starts_with("tcp:");
    parameter.bad("is not a number from 1 to 65535").with_hint(if is_link {
        "set this variable, or enableServiceLinks: false: Kubernetes sets it for a service of that name"
    } else {
        "write `:`, `/`, `?`, `#` and `@` in a URL's user or password as %3A, %2F, %3F, %23 and %40"
    })
}
