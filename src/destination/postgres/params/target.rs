//! The target of a connection: servers, login and options, from the connection string, a service, the environment and defaults.
//!
//! The `postgres` crate's own parser is not used: it knows neither `verify-ca` nor `verify-full`, no certificates, no password
//! file, no service and no environment. No error shows a value: it may be the password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::hosts::{Host, hosts};
use super::settings::{Parameter, Settings};
use super::ssl::TlsParameters;
use crate::config::database::libpq::Libpq;
use crate::error::{Error, Result};

/// The default name in `pg_stat_activity`.
const APPLICATION_NAME: &str = "cxsink";
const PASSWORD_FILE: &str = ".pgpass";

/// Servers, login and options of a connection.
#[derive(Clone)]
pub(crate) struct Target {
    /// At least one, in the order of the attempts.
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    /// Used if no password is configured otherwise.
    pub(crate) password_file: Option<PathBuf>,
    /// `None`: the one with the name of the user.
    pub(crate) database: Option<String>,
    pub(crate) tls: TlsParameters,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) application_name: String,
    pub(crate) options: Option<String>,
    pub(crate) session: TargetSessionAttrs,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) keepalive: Keepalive,
}

/// The kernel's detection of a dead peer; `None` means the default of libpq or of the system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) enabled: Option<bool>,
    pub(crate) idle: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) count: Option<u32>,
    pub(crate) tcp_user_timeout: Option<Duration>,
}

/// Shows everything but secrets.
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
    /// Reads `destination.url`, the service and the files that it names, and libpq's variables.
    pub(crate) fn read(text: &str, libpq: &Libpq) -> Result<Self> {
        let settings = Settings::read(text, libpq)?;
        let get = |name: &str| settings.get(name);
        let text = |name: &str| get(name).map(|parameter| parameter.text().to_owned());
        let in_home = || libpq.home.as_ref().map(|home| home.join(PASSWORD_FILE));
        Ok(Self {
            hosts: hosts(&settings)?,
            user: text("user").map_or_else(user_of_the_process, Ok)?,
            password: get("password").map(Parameter::secret),
            password_file: get("passfile").map(|parameter| parameter.text().into()).or_else(in_home),
            database: text("dbname"),
            tls: TlsParameters::read(&settings, libpq)?,
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

/// libpq's default.
fn user_of_the_process() -> Result<String> {
    whoami::username().map_err(|error| {
        Error::config(format!("destination.url names no user, and the user of this process has no name: {error}"))
            .with_hint("name the user in destination.url, or in PGUSER")
    })
}

fn channel_binding(parameter: Parameter<'_>) -> Result<ChannelBinding> {
    parameter.choice(&[
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ])
}

fn session(parameter: Parameter<'_>) -> Result<TargetSessionAttrs> {
    match parameter.text() {
        "any" => Ok(TargetSessionAttrs::Any),
        // The same for a sink: a primary in read-only mode is useless to it.
        "read-write" | "primary" => Ok(TargetSessionAttrs::ReadWrite),
        "read-only" | "standby" | "prefer-standby" => {
            Err(parameter.bad("selects servers that take no writes").with_hint("remove it: the sink has to write"))
        }
        _ => Err(parameter
            .bad("has a value that is not supported")
            .with_hint("use read-write (the default), primary or any")),
    }
}

fn keepalive(settings: &Settings) -> Result<Keepalive> {
    let get = |name: &str| settings.get(name);
    let time = |name: &str| get(name).map(seconds).transpose().map(Option::flatten);
    let millis = get("tcp_user_timeout").map(non_zero).transpose()?.flatten();
    Ok(Keepalive {
        enabled: get("keepalives").map(|parameter| parameter.number::<i32>().map(|number| number != 0)).transpose()?,
        idle: time("keepalives_idle")?,
        interval: time("keepalives_interval")?,
        count: get("keepalives_count").map(non_zero).transpose()?.flatten(),
        tcp_user_timeout: millis.map(|millis| Duration::from_millis(millis.into())),
    })
}

/// 0 and less mean the default, as in libpq.
fn non_zero(parameter: Parameter<'_>) -> Result<Option<u32>> {
    Ok(u32::try_from(parameter.number::<i32>()?).ok().filter(|number| *number > 0))
}

fn seconds(parameter: Parameter<'_>) -> Result<Option<Duration>> {
    Ok(non_zero(parameter)?.map(|seconds| Duration::from_secs(seconds.into())))
}

#[cfg(test)]
#[path = "tests/target.rs"]
mod tests;
