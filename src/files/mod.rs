//! Opening files: SQLite's of spool and destination.

mod fork;
pub(crate) mod sqlite;

pub(crate) use fork::without_fork;
