//! The attempts to connect: host after host, address after address, with TLS or without.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Secret;

use super::client_config;
use super::connector::{Connector, TlsUse};
use super::deadline::{Cancelled, Deadline};
use super::errors;
use super::server_words::Phase;
use super::session::Session;
use super::sqlstate::READ_ONLY;
use super::tls;
use super::unix_socket::UnixSocket;
use crate::config::TlsConfig;
use crate::destination::postgres::params::{Address, Host, SslMode, Target};
use crate::error::foreign_text::MESSAGE_CHARS_MAX;
use crate::error::{Error, Result};
use crate::net::resolve::{resolve, system_resolver};
use crate::net::server_text::shown;
use crate::threads::stop_signal::StopSignal;

/// Everything that an attempt needs.
pub(super) struct Attempts {
    pub(super) target: Target,
    pub(super) tls: TlsConfig,
    pub(super) password: Option<Secret>,
    pub(super) until: Instant,
    pub(super) abort: StopSignal,
}

/// The destination of one attempt.
#[derive(Clone, Copy)]
enum Endpoint<'a> {
    Tcp { name: &'a str, ip: IpAddr },
    Unix,
}

/// The reason why one attempt failed.
struct Failure {
    error: Error,
    /// Whether an attempt with the opposite use of TLS may succeed.
    may_be_encryption: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, may_be_encryption: false }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

type Tls = Option<Arc<rustls::ClientConfig>>;

impl Attempts {
    /// Connects to the first host that accepts the login.
    pub(super) fn connect(&self) -> Result<Session> {
        let tls = tls::client_config(&self.target.tls, &self.tls)?;
        let mut failures: Vec<(&Host, Error)> = Vec::new();
        for (i, host) in self.target.hosts.iter().enumerate() {
            let hosts_left = self.target.hosts.len() - i;
            match self.connect_host(host, hosts_left, &tls) {
                Ok(session) => return Ok(session),
                Err(error) => failures.push((host, error)),
            }
            if self.abort.is_set() {
                return Err(Error::stopped());
            }
        }
        Err(all_failed(failures))
    }

    fn connect_host(&self, host: &Host, hosts_left: usize, tls: &Tls) -> Result<Session> {
        let Address::Tcp { name, .. } = &host.address else {
            let outcome = self.attempt(host, Endpoint::Unix, TlsUse::Never, hosts_left, &None);
            return outcome.map_err(Error::from);
        };
        let until = Instant::now() + self.share(hosts_left);
        let addresses = resolve(&host.network_address(), host.port, until, &self.abort, &system_resolver())?;
        let mut last = None;
        for (i, address) in addresses.iter().enumerate() {
            let attempts_left = hosts_left - 1 + addresses.len() - i;
            match self.connect_address(host, Endpoint::Tcp { name, ip: address.ip() }, attempts_left, tls) {
                Ok(session) => return Ok(session),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(errors::timed_out))
    }

    /// The part of the time left that one of several attempts may take, so that a silent one leaves time for the others.
    fn share(&self, attempts_left: usize) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        left / u32::try_from(attempts_left.max(1)).unwrap_or(u32::MAX)
    }

