//! Where to connect, as whom and how: everything that the connection string, a service, the environment and the defaults say.
//!
//! libpq's parameters are read here and not by the `postgres` crate: that one knows neither `verify-ca` nor `verify-full`, no
//! certificates, no password file, no service and no environment. No error shows a value: it may be the password.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use postgres::config::{ChannelBinding, TargetSessionAttrs};
use secrecy::SecretString;

use crate::config::database::libpq::Libpq;
use crate::destination::postgres::params::settings::{Found, Settings};
use crate::destination::postgres::params::ssl::TlsChoice;
use crate::error::{Error, Result};

const PORT: u16 = 5432;
/// What goes into `pg_stat_activity` unless another name is given.
const APPLICATION_NAME: &str = "cxsink";
const PASSWORD_FILE: &str = ".pgpass";

/// Where to connect, as whom and how.
#[derive(Clone)]
pub(crate) struct Target {
    /// Tried in this order; at least one.
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: String,
    pub(crate) password: Option<SecretString>,
    /// Where a password is looked up if there is no other.
    pub(crate) password_file: Option<PathBuf>,
    /// `None`: the one that is called as the user.
    pub(crate) database: Option<String>,
    pub(crate) tls: TlsChoice,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) application_name: String,
    pub(crate) options: Option<String>,
    pub(crate) session: TargetSessionAttrs,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) keepalive: Keepalive,
}

/// One server that may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) address: Address,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A name or an IP address, as certificates and password files have it; and where it is, if that is not to be asked for.
    Tcp { name: String, ip: Option<IpAddr> },
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// How the kernel finds out that the other side is gone; `None` leaves libpq's or the system's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) enabled: Option<bool>,
    pub(crate) idle: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) count: Option<u32>,
    pub(crate) tcp_user_timeout: Option<Duration>,
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
    /// The Unix socket's file.
    pub(crate) fn socket_path(&self) -> PathBuf {
        match &self.address {
            Address::Unix(directory) => directory.join(format!(".s.PGSQL.{}", self.port)),
            Address::Tcp { .. } => PathBuf::new(),
        }
    }
}

/// Shows where, never with which password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// For messages: every host.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Target {
    /// Reads `destination.url` and what it leads to: files and, as far as it was read, the environment.
    pub(crate) fn resolve(text: &str, libpq: &Libpq) -> Result<Self> {
        let settings = Settings::read(text, libpq)?;
        let get = |name: &str| settings.get(name);
        let text = |name: &str| get(name).map(|found| found.text().to_owned());
        let in_home = || libpq.home.as_ref().map(|home| home.join(PASSWORD_FILE));
        Ok(Self {
            hosts: hosts(&settings)?,
            user: text("user").map_or_else(user_of_the_process, Ok)?,
            password: get("password").map(Found::secret),
            password_file: get("passfile").map(|found| found.text().into()).or_else(in_home),
            database: text("dbname"),
            tls: TlsChoice::read(&settings, libpq)?,
            channel_binding: get("channel_binding").map_or(Ok(ChannelBinding::Prefer), channel_binding)?,
            application_name: text("application_name")
                .or_else(|| text("fallback_application_name"))
                .unwrap_or_else(|| APPLICATION_NAME.into()),
            options: text("options"),
            session: get("target_session_attrs").map_or(Ok(TargetSessionAttrs::ReadWrite), session)?,
            connect_timeout: get("connect_timeout").map(seconds).transpose()?.flatten(),
            keepalive: keepalive(&settings)?,
        })
    }
}

