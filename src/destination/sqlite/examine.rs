//! The steps of `check` at the SQLite file. They change nothing.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::checkpoint::table_exists;
use super::errors::sqlite_error;
use super::statement::Statements;
use crate::destination::checkpoint as shared;
use crate::destination::names::{CHECKPOINT, TableName};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::Plan;

/// Does not open the file, which would create it.
pub(super) fn file(path: &Path) -> Result<Finding> {
    if !path.exists() {
        let message = format!("opening the SQLite database {}: the file does not exist", path.display());
        return Err(Error::new(ErrorKind::Database, message)
            .with_class(Class::Mismatch)
            .with_hint("run `cxsink init-db` or call init_db, which creates it, or correct destination.url"));
    }
    Ok(Finding::good(format!("SQLite {}, {}", rusqlite::version(), path.display())))
}

/// Begins to write, compiles the statements and rolls back.
pub(super) fn writing(
    connection: &mut Connection,
    path: &Path,
    table: &TableName,
    history: Option<&TableName>,
    plan: &Plan,
) -> Result<Finding> {
    let mut attempt = || -> rusqlite::Result<()> {
        let statements = Statements::new(connection, plan, table, history)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.prepare(&statements.find)?;
        transaction.prepare(&statements.upsert(false).row)?;
        if let Some(insert) = &statements.history {
            transaction.prepare(insert)?;
        }
        transaction.rollback()
    };
    attempt().map_err(|error| sqlite_error(path, "writing to", &error))?;
    let what = history.map_or_else(|| path.display().to_string(), TableName::quoted);
    Ok(Finding::good(format!("{what} is writable")))
}

pub(super) fn checkpoint(connection: &Connection, path: &Path) -> Result<Finding> {
    let exists = table_exists(connection).map_err(|error| sqlite_error(path, "reading the checkpoint in", &error))?;
    Ok(shared::finding(CHECKPOINT, exists))
}
