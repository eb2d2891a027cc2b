//! Errors of the spool: what failed, on which file, for which reason, and whether waiting may help.
//!
//! Nearly everything may pass: the events stay where they are, and the sink tries again. Only damage is called damage.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Class, Error};
use crate::spool::disk::{FULL, cause, explain};

const DAMAGED: &str =
    "keep a copy of the damaged file, move it away and start with a new one; `sqlite3 FILE .recover` may save its rows";
const TRY_AGAIN: &str =
    "check that the directory exists, is writable and has room, and that no other program uses the file";

/// For a file that contradicts itself: the error that SQLite reports for damage.
pub(super) fn damaged(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what.into()))
}

/// For a file that is known to be a spool: values that cannot be read, and tables that are not there, are damage.
pub(super) fn own_file_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let mapped = spool_error(path, what, error);
    if mapped.hint().is_some() {
        return mapped;
    }
    match error.sqlite_error_code() {
        None | Some(ErrorCode::Unknown) => mapped.with_hint(DAMAGED),
        // A constraint, a length, a type: nothing that this crate writes. Another program may have changed the tables.
        Some(_) => mapped
            .with_class(Class::Transient)
            .with_hint("read SQLite's reason and look for a change that another program made to the file; no event is lost, and the sink tries again"),
    }
}

/// The message and the class of an SQLite failure.
pub(super) fn spool_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let message = |reason: &dyn std::fmt::Display| format!("{what} the spool {}: {reason}", path.display());
    let transient = |reason: &dyn std::fmt::Display, hint| {
        Error::spool(message(reason)).with_class(Class::Transient).with_hint(hint)
    };
    let mapped = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            transient(error, "end the other program that uses the file; the sink tries again")
        }
        Some(
            code @ (ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::SchemaChanged),
        ) => match cause(path) {
            Some(found) => {
                let (reason, hint) = explain(&found);
                transient(&reason, hint).caused_by(found)
            }
            // It has passed, or is of a kind that a small write does not meet.
            None => transient(
                error,
                match code {
                    ErrorCode::DiskFull => FULL,
                    ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
                        "make the file and its directory writable for this user"
                    }
                    _ => TRY_AGAIN,
                },
            ),
        },
        Some(ErrorCode::NotADatabase) => {
            Error::spool(message(error)).with_hint("set spool.path to another file: this one is not a cxsink spool")
        }
        Some(ErrorCode::DatabaseCorrupt) => Error::spool(message(error)).with_hint(DAMAGED),
        _ => Error::spool(message(error)),
    };
    if std::error::Error::source(&mapped).is_some() { mapped } else { mapped.caused_by_sqlite(error) }
}
