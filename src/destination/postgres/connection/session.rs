//! One connection: every call on it has a deadline, ends when the sink aborts, and leaves nothing running on the server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use postgres::{CancelToken, Client};

use crate::destination::postgres::connection::connector::{Connector, Facts};
use crate::destination::postgres::connection::deadline::{Deadline, Trip};
use crate::destination::postgres::connection::errors;
use crate::destination::postgres::connection::errors::PgResult;
use crate::error::{Error, Result};
use crate::threads::spawn;
use crate::threads::stop_signal::InterruptGuard;

/// How long saying goodbye to the server may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a cancel request may take. Giving one up early is what crashes PgBouncer 1.18, so this is generous.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Session {
    /// `None` only while dropping.
    client: Option<Client>,
    cancel: CancelToken,
    connector: Connector,
    /// For messages: `PostgreSQL at host:port`.
    place: String,
    _interrupt: InterruptGuard,
}

impl Session {
    /// `interrupt` aborts the connector's deadline when the sink aborts.
    pub(crate) fn new(client: Client, connector: Connector, place: String, interrupt: InterruptGuard) -> Self {
        Self { cancel: client.cancel_token(), client: Some(client), connector, place, _interrupt: interrupt }
    }

    /// Runs one call. `what` is what it tries, for the error: "reading the catalogue".
    pub(crate) fn run<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        call: impl FnOnce(&mut Client) -> PgResult<T>,
    ) -> Result<T> {
        let Some(client) = &mut self.client else { return Err(Error::stopped()) };
        let armed = self.connector.deadline.arm(timeout);
        let result = call(client);
        drop(armed);
        result.map_err(|error| {
            let trip = self.connector.deadline.tripped();
            let mapped = errors::from_postgres(&error, trip);
            match trip {
                Some(Trip::Aborted) => {
                    self.cancel();
                    mapped
                }
                Some(Trip::TimedOut) => {
                    self.cancel();
                    self.explain(
                        what,
                        &mapped.with_hint(format!("the limit was {timeout:?}; is the server overloaded or locked?")),
                    )
                }
                None => self.explain(what, &mapped),
            }
        })
    }

    fn explain(&self, what: &str, error: &Error) -> Error {
        error.clone().while_doing(format_args!("{what}, {}", self.place))
    }

    /// Where this connection leads: `PostgreSQL at host:port`.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// What was learned while connecting.
    pub(crate) fn facts(&self) -> &Facts {
        &self.connector.facts
    }

    /// The process that works for this connection; behind a pooler, for its present transaction.
    pub(crate) fn backend_pid(&mut self, timeout: Duration) -> Result<i32> {
        self.run("asking for its process id", timeout, |client| {
            client.query_typed_one("SELECT pg_backend_pid()", &[])?.try_get(0)
        })
    }

    /// Whether a pooler is in between: the process id that we were given is not the server's.
    pub(crate) fn is_pooled(&mut self, timeout: Duration) -> Result<bool> {
        let pid = self.backend_pid(timeout)?;
        Ok(self.facts().given_pid.get().is_some_and(|given| given != pid))
    }

    /// Whether the server has closed the connection, as far as we have noticed.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Asks the server to end what it is doing for this connection, without waiting for it: otherwise an abandoned statement
    /// runs on, holds its locks and takes one of the server's connections.
    fn cancel(&self) {
        let deadline = Deadline::default();
        let (token, connector) = (self.cancel.clone(), self.connector.for_cancel(deadline.clone()));
        let cancel = move || {
            let _armed = deadline.arm(CANCEL_TIMEOUT);
            // The crate panics when the process is out of file descriptors. Nobody is there to hear of an error.
            let _ = catch_unwind(AssertUnwindSafe(|| token.cancel_query(connector)));
        };
        // Without a thread to do it in, the server finds out by itself when it next writes to the closed connection.
        let _ = spawn::spawn("cxsink-cancel", cancel);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _armed = self.connector.deadline.arm(CLOSE_TIMEOUT);
        drop(self.client.take());
    }
}
