//! Poolers, and their mode.

use std::time::Duration;

use crate::destination::postgres::connection::Session;
use crate::destination::postgres::server::Server;
use crate::error::Result;
use crate::report::finding::Finding;

/// The deadline of a second connection, which only serves to find out the mode of a pooler.
const SECOND_CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// A pooler reports another process id than the server's. The mode follows from whether two connections share a server process.
pub(super) fn pooler(server: &mut Server) -> Result<Finding> {
    let timeout = server.timeout();
    let session = server.ensure_session()?;
    let first = session.backend_pid(timeout)?;
    if session.facts().reported_pid.get().is_none_or(|reported| reported == first) {
        return Ok(Finding::good("none: this is a connection to the server itself"));
    }
    let mode = mode(server, first)?;
    let sink = "the sink's statements are transactions of their own and leave nothing behind";
    Ok(Finding::good(match mode {
        Some(mode) => format!("a pooler in {mode} mode; {sink}"),
        None => format!("a pooler in an unknown mode; {sink}"),
    }))
}

/// `first` is the server process that the first connection had.
fn mode(server: &mut Server, first: i32) -> Result<Option<&'static str>> {
    let timeout = server.timeout();
    let wait = timeout.min(SECOND_CONNECTION_TIMEOUT);
    let second = server.connect(wait).and_then(|mut second| second.backend_pid(wait).map(|_| second));
    // The pool may be exhausted, which leaves the mode unknown.
    let Ok(mut second) = second else { return Ok(None) };
    let session = server.session()?;
    Ok(match hold_backend(&mut second, wait) {
        Err(error) if error.is_timeout() => None,
        // This mode allows no transactions; PgBouncer closes the connection then.
        Err(_) => Some("statement"),
        // While the second connection holds a server process, the first may have to take another one.
        Ok(held) if held == first || session.backend_pid(timeout)? != first => Some("transaction"),
        Ok(_) => {
            drop(second);
            Some(if session.backend_pid(timeout)? == first { "session" } else { "transaction" })
        }
    })
}

/// Begins a transaction and returns its server process, which a pooler does not take away before the end.
fn hold_backend(session: &mut Session, timeout: Duration) -> Result<i32> {
    session.run("beginning a transaction", timeout, |client| client.batch_execute("BEGIN"))?;
    session.backend_pid(timeout)
}
