//! The messages about checkpoints that both destinations share.

use crate::error::{Class, Error, ErrorKind};
use crate::report::finding::Finding;

/// For [`replace_checkpoints`](super::Destination::replace_checkpoints): an old checkpoint has another position than expected.
pub(super) fn moved(name: &str) -> Error {
    let message = format!("the destination's checkpoint {name} moved although no other sink has the spool open");
    Error::new(ErrorKind::Database, message).with_class(Class::Transient)
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
            "run `cxsink init-db`, which creates it",
        )
    }
}