    /// With TLS, without, or first one and then the other, as the mode demands.
    fn connect_address(&self, host: &Host, endpoint: Endpoint<'_>, attempts_left: usize, tls: &Tls) -> Result<Session> {
        let (first, second) = match self.target.tls.mode {
            SslMode::Disable => (TlsUse::Never, None),
            SslMode::Allow => (TlsUse::Never, Some(TlsUse::Always)),
            SslMode::Prefer => (TlsUse::IfOffered, Some(TlsUse::Never)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (TlsUse::Always, None),
        };
        let outcome = self.attempt(host, endpoint, first, attempts_left, tls);
        match (outcome, second) {
            (Err(Failure { error, may_be_encryption: true }), Some(second)) => {
                log::log!(fallback_level(second), "{host}: {error}; trying {second}, as sslmode allows");
                // If both fail, the first error is about what the mode prefers.
                self.attempt(host, endpoint, second, attempts_left, tls).map_err(|_| error)
            }
            (outcome, _) => outcome.map_err(Error::from),
        }
    }

    /// One address, within its share of the time left.
    fn attempt(
        &self,
        host: &Host,
        endpoint: Endpoint<'_>,
        tls_use: TlsUse,
        attempts_left: usize,
        tls: &Tls,
    ) -> std::result::Result<Session, Failure> {
        let share = self.share(attempts_left);
        if share.is_zero() {
            return Err(errors::timed_out().into());
        }
        let deadline = Deadline::default();
        let interrupt = {
            let deadline = deadline.clone();
            self.abort.on_set(move || deadline.abort())
        };
        let mut config = client_config::for_target(&self.target, share);
        let unix_socket = set_endpoint(&mut config, host, endpoint)?;
        let no_password = client_config::set_password(&mut config, self.password.as_ref(), &self.target, host);
        let connector = Connector::new(tls_use, tls.clone(), unix_socket, deadline.clone());
        let armed = deadline.arm(share);
        let client = config
            .connect(connector.clone())
            .map_err(|error| failure(&error, deadline.cancelled(), no_password.as_deref(), hidden_password(&config)))?;
        drop(armed);
        Ok(Session::new(client, connector, format!("PostgreSQL at {host}"), interrupt))
    }
}

fn set_endpoint(config: &mut postgres::Config, host: &Host, endpoint: Endpoint<'_>) -> Result<Option<UnixSocket>> {
    match endpoint {
        Endpoint::Tcp { name, ip } => {
            config.host(name).hostaddr(ip).port(host.port);
            Ok(None)
        }
        Endpoint::Unix => {
            let unix_socket = UnixSocket::new(host.socket_path()).map_err(|error| errors::from_io(&error))?;
            let port = unix_socket.decoy_port().map_err(|error| errors::from_io(&error))?;
            config.host("localhost").hostaddr(Ipv4Addr::LOCALHOST.into()).port(port);
            Ok(Some(unix_socket))
        }
    }
}

/// Without TLS, everything that follows travels in clear text, although the mode prefers otherwise.
fn fallback_level(second: TlsUse) -> log::Level {
    if second == TlsUse::Never { log::Level::Warn } else { log::Level::Info }
}

/// The password, which a server that got it in clear text may repeat in its error; empty if hiding it would hide more: it is a name, or so
/// short that other words contain it.
fn hidden_password(config: &postgres::Config) -> &str {
    let password = config.get_password().and_then(|password| std::str::from_utf8(password).ok()).unwrap_or_default();
    let is_name = [config.get_user(), config.get_dbname()].contains(&Some(password));
    if is_name || password.len() < 4 { "" } else { password }
}

fn failure(
    error: &postgres::Error,
    cancelled: Option<Cancelled>,
    no_password: Option<&str>,
    password: &str,
) -> Failure {
    let mapped = errors::from_postgres(error, cancelled, Phase::Connecting);
    let message = shown(mapped.message().as_bytes(), &[password], MESSAGE_CHARS_MAX);
    let mapped = mapped.with_message(message);
    let mapped = match (cancelled, no_password) {
        (Some(Cancelled::TimedOut), _) => {
            mapped.with_hint("check host and port: the address does not answer like PostgreSQL")
        }
        (_, Some(reason)) if errors::misses_password(error) => mapped.with_hint(reason),
        (_, None) if errors::misses_password(error) => {
            mapped.with_hint("set DB_PASSWORD or destination.password_file, or put the password into destination.url")
        }
        _ => mapped,
    };
    Failure { error: mapped, may_be_encryption: errors::may_be_encryption(error) }
}

/// One error for all hosts: the most informative one, with the messages of all.
fn all_failed(failures: Vec<(&Host, Error)>) -> Error {
    let messages = |failures: &[(&Host, Error)]| {
        failures.iter().map(|(host, error)| format!("{host}: {}", error.message())).collect::<Vec<_>>().join("; ")
    };
    let all = if failures.len() > 1 { Some(messages(&failures)) } else { None };
    // A server's own error is more informative than an unreachable server, and a read-only server less.
    let rank = |error: &Error| match error.sqlstate() {
        Some(READ_ONLY) => 1,
        Some(_) => 2,
        None => 0,
    };
    let mut best: Option<Error> = None;
    for (_, error) in failures {
        if best.as_ref().is_none_or(|best| rank(&error) > rank(best)) {
            best = Some(error);
        }
    }
    let best = best.unwrap_or_else(errors::timed_out);
    match all {
        Some(all) => best.with_message(all),
        None => best,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falling_back_to_a_plain_connection_is_a_warning() {
        assert_eq!(fallback_level(TlsUse::Never), log::Level::Warn);
        assert_eq!(fallback_level(TlsUse::Always), log::Level::Info);
    }

    #[test]
    fn a_password_is_hidden_unless_it_is_a_name_or_too_short() {
        let check = |password: &str, hidden: &str| {
            let mut config = postgres::Config::new();
            config.user("postgres").dbname("events").password(password);
            assert_eq!(hidden_password(&config), hidden);
        };
        check("hunter2", "hunter2");
        check("postgres", "");
        check("events", "");
        check("abc", "");
    }
}
