//! The server that the configuration names, and the session on it.

use std::fmt;
use std::time::Duration;

use super::connection::{self, Session};
use super::params::Target;
use crate::config::{DestinationConfig, TlsConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::threads::stop_signal::StopSignal;

pub(super) struct Server {
    config: DestinationConfig,
    tls: TlsConfig,
    target: Target,
    abort: StopSignal,
    session: Option<Session>,
}

impl Server {
    /// Reads the connection string and the files that it names; does not connect. `abort` ends every call.
    pub(super) fn new(config: &DestinationConfig, tls: &TlsConfig, abort: StopSignal) -> Result<Self> {
        let url = config.url.as_ref().ok_or_else(|| {
            Error::config("destination.url is not set").with_hint("set it to postgresql://user@host/database")
        })?;
        let target = Target::read(url.expose(), &config.libpq)?;
        // Only validates the files: each connection reads them again.
        connection::client_config(&target.tls, tls)?;
        Ok(Self { config: config.clone(), tls: tls.clone(), target, abort, session: None })
    }

    pub(super) fn config(&self) -> &DestinationConfig {
        &self.config
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn abort(&self) -> &StopSignal {
        &self.abort
    }

    pub(super) fn timeout(&self) -> Duration {
        self.config.statement_timeout
    }

    /// The session; an error if there is none.
    pub(super) fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(not_connected)
    }

    /// The session, which it opens if there is none.
    pub(super) fn ensure_session(&mut self) -> Result<&mut Session> {
        if self.session.is_none() {
            // Read again each time: services and password files change while the sink runs.
            if let Some(url) = &self.config.url {
                self.target = Target::read(url.expose(), &self.config.libpq)?;
            }
            self.session = Some(self.connect(self.config.connect_timeout)?);
        }
        self.session()
    }

    /// A session beside the first one.
    pub(super) fn connect(&self, timeout: Duration) -> Result<Session> {
        let password = self.config.password()?;
        connection::connect(&self.target, &self.tls, password, timeout, &self.abort)
    }

    /// Whether the session is unusable after this error, by the port's contract.
    pub(super) fn is_lost_after(&self, error: &Error) -> bool {
        match error.class() {
            _ if error.is_refusal() => self.is_disconnected(),
            Class::Transient | Class::Mismatch | Class::Permanent => true,
            Class::Conflict | Class::BadRow => self.is_disconnected(),
        }
    }

    pub(super) fn is_disconnected(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_closed)
    }

    pub(super) fn disconnect(&mut self) {
        self.session = None;
    }

    #[cfg(test)]
    pub(super) fn set_statement_timeout(&mut self, timeout: Duration) {
        self.config.statement_timeout = timeout;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("target", &self.target)
            .field("connected", &self.session.is_some())
            .finish_non_exhaustive()
    }
}

pub(super) fn not_connected() -> Error {
    Error::new(ErrorKind::Connect, "using the connection to PostgreSQL: it is not open")
}
