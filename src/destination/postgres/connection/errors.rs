//! Errors of PostgreSQL, of the `postgres` crate and of the network, as the sink's.

use std::error::Error as _;
use std::io;

use postgres::error::{DbError, Severity};

use super::deadline::Cancelled;
use super::server_words::{self, Phase};
use super::sqlstate::{self, QUERY_CANCELED, READ_ONLY, READ_ONLY_HINT};
use super::tls::{NoTls, handshake_failed};
use crate::error::{Class, Error, ErrorKind};

pub(crate) type PgResult<T> = std::result::Result<T, postgres::Error>;

/// An error that the server reported.
fn from_server(error: &DbError, phase: Phase) -> Error {
    let code = error.code().code();
    let (class, kind) = sqlstate::classify(code);
    let has_names = server_words::names_are_the_servers(error);
    // After FATAL and PANIC there is no connection any more.
    let is_refusal = sqlstate::may_be_row(code) && matches!(error.parsed_severity(), Some(Severity::Error) | None);
    let mapped = Error::new(kind, server_words::message(error, phase))
        .with_class(class)
        .with_sqlstate(code)
        .with_constraint(error.constraint().filter(|_| has_names))
        .with_column(error.column().filter(|_| has_names));
    let mapped = if code == QUERY_CANCELED { mapped.with_timeout() } else { mapped };
    let mapped = if is_refusal { mapped.with_refusal() } else { mapped };
    // PgBouncer's message. A retry does not help, so it is a mismatch.
    if error.message().contains("unsupported startup parameter") {
        return mapped.with_class(Class::Mismatch).with_hint(
            "replace `options`, which this pooler refuses, by ALTER ROLE … SET, which works through any pooler",
        );
    }
    match server_words::hint(error) {
        Some(hint) => mapped.with_hint(hint),
        None => mapped,
    }
}

/// The beginnings of the crate's errors for an answer that does not fit the statement.
const ANSWER_UNFIT: [&str; 5] = [
    "error parsing response",
    "unexpected message",
    "error deserializing",
    "invalid column",
    "query returned an unexpected number",
];

/// The one conversion of the `postgres` crate's errors. `cancelled`: our own deadline or abort ended the call.
pub(super) fn from_postgres(error: &postgres::Error, cancelled: Option<Cancelled>, phase: Phase) -> Error {
    if let Some(error) = error.as_db_error() {
        return from_server(error, phase);
    }
    match cancelled {
        Some(Cancelled::Aborted) => return Error::stopped(),
        Some(Cancelled::TimedOut) => return timed_out(),
        None => {}
    }
    // The crate distinguishes its kinds only by these texts.
    let text = error.to_string();
    if ANSWER_UNFIT.iter().any(|start| text.starts_with(start)) {
        let error = Error::new(ErrorKind::Protocol, format!("{text}: the answer does not fit the statement"));
        return error.with_class(Class::Transient);
    }
    if let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return from_io(io);
    }
    if let Some(error) = from_login(error, &text) {
        return error;
    }
    if text.starts_with("error serializing parameter") || text.starts_with("expected ") {
        // Our own statement and arrays do not fit each other. The cause may show a value, so it is left out.
        return Error::new(ErrorKind::Internal, text);
    }
    Error::new(ErrorKind::Connect, text)
}

/// An error of the login that the crate itself raises.
fn from_login(error: &postgres::Error, text: &str) -> Option<Error> {
    if misses_password(error) {
        let error = Error::new(ErrorKind::Database, "the server requires a password and none is configured");
        return Some(error.with_class(Class::Mismatch).with_hint(
            "put it into a file named by destination.password_file, into ~/.pgpass, or into destination.url",
        ));
    }
    if text != "authentication error" && text != "invalid configuration" {
        return None;
    }
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let mapped = Error::new(ErrorKind::Database, format!("{text}: {cause}")).with_class(Class::Mismatch);
    Some(if cause.contains("channel binding") {
        mapped.with_hint("use TLS and a password that the server keeps for SCRAM (password_encryption): channel_binding=require needs both")
    } else {
        mapped
    })
}

/// Whether the server requires a password and none is configured.
pub(super) fn misses_password(error: &postgres::Error) -> bool {
    error.to_string() == "invalid configuration"
        && error.source().is_some_and(|source| source.to_string() == "password missing")
}

/// Whether the server may have refused the login because of encryption or the lack of it: the TLS handshake failed, or no line of
/// `pg_hba.conf` is for this kind of connection (28000).
pub(super) fn may_be_encryption(error: &postgres::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| crate::net::tls::inside(io).is_some())
        || error.code().is_some_and(|code| code.code() == "28000")
}

pub(super) fn timed_out() -> Error {
    Error::new(ErrorKind::Connect, "the deadline passed without an answer").with_timeout()
}

/// A failure of resolution, TCP or TLS.
pub(crate) fn from_io(error: &io::Error) -> Error {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NoTls>) {
        return Error::new(ErrorKind::Connect, error.to_string()).with_class(Class::Mismatch).with_hint(
            "turn on `ssl` at the server; or use sslmode=prefer or disable, if the network between is trusted",
        );
    }
    if let Some(tls) = crate::net::tls::inside(error) {
        return handshake_failed(tls);
    }
    let mapped = Error::new(ErrorKind::Connect, error.to_string()).caused_by_io(error);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => mapped.with_hint("check that PostgreSQL is running there, on this port"),
        io::ErrorKind::NotFound => {
            mapped.with_hint("check that PostgreSQL is running, with this Unix socket's directory and port")
        }
        // The `postgres` crate's message when a server lacks the required session attributes.
        io::ErrorKind::PermissionDenied if error.to_string() == "database does not allow writes" => {
            Error::new(ErrorKind::Database, format!("the server is read-only (SQLSTATE {READ_ONLY})"))
                .with_class(Class::Transient)
                .with_sqlstate(READ_ONLY)
                .with_hint(READ_ONLY_HINT)
        }
        io::ErrorKind::PermissionDenied => mapped.with_hint("give this user access to the Unix socket"),
        _ => mapped,
    }
}
