//! One connection: every call on it has a deadline, ends when the sink aborts, and leaves nothing running on the server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use postgres::{CancelToken, Client};

use super::connector::{Connector, Facts};
use super::deadline::{Cancelled, Deadline};
use super::errors::{self, PgResult};
use super::server_words::Phase;
use crate::error::{Error, Result};
use crate::threads::spawn;
use crate::threads::stop_signal::InterruptGuard;

/// The deadline of the message `Terminate`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The deadline of a cancel request. Generous, because one that is dropped early crashes PgBouncer 1.18.
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
    pub(super) fn new(client: Client, connector: Connector, place: String, interrupt: InterruptGuard) -> Self {
        Self { cancel: client.cancel_token(), client: Some(client), connector, place, _interrupt: interrupt }
    }

    /// Runs one call. `action` begins the message of an error: "reading the catalogue".
    pub(crate) fn run<T>(
        &mut self,
        action: &str,
        timeout: Duration,
        call: impl FnOnce(&mut Client) -> PgResult<T>,
    ) -> Result<T> {
        let Some(client) = &mut self.client else { return Err(Error::stopped()) };
        let armed = self.connector.deadline.arm(timeout);
        let result = call(client);
        drop(armed);
        result.map_err(|error| {
            let cancelled = self.connector.deadline.cancelled();
            let error = errors::from_postgres(&error, cancelled, Phase::Statement);
            if cancelled.is_some() {
                self.send_cancel_request();
            }
            let error = match cancelled {
                Some(Cancelled::Aborted) => return error,
                Some(Cancelled::TimedOut) => error.with_hint(format!(
                    "look for load and locks on the server, or raise destination.statement_timeout: the limit was {timeout:?}"
                )),
                None => error,
            };
            error.while_doing(format_args!("{action}, {}", self.place))
        })
    }

    /// `PostgreSQL at host:port`
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.connector.facts
    }

    /// The id of the server process; behind a pooler, of the one for the present transaction.
    pub(crate) fn backend_pid(&mut self, timeout: Duration) -> Result<i32> {
        self.run("reading its process id", timeout, |client| {
            client.query_typed_one("SELECT pg_backend_pid()", &[])?.try_get(0)
        })
    }

    /// Whether the connection leads through a pooler: the process id that was reported is not the server's.
    pub(crate) fn is_pooled(&mut self, timeout: Duration) -> Result<bool> {
        let pid = self.backend_pid(timeout)?;
        Ok(self.facts().reported_pid.get().is_some_and(|reported| reported != pid))
    }

    /// Whether the connection is known to be closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Requests the cancellation of this connection's statement, and does not wait for it. Without that, an abandoned statement
    /// continues, holds its locks and occupies one of the server's connections.
    fn send_cancel_request(&self) {
        let deadline = Deadline::default();
        let (token, connector) = (self.cancel.clone(), self.connector.for_cancel(deadline.clone()));
        let cancel = move || {
            let _armed = deadline.arm(CANCEL_TIMEOUT);
            // The crate panics when the process is out of file descriptors. An error has no reader.
            let _ = catch_unwind(AssertUnwindSafe(|| token.cancel_query(connector)));
        };
        // Without a thread, the server notices when it next writes to the closed connection.
        let _ = spawn::spawn("cxsink-cancel", cancel);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _armed = self.connector.deadline.arm(CLOSE_TIMEOUT);
        drop(self.client.take());
    }
}
