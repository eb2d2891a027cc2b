//! Opening files by their names: SQLite's of spool and destination, those of the configuration, and those that the sink makes. Core
//! files are not to be made.

#[cfg(feature = "cli")]
pub(crate) mod core_file;
mod fork;
pub(crate) mod open;
pub(crate) mod sqlite;
#[cfg(feature = "simulator")]
pub(crate) mod whole;

pub(crate) use fork::without_fork;
