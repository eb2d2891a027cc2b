//! The keys of dead letters, as hashes, and whether a later event of the key has been written since.
//!
//! A replayed event must not overwrite the values of a later one. The table alone does not show which event of a key it has, unless its
//! timestamp follows each update. The writer does know: it writes the events of a key in order. So before it writes an event whose key
//! a dead letter has, it notes in the spool that this dead letter is followed. Noted before, so that a crash cannot lose it; an event
//! that is refused then takes the note back.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension};

/// The space of a row with its entry in the index, at large offsets (measured); as in [`TABLE`].
pub(super) const KEY_SPACE: u64 = 52;

/// `followed_by` is the offset of a later event of the key that was written, or was about to be. The space counts as that of dead letters.
pub(in crate::spool) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS dead_letter_keys (
        offset INTEGER PRIMARY KEY,
        key_hash INTEGER NOT NULL,
        followed_by INTEGER
    );
    CREATE INDEX IF NOT EXISTS dead_letter_keys_by_hash ON dead_letter_keys (key_hash, followed_by);
    CREATE TRIGGER IF NOT EXISTS dead_letter_key_deleted AFTER DELETE ON dead_letters BEGIN
        DELETE FROM dead_letter_keys WHERE offset = old.offset;
    END;
    CREATE TRIGGER IF NOT EXISTS dead_letter_key_counted AFTER INSERT ON dead_letter_keys BEGIN
        UPDATE spool SET dead_letter_space = dead_letter_space + 52;
    END;
    CREATE TRIGGER IF NOT EXISTS dead_letter_key_discounted AFTER DELETE ON dead_letter_keys BEGIN
        UPDATE spool SET dead_letter_space = dead_letter_space - 52;
    END;";

/// For the hash of each key: the lowest and the highest offset of its dead letters that are not known to be followed.
pub(in crate::spool) type OpenKeys = HashMap<i64, (u64, u64)>;

/// An event that is about to be written: the hash of its key, and its offset in the order of arrival, which for a replayed event is
/// that of its dead letter.
pub(crate) type Follower = (u64, u64);

/// Those whose later event, if any, may still be refused count as well, and those that are replayed: it may not be written yet. The
/// index has all of it.
pub(in crate::spool) fn read_open(connection: &Connection, committed: u64) -> rusqlite::Result<OpenKeys> {
    let mut select = connection.prepare(
        "SELECT key_hash, min(offset), max(offset) FROM dead_letter_keys WHERE followed_by IS NULL OR followed_by >= ?1
         GROUP BY key_hash",
    )?;
    select.query_map([committed], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
}

/// Those of the dead letters from `first` to `last` whose key no later event has been written for. The others may be followed.
pub(in crate::spool) fn unfollowed(connection: &Connection, first: u64, last: u64) -> rusqlite::Result<HashSet<u64>> {
    let select = "SELECT offset FROM dead_letter_keys WHERE offset BETWEEN ?1 AND ?2 AND followed_by IS NULL";
    connection.prepare_cached(select)?.query_map([first, last], |row| row.get(0))?.collect()
}

/// Whether a later event of the dead letter's key has been written; true as well if that is not known.
pub(in crate::spool) fn is_followed(connection: &Connection, offset: u64) -> rusqlite::Result<bool> {
    let select = "SELECT followed_by IS NOT NULL FROM dead_letter_keys WHERE offset = ?1";
    let followed = connection.prepare_cached(select)?.query_row([offset], |row| row.get(0)).optional()?;
    Ok(followed.unwrap_or(true))
}
