//! The checkpoint table.

use rusqlite::{Connection, Result, Transaction, TransactionBehavior};

use crate::destination::checkpoint::Checkpoint;
use crate::destination::names::CHECKPOINT;

pub(super) fn table_exists(connection: &Connection) -> Result<bool> {
    connection.table_exists(None, CHECKPOINT)
}

/// Adds the column to a table of a version without owners.
pub(super) fn add_owner_column(connection: &Connection) -> Result<()> {
    if !table_exists(connection)? || connection.column_exists(None, CHECKPOINT, "owner")? {
        return Ok(());
    }
    connection.execute_batch("ALTER TABLE cxsink_checkpoint ADD COLUMN owner TEXT")
}

/// The checkpoints of this spool and of its connections; `None` without the table.
pub(super) fn all(connection: &Connection, spool_id: &str) -> Result<Option<Vec<Checkpoint>>> {
    if !table_exists(connection)? {
        return Ok(None);
    }
    let mut select = connection.prepare(
        "SELECT spool_id, position, owner FROM cxsink_checkpoint
         WHERE spool_id = ?1 OR substr(spool_id, 1, length(?1) + 1) = ?1 || '/' ORDER BY spool_id",
    )?;
    let rows = select
        .query_map([spool_id], |row| Ok(Checkpoint { name: row.get(0)?, position: row.get(1)?, owner: row.get(2)? }))?;
    rows.collect::<Result<_>>().map(Some)
}

/// Makes `owner` the owner of the checkpoints; false, and nothing is changed, if one is not as it was found.
pub(super) fn claim(connection: &mut Connection, found: &[Checkpoint], owner: &str) -> Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let update = format!("UPDATE cxsink_checkpoint SET owner = ?4 WHERE {UNCHANGED}");
    for Checkpoint { name, position, owner: before } in found {
        if transaction.execute(&update, (name, position, before, owner))? == 0 {
            return Ok(false);
        }
    }
    transaction.commit()?;
    Ok(true)
}

/// Replaces the checkpoints; returns the name of one that is not as expected, and changes nothing then.
pub(super) fn replace(connection: &mut Connection, old: &[Checkpoint], new: &[Checkpoint]) -> Result<Option<String>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let delete = format!("DELETE FROM cxsink_checkpoint WHERE {UNCHANGED}");
    let insert = "INSERT INTO cxsink_checkpoint (spool_id, position, owner) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    for checkpoint in old {
        if !changed_one(&transaction, &delete, checkpoint)? {
            return Ok(Some(checkpoint.name.clone()));
        }
    }
    for checkpoint in new {
        if !changed_one(&transaction, insert, checkpoint)? {
            return Ok(Some(checkpoint.name.clone()));
        }
    }
    transaction.commit()?;
    Ok(None)
}

const UNCHANGED: &str = "spool_id = ?1 AND position = ?2 AND owner IS ?3";

fn changed_one(transaction: &Transaction<'_>, sql: &str, checkpoint: &Checkpoint) -> Result<bool> {
    let Checkpoint { name, position, owner } = checkpoint;
    Ok(transaction.execute(sql, (name, position, owner))? == 1)
}
