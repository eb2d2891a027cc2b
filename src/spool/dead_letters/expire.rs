//! Deleting dead letters that are too old, whether anybody has seen them or not.

use std::sync::{MutexGuard, TryLockError};

use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::Result;
use crate::spool::queue::Spool;
use crate::threads::sync;

/// The dead letters that are looked at in one transaction.
const PAGE: usize = 2000;

/// How the search for old dead letters in a page ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Some may be waiting for a replay: nothing was deleted.
    Busy,
    Page {
        deleted: u64,
        /// Where the next page begins; `None` after the last.
        next: Option<u64>,
    },
}

impl Spool {
    /// Deletes the dead letters of a page, from offset `from` on, that were rejected before this time and whose events are finished.
    pub(crate) fn expire(&self, from: u64, before: i64) -> Result<Expired> {
        let _no_replay = match self.replays.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Expired::Busy),
            free => free,
        };
        // Most pages have none, and reading delays no append.
        let page = read(&self.reader(), from, before);
        let (offsets, next) = page.map_err(|error| self.error("reading dead letters from", &error))?;
        if offsets.is_empty() {
            return Ok(Expired::Page { deleted: 0, next });
        }
        let mut writer = self.writer();
        let delete = |writer: &mut Connection| delete(writer, &offsets);
        let deleted = self.with_loan(&mut writer, 0, delete);
        let deleted = deleted.map_err(|error| self.error("deleting dead letters from", &error))?;
        Ok(deleted.map_or(Expired::Busy, |deleted| Expired::Page { deleted, next }))
    }

    /// Held during a replay by this process: what it selects must not expire in the meantime.
    pub(crate) fn begin_replay(&self) -> MutexGuard<'_, ()> {
        sync::lock(&self.replays)
    }
}

/// The old ones of a page, and where the next page begins.
fn read(connection: &Connection, from: u64, before: i64) -> rusqlite::Result<(Vec<u64>, Option<u64>)> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT offset, rejected_at < ?2 FROM dead_letters
         WHERE offset >= ?1 AND offset < (SELECT deleted_offset FROM spool) ORDER BY offset LIMIT {PAGE}"
    ))?;
    let mut rows = select.query(params![from, before])?;
    let (mut offsets, mut seen, mut last) = (Vec::new(), 0, from);
    while let Some(row) = rows.next()? {
        seen += 1;
        last = row.get(0)?;
        if row.get(1)? {
            offsets.push(last);
        }
    }
    Ok((offsets, (seen == PAGE).then_some(last + 1)))
}

/// `None` if another process has requested a replay.
fn delete(writer: &mut Connection, offsets: &[u64]) -> rusqlite::Result<Option<u64>> {
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_requested = "SELECT EXISTS (SELECT 1 FROM replay_requests WHERE done_at IS NULL)";
    if transaction.prepare_cached(is_requested)?.query_row([], |row| row.get(0))? {
        return Ok(None);
    }
    let mut deleted = 0;
    for offset in offsets {
        deleted += transaction.prepare_cached("DELETE FROM dead_letters WHERE offset = ?1")?.execute([offset])? as u64;
    }
    transaction.commit()?;
    Ok(Some(deleted))
}
