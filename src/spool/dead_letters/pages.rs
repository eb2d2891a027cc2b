//! Pages of dead letters that a replay selects: a page is replayed in one transaction.

use std::ops::Range;

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::event::BURST_BYTES_MAX;
use crate::report::dead_letter::DeadLetter;
use crate::report::replay::Selection;
use crate::spool::dead_letters::rows::{columns, dead_letter};
use crate::spool::queue::Spool;

/// The dead letters of a page.
const PAGE_MAX: usize = 1000;

/// Some of the dead letters to replay, in the order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// Selected offsets without a dead letter to replay.
    pub(crate) skipped: Vec<u64>,
    /// Where the next page begins; `None` after the last.
    pub(crate) next: Option<u64>,
}

impl Page {
    fn is_full(&self) -> bool {
        let bytes: usize = self.dead_letters.iter().map(|letter| letter.event.0.len()).sum();
        self.dead_letters.len() + self.skipped.len() >= PAGE_MAX || bytes >= BURST_BYTES_MAX
    }
}

impl Spool {
    /// The first dead letters of the selection from offset `from` on, below `to`.
    /// `is_forced`: also those that were replayed and found superseded.
    pub(crate) fn replayable(&self, selection: &Selection, from: u64, to: u64, is_forced: bool) -> Result<Page> {
        replayable(&self.reader(), selection, from..to, is_forced)
            .map_err(|error| self.error("reading dead letters from", &error))
    }
}

pub(super) fn replayable(
    connection: &Connection,
    selection: &Selection,
    Range { start: from, end: to }: Range<u64>,
    is_forced: bool,
) -> rusqlite::Result<Page> {
    let mut page = Page::default();
    let Selection::Offsets(offsets) = selection else {
        add_range(connection, &mut page, from..to, false, is_forced)?;
        return Ok(page);
    };
    let mut offsets: Vec<u64> = offsets.iter().copied().filter(|&offset| offset >= from).collect();
    offsets.sort_unstable();
    offsets.dedup();
    for offset in offsets {
        if page.is_full() {
            page.next = Some(offset);
            break;
        }
        let letters = page.dead_letters.len();
        add_range(connection, &mut page, offset..to.min(offset.saturating_add(1)), true, is_forced)?;
        if page.dead_letters.len() == letters {
            page.skipped.push(offset);
        }
    }
    Ok(page)
}

/// Adds the dead letters of a range until the page is full. `is_named`: also those that took a process down, which are replayed only
/// when their offset is given.
fn add_range(
    connection: &Connection,
    page: &mut Page,
    range: Range<u64>,
    is_named: bool,
    is_forced: bool,
) -> rusqlite::Result<()> {
    // SQLite's integers are signed: there is no offset above their range.
    let Ok(from) = i64::try_from(range.start) else { return Ok(()) };
    let mut select = connection.prepare_cached(&format!(
        "SELECT {} FROM dead_letters WHERE offset >= ?1 AND offset < ?2
         AND (replayed_at IS NULL OR (?4 AND superseded_at IS NOT NULL)) AND (?3 OR stage <> 'guard') ORDER BY offset",
        columns(connection)?
    ))?;
    let mut rows = select.query(params![from, i64::try_from(range.end).unwrap_or(i64::MAX), is_named, is_forced])?;
    while let Some(row) = rows.next()? {
        if page.is_full() {
            page.next = Some(row.get(0)?);
            break;
        }
        page.dead_letters.push(dead_letter(row)?);
    }
    Ok(())
}
