//! The checkpoint table.

use std::time::Duration;

use postgres::Transaction;
use postgres::types::{ToSql, Type};

use super::connection::{PgResult, Session, UNDEFINED_COLUMN, UNDEFINED_TABLE};
use crate::destination::checkpoint::{Checkpoint, moved, without_owner};
use crate::error::{Class, Error, ErrorKind, Result};

/// The position of a retired checkpoint. Fences begin at 0.
const RETIRED: i64 = -1;

/// The checkpoints of this spool; `None` if the checkpoint table does not exist.
pub(super) fn all(
    session: &mut Session,
    table: &str,
    spool_id: &str,
    timeout: Duration,
) -> Result<Option<Vec<Checkpoint>>> {
    let select = format!(
        "SELECT spool_id::text, position, owner::text FROM {table} \
         WHERE (spool_id = $1 OR left(spool_id, length($1) + 1) = $1 || '/') AND position <> {RETIRED} ORDER BY 1"
    );
    let found = session.run("reading the checkpoints", timeout, |client| {
        let rows = client.query_typed(&select, &[(&spool_id, Type::TEXT)])?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
            .collect::<PgResult<Vec<(String, i64, Option<String>)>>>()
    });
    let checkpoint = |(name, position, owner): (String, i64, Option<String>)| {
        Ok(Checkpoint { position: from_bigint(&name, position)?, name, owner })
    };
    match found {
        Ok(found) => found.into_iter().map(checkpoint).collect::<Result<_>>().map(Some),
        Err(error) if error.sqlstate() == Some(UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(or_without_owner(error, table)),
    }
}

/// Makes `owner` the owner of the checkpoints; false, and nothing is changed, if one is not as it was found.
pub(super) fn claim(
    session: &mut Session,
    table: &str,
    found: &[Checkpoint],
    owner: &str,
    timeout: Duration,
) -> Result<bool> {
    let update = format!("UPDATE {table} SET owner = $4, updated_at = now() WHERE {UNCHANGED} RETURNING 1");
    let elsewhere = transact(session, "taking over the checkpoints", timeout, |transaction| {
        for checkpoint in found {
            if !changed_one(transaction, &update, checkpoint, &[(&owner, Type::TEXT)])? {
                return Ok(Some(checkpoint.name.clone()));
            }
        }
        Ok(None)
    })?;
    Ok(elsewhere.is_none())
}

/// Retires the old checkpoints by a position that no fence has: this user may not be allowed to delete.
pub(super) fn replace(
    session: &mut Session,
    table: &str,
    old: &[Checkpoint],
    new: &[Checkpoint],
    timeout: Duration,
) -> Result<()> {
    let retire = format!("UPDATE {table} SET position = {RETIRED}, updated_at = now() WHERE {UNCHANGED} RETURNING 1");
    let create = format!(
        "INSERT INTO {table} AS t (spool_id, position, owner, updated_at) VALUES ($1, $2, $3, now()) \
         ON CONFLICT (spool_id) DO UPDATE SET position = excluded.position, owner = excluded.owner, updated_at = excluded.updated_at \
         WHERE t.position = {RETIRED} RETURNING 1"
    );
    let elsewhere = transact(session, "replacing the checkpoints", timeout, |transaction| {
        let statements = old.iter().map(|old| (&retire, old)).chain(new.iter().map(|new| (&create, new)));
        for (sql, checkpoint) in statements {
            if !changed_one(transaction, sql, checkpoint, &[])? {
                return Ok(Some(checkpoint.name.clone()));
            }
        }
        Ok(None)
    })?;
    elsewhere.map_or(Ok(()), |name| Err(moved(&name)))
}

/// The parameters of [`changed_one`] as a condition: the row is as it was found.
const UNCHANGED: &str = "spool_id = $1 AND position = $2 AND owner IS NOT DISTINCT FROM $3";

/// Runs a statement about one row: whether there is such a row.
fn changed_one(
    transaction: &mut Transaction<'_>,
    sql: &str,
    checkpoint: &Checkpoint,
    more: &[(&(dyn ToSql + Sync), Type)],
) -> PgResult<bool> {
    let Checkpoint { name, position, owner } = checkpoint;
    // A position comes from a bigint, or is checked where a batch is written.
    let position = i64::try_from(*position).unwrap_or(i64::MAX);
    let row: [(&(dyn ToSql + Sync), Type); 3] = [(name, Type::TEXT), (&position, Type::INT8), (owner, Type::TEXT)];
    let parameters = [row.as_slice(), more].concat();
    transaction.query_typed(sql, &parameters).map(|rows| !rows.is_empty())
}

/// Runs a transaction that commits unless it returns the name of a checkpoint, which is not as expected.
fn transact(
    session: &mut Session,
    action: &str,
    timeout: Duration,
    work: impl FnOnce(&mut Transaction<'_>) -> PgResult<Option<String>>,
) -> Result<Option<String>> {
    session.run(action, timeout, |client| {
        let mut transaction = client.transaction()?;
        let elsewhere = work(&mut transaction)?;
        if elsewhere.is_some() {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
        }
        Ok(elsewhere)
    })
}

/// For a statement that names the column `owner`.
pub(super) fn or_without_owner(error: Error, table: &str) -> Error {
    if error.sqlstate() == Some(UNDEFINED_COLUMN) { without_owner(table) } else { error }
}

/// Adds the column to a table of a version without owners. Only then: it needs the table's owner, and locks the table.
pub(super) fn add_owner_column(session: &mut Session, table: &str, timeout: Duration) -> Result<()> {
    let select = format!("SELECT owner FROM {table} LIMIT 0");
    match session.run("looking for the owner's column", timeout, |client| client.query_typed(&select, &[])) {
        Err(error) if error.sqlstate() == Some(UNDEFINED_COLUMN) => {
            let alter = format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS owner text");
            session.run("adding the owner's column", timeout, |client| client.batch_execute(&alter))
        }
        outcome => outcome.map(drop),
    }
}

fn from_bigint(checkpoint: &str, position: i64) -> Result<u64> {
    u64::try_from(position).map_err(|_| {
        Error::new(ErrorKind::Database, format!("the checkpoint {checkpoint} is negative: {position}"))
            .with_class(Class::Mismatch)
            .with_hint("delete the row from cxsink_checkpoint, and start the sink again")
    })
}

pub(super) fn to_bigint(position: u64) -> Result<i64> {
    i64::try_from(position).map_err(|_| Error::new(ErrorKind::Internal, "a spool offset does not fit bigint"))
}
