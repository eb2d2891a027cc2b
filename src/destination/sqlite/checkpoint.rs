//! The checkpoint table.

use rusqlite::{Connection, Result, TransactionBehavior};

use crate::destination::names::CHECKPOINT;

pub(super) fn table_exists(connection: &Connection) -> Result<bool> {
    connection.table_exists(None, CHECKPOINT)
}

/// The position of this spool's checkpoint, which is created at `committed` if there is none; `None` without the table.
pub(super) fn position(connection: &Connection, spool_id: &str, committed: u64) -> Result<Option<u64>> {
    if !table_exists(connection)? {
        return Ok(None);
    }
    let insert = "INSERT INTO cxsink_checkpoint (spool_id, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.execute(insert, (spool_id, committed))?;
    let select = "SELECT position FROM cxsink_checkpoint WHERE spool_id = ?1";
    connection.query_row(select, [spool_id], |row| row.get(0)).map(Some)
}

/// The checkpoints of this spool and of its connections; `None` without the table.
pub(super) fn all(connection: &Connection, spool_id: &str) -> Result<Option<Vec<(String, u64)>>> {
    if !table_exists(connection)? {
        return Ok(None);
    }
    let mut select = connection.prepare(
        "SELECT spool_id, position FROM cxsink_checkpoint
         WHERE spool_id = ?1 OR substr(spool_id, 1, length(?1) + 1) = ?1 || '/' ORDER BY spool_id",
    )?;
    let rows = select.query_map([spool_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect::<Result<_>>().map(Some)
}

/// Replaces the checkpoints; returns the name of an old one that has another position, and changes nothing then.
pub(super) fn replace(
    connection: &mut Connection,
    old: &[(String, u64)],
    new: &[String],
    position: u64,
) -> Result<Option<String>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (name, position) in old {
        let delete = "DELETE FROM cxsink_checkpoint WHERE spool_id = ?1 AND position = ?2";
        if transaction.execute(delete, (name, position))? == 0 {
            return Ok(Some(name.clone()));
        }
    }
    for name in new {
        let insert = "INSERT INTO cxsink_checkpoint (spool_id, position) VALUES (?1, ?2)";
        transaction.execute(insert, (name, position))?;
    }
    transaction.commit()?;
    Ok(None)
}
