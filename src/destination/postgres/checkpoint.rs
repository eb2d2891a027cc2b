//! The checkpoint table.

use std::time::Duration;

use postgres::types::{ToSql, Type};

use super::connection::{PgResult, Session, UNDEFINED_TABLE};
use crate::destination::checkpoint::moved;
use crate::error::{Class, Error, ErrorKind, Result};

/// The position of a retired checkpoint. Fences begin at 0.
const RETIRED: i64 = -1;

/// The position of this spool's checkpoint in `table`, which is created at `committed` if there is none.
pub(super) fn position(
    session: &mut Session,
    table: &str,
    spool_id: &str,
    committed: u64,
    timeout: Duration,
) -> Result<Option<u64>> {
    let committed = to_bigint(committed)?;
    let select = format!("SELECT position FROM {table} WHERE spool_id = $1");
    let insert = format!(
        "INSERT INTO {table} (spool_id, position, updated_at) VALUES ($1, $2, now()) ON CONFLICT (spool_id) DO NOTHING"
    );
    let position = session.run("reading the checkpoint", timeout, |client| {
        let id: (&(dyn ToSql + Sync), Type) = (&spool_id, Type::TEXT);
        if let Some(row) = client.query_typed(&select, std::slice::from_ref(&id))?.first() {
            return row.try_get::<_, i64>(0);
        }
        client.query_typed(&insert, &[id.clone(), (&committed, Type::INT8)])?;
        // Read again: another process with this spool's id may have been faster.
        client.query_typed(&select, &[id])?.first().map_or(Ok(committed), |row| row.try_get(0))
    });
    if_table_exists(position)?.map(|position| from_bigint(spool_id, position)).transpose()
}

/// The checkpoints of this spool and of its connections.
pub(super) fn all(
    session: &mut Session,
    table: &str,
    spool_id: &str,
    timeout: Duration,
) -> Result<Option<Vec<(String, u64)>>> {
    let select = format!(
        "SELECT spool_id::text, position FROM {table} WHERE (spool_id = $1 OR left(spool_id, length($1) + 1) = $1 || '/') \
         AND position <> {RETIRED} ORDER BY 1"
    );
    let found = session.run("reading the checkpoints", timeout, |client| {
        let rows = client.query_typed(&select, &[(&spool_id, Type::TEXT)])?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<PgResult<Vec<(String, i64)>>>()
    });
    let named = |(name, position): (String, i64)| from_bigint(&name, position).map(|position| (name, position));
    if_table_exists(found)?.map(|found| found.into_iter().map(named).collect()).transpose()
}

/// Retires the old checkpoints by a position that no fence has: this user may not be allowed to delete.
pub(super) fn replace(
    session: &mut Session,
    table: &str,
    old: &[(String, u64)],
    new: &[String],
    position: u64,
    timeout: Duration,
) -> Result<()> {
    let retire = format!(
        "UPDATE {table} SET position = {RETIRED}, updated_at = now() WHERE spool_id = $1 AND position = $2 RETURNING 1"
    );
    let create = format!(
        "INSERT INTO {table} (spool_id, position, updated_at) VALUES ($1, $2, now()) \
         ON CONFLICT (spool_id) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at"
    );
    let old = old.iter().map(|(name, position)| Ok((name, to_bigint(*position)?))).collect::<Result<Vec<_>>>()?;
    let position = to_bigint(position)?;
    let elsewhere = session.run("replacing the checkpoints", timeout, |client| {
        let mut transaction = client.transaction()?;
        for (name, position) in &old {
            if transaction.query_typed(&retire, &[(name, Type::TEXT), (position, Type::INT8)])?.is_empty() {
                transaction.rollback()?;
                return Ok(Some(*name));
            }
        }
        for name in new {
            transaction.query_typed(&create, &[(name, Type::TEXT), (&position, Type::INT8)])?;
        }
        transaction.commit()?;
        Ok(None)
    })?;
    elsewhere.map_or(Ok(()), |name| Err(moved(name)))
}

/// `None` if the checkpoint table does not exist.
fn if_table_exists<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.sqlstate() == Some(UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

fn from_bigint(checkpoint: &str, position: i64) -> Result<u64> {
    u64::try_from(position).map_err(|_| {
        let message = if position == RETIRED {
            format!("the checkpoint {checkpoint} was retired by a sink with another number of connections")
        } else {
            format!("the checkpoint {checkpoint} is negative: {position}")
        };
        Error::new(ErrorKind::Database, message)
            .with_class(Class::Mismatch)
            .with_hint("start the sink again; if that does not help, delete the row from cxsink_checkpoint")
    })
}

pub(super) fn to_bigint(position: u64) -> Result<i64> {
    i64::try_from(position).map_err(|_| Error::new(ErrorKind::Internal, "a spool offset does not fit bigint"))
}
