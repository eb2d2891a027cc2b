//! Errors of the spool: what failed, on which file, and whether waiting may help.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Class, Error};

const DAMAGED: &str =
    "keep a copy of the damaged file, move it away and start with a new one; `sqlite3 FILE .recover` may save its rows";

/// For a file that contradicts itself: the error that SQLite reports for damage.
pub(super) fn damaged(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what.into()))
}

/// For a file that is known to be a spool: an error without any other explanation is damage.
pub(super) fn own_file_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let error = spool_error(path, what, error);
    if error.hint().is_none() { error.with_hint(DAMAGED) } else { error }
}

/// The message and the class of an SQLite failure.
pub(super) fn spool_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let message = format!("{what} the spool {}: {error}", path.display());
    let mapped = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::spool(message).with_class(Class::Transient).with_hint(
            "free some room: the disk is full; no event is lost, and the sink continues by itself when there is room or when \
             the destination has taken the spooled events",
        ),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseBusy) => {
            Error::spool(message).with_class(Class::Transient).with_hint(
                "check that the directory exists, is writable and has room, and that no other program uses the file",
            )
        }
        Some(ErrorCode::NotADatabase) => {
            Error::spool(message).with_hint("set spool.path to another file: this one is not a cxsink spool")
        }
        Some(ErrorCode::DatabaseCorrupt) => Error::spool(message).with_hint(DAMAGED),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Error::spool(message).with_hint("make the file and its directory writable for this user")
        }
        _ => Error::spool(message),
    };
    mapped.caused_by_sqlite(error)
}
