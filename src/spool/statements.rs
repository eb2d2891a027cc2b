//! The SQL of the spool's tables and of the path of an event, and its transactions.

use std::ops::Deref;

use rusqlite::Connection;

use crate::spool::disk::space_sql;

/// The tables of a spool.
///
/// `spool` has one row. `deleted_offset` is of [`super::offsets::Offsets`]; `checkpoints` is
/// [`super::offsets::Checkpoints`]. `unchecked_from` is the offset up to which the numbering of the file is known to be the
/// destination's: the end of the spool when it was first opened after the two were last compared. A crash of the machine may
/// cost an unflushed spool its last events although they are committed already. New events then get their offsets, and
/// must not be mistaken for them. `dead_letter_space` is kept by triggers, because other processes delete dead letters too.
///
/// `is_open` and `suspects` are explained in [`super::guard`].
///
/// `space` is what a row takes in the file ([`super::disk::space`]), of a dead letter with its entry in the index.
///
/// `bursts.position` is the offset of a burst's first event; `bytes` is explained in [`super::row`], checksums in
/// [`super::checksum`]. The last row is the end row: it has no events, and its position is the end offset. The next append
/// overwrites it with its burst and puts another one behind that. So a row that goes missing is noticed wherever it was, and a
/// lone event changes a single page. Times are microseconds since 1970-01-01 UTC.
pub(super) const TABLES: &str = concat!(
    "
    CREATE TABLE spool (
        id TEXT NOT NULL,
        deleted_offset INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        checkpoints TEXT NOT NULL,
        unchecked_from INTEGER,
        dead_letter_space INTEGER NOT NULL,
        is_open INTEGER NOT NULL
    );
    CREATE TABLE suspects (
        offset INTEGER PRIMARY KEY,
        ends INTEGER NOT NULL
    );
    CREATE TABLE bursts (
        position INTEGER PRIMARY KEY,
        events INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        space INTEGER AS (",
    space_sql!("(length(bytes) + 22)"),
    ")
    );
    CREATE TABLE dead_letters (
        offset INTEGER PRIMARY KEY,
        received_at INTEGER NOT NULL,
        rejected_at INTEGER NOT NULL,
        stage TEXT NOT NULL,
        reason TEXT NOT NULL,
        violations TEXT NOT NULL,
        sqlstate TEXT,
        constraint_name TEXT,
        column_name TEXT,
        exported_at INTEGER,
        replayed_at INTEGER,
        replayed_as INTEGER,
        superseded_at INTEGER,
        record INTEGER AS (37 + length(CAST(stage || reason || violations || coalesce(sqlstate, '')
            || coalesce(constraint_name, '') || coalesce(column_name, '') AS BLOB)) + length(event)
            + 8 * (exported_at IS NOT NULL) + 14 * (replayed_at IS NOT NULL) + 8 * (superseded_at IS NOT NULL)) STORED,
        event BLOB NOT NULL,
        space INTEGER AS (20 * (exported_at IS NOT NULL OR replayed_at IS NOT NULL) + ",
    space_sql!("record"),
    ")
    );
    CREATE INDEX dead_letters_seen ON dead_letters (offset) WHERE exported_at IS NOT NULL OR replayed_at IS NOT NULL;
    CREATE TRIGGER dead_letter_inserted AFTER INSERT ON dead_letters BEGIN
        UPDATE spool SET dead_letter_space = dead_letter_space + new.space;
    END;
    CREATE TRIGGER dead_letter_changed AFTER UPDATE ON dead_letters WHEN new.space <> old.space BEGIN
        UPDATE spool SET dead_letter_space = dead_letter_space + new.space - old.space;
    END;
    CREATE TRIGGER dead_letter_deleted AFTER DELETE ON dead_letters BEGIN
        UPDATE spool SET dead_letter_space = dead_letter_space - old.space;
    END;
    CREATE TABLE replay_requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        offsets TEXT,
        is_forced INTEGER NOT NULL,
        next_from INTEGER NOT NULL DEFAULT 0,
        replayed INTEGER NOT NULL DEFAULT 0,
        rejected INTEGER NOT NULL DEFAULT 0,
        skipped INTEGER NOT NULL DEFAULT 0,
        requested_at INTEGER NOT NULL,
        done_at INTEGER
    );
    CREATE TABLE connections (
        id INTEGER PRIMARY KEY,
        opened_at INTEGER NOT NULL,
        first_event_at INTEGER,
        last_event_at INTEGER,
        events INTEGER NOT NULL DEFAULT 0,
        ended_at INTEGER,
        cause TEXT,
        status INTEGER,
        tries_failed INTEGER NOT NULL,
        try_error TEXT
    );
    CREATE TABLE marks (
        position INTEGER PRIMARY KEY,
        received_at INTEGER NOT NULL
    );
    CREATE TABLE checkpoint_regressions (
        id INTEGER PRIMARY KEY,
        begins_at INTEGER NOT NULL,
        ends_at INTEGER NOT NULL,
        cause TEXT NOT NULL
    );"
);

/// Appends a row, in place of the end row if that is there.
pub(super) const INSERT_BURST: &str =
    "INSERT OR REPLACE INTO bursts (position, events, received_at, bytes, checksum) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Deletes the rows whose last event is below the offset ?1.
pub(super) const DELETE_BURSTS: &str = "DELETE FROM bursts WHERE position < ?1 AND position + events <= ?1";

/// The space of the rows that [`DELETE_BURSTS`] deletes. `RETURNING` would need a temporary table: 3 µs more for a lone event.
pub(super) const SPACE_OF_BURSTS: &str =
    "SELECT coalesce(sum(space), 0) FROM bursts WHERE position < ?1 AND position + events <= ?1";

/// Notes the deleted offset, and the checkpoints of the destination.
pub(super) const NOTE_DELETED: &str = "UPDATE spool SET deleted_offset = ?1, checksum = ?2, checkpoints = ?3";

/// Reads rows from the one on that holds the offset ?1, and below the offset ?2.
pub(super) const READ_BURSTS: &str = "SELECT position, events, received_at, bytes, checksum FROM bursts
     WHERE position >= coalesce((SELECT max(position) FROM bursts WHERE position <= ?1), ?1) AND position < ?2
     ORDER BY position";

/// Runs a write that must not be lost with the machine: it is flushed to the disk, whatever `spool.sync` says.
pub(super) fn flushed<T>(
    writer: &Connection,
    write: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let usual: i32 = writer.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    let outcome = write(writer);
    writer.pragma_update(None, "synchronous", usual)?;
    outcome
}

/// A transaction that is begun and ended by statements prepared once. rusqlite's own prepares `BEGIN` and `COMMIT` each time,
/// a fiftieth of what an event costs under light load.
///
/// Rolled back when it is dropped before its [`commit`](Self::commit).
pub(super) struct Transaction<'a>(&'a Connection);

impl<'a> Transaction<'a> {
    /// Mutable, so that none is begun within another one.
    pub(super) fn begin(connection: &'a mut Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }

    pub(super) fn commit(self) -> rusqlite::Result<()> {
        self.0.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite itself may have ended it, because of an error that left it no choice.
        if !self.0.is_autocommit() {
            // If this fails, the next BEGIN reports it.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
