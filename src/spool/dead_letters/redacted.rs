//! Which events of the spool were redacted before they were spooled, so that none is redacted twice: the hash of a hash equals nothing.
//!
//! A process redacts all that it spools, or nothing. So a switch at an offset says it for every event from there on.

use rusqlite::{Connection, OptionalExtension, params};

/// From `position` on.
pub(in crate::spool) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS redaction_switches (
        position INTEGER PRIMARY KEY,
        is_redacted INTEGER NOT NULL
    );";

/// Whether the dead letter of a row is of an event that was redacted; in a query of `dead_letters`.
pub(super) const IS_REDACTED: &str = "coalesce((SELECT is_redacted FROM redaction_switches
     WHERE position <= dead_letters.offset ORDER BY position DESC LIMIT 1), FALSE)";

/// A spool that no sink of this version has opened has no such table.
pub(super) fn has_table(connection: &Connection) -> rusqlite::Result<bool> {
    connection.table_exists(None, "redaction_switches")
}

/// The switches of a spool, in order: the offset, and whether the events from there on are redacted.
pub(in crate::spool) type Switches = Vec<(u64, bool)>;

/// Notes whether the events from the offset `end` on are redacted; returns all switches.
pub(in crate::spool) fn switch(connection: &Connection, end: u64, is_redacted: bool) -> rusqlite::Result<Switches> {
    let last = "SELECT is_redacted FROM redaction_switches ORDER BY position DESC LIMIT 1";
    let was_redacted = connection.query_row(last, [], |row| row.get(0)).optional()?.unwrap_or(false);
    if was_redacted != is_redacted {
        // One at the same offset had no event.
        let insert = "INSERT OR REPLACE INTO redaction_switches VALUES (?1, ?2)";
        connection.execute(insert, params![end, is_redacted])?;
    }
    let mut select = connection.prepare("SELECT position, is_redacted FROM redaction_switches ORDER BY position")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(in crate::spool) fn is_redacted(switches: &Switches, offset: u64) -> bool {
    let after = switches.partition_point(|(position, _)| *position <= offset);
    after.checked_sub(1).is_some_and(|last| switches[last].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_counts_from_its_offset_on() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLE).unwrap();
        assert_eq!(switch(&connection, 0, false).unwrap(), []);
        assert_eq!(switch(&connection, 3, true).unwrap(), [(3, true)]);
        assert_eq!(switch(&connection, 5, true).unwrap(), [(3, true)]);
        assert_eq!(switch(&connection, 7, false).unwrap(), [(3, true), (7, false)]);
        let switches = switch(&connection, 7, true).unwrap();
        let found = [0, 2, 3, 6, 7, 100].map(|offset| is_redacted(&switches, offset));
        assert_eq!(found, [false, false, true, true, true, true]);
        assert!(!is_redacted(&Vec::new(), 5));
    }
}
