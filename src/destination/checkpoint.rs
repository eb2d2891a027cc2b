//! The rows of the checkpoint table, and the messages about them that both destinations share.

use crate::error::{Class, Error, ErrorKind};
use crate::report::finding::Finding;

/// A row of the checkpoint table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The spool's id, or for one of several partitions the id, a slash and more.
    pub(crate) name: String,
    /// Every event below it is committed.
    pub(crate) position: u64,
    /// The opening of a spool that moves it; `None` in a row of a version without owners.
    pub(crate) owner: Option<String>,
}

/// A checkpoint is not as expected: another process has changed it in between.
pub(super) fn moved(name: &str) -> Error {
    let message = format!("the destination's checkpoint {name} changed at the same time");
    Error::new(ErrorKind::Database, message).with_class(Class::Transient)
}

/// The table is there, but of a version without owners.
pub(super) fn without_owner(table: &str) -> Error {
    let message = format!("the table {table} has no column owner: an earlier version created it");
    Error::new(ErrorKind::Database, message)
        .with_class(Class::Mismatch)
        .with_hint("run `cxsink init-db` or call init_db, which adds it")
}

/// The guarantee that follows from the checkpoint table.
pub(super) fn finding(table: &str, exists: bool) -> Finding {
    if exists {
        Finding::good(format!("the table {table} exists: each batch is applied exactly once"))
    } else {
        Finding::warning(
            format!(
                "the table {table} does not exist: after a crash the last events may be applied again (at-least-once)"
            ),
            "run `cxsink init-db` or call init_db, which creates it",
        )
    }
}
