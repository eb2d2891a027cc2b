//! Connecting: names to addresses, one address after the other, under one deadline.
//!
//! It happens on a thread of its own (`cxsink-connect`), because neither name resolution nor the TCP handshake of the
//! `postgres` crate can be interrupted. The caller waits for whichever comes first: a connection, the deadline or the
//! abort. A thread that is left behind ends by itself: its own deadlines are not longer.

use std::net::{IpAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::config::{SslMode as CrateSslMode, SslNegotiation};
use secrecy::{ExposeSecret, SecretString};

use crate::config::TlsConfig;
use crate::destination::postgres::connection::connector::{Connector, Detour, TlsWish};
use crate::destination::postgres::connection::deadline::{Deadline, Trip};
use crate::destination::postgres::connection::errors;
use crate::destination::postgres::connection::session::Session;
use crate::destination::postgres::connection::tls;
use crate::destination::postgres::params::passfile;
use crate::destination::postgres::params::passfile::Lookup;
use crate::destination::postgres::params::ssl::SslMode;
use crate::destination::postgres::params::target::{Address, Host, Target};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::threads::spawn;
use crate::threads::stop_signal::StopSignal;

/// How much longer the caller waits than the connecting thread may take, so that the thread's better error is the one shown.
const GRACE: Duration = Duration::from_millis(200);

/// Connects to the first host of `target` that lets us in.
pub(crate) fn connect(
    target: &Target,
    tls: &TlsConfig,
    password: Option<SecretString>,
    timeout: Duration,
    abort: &StopSignal,
) -> Result<Session> {
    let timeout = target.connect_timeout.unwrap_or(timeout);
    let (sender, receiver) = mpsc::channel();
    let aborted = sender.clone();
    // A failed send only means that the caller has its answer already.
    let _interrupt = abort.on_set(move || drop(aborted.send(Err(Error::stopped()))));
    let dialer = Dialer {
        target: target.clone(),
        tls: tls.clone(),
        password,
        until: Instant::now() + timeout,
        abort: abort.clone(),
    };
    let dial = move || {
        // The crate panics when the process is out of file descriptors.
        let result = catch_unwind(AssertUnwindSafe(|| dialer.dial()))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Connect, "no event loop: out of file descriptors?")));
        drop(sender.send(result));
    };
    spawn::spawn("cxsink-connect", dial)
        .map_err(|error| Error::new(ErrorKind::Connect, format!("no thread to connect with: {error}")))?;
    let result = match receiver.recv_timeout(timeout + GRACE) {
        Ok(result) => result,
        Err(_) => Err(errors::timed_out().with_hint("the name of the host could not be resolved in time")),
    };
    if abort.is_set() {
        return Err(Error::stopped());
    }
    result.map_err(|error| error.while_doing(format_args!("connecting to PostgreSQL at {target}")))
}

struct Dialer {
    target: Target,
    tls: TlsConfig,
    password: Option<SecretString>,
    until: Instant,
    abort: StopSignal,
}

/// Where one attempt goes.
#[derive(Clone, Copy)]
enum Endpoint<'a> {
    Tcp { name: &'a str, ip: IpAddr },
    Unix,
}

/// Why one attempt failed.
struct Failure {
    error: Error,
    /// Whether another try with or without TLS may do.
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

impl Dialer {
    fn dial(&self) -> Result<Session> {
        let tls = tls::client_config(&self.target.tls, &self.tls)?;
        let mut failures: Vec<(&Host, Error)> = Vec::new();
        for (i, host) in self.target.hosts.iter().enumerate() {
            let hosts_left = self.target.hosts.len() - i;
            match self.dial_host(host, hosts_left, &tls) {
                Ok(session) => return Ok(session),
                Err(error) => failures.push((host, error)),
            }
            if self.abort.is_set() {
                return Err(Error::stopped());
            }
        }
        Err(all_failed(failures))
    }

    fn dial_host(&self, host: &Host, hosts_left: usize, tls: &Tls) -> Result<Session> {
        let name = match &host.address {
            Address::Unix(_) => {
                let outcome = self.attempt(host, Endpoint::Unix, TlsWish::None, hosts_left, &None);
                return outcome.map_err(Error::from);
            }
            Address::Tcp { name, .. } => name,
        };
        let addresses = addresses_of(host)?;
        let mut last = None;
        for (i, ip) in addresses.iter().enumerate() {
            let attempts_left = hosts_left - 1 + addresses.len() - i;
            match self.dial_address(host, Endpoint::Tcp { name, ip: *ip }, attempts_left, tls) {
                Ok(session) => return Ok(session),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Connect, format!("{name} has no address"))))
    }

