//! `destination.url` for PostgreSQL: libpq's connection URI (PostgreSQL manual, "Connection URIs").
//!
//! Parsed here and not by the `postgres` crate, because that one refuses parameters which users of libpq expect without saying
//! which ones it has, and knows neither `verify-ca` nor `verify-full`. No error shows the URL: it may hold a password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::config::TargetSessionAttrs;
use secrecy::SecretString;

use crate::error::{Error, Result};

const PORT: u16 = 5432;
/// What goes into `pg_stat_activity` unless the URL says otherwise.
const APPLICATION_NAME: &str = "cxsink";

/// The parameters that are understood, for the hint.
const KNOWN: [&str; 16] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "application_name",
    "connect_timeout",
    "options",
    "target_session_attrs",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// Where to connect, and as whom.
#[derive(Clone)]
pub(super) struct Target {
    /// Tried in this order; at least one.
    pub(super) hosts: Vec<Host>,
    pub(super) user: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: Option<String>,
    pub(super) ssl_mode: SslMode,
    pub(super) application_name: String,
    pub(super) options: Option<String>,
    pub(super) session: TargetSessionAttrs,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) keepalive: Keepalive,
}

/// One server that may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) address: Address,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A name or an IP address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// libpq's `sslmode`, without `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(super) fn verifies_chain(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

/// How the kernel finds out that the other side is gone; `None` leaves libpq's or the system's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keepalive {
    pub(super) enabled: Option<bool>,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
    pub(super) tcp_user_timeout: Option<Duration>,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Address::Tcp(name) => write!(f, "{name}:{}", self.port),
            Address::Unix(_) => write!(f, "{}", self.socket_path().display()),
        }
    }
}

impl Host {
    /// The Unix socket's file.
    pub(super) fn socket_path(&self) -> PathBuf {
        match &self.address {
            Address::Unix(directory) => directory.join(format!(".s.PGSQL.{}", self.port)),
            Address::Tcp(_) => PathBuf::new(),
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
            .field("ssl_mode", &self.ssl_mode)
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
    pub(super) fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| bad("it starts with neither postgresql:// nor postgres://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The last @, because a password that was not encoded may hold others; a / may stand there too.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));

        let mut parts = Parts::default();
        if let Some(credentials) = credentials {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            parts.user = non_empty(decode("the user", user)?);
            parts.password = password.map(|password| decode("the password", password)).transpose()?.map(Into::into);
        }
        parts.database = non_empty(decode("the database", database)?);
        if !authority.is_empty() {
            for host in authority.split(',') {
                let (name, port) = split_host(host)?;
                parts.hosts.push(decode("the host", name)?);
                parts.ports.push(port.unwrap_or_default().into());
            }
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| bad("a parameter has no value"))?;
            let name = decode("a parameter's name", name)?;
            let value = decode(&format!("the parameter {name}"), value)?;
            parts.set(&name, value)?;
        }
        parts.into_target()
    }
}

/// What the URL says, before defaults.
#[derive(Default)]
struct Parts {
    hosts: Vec<String>,
    ports: Vec<String>,
    user: Option<String>,
    password: Option<SecretString>,
    database: Option<String>,
    ssl_mode: Option<SslMode>,
    application_name: Option<String>,
    options: Option<String>,
    session: Option<TargetSessionAttrs>,
    connect_timeout: Option<Duration>,
    keepalive: Keepalive,
}

impl Parts {
    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            // An address is good wherever a name is; TLS then verifies the address.
            "host" | "hostaddr" => self.hosts = value.split(',').map(Into::into).collect(),
            "port" => self.ports = value.split(',').map(Into::into).collect(),
            "user" => self.user = non_empty(value),
            "password" => self.password = Some(value.into()),
            "dbname" => self.database = non_empty(value),
            "sslmode" => self.ssl_mode = Some(ssl_mode(&value)?),
            "application_name" => self.application_name = Some(value),
            "options" => self.options = non_empty(value),
            "target_session_attrs" => self.session = Some(target_session_attrs(&value)?),
            "connect_timeout" => self.connect_timeout = seconds(name, &value)?,
            "keepalives" => self.keepalive.enabled = Some(value != "0"),
            "keepalives_idle" => self.keepalive.idle = seconds(name, &value)?,
            "keepalives_interval" => self.keepalive.interval = seconds(name, &value)?,
            "keepalives_count" => self.keepalive.count = non_zero(name, &value)?,
            "tcp_user_timeout" => {
                let millis = non_zero(name, &value)?;
                self.keepalive.tcp_user_timeout = millis.map(|millis| Duration::from_millis(millis.into()));
            }
            // These ask for what happens anyway.
            "channel_binding" | "gssencmode" if value == "prefer" || value == "disable" => {}
            "client_encoding" if ["utf8", "utf-8", "auto"].contains(&value.to_ascii_lowercase().as_str()) => {}
            _ => return Err(unsupported(name)),
        }
        Ok(())
    }

    fn into_target(self) -> Result<Target> {
        let hosts = if self.hosts.is_empty() { vec![String::new()] } else { self.hosts };
        if self.ports.len() > 1 && self.ports.len() != hosts.len() {
            return Err(bad(format!("it has {} hosts but {} ports", hosts.len(), self.ports.len())));
        }
        let hosts = hosts.into_iter().enumerate().map(|(i, name)| {
            let port = self.ports.get(i).or(self.ports.first()).map_or("", String::as_str);
            let address = match name.as_str() {
                "" => Address::Tcp("localhost".into()),
                directory if directory.starts_with('/') => Address::Unix(directory.into()),
                _ => Address::Tcp(name),
            };
            Ok(Host { address, port: parse_port(port)? })
        });
        Ok(Target {
            hosts: hosts.collect::<Result<_>>()?,
            user: self.user,
            password: self.password,
            database: self.database,
            ssl_mode: self.ssl_mode.unwrap_or(SslMode::Prefer),
            application_name: self.application_name.unwrap_or_else(|| APPLICATION_NAME.into()),
            options: self.options,
            session: self.session.unwrap_or(TargetSessionAttrs::Any),
            connect_timeout: self.connect_timeout,
            keepalive: self.keepalive,
        })
    }
}

