//! Deleting dead letters on request.

use rusqlite::{Connection, params};

use crate::error::{Error, ErrorKind, Result};
use crate::report::purge::{PurgeFilter, PurgeReport};
use crate::spool::dead_letters::handle::DeadLetters;
use crate::spool::offline::Offline;
use crate::time::micros;

/// The dead letters deleted in one transaction: a sink that has the file open waits no longer than that.
const STEP: usize = 1000;

/// Whether a dead letter is selected; ?1 to ?3 are the three flags, ?4 the time or null.
///
/// After a crash, events that are not committed are prepared again. A dead letter shows that its event was rejected before, so
/// it stays until its event is committed.
const SELECTED: &str = "((?1 AND exported_at IS NOT NULL) OR (?2 AND replayed_at IS NOT NULL)
     OR (?3 AND exported_at IS NULL AND replayed_at IS NULL)) AND (?4 IS NULL OR rejected_at < ?4)";
const FINISHED: &str = "offset < (SELECT deleted_offset FROM spool)";

impl DeadLetters {
    /// Deletes dead letters permanently; also while a sink has the file open, which then has more room for others.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if nothing is selected; [`Spool`](crate::ErrorKind::Spool) if the file
    /// cannot be written. Those deleted before stay deleted.
    pub fn purge(&self, purge: &PurgeFilter) -> Result<PurgeReport> {
        if !(purge.exported || purge.replayed || purge.unseen) {
            return Err(Error::new(ErrorKind::InvalidArgument, "purging dead letters: none are selected")
                .with_hint("select those that were exported, those that were replayed, or all of them"));
        }
        run(&self.0, purge).map_err(|error| self.0.error("deleting dead letters from", &error))
    }
}

fn run(file: &Offline, purge: &PurgeFilter) -> rusqlite::Result<PurgeReport> {
    let mut purged = PurgeReport::default();
    let mut from = 0;
    loop {
        let offsets = file.write(|connection| step(connection, purge, from))?;
        purged.deleted += offsets.len() as u64;
        let Some(last) = offsets.iter().max().filter(|_| offsets.len() == STEP) else { break };
        from = last + 1;
    }
    let connection = &file.connection;
    let selected = params![purge.exported, purge.replayed, purge.unseen, before(purge)];
    let unfinished = format!("SELECT count(*) FROM dead_letters WHERE {SELECTED}");
    purged.unfinished = connection.query_row(&unfinished, selected, |row| row.get(0))?;
    if !purge.unseen {
        let unseen = "SELECT count(*) FROM dead_letters
             WHERE exported_at IS NULL AND replayed_at IS NULL AND (?1 IS NULL OR rejected_at < ?1)";
        purged.unseen = connection.query_row(unseen, [before(purge)], |row| row.get(0))?;
    }
    Ok(purged)
}

fn before(purge: &PurgeFilter) -> Option<i64> {
    purge.before.map(micros::from_time)
}

/// Deletes some of those from offset `from` on; returns which.
fn step(connection: &Connection, purge: &PurgeFilter, from: u64) -> rusqlite::Result<Vec<u64>> {
    let mut delete = connection.prepare_cached(&format!(
        "DELETE FROM dead_letters WHERE offset IN
         (SELECT offset FROM dead_letters WHERE {SELECTED} AND {FINISHED} AND offset >= ?5 ORDER BY offset LIMIT {STEP})
         RETURNING offset"
    ))?;
    let step = params![purge.exported, purge.replayed, purge.unseen, before(purge), from];
    delete.query_map(step, |row| row.get(0))?.collect()
}
