//! What the destination forgot after it had confirmed it: the events are gone from the spool, so the ledger says when they came.
//!
//! For that, the file knows when some of its events were received: a mark a minute, for about a week.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::Result;
use crate::report::stream_connection::Gap;
use crate::spool::Spool;
use crate::threads::sync;

const MARK_INTERVAL_MICROS: i64 = 60 * 1_000_000;
const MARKS_MAX: u64 = 10_000;

/// How far the destination's checkpoints are known to have been, by their names.
pub(super) type Confirmed = BTreeMap<String, u64>;

/// The tables; files of earlier versions get them when they are opened. `spool.confirmed` is how far the destination's checkpoints
/// were known to be when events were last deleted: a line of name and position for each.
pub(super) fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS marks (position INTEGER PRIMARY KEY, received_at INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS forgotten (
            id INTEGER PRIMARY KEY, begins_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, cause TEXT NOT NULL);",
    )?;
    let has_column = "SELECT 1 FROM pragma_table_info('spool') WHERE name = 'confirmed'";
    if connection.query_row(has_column, [], |_| Ok(())).optional()?.is_none() {
        connection.execute_batch("ALTER TABLE spool ADD COLUMN confirmed TEXT NOT NULL DEFAULT ''")?;
    }
    Ok(())
}

/// Within the transaction of an append: notes now and then that the next event was received at this time. True if it did.
pub(super) fn mark(
    transaction: &Connection,
    position: u64,
    received_at: i64,
    last: Option<i64>,
) -> rusqlite::Result<bool> {
    // The clock may have been set back.
    let is_due = last.is_none_or(|last| !(0..MARK_INTERVAL_MICROS).contains(&(received_at - last)));
    if is_due {
        let insert = "INSERT OR REPLACE INTO marks (position, received_at) VALUES (?1, ?2)";
        transaction.prepare_cached(insert)?.execute(params![position, received_at])?;
        let prune =
            "DELETE FROM marks WHERE position <= (SELECT position FROM marks ORDER BY position DESC LIMIT 1 OFFSET ?1)";
        transaction.prepare_cached(prune)?.execute([MARKS_MAX])?;
    }
    Ok(is_due)
}

pub(super) fn read_confirmed(connection: &Connection) -> rusqlite::Result<Confirmed> {
    let text: String = connection.query_row("SELECT confirmed FROM spool", [], |row| row.get(0))?;
    let line =
        |line: &str| line.split_once(' ').and_then(|(name, position)| Some((name.into(), position.parse().ok()?)));
    Ok(text.lines().filter_map(line).collect())
}

impl Spool {
    /// How far this checkpoint is known to have been in the destination, if it was there.
    pub(crate) fn confirmed(&self, checkpoint: &str) -> Option<u64> {
        sync::lock(&self.confirmed).get(checkpoint).copied()
    }

    /// The furthest of all; 0 if none was there.
    pub(crate) fn confirmed_max(&self) -> u64 {
        sync::lock(&self.confirmed).values().max().copied().unwrap_or(0)
    }

    /// The checkpoint stands here. Reaches the file with the next delete.
    pub(crate) fn note_confirmed(&self, checkpoint: &str, position: u64) {
        let mut confirmed = sync::lock(&self.confirmed);
        match confirmed.get_mut(checkpoint) {
            Some(known) => *known = position,
            None => drop(confirmed.insert(checkpoint.to_owned(), position)),
        }
    }

    /// These are the checkpoints from here on.
    pub(crate) fn replace_confirmed(&self, checkpoints: &[String], position: u64) {
        *sync::lock(&self.confirmed) = checkpoints.iter().map(|name| (name.clone(), position)).collect();
    }

    /// Within the transaction that deletes what is applied.
    pub(super) fn keep_confirmed(&self, transaction: &Connection) -> rusqlite::Result<()> {
        let confirmed = sync::lock(&self.confirmed);
        let lines: Vec<String> = confirmed.iter().map(|(name, position)| format!("{name} {position}")).collect();
        drop(confirmed);
        let text = lines.join("\n");
        transaction.prepare_cached("UPDATE spool SET confirmed = ?1")?.execute([text]).map(drop)
    }

    /// The destination has forgotten the events from `position` on: for the ledger, since they are not in the spool any more.
    pub(crate) fn note_forgotten(&self, position: u64, now: i64, cause: &str) -> Result<()> {
        let note = |writer: &Connection| -> rusqlite::Result<()> {
            // Rather too early than too late: without a mark, when the first connection was opened.
            let begins_at: Option<i64> = writer.query_row(
                "SELECT coalesce((SELECT received_at FROM marks WHERE position <= ?1 ORDER BY position DESC LIMIT 1),
                    (SELECT min(opened_at) FROM connections), (SELECT min(received_at) FROM marks))",
                [position],
                |row| row.get(0),
            )?;
            writer.execute(
                "INSERT INTO forgotten (begins_at, ends_at, cause) VALUES (?1, ?2, ?3)",
                params![begins_at.unwrap_or(now).min(now), now, cause],
            )?;
            Ok(())
        };
        note(&self.writer()).map_err(|error| self.error("noting a gap in", &error))
    }

    /// The gaps that [`note_forgotten`](Self::note_forgotten) noted, the oldest first.
    pub(crate) fn forgotten(&self) -> Result<Vec<Gap>> {
        list(&self.reader()).map_err(|error| self.error("reading the gaps from", &error))
    }
}

/// None in a file of an earlier version.
pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Gap>> {
    let is_there = "SELECT 1 FROM sqlite_schema WHERE name = 'forgotten'";
    if connection.query_row(is_there, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare("SELECT begins_at, ends_at, cause FROM forgotten ORDER BY id")?;
    select.query_map([], gap)?.collect()
}

fn gap(row: &Row<'_>) -> rusqlite::Result<Gap> {
    Ok(Gap {
        from: row.get(0)?,
        to: Some(row.get(1)?),
        cause: row.get(2)?,
        status: None,
        tries_failed: 0,
        try_error: None,
    })
}
