//! Checkpoint regressions: a destination that lost commits which it had confirmed.
//!
//! Their events are deleted from the spool, so all that can be done is to report from when to when they were received. For
//! that, the file keeps the time of receipt of some offsets: a mark a minute, for about a week.

use rusqlite::{Connection, Row, params};

use crate::error::Result;
use crate::report::stream_connection::Gap;
use crate::spool::queue::Spool;
use crate::threads::sync;
use crate::time::micros;

const MARK_INTERVAL_MICROS: i64 = 60 * 1_000_000;
const MARKS_MAX: u64 = 10_000;

/// Within the transaction of an append: notes once a minute that the next event was received at this time. True if it did.
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

impl Spool {
    /// The last known position of this checkpoint in the destination, if it was there.
    pub(crate) fn checkpoint(&self, name: &str) -> Option<u64> {
        sync::lock(&self.checkpoints).0.get(name).copied()
    }

    /// The highest position of all checkpoints; 0 if none was there.
    pub(crate) fn checkpoint_max(&self) -> u64 {
        sync::lock(&self.checkpoints).0.values().max().copied().unwrap_or(0)
    }

    /// Notes the position of a checkpoint. It reaches the file with the next append or delete.
    pub(crate) fn note_checkpoint(&self, name: &str, position: u64) {
        let mut checkpoints = sync::lock(&self.checkpoints);
        match checkpoints.0.get_mut(name) {
            Some(known) => *known = position,
            None => drop(checkpoints.0.insert(name.to_owned(), position)),
        }
    }

    /// Replaces all checkpoints by these.
    pub(crate) fn replace_checkpoints(&self, names: &[String], position: u64) {
        sync::lock(&self.checkpoints).0 = names.iter().map(|name| (name.clone(), position)).collect();
    }

    /// Notes that a checkpoint went back to `position`: a gap from the time at which that event was received until now.
    pub(crate) fn note_regression(&self, position: u64, now: i64, cause: &str) -> Result<()> {
        let note = |writer: &Connection| -> rusqlite::Result<()> {
            // Too early rather than too late: without a mark, from the first connection on.
            let begins_at: Option<i64> = writer.query_row(
                "SELECT coalesce((SELECT received_at FROM marks WHERE position <= ?1 ORDER BY position DESC LIMIT 1),
                    (SELECT min(opened_at) FROM connections), (SELECT min(received_at) FROM marks))",
                [position],
                |row| row.get(0),
            )?;
            writer.execute(
                "INSERT INTO checkpoint_regressions (begins_at, ends_at, cause) VALUES (?1, ?2, ?3)",
                params![begins_at.unwrap_or(now).min(now), now, cause],
            )?;
            Ok(())
        };
        note(&self.writer()).map_err(|error| self.error("noting a gap in", &error))
    }

    /// The gaps of checkpoint regressions, the oldest first.
    pub(crate) fn regressions(&self) -> Result<Vec<Gap>> {
        list(&self.reader()).map_err(|error| self.error("reading the gaps from", &error))
    }
}

pub(super) fn list(connection: &Connection) -> rusqlite::Result<Vec<Gap>> {
    let mut select = connection.prepare("SELECT begins_at, ends_at, cause FROM checkpoint_regressions ORDER BY id")?;
    select.query_map([], gap)?.collect()
}

fn gap(row: &Row<'_>) -> rusqlite::Result<Gap> {
    Ok(Gap {
        from: micros::to_time(row.get(0)?),
        to: Some(micros::to_time(row.get(1)?)),
        cause: row.get(2)?,
        close_code: None,
        tries_failed: 0,
        try_error: None,
    })
}
