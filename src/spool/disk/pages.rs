//! The pages of the file and of its write-ahead log: giving free ones back to the file system.

use rusqlite::Connection;

pub(super) fn free_pages(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))
}

/// Frees some pages of the file if more than `kept` are free; whether there were.
pub(super) fn shrink(connection: &Connection, kept: u32, pages: u32) -> rusqlite::Result<bool> {
    if free_pages(connection)? <= kept {
        return Ok(false);
    }
    let mut vacuum = connection.prepare_cached(&format!("PRAGMA incremental_vacuum({pages})"))?;
    // Each step of the statement frees one page.
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(true)
}

/// Copies the write-ahead log into the file and gives the log's room back; false if a reader is in the way.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}
