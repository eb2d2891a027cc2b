//! Applying a batch: upsert the rows, count what happened.

use rusqlite::{Connection, Statement, TransactionBehavior, params_from_iter};

use super::changes::Changes;
use super::history;
use super::parameter::Parameter;
use super::statement::{ROWS, Statements};
use crate::destination::{Applied, Trial, Write};
use crate::error::{Error, Result};
use crate::rows::Role;
use crate::rows::coalesce::Coalesced;
use crate::time::clock::{Clock, SystemClock};
use crate::time::timestamp::format_micros;

/// Applies a batch in one transaction.
pub(super) fn apply(
    connection: &mut Connection,
    statements: &Statements,
    changes: &Changes,
    write: &Write<'_>,
) -> rusqlite::Result<Applied> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(fence) = write.fence {
        let mut update = transaction.prepare_cached(
            "UPDATE cxsink_checkpoint SET position = ?1 WHERE spool_id = ?2 AND owner = ?3 AND position = ?4",
        )?;
        if update.execute((fence.to, fence.spool_id, fence.owner, fence.from))? == 0 {
            return Ok(Applied::Fenced);
        }
    }
    if statements.finds_keys.get() {
        let counts = upsert_one_by_one(&transaction, statements, write)?;
        transaction.commit()?;
        return Ok(counts);
    }
    changes.take_inserted(0);
    let rows = upsert_rows(&transaction, statements, write)?;
    let Some(inserted) = changes.take_inserted(rows) else {
        // Not to be counted in this way: from now on in the other.
        statements.finds_keys.set(true);
        transaction.rollback()?;
        return apply(connection, statements, changes, write);
    };
    transaction.commit()?;
    Ok(Applied::Committed { inserted, updated: rows - inserted })
}

/// [`Destination::trial`](crate::destination::Destination::trial). The transaction locks the whole file. `mapped` maps errors.
pub(super) fn trial(
    connection: &mut Connection,
    statements: &Statements,
    suspect: &Write<'_>,
    witnesses: &[Write<'_>],
    mapped: impl Fn(rusqlite::Error) -> Error,
) -> Result<Trial> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&mapped)?;
    transaction.prepare_cached(&statements.upsert(false).row).map(drop).map_err(&mapped)?;
    let mut try_one = |write: &Write<'_>| -> Result<Option<Error>> {
        let savepoint = transaction.savepoint().map_err(&mapped)?;
        let written = upsert_one_by_one(&savepoint, statements, write).map_err(&mapped);
        // Dropped, a savepoint is rolled back.
        drop(savepoint);
        match written {
            Ok(_) => Ok(None),
            Err(error) if error.is_refusal() => Ok(Some(error)),
            Err(error) => Err(error),
        }
    };
    let Some(first) = try_one(suspect)? else { return Ok(Trial { refusal: None, witness: None }) };
    for (index, witness) in witnesses.iter().enumerate() {
        if try_one(witness)?.is_none() {
            return Ok(Trial { refusal: try_one(suspect)?, witness: Some(index) });
        }
    }
    Ok(Trial { refusal: Some(first), witness: None })
}

/// Returns the number of rows that were inserted or updated.
fn upsert_rows(transaction: &Connection, statements: &Statements, write: &Write<'_>) -> rusqlite::Result<u64> {
    let sql = statements.upsert(write.is_late);
    let now = now();
    let (groups, rest) = write.coalesced.as_chunks::<ROWS>();
    let mut changed = 0;
    if !groups.is_empty() {
        let mut upsert = transaction.prepare_cached(&sql.group)?;
        for group in groups {
            changed += execute(&mut upsert, write, group, &now)?;
        }
    }
    if !rest.is_empty() {
        let mut upsert = transaction.prepare_cached(&sql.row)?;
        for row in rest {
            changed += execute(&mut upsert, write, std::slice::from_ref(row), &now)?;
        }
    }
    insert_history(transaction, statements, write, &now)?;
    Ok(changed)
}

/// Looks for the key of each row before it is written.
fn upsert_one_by_one(
    transaction: &Connection,
    statements: &Statements,
    write: &Write<'_>,
) -> rusqlite::Result<Applied> {
    let (mut inserted, mut updated) = (0, 0);
    let now = now();
    let mut find = transaction.prepare_cached(&statements.find)?;
    let mut upsert = transaction.prepare_cached(&statements.upsert(write.is_late).row)?;
    let plan = &write.rows.plan;
    for coalesced in write.coalesced {
        let exists =
            find.exists(params_from_iter(plan.key.iter().map(|&index| parameter(write, *coalesced, index))))?;
        match (execute(&mut upsert, write, std::slice::from_ref(coalesced), &now)?, exists) {
            (0, _) => {}
            (_, false) => inserted += 1,
            (_, true) => updated += 1,
        }
    }
    insert_history(transaction, statements, write, &now)?;
    Ok(Applied::Committed { inserted, updated })
}

fn insert_history(
    transaction: &Connection,
    statements: &Statements,
    write: &Write<'_>,
    now: &str,
) -> rusqlite::Result<()> {
    statements.history.as_ref().map_or(Ok(()), |sql| history::insert(transaction, sql, write, now))
}

fn now() -> String {
    format_micros(SystemClock.unix_micros()) + "Z"
}

/// Executes the statement of as many rows; returns how many it changed.
fn execute(upsert: &mut Statement<'_>, write: &Write<'_>, rows: &[Coalesced], now: &str) -> rusqlite::Result<u64> {
    let plan = &write.rows.plan;
    let mut bound = 0;
    for coalesced in rows {
        for column in 0..plan.width {
            bound += 1;
            upsert.raw_bind_parameter(bound, parameter(write, *coalesced, column))?;
        }
    }
    if plan.columns.len() > plan.width {
        upsert.raw_bind_parameter(bound + 1, now)?;
    }
    Ok(upsert.raw_execute()? as u64)
}

fn parameter<'a>(write: &Write<'a>, coalesced: Coalesced, index: usize) -> Parameter<'a> {
    let column = &write.rows.plan.columns[index];
    let row = if column.role == Role::Updated { coalesced.last } else { coalesced.first };
    Parameter::new(write.rows, row as usize, index, &column.column_type)
}