/// `host`, `host:port`, `[address]`, `[address]:port`.
fn split_host(host: &str) -> Result<(&str, Option<&str>)> {
    let Some(rest) = host.strip_prefix('[') else {
        return Ok(host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))));
    };
    match rest.split_once(']') {
        Some((address, "")) => Ok((address, None)),
        Some((address, port)) if port.starts_with(':') => Ok((address, Some(&port[1..]))),
        _ => Err(bad("an IPv6 address is written as [address]:port")),
    }
}

fn parse_port(port: &str) -> Result<u16> {
    match port {
        "" => Ok(PORT),
        // The text is not shown: after an unencoded : or @ it can be a piece of the password.
        _ => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            bad("the port is not a number from 1 to 65535")
                .with_hint("write `:`, `/`, `?`, `#` and `@` in a user or password as %3A, %2F, %3F, %23 and %40")
        }),
    }
}

fn ssl_mode(value: &str) -> Result<SslMode> {
    Ok(match value {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(bad("its sslmode is not supported")
                .with_hint("use one of disable, prefer, require, verify-ca, verify-full"));
        }
    })
}

fn target_session_attrs(value: &str) -> Result<TargetSessionAttrs> {
    Ok(match value {
        "any" => TargetSessionAttrs::Any,
        // The same for a sink, which always writes; a primary in read-only mode is of no use to it.
        "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
        _ => {
            return Err(bad("its target_session_attrs is not supported")
                .with_hint("use any, or read-write to be led to the primary: the sink has to write"));
        }
    })
}

fn number(name: &str, value: &str) -> Result<u32> {
    value.parse().map_err(|_| bad(format!("its {name} is not a whole number")))
}

/// As in libpq, 0 means the default.
fn non_zero(name: &str, value: &str) -> Result<Option<u32>> {
    Ok(Some(number(name, value)?).filter(|number| *number > 0))
}

fn seconds(name: &str, value: &str) -> Result<Option<Duration>> {
    Ok(non_zero(name, value)?.map(|seconds| Duration::from_secs(seconds.into())))
}

