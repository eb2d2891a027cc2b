//! The late events of an open spool.

use rusqlite::{Connection, params};

use super::ranges::{LateRange, lateness, range_of};
use crate::error::Result;
use crate::spool::dead_letters::unfollowed;
use crate::spool::queue::Spool;
use crate::spool::statements::Transaction;
use crate::threads::sync;

impl Spool {
    /// Whether the event at this offset is late, and up to where the events after it are alike.
    pub(crate) fn lateness(&self, offset: u64) -> (bool, u64) {
        lateness(&sync::lock(&self.late), offset)
    }

    /// Whether each of these late events must not overwrite its row: a later event of its key may have been written since it was
    /// rejected.
    pub(crate) fn are_overtaken(&self, offsets: &[u64]) -> Result<Vec<bool>> {
        let origins: Vec<Option<u64>> = {
            let ranges = sync::lock(&self.late);
            offsets.iter().map(|offset| range_of(&ranges, *offset).and_then(|(_, range)| range.origin)).collect()
        };
        let known = || origins.iter().flatten().copied();
        let (Some(first), Some(last)) = (known().min(), known().max()) else { return Ok(vec![true; offsets.len()]) };
        let unfollowed =
            unfollowed(&self.reader(), first, last).map_err(|error| self.error("reading dead letters from", &error))?;
        Ok(origins.into_iter().map(|origin| origin.is_none_or(|origin| !unfollowed.contains(&origin))).collect())
    }

    /// The offset of the dead letter that the event at this offset was, or was in; otherwise the offset itself.
    pub(crate) fn origin(&self, offset: u64) -> u64 {
        self.replayed_from(offset).unwrap_or(offset)
    }

    /// The same where there is one: an imported event has none.
    pub(crate) fn replayed_from(&self, offset: u64) -> Option<u64> {
        range_of(&sync::lock(&self.late), offset).and_then(|(_, range)| range.origin)
    }

    /// Whether other events have the origin of this one: those of a replayed message.
    pub(in crate::spool) fn shares_origin(&self, offset: u64) -> bool {
        let range = range_of(&sync::lock(&self.late), offset);
        range.is_some_and(|(begin, range)| range.origin.is_some() && range.end - begin > 1)
    }

    /// Notes with their dead letters that the events at these offsets were superseded.
    pub(crate) fn note_superseded(&self, offsets: impl Iterator<Item = u64>, now: i64) -> Result<()> {
        let mut origins: Vec<u64> = offsets.filter_map(|offset| self.replayed_from(offset)).collect();
        // The events of a message have one.
        origins.dedup();
        if origins.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        self.with_loan(&mut writer, 0, |writer| note_superseded(writer, &origins, now))
            .map_err(|error| self.error("noting dead letters in", &error))
    }

    /// After the commit of the transaction that noted them, and before the events can be read.
    pub(in crate::spool) fn add_late(&self, position: u64, range: LateRange) {
        sync::lock(&self.late).insert(position, range);
    }

    /// Within the caller's transaction: forgets those below `offset`.
    pub(in crate::spool) fn delete_late(&self, transaction: &Connection, offset: u64) -> rusqlite::Result<()> {
        if !sync::lock(&self.late).is_empty() {
            transaction.prepare_cached("DELETE FROM late_events WHERE end <= ?1")?.execute([offset])?;
        }
        Ok(())
    }

    /// After the commit of that transaction.
    pub(in crate::spool) fn forget_late(&self, offset: u64) {
        sync::lock(&self.late).retain(|_, range| range.end > offset);
    }
}

fn note_superseded(writer: &mut Connection, origins: &[u64], now: i64) -> rusqlite::Result<()> {
    let transaction = Transaction::begin(writer)?;
    for origin in origins {
        let update = "UPDATE dead_letters SET superseded_at = ?2 WHERE offset = ?1 AND replayed_at IS NOT NULL";
        transaction.prepare_cached(update)?.execute(params![origin, now])?;
    }
    transaction.commit()
}
