//! What each failure of PostgreSQL means to the sink: the table of failures in ARCHITECTURE.md, in one place.
//!
//! The server's own words are passed on only where they cannot hold values of a row. `DETAIL` and `CONTEXT` never are, and for
//! a refused row our own words stand in for the message (`invalid input syntax for type integer: "12x"` shows the value).

use std::error::Error as _;
use std::io;

use postgres::error::DbError;

use crate::destination::postgres::connection::deadline::Trip;
use crate::destination::postgres::connection::tls::{NoTls, handshake_failed};
use crate::error::{Class, Error, ErrorKind};

/// `read_only_sql_transaction`: a standby, or a server that takes no writes for now.
pub(crate) const READ_ONLY: &str = "25006";

/// What the `postgres` crate returns.
pub(crate) type PgResult<T> = std::result::Result<T, postgres::Error>;

/// What to do about a SQLSTATE (PostgreSQL manual, appendix A).
///
/// A code that is not known here counts as an outage: the batch stays spooled and is tried again, so that a surprise never
/// turns good events into dead letters.
pub(crate) fn classify(sqlstate: &str) -> (Class, ErrorKind) {
    match sqlstate {
        "40001" | "40P01" | "55P03" => (Class::Conflict, ErrorKind::Database),
        // 54000: a value too large for its index; 54001: a document nested too deeply. Both come from the row and stay with it.
        // P0001: a trigger's RAISE, which is how a table says no to a row in words of its own.
        "21000" | "54000" | "54001" | "P0001" => (Class::BadRow, ErrorKind::Constraint),
        // The database was dropped.
        "57P04" => (Class::Mismatch, ErrorKind::Database),
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "22" | "23" => (Class::BadRow, ErrorKind::Constraint),
            // 0A: what the plan asks for does not exist for this kind of table, or its columns changed under a prepared statement.
            "42" | "28" | "3D" | "3F" | "0A" => (Class::Mismatch, ErrorKind::Database),
            "08" => (Class::Transient, ErrorKind::Connect),
            "57" if sqlstate.starts_with("57P") => (Class::Transient, ErrorKind::Connect),
            _ => (Class::Transient, ErrorKind::Database),
        },
    }
}

/// Whether the server's message for this code consists of names and settings only.
fn message_is_safe(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("08" | "0A" | "25" | "26" | "28" | "3D" | "3F" | "40" | "42" | "53" | "55" | "57"))
}

/// Our words for a SQLSTATE whose message may hold values.
fn own_words(sqlstate: &str) -> &'static str {
    match sqlstate {
        "21000" => "the same key stands twice in one batch",
        "22001" => "a text is too long for its column",
        "22003" => "a number is out of its column's range",
        "22007" | "22008" | "22009" => "a date or time is not valid",
        "22021" | "22P05" => "a text has a character that the database cannot store",
        "22023" | "22P02" | "22P03" => "a value is not valid for its column's type",
        "22030" | "22032" => "a JSON document is not valid",
        "23502" => "null in a column that is NOT NULL",
        "23503" => "a foreign key has no such row",
        "23505" => "the value stands in another row already, and a unique index does not allow it twice",
        "23514" => "a check constraint does not allow the row",
        "23P01" => "an exclusion constraint does not allow the row",
        "54000" | "54001" => "a value is too large, or too deeply nested, for the database",
        "P0001" => "a trigger or function raised an exception",
        "XX000" | "XX001" | "XX002" => "the server reports an internal error; its log says more",
        _ => match sqlstate.get(..2) {
            Some("22") => "a value is not valid for its column",
            Some("23") => "a constraint does not allow the row",
            _ => "the server's log says more",
        },
    }
}

const READ_ONLY_HINT: &str = "perhaps a standby: name all hosts in destination.url, separated by commas, and the sink finds the one that takes writes";

fn hint(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "42P01" => "run `cxsink init-db`, or set destination.table to an existing table",
        "3F000" => "create the schema, or set destination.table to one that exists",
        "42703" => "the table has other columns than the mapping: compare it with `cxsink init-db --print`",
        "42P10" => "the conflict key needs a unique index on exactly its columns",
        "42501" => "grant SELECT, INSERT and UPDATE on the table and on cxsink_checkpoint to this user",
        "28P01" | "28000" => "check user and password, and the server's pg_hba.conf",
        "3D000" => "create the database, or correct its name in destination.url",
        READ_ONLY => READ_ONLY_HINT,
        "53300" => "raise max_connections, or close other connections",
        "53100" => "free disk space on the database server",
        _ => return None,
    })
}

/// An error that the server reported.
fn from_server(error: &DbError) -> Error {
    let sqlstate = error.code().code();
    let (class, kind) = classify(sqlstate);
    let words = if message_is_safe(sqlstate) { error.message() } else { own_words(sqlstate) };
    let mut message = format!("{words} (SQLSTATE {sqlstate}");
    for (label, name) in [("table", error.table()), ("column", error.column()), ("constraint", error.constraint())] {
        if let Some(name) = name.filter(|_| class == Class::BadRow) {
            message.extend([", ", label, " ", name]);
        }
    }
    message.push(')');
    let mapped = Error::new(kind, message)
        .with_class(class)
        .with_sqlstate(sqlstate)
        .with_constraint(error.constraint())
        .with_column(error.column());
    let mapped = if sqlstate == "57014" { mapped.with_timeout() } else { mapped };
    if error.message().contains("unsupported startup parameter") {
        // PgBouncer's words. That it will not do later either makes it a misfit.
        return mapped.with_class(Class::Mismatch).with_hint(
            "a pooler refuses `options`: remove them and use ALTER ROLE … SET, which works through any pooler",
        );
    }
    match hint(sqlstate) {
        Some(hint) => mapped.with_hint(hint),
        None => mapped,
    }
}