fn hosts(settings: &Settings) -> Result<Vec<Host>> {
    let list = |name: &str| {
        let found = settings.get(name);
        (found, found.map_or_else(Vec::new, |found| found.text().split(',').map(str::trim).collect::<Vec<_>>()))
    };
    let ((_, names), (ips_found, ips), (ports_found, ports)) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(ips.len()).max(1);
    let misfit = |found: Option<Found<'_>>, counted: usize, what: &str| match found {
        Some(found) => found.bad(format!("gives {counted} {what} for {count} hosts")),
        None => Error::config(format!("destination.url: {counted} {what} for {count} hosts")),
    };
    if !ips.is_empty() && !names.is_empty() && ips.len() != names.len() {
        return Err(misfit(ips_found, ips.len(), "addresses"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(misfit(ports_found, ports.len(), "ports").with_hint("give one port, or one for each host"));
    }
    let at = |list: &[&str], i: usize| list.get(i).copied().unwrap_or_default().to_owned();
    let host = |i: usize| {
        let (name, ip) = (at(&names, i), at(&ips, i));
        let port = ports.get(i).or(ports.first()).copied().unwrap_or_default();
        let ip: Option<IpAddr> = match (ip.as_str(), ips_found) {
            ("", _) | (_, None) => None,
            (ip, Some(found)) => Some(ip.parse().map_err(|_| found.bad("is not an IP address"))?),
        };
        let address = match (name.as_str(), ip) {
            // Where libpq looks for a socket in the folder that was compiled into it.
            ("", None) => Address::Tcp { name: "localhost".into(), ip: None },
            ("", Some(ip)) => Address::Tcp { name: ip.to_string(), ip: Some(ip) },
            (directory, None) if directory.starts_with('/') => Address::Unix(directory.into()),
            (abstract_name, _) if abstract_name.starts_with('@') => {
                return Err(Error::config(
                    "destination.url: sockets of the abstract namespace (host=@…) are not supported",
                )
                .with_hint("name the folder of a Unix socket, or a host"));
            }
            _ => Address::Tcp { name, ip },
        };
        Ok(Host { address, port: ports_found.map_or(Ok(PORT), |found| parse_port(port, found))? })
    };
    (0..count).map(host).collect()
}

fn parse_port(port: &str, found: Found<'_>) -> Result<u16> {
    if port.is_empty() {
        return Ok(PORT);
    }
    // The text is not shown: after an unencoded : or @ it can be a piece of the password.
    port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        found.bad("is not a number from 1 to 65535").with_hint(if found.is_of_the_environment() && port.starts_with("tcp:") {
            "Kubernetes sets this variable for a service of that name: set it yourself, or enableServiceLinks: false"
        } else {
            "write `:`, `/`, `?`, `#` and `@` in a URL's user or password as %3A, %2F, %3F, %23 and %40"
        })
    })
}

/// As in libpq, whoever runs this.
fn user_of_the_process() -> Result<String> {
    whoami::username().map_err(|error| {
        Error::config(format!("destination.url names no user, and the system does not know who runs this: {error}"))
            .with_hint("name the user in destination.url, or in PGUSER")
    })
}

fn channel_binding(found: Found<'_>) -> Result<ChannelBinding> {
    found.choice(&[
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ])
}

fn session(found: Found<'_>) -> Result<TargetSessionAttrs> {
    match found.text() {
        "any" => Ok(TargetSessionAttrs::Any),
        // The same for a sink, which always writes; a primary in read-only mode is of no use to it.
        "read-write" | "primary" => Ok(TargetSessionAttrs::ReadWrite),
        "read-only" | "standby" | "prefer-standby" => {
            Err(found.bad("asks for a server that takes no writes").with_hint("remove it: the sink has to write"))
        }
        _ => Err(found.bad("is not supported").with_hint("use read-write (the default), primary or any")),
    }
}

fn keepalive(settings: &Settings) -> Result<Keepalive> {
    let get = |name: &str| settings.get(name);
    let time = |name: &str| get(name).map(seconds).transpose().map(Option::flatten);
    let millis = get("tcp_user_timeout").map(non_zero).transpose()?.flatten();
    Ok(Keepalive {
        enabled: get("keepalives").map(|found| found.number::<i32>().map(|number| number != 0)).transpose()?,
        idle: time("keepalives_idle")?,
        interval: time("keepalives_interval")?,
        count: get("keepalives_count").map(non_zero).transpose()?.flatten(),
        tcp_user_timeout: millis.map(|millis| Duration::from_millis(millis.into())),
    })
}

/// As in libpq, 0 and less mean the default.
fn non_zero(found: Found<'_>) -> Result<Option<u32>> {
    Ok(u32::try_from(found.number::<i32>()?).ok().filter(|number| *number > 0))
}

fn seconds(found: Found<'_>) -> Result<Option<Duration>> {
    Ok(non_zero(found)?.map(|seconds| Duration::from_secs(seconds.into())))
}

#[cfg(test)]
#[path = "tests/target.rs"]
mod tests;
