//! The embedded destination: a table in an SQLite file, for demos, tests and small deployments without a server.
//!
//! It behaves like PostgreSQL wherever SQLite can: the same checks, the same upsert, the same checkpoint. Times are text of fixed
//! width in UTC, so that they sort and compare as times.

mod apply;
mod catalogue;
mod changes;
mod checkpoint;
mod destination;
mod errors;
mod examine;
mod history;
mod init_db;
mod late;
mod parameter;
mod statement;
#[cfg(test)]
mod tests;
mod wal;

pub(crate) use destination::SqliteDestination;
#[cfg(test)]
pub(crate) use init_db::init_db_sql;
