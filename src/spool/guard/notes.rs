//! The notes in the file about events that may take the process down, and the preparer's place.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::spool::statements::Transaction;

/// An event during which this many processes ended is set aside.
pub(super) const ENDS_MAX: u32 = 2;
/// How often the preparer is watched: an event that it has still not finished is noted.
pub(in crate::spool) const WATCH_INTERVAL: Duration = Duration::from_millis(100);
/// No event is being prepared.
pub(super) const NONE: u64 = u64::MAX;

/// Requests to replay an event that was set aside have one try: the process that carries one out may end by it.
const FINISH_REQUESTS: &str = "UPDATE replay_requests SET done_at = requested_at, skipped = skipped + 1
     WHERE done_at IS NULL AND EXISTS
         (SELECT 1 FROM json_each(offsets) AS requested JOIN dead_letters AS letter ON letter.offset = requested.value
          WHERE letter.stage = 'guard')";

/// The notes of earlier processes, and the preparer's place.
#[derive(Debug)]
pub(in crate::spool) struct Guard {
    /// The end offset at the opening, if events below it may take the process down; 0 if not.
    pub(super) suspected_to: u64,
    /// The number of processes that ended while they prepared the event at this offset.
    pub(super) ends: BTreeMap<u64, u32>,
    /// Events below this offset are noted before they are prepared.
    pub(super) noted_to: AtomicU64,
    /// The event that is being prepared.
    pub(super) at: AtomicU64,
    /// The same when it was last watched.
    pub(super) watched: AtomicU64,
    /// The event that is noted.
    pub(super) noted: Mutex<Option<u64>>,
    pub(super) is_noted: AtomicBool,
}

impl Guard {
    /// Reads what earlier processes left, and notes that this one has the file open.
    pub(in crate::spool) fn open(connection: &Connection, end: u64) -> rusqlite::Result<Self> {
        connection.execute("DELETE FROM suspects WHERE offset < (SELECT deleted_offset FROM spool)", [])?;
        let was_open: bool = connection.query_row("SELECT is_open FROM spool", [], |row| row.get(0))?;
        connection.execute("UPDATE spool SET is_open = TRUE", [])?;
        if was_open {
            connection.execute(FINISH_REQUESTS, [])?;
        }
        let mut select = connection.prepare("SELECT offset, ends FROM suspects")?;
        let ends: BTreeMap<u64, u32> =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        let is_suspected = was_open || !ends.is_empty();
        Ok(Self {
            suspected_to: if is_suspected { end } else { 0 },
            ends,
            noted_to: AtomicU64::new(0),
            at: AtomicU64::new(NONE),
            watched: AtomicU64::new(NONE),
            noted: Mutex::new(None),
            is_noted: AtomicBool::new(false),
        })
    }
}

/// Deletes the old note, and counts the new one.
pub(super) fn change_notes(writer: &mut Connection, old: Option<u64>, new: Option<u64>) -> rusqlite::Result<()> {
    if old.is_none() && new.is_none() {
        return Ok(());
    }
    let transaction = Transaction::begin(writer)?;
    if let Some(old) = old {
        transaction.prepare_cached("DELETE FROM suspects WHERE offset = ?1")?.execute(params![old])?;
    }
    if let Some(new) = new {
        let count = "INSERT INTO suspects VALUES (?1, 1) ON CONFLICT (offset) DO UPDATE SET ends = ends + 1";
        transaction.prepare_cached(count)?.execute(params![new])?;
    }
    transaction.commit()
}