fn decode(what: &str, text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| bad(format!("{what} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(bad(format!("{what} holds a NUL character")));
    }
    Ok(text.into_owned())
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn unsupported(name: &str) -> Error {
    // Names are short; a long one is rather a piece of a password that was not encoded.
    let shown: String = name.chars().take(40).filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    bad(format!("the parameter `{shown}` is not supported"))
        .with_hint(format!("remove it; supported are {}", KNOWN.join(", ")))
}

fn bad(why: impl fmt::Display) -> Error {
    Error::config(format!("destination.url is not a usable PostgreSQL URL: {why}"))
        .with_hint("write it as postgresql://user:password@host:5432/database?sslmode=require")
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn hosts(url: &str) -> Vec<String> {
        Target::parse(url).unwrap().hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hosts_and_ports() {
        let cases: [(&str, &[&str]); 12] = [
            ("postgresql://", &["localhost:5432"]),
            ("postgres://db.example.com/x", &["db.example.com:5432"]),
            ("postgresql://db:5433", &["db:5433"]),
            ("postgresql://[2001:db8::1]:5433/x", &["[2001:db8::1]:5433"]),
            ("postgresql://[::1]", &["[::1]:5432"]),
            ("postgresql://a:1,b:2/x", &["a:1", "b:2"]),
            ("postgresql://a,b:2/x", &["a:5432", "b:2"]),
            ("postgresql:///x?host=/var/run/postgresql", &["/var/run/postgresql/.s.PGSQL.5432"]),
            ("postgresql://u@/x?host=/tmp&port=6000", &["/tmp/.s.PGSQL.6000"]),
            ("postgresql://%2Ftmp:6000/x", &["/tmp/.s.PGSQL.6000"]),
            ("postgresql:///x?host=a,b&port=6000", &["a:6000", "b:6000"]),
            ("postgresql:///x?host=a,b&port=1,2", &["a:1", "b:2"]),
        ];
        for (url, expected) in cases {
            assert_eq!(hosts(url), expected, "{url}");
        }
    }

    #[test]
    fn credentials_are_decoded() {
        let cases = [
            ("postgresql://u:p@h/d", "u", Some("p"), Some("d")),
            ("postgresql://u%40x:p%3A%2F%40%20%C3%A4@h/d%20b", "u@x", Some("p:/@ ä"), Some("d b")),
            ("postgresql://u:p@q/r@h/d", "u", Some("p@q/r"), Some("d")),
            ("postgresql://h?user=u&password=p%26&dbname=d", "u", Some("p&"), Some("d")),
            ("postgresql://u@h", "u", None, None),
        ];
        for (url, user, password, database) in cases {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.user.as_deref(), Some(user), "{url}");
            assert_eq!(target.password.as_ref().map(ExposeSecret::expose_secret), password, "{url}");
            assert_eq!(target.database.as_deref(), database, "{url}");
        }
    }

    #[test]
    fn parameters() {
        let target = Target::parse("postgresql://h/d").unwrap();
        assert_eq!((target.ssl_mode, target.application_name.as_str()), (SslMode::Prefer, "cxsink"));
        let url = "postgresql://h/d?sslmode=verify-full&application_name=a%20b&connect_timeout=3&tcp_user_timeout=500\
                   &keepalives=1&options=-c%20x%3D1&target_session_attrs=primary&keepalives_count=0&channel_binding=prefer";
        let target = Target::parse(url).unwrap();
        assert_eq!(target.ssl_mode, SslMode::VerifyFull);
        assert_eq!(target.application_name, "a b");
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(3)));
        assert_eq!(target.keepalive.tcp_user_timeout, Some(Duration::from_millis(500)));
        assert_eq!((target.keepalive.enabled, target.keepalive.count), (Some(true), None));
        assert_eq!(target.options.as_deref(), Some("-c x=1"));
        assert_eq!(target.session, TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let cases = [
            ("mysql://u:hunter2@h/d", "neither postgresql://"),
            ("postgresql://u:hunter2@h/d?sslrootcert=x", "`sslrootcert`"),
            ("postgresql://u:hunter2@h/d?sslmode=allow", "sslmode"),
            ("postgresql://u:hunter2@h/d?target_session_attrs=standby", "target_session_attrs"),
            ("postgresql://u:hunter2@h/d?channel_binding=require", "`channel_binding`"),
            ("postgresql://u:hunter2@h:0/d", "port"),
            ("postgresql://u:x:hunter2", "port"),
            ("postgresql://u:hunter2@[::1/d", "[address]:port"),
            ("postgresql://u:hunter2%FF@h/d", "password is not UTF-8"),
            ("postgresql://u:hunter2%00@h/d", "NUL"),
            ("postgresql://u:hunter2@a,b/d?port=1,2,3", "2 hosts but 3 ports"),
            ("postgresql://u:hunter2@h/d?connect_timeout=soon", "connect_timeout"),
            ("postgresql://u:hunter2@h/d?x", "no value"),
        ];
        for (url, expected) in cases {
            let error = Target::parse(url).unwrap_err();
            assert!(error.message().contains(expected), "{url}: {error}");
            let everything = format!("{error} {error:?} {}", error.detail_json());
            assert!(!everything.contains("hunter2"), "{everything}");
        }
        let target = Target::parse("postgresql://u:hunter2@h/d").unwrap();
        assert!(!format!("{target:?} {target}").contains("hunter2"));
    }
}
