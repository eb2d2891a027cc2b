//! A transaction that is begun and ended by statements prepared once.
//!
//! rusqlite's own prepares `BEGIN` and `COMMIT` each time, which is a fiftieth of what an event costs under light load.

use std::ops::Deref;

use rusqlite::Connection;

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
            // The next BEGIN tells if this failed.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}
