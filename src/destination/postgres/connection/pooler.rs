//! Poolers that do not keep prepared statements.

use crate::error::{Error, ErrorKind};

/// Whether this error means that a pooler gave us another server connection than the one on which we prepared: it has no such
/// statement or has one already, another statement has the name (its parameters do not fit, or it is foreign), or PgBouncer
/// reports it by its own code.
pub(crate) fn indicates_pooler(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("26000" | "42P05" | "08P01" | "22P03")) || error.kind() == ErrorKind::Protocol
}
