//! The length of the write-ahead log, at which SQLite copies it into the file.

use rusqlite::Connection;

/// SQLite's default, 4 MiB: a copy takes some milliseconds.
const PAGES: u32 = 1000;
/// While batches are large, 40 MiB. Each of them changes many pages of the indexes, because keys come in any order, and most of these
/// pages change again with the next batches: a longer log copies a page once for several batches.
const PAGES_OF_LARGE_BATCHES: u32 = 10_000;
/// The rows of a large batch.
const LARGE: usize = 1000;

/// The limit of a connection.
pub(super) struct WalLimit {
    pages: u32,
}

impl WalLimit {
    /// Of a connection that was just opened.
    pub(super) fn new() -> Self {
        Self { pages: PAGES }
    }

    /// Sets the limit for a batch of this many rows.
    pub(super) fn set(&mut self, connection: &Connection, rows: usize) -> rusqlite::Result<()> {
        let pages = if rows >= LARGE { PAGES_OF_LARGE_BATCHES } else { PAGES };
        if pages != self.pages {
            connection.pragma_update_and_check(None, "wal_autocheckpoint", pages, |_| Ok(()))?;
            self.pages = pages;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_long_only_while_batches_are_large() {
        let connection = Connection::open_in_memory().unwrap();
        let found = || connection.pragma_query_value(None, "wal_autocheckpoint", |row| row.get::<_, u32>(0)).unwrap();
        assert_eq!(found(), PAGES, "SQLite's default");
        let mut limit = WalLimit::new();
        for (rows, pages) in
            [(1, PAGES), (LARGE, PAGES_OF_LARGE_BATCHES), (LARGE + 1, PAGES_OF_LARGE_BATCHES), (LARGE - 1, PAGES)]
        {
            limit.set(&connection, rows).unwrap();
            assert_eq!(found(), pages, "{rows} rows");
        }
    }
}