    /// With TLS or without, in the order that the mode says.
    fn dial_address(&self, host: &Host, endpoint: Endpoint<'_>, attempts_left: usize, tls: &Tls) -> Result<Session> {
        let (first, second) = match self.target.tls.mode {
            SslMode::Disable => (TlsWish::None, None),
            SslMode::Allow => (TlsWish::None, Some(TlsWish::Required)),
            SslMode::Prefer => (TlsWish::IfOffered, Some(TlsWish::None)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (TlsWish::Required, None),
        };
        let outcome = self.attempt(host, endpoint, first, attempts_left, tls);
        match (outcome, second) {
            (Err(Failure { error, may_be_encryption: true }), Some(second)) => {
                log::info!("{host}: {error}; trying it {second}, as sslmode says");
                // What was said first is about what the mode prefers.
                self.attempt(host, endpoint, second, attempts_left, tls).map_err(|_| error)
            }
            (outcome, _) => outcome.map_err(Error::from),
        }
    }

    /// One address. It may take its share of the time that is left, so that a silent one does not use up the time of the others.
    fn attempt(
        &self,
        host: &Host,
        endpoint: Endpoint<'_>,
        wish: TlsWish,
        attempts_left: usize,
        tls: &Tls,
    ) -> std::result::Result<Session, Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(attempts_left.max(1)).unwrap_or(u32::MAX);
        if share.is_zero() {
            return Err(errors::timed_out().into());
        }
        let deadline = Deadline::default();
        let interrupt = {
            let deadline = deadline.clone();
            self.abort.on_set(move || deadline.abort())
        };
        let mut connector = Connector::new(wish, tls.clone(), deadline.clone());
        let mut config = self.base_config(share);
        match endpoint {
            Endpoint::Tcp { name, ip } => config.host(name).hostaddr(ip).port(host.port),
            Endpoint::Unix => {
                let detour = Detour::new(host.socket_path()).map_err(|error| errors::from_io(&error))?;
                let port = detour.port().map_err(|error| errors::from_io(&error))?;
                connector.detour = Some(detour);
                config.host("localhost").hostaddr(std::net::Ipv4Addr::LOCALHOST.into()).port(port)
            }
        };
        let no_password = self.set_password(&mut config, host);
        let armed = deadline.arm(share);
        let client = config.connect(connector.clone()).map_err(|error| {
            let mapped = errors::from_postgres(&error, deadline.tripped());
            let told = match (deadline.tripped(), no_password) {
                (Some(Trip::TimedOut), _) => {
                    mapped.with_hint("the address does not answer like PostgreSQL: is it the right host and port?")
                }
                (_, Some(reason)) if errors::misses_password(&error) => mapped.with_hint(reason),
                _ => mapped,
            };
            Failure { error: told, may_be_encryption: errors::may_be_encryption(&error) }
        })?;
        drop(armed);
        Ok(Session::new(client, connector, format!("PostgreSQL at {host}"), interrupt))
    }

    /// The password for this host, if there is one; otherwise perhaps a reason why not.
    fn set_password(&self, config: &mut postgres::Config, host: &Host) -> Option<String> {
        let target = &self.target;
        // The file that is named in the configuration itself counts first.
        if let Some(password) = self.password.as_ref().or(target.password.as_ref()) {
            config.password(password.expose_secret());
            return None;
        }
        let database = target.database.as_ref().unwrap_or(&target.user);
        match passfile::look_up(target.password_file.as_ref()?, host, database, &target.user) {
            Lookup::Password(password) => {
                config.password(password.expose_secret());
                None
            }
            Lookup::Nothing => None,
            Lookup::Unusable(reason) => {
                log::warn!("{reason}");
                Some(reason)
            }
        }
    }

    fn base_config(&self, timeout: Duration) -> postgres::Config {
        let target = &self.target;
        let mut config = postgres::Config::new();
        config
            .ssl_mode(CrateSslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct)
            .channel_binding(target.channel_binding)
            .connect_timeout(timeout)
            .user(&target.user)
            .application_name(&target.application_name)
            .target_session_attrs(target.session)
            // Notices come from triggers and may show values; the crate's own callback would log them.
            .notice_callback(|_| {});
        if let Some(database) = &target.database {
            config.dbname(database);
        }
        if let Some(options) = &target.options {
            config.options(options);
        }
        let keepalive = target.keepalive;
        config.keepalives(keepalive.enabled.unwrap_or(true));
        if let Some(idle) = keepalive.idle {
            config.keepalives_idle(idle);
        }
        if let Some(interval) = keepalive.interval {
            config.keepalives_interval(interval);
        }
        if let Some(count) = keepalive.count {
            config.keepalives_retries(count);
        }
        if let Some(timeout) = keepalive.tcp_user_timeout {
            config.tcp_user_timeout(timeout);
        }
        config
    }
}

/// One error for all hosts: of the kind of the one that tells most, with the words of each.
fn all_failed(failures: Vec<(&Host, Error)>) -> Error {
    let words = |failures: &[(&Host, Error)]| {
        failures.iter().map(|(host, error)| format!("{host}: {}", error.message())).collect::<Vec<_>>().join("; ")
    };
    let all = if failures.len() > 1 { Some(words(&failures)) } else { None };
    // What a server said tells more than that another one is away; that a server is not the one to write to, less.
    let rank = |error: &Error| match error.sqlstate() {
        Some(errors::READ_ONLY) => 1,
        Some(_) => 2,
        None => 0,
    };
    let mut told: Option<Error> = None;
    for (_, error) in failures {
        if told.as_ref().is_none_or(|told| rank(&error) > rank(told)) {
            told = Some(error);
        }
    }
    let told = told.unwrap_or_else(errors::timed_out);
    match all {
        Some(all) => told.with_message(all),
        None => told,
    }
}

/// The name of a host that has to be looked up.
pub(crate) fn name_of(host: &Host) -> Option<&str> {
    match &host.address {
        Address::Tcp { name, ip: None } if name.parse::<IpAddr>().is_err() => Some(name),
        _ => None,
    }
}

/// Where a host is on the network; nothing for a Unix socket.
pub(crate) fn addresses_of(host: &Host) -> Result<Vec<IpAddr>> {
    match &host.address {
        Address::Tcp { ip: Some(ip), .. } => Ok(vec![*ip]),
        Address::Tcp { name, ip: None } => resolve(name, host.port),
        Address::Unix(_) => Ok(Vec::new()),
    }
}

fn resolve(name: &str, port: u16) -> Result<Vec<IpAddr>> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![ip]);
    }
    let found = (name, port).to_socket_addrs().map_err(|error| {
        Error::new(ErrorKind::Connect, format!("the name {name} cannot be resolved: {error}"))
            .with_class(Class::Transient)
            .with_hint("check the host in destination.url, and the network's DNS")
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}
