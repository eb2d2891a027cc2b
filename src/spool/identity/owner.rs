//! The owner: a random name that each opening of a spool makes for itself.
//!
//! The opening notes it in the file first, and then puts it into the destination's checkpoints in place of an owner that this file has
//! noted before. Every batch compares it. So a statement of an earlier opening changes nothing any more, and a checkpoint whose owner
//! this file has never noted belongs to a copy of the file: nothing below it is known to be committed.

use rusqlite::Connection;

use crate::time::clock::{Clock, SystemClock};

/// Created where they are missing: a file of an earlier version has no owners. `is_confirmed`: the destination had it, and the
/// positions that it took over are in this file. `conflict` has at most one row.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS owners (
        id INTEGER PRIMARY KEY,
        owner TEXT NOT NULL,
        noted_at INTEGER NOT NULL,
        is_confirmed INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS conflict (
        message TEXT NOT NULL,
        noted_at INTEGER NOT NULL
    );";

/// Openings that are remembered: a week of one a minute. The last confirmed one is always among them.
pub(super) const OWNERS_MAX: u32 = 10_000;

/// Notes an owner for this opening.
pub(in crate::spool) fn make(connection: &Connection) -> rusqlite::Result<String> {
    connection.execute_batch(TABLES)?;
    // SQLite's random numbers differ in a forked child; ours would repeat its parent's.
    let insert = "INSERT INTO owners (owner, noted_at) VALUES (lower(hex(randomblob(16))), ?1) RETURNING owner";
    let owner = connection.query_row(insert, [SystemClock.unix_micros()], |row| row.get(0))?;
    let prune = "DELETE FROM owners WHERE id <= (SELECT max(id) FROM owners) - ?1
        AND id IS NOT (SELECT max(id) FROM owners WHERE is_confirmed)";
    connection.execute(prune, [OWNERS_MAX])?;
    Ok(owner)
}

/// Notes that the destination has the owner. Within the caller's transaction, with the positions.
pub(in crate::spool) fn confirm(connection: &Connection, owner: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE owners SET is_confirmed = 1 WHERE owner = ?1", [owner]).map(drop)
}