/// How the crate's errors begin when the answer does not fit the statement.
const ANSWER_UNFIT: [&str; 5] = [
    "error parsing response",
    "unexpected message",
    "error deserializing",
    "invalid column",
    "query returned an unexpected number",
];

/// The one way from the `postgres` crate's errors to ours. `trip` says whether our own deadline or abort ended the call.
pub(crate) fn from_postgres(error: &postgres::Error, trip: Option<Trip>) -> Error {
    if let Some(error) = error.as_db_error() {
        return from_server(error);
    }
    match trip {
        Some(Trip::Aborted) => return Error::stopped(),
        Some(Trip::TimedOut) => return timed_out(),
        None => {}
    }
    // The crate does not tell its kinds apart otherwise than by these texts.
    let text = error.to_string();
    if ANSWER_UNFIT.iter().any(|start| text.starts_with(start)) {
        let error = Error::new(ErrorKind::Protocol, format!("{text}: the answer is not what was asked for"));
        return error.with_class(Class::Transient);
    }
    if let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return from_io(io);
    }
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if misses_password(error) {
        return Error::new(ErrorKind::Database, "the server asks for a password and there is none")
            .with_class(Class::Mismatch)
            .with_hint(
                "put it into a file named by destination.password_file, into ~/.pgpass, or into destination.url",
            );
    }
    if text == "authentication error" || text == "invalid configuration" {
        let mapped = Error::new(ErrorKind::Database, format!("{text}: {cause}")).with_class(Class::Mismatch);
        return if cause.contains("channel binding") {
            mapped.with_hint("channel_binding=require needs TLS and a password that the server keeps for SCRAM (password_encryption)")
        } else {
            mapped
        };
    }
    if text.starts_with("error serializing parameter") || text.starts_with("expected ") {
        // Our own statement and arrays do not fit each other. The cause may show a value, so it is left out.
        return Error::new(ErrorKind::Internal, text);
    }
    Error::new(ErrorKind::Connect, text)
}

/// Whether the server asks for a password and we have none.
pub(crate) fn misses_password(error: &postgres::Error) -> bool {
    error.to_string() == "invalid configuration"
        && error.source().is_some_and(|source| source.to_string() == "password missing")
}

/// Whether it may be for the encryption, or the lack of it, that a server does not let us in: the handshake failed, or no line of
/// `pg_hba.conf` is for this kind of connection (28000).
pub(crate) fn may_be_encryption(error: &postgres::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| crate::tls::inside(io).is_some()) || error.code().is_some_and(|code| code.code() == "28000")
}

pub(crate) fn timed_out() -> Error {
    Error::new(ErrorKind::Connect, "the deadline passed without an answer").with_timeout()
}

/// A failure of resolution, TCP or TLS.
pub(crate) fn from_io(error: &io::Error) -> Error {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NoTls>) {
        return Error::new(ErrorKind::Connect, error.to_string()).with_class(Class::Mismatch).with_hint(
            "turn on `ssl` at the server; or use sslmode=prefer or disable, if nobody can listen on the way there",
        );
    }
    if let Some(tls) = crate::tls::inside(error) {
        return handshake_failed("the server", tls);
    }
    let mapped = Error::new(ErrorKind::Connect, error.to_string());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => mapped.with_hint("is PostgreSQL running there, on this port?"),
        io::ErrorKind::NotFound => {
            mapped.with_hint("no such Unix socket: is PostgreSQL running, with this directory and port?")
        }
        // The `postgres` crate's words when a server does not have the session attributes that were asked for.
        io::ErrorKind::PermissionDenied if error.to_string() == "database does not allow writes" => {
            Error::new(ErrorKind::Database, format!("the server is read-only (SQLSTATE {READ_ONLY})"))
                .with_class(Class::Transient)
                .with_sqlstate(READ_ONLY)
                .with_hint(READ_ONLY_HINT)
        }
        io::ErrorKind::PermissionDenied => mapped.with_hint("this user may not use the Unix socket"),
        _ => mapped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_of_failures_has_its_class() {
        use Class::{BadRow, Conflict, Mismatch, Transient};
        use ErrorKind::{Connect, Constraint, Database};
        let cases: [(Class, ErrorKind, &[&str]); 6] = [
            (Transient, Connect, &["08000", "08003", "08006", "08P01", "57P01", "57P02", "57P03", "57P05"]),
            (Transient, Database, &["57014", "53000", "53100", "53200", "53300", "25006"]),
            (Conflict, Database, &["40001", "40P01", "55P03"]),
            (
                BadRow,
                Constraint,
                &[
                    "22001", "22003", "22008", "22021", "22P02", "23502", "23503", "23505", "23514", "23P01", "21000",
                    "P0001",
                ],
            ),
            (
                Mismatch,
                Database,
                &["42P01", "42703", "42501", "42P10", "42601", "28000", "28P01", "3D000", "3F000", "0A000"],
            ),
            // Surprises keep the events.
            (Transient, Database, &["XX000", "58030", "55000", "40003", "25P02", "26000", "ZZZZZ", "", "2"]),
        ];
        for (class, kind, codes) in cases {
            for code in codes {
                assert_eq!(classify(code), (class, kind), "{code}");
            }
        }
    }

    #[test]
    fn messages_that_can_hold_values_are_replaced() {
        for code in ["22P02", "22001", "22007", "23505", "23514", "21000", "P0001", "XX000", "54000", "ZZZZZ", ""] {
            assert!(!message_is_safe(code), "{code}");
            assert!(!own_words(code).is_empty(), "{code}");
        }
        assert!(message_is_safe("42P01") && message_is_safe("28P01"));
    }
}
