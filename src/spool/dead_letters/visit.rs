//! Reading all dead letters, one after the other: there may be millions, and one may have many megabytes.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::report::dead_letter::DeadLetter;
use crate::spool::dead_letters::handle::DeadLetters;
use crate::spool::dead_letters::rows::{columns, dead_letter};

/// Dead letters of one read: while it lasts, a sink cannot shorten the write-ahead log.
const PAGE: usize = 200;

impl DeadLetters {
    /// Calls `f` with each dead letter that was not replayed, in the order of their offsets. One is in memory at a time.
    pub(crate) fn visit_unreplayed(&self, mut f: impl FnMut(DeadLetter)) -> Result<()> {
        let mut from = 0;
        loop {
            let page = page(&self.0.connection, from, &mut f);
            match page.map_err(|error| self.0.error("reading dead letters from", &error))? {
                Some(last) => from = last + 1,
                None => return Ok(()),
            }
        }
    }
}

/// The last offset of the page.
fn page(connection: &Connection, from: u64, f: &mut impl FnMut(DeadLetter)) -> rusqlite::Result<Option<u64>> {
    let columns = columns(connection)?;
    let select = format!(
        "SELECT {columns} FROM dead_letters WHERE offset >= ?1 AND replayed_at IS NULL ORDER BY offset LIMIT {PAGE}"
    );
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query(params![from])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let letter = dead_letter(row)?;
        last = Some(letter.offset);
        f(letter);
    }
    Ok(last)
}
