//! Errors of SQLite as the sink's.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;

use crate::error::{Class, Error, ErrorKind};

pub(super) fn not_connected(path: &Path) -> Error {
    Error::new(ErrorKind::Database, format!("using the SQLite database {}: it is not open", path.display()))
        .with_class(Class::Transient)
}

/// SQLite's text where it holds names only. A trigger's RAISE can hold values of the row, and so can the errors of functions.
fn words(error: &rusqlite::Error) -> String {
    const ABOUT_NAMES: [&str; 4] = ["no such ", "table ", "ON CONFLICT clause ", "near "];
    let text = error.to_string();
    match error.sqlite_error().map(|error| (error.code, error.extended_code)) {
        Some((_, SQLITE_CONSTRAINT_TRIGGER)) => "a trigger raised an exception".into(),
        Some((ErrorCode::Unknown, _)) if !ABOUT_NAMES.iter().any(|start| text.starts_with(start)) => {
            "a function or the statement failed".into()
        }
        _ => text,
    }
}

/// `action` begins the message: "reading".
pub(super) fn sqlite_error(path: &Path, action: &str, error: &rusqlite::Error) -> Error {
    let (class, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => (Class::BadRow, None),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Class::Conflict, Some("end the transaction of the other program that has the file locked"))
        }
        Some(ErrorCode::DiskFull) => (Class::Transient, Some("free disk space; no event is lost")),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            (Class::Mismatch, Some("check destination.url: the file is not an SQLite database, or damaged"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (Class::Mismatch, Some("create the directory, and make it and the file writable for this user"))
        }
        Some(ErrorCode::Unknown) => {
            (Class::Mismatch, Some("compare the table with `cxsink init-db --print` or init_db_sql"))
        }
        _ => (Class::Transient, None),
    };
    let kind = if class == Class::BadRow { ErrorKind::Constraint } else { ErrorKind::Database };
    let why = words(error);
    let mapped = Error::new(kind, format!("{action} the SQLite database {}: {why}", path.display())).with_class(class);
    let mapped = mapped.caused_by_sqlite(error);
    // An error in SQL: of a statement that no longer fits the table, or of a trigger's function.
    let is_refusal = error.sqlite_error_code() == Some(ErrorCode::Unknown);
    let mapped = if is_refusal { mapped.with_refusal() } else { mapped };
    match hint {
        Some(hint) => mapped.with_hint(hint),
        None => mapped,
    }
}
