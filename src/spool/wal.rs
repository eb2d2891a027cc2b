//! Keeping the file and its write-ahead log short, on a thread of its own.
//!
//! SQLite by itself copies the log into the file within the commit that makes it 1000 pages long: flushes to the disk, 5 to
//! 8 ms, in the way of the reader and so of every event that arrives meanwhile. A second connection can copy while the first
//! one appends, and nobody waits. But the log begins anew only when all of it is copied, and under a flood the
//! appends are always ahead. So when it has grown to four times its usual length, the rest, which is short, is copied with
//! the writer held.
//!
//! The same thread deletes what is applied where no append does it on its way: nobody waits for that either.

use std::sync::{Arc, Mutex};

use rusqlite::{Connection, MAIN_DB, wal::CheckpointMode};

use crate::error::Error;
use crate::spool::Spool;
use crate::threads::sync;
use crate::threads::sync::Condition;

/// So many pages of 4 KiB are copied at a time.
const COPY_PAGES: u32 = 1000;
/// The log's length at which the writer is held for the rest of it.
const HOLD_PAGES: u32 = 4 * COPY_PAGES;
/// So many pages that are not copied, and the one who appends copies before going on.
pub(super) const BEHIND_PAGES: u32 = 2 * COPY_PAGES;
/// The log's length at which the commit itself copies, because nobody else keeps up: a disk that is slow or full.
const PAGES_MAX: u32 = 16 * COPY_PAGES;

/// The connection that copies.
#[derive(Debug)]
pub(super) struct Checkpointer {
    connection: Mutex<Connection>,
    log: Arc<Log>,
}

/// What is known of the write-ahead log.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condition,
}

#[derive(Debug, Default)]
struct LogState {
    /// How long it is, in pages.
    pages: u32,
    /// How many of them are in the file, too.
    copied: u32,
    /// How long it was when copying failed: no more is due before as much again is written.
    given_up: u32,
    /// Much is applied that is not deleted.
    is_delete_due: bool,
    /// Whether a thread does all this; otherwise the commits copy, as is SQLite's way.
    is_attended: bool,
}

impl Log {
    /// After a commit. True if the commit is to copy the log itself.
    fn note_commit(&self, pages: u32) -> bool {
        let mut state = sync::lock(&self.state);
        if pages < state.pages {
            // It was copied wholly, and began anew.
            (state.copied, state.given_up) = (0, 0);
        }
        state.pages = pages;
        if state.is_due() {
            self.changed.notify_one();
        }
        pages >= if state.is_attended { PAGES_MAX } else { COPY_PAGES }
    }
}

impl LogState {
    fn is_due(&self) -> bool {
        self.pages.saturating_sub(self.copied.max(self.given_up)) >= COPY_PAGES
    }
}

impl Checkpointer {
    /// `writer`: the connection that appends, whose commits are watched from now on. `connection`: another one to the same file.
    pub(super) fn new(writer: &mut Connection, connection: Connection) -> rusqlite::Result<Self> {
        let log = Arc::new(Log::default());
        let watched = Arc::clone(&log);
        writer.wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            if watched.note_commit(pages.unsigned_abs()) {
                // Its failure is none of the commit's, which is done: the next one tries again.
                let _ = wal.checkpoint();
            }
            Ok(())
        }))?;
        Ok(Self { connection: Mutex::new(connection), log })
    }

    /// Copies what can be copied without waiting for anybody. Returns the log's length.
    fn copy(&self) -> rusqlite::Result<u32> {
        let (pages, copied) = sync::lock(&self.connection).wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE)?;
        sync::lock(&self.log.state).copied = u32::try_from(copied).unwrap_or(0);
        Ok(u32::try_from(pages).unwrap_or(0))
    }

    /// Copies if much of the log is not in the file yet: on a full disk it must find its place there before anything can be freed,
    /// and only the reserve's room is sure to be there then.
    pub(super) fn keep_up(&self) -> rusqlite::Result<()> {
        let is_behind = {
            let state = sync::lock(&self.log.state);
            state.pages.saturating_sub(state.copied) >= BEHIND_PAGES
        };
        if is_behind { self.copy().map(drop) } else { Ok(()) }
    }

    /// Asks the thread to delete what is applied; false if there is none.
    pub(super) fn ask_to_delete(&self) -> bool {
        let mut state = sync::lock(&self.log.state);
        state.is_delete_due = state.is_attended;
        self.log.changed.notify_one();
        state.is_attended
    }

    pub(super) fn wake(&self) {
        // Under the lock, so that a waiter cannot miss it between its look and its wait.
        let _state = sync::lock(&self.log.state);
        self.log.changed.notify_all();
    }
}

impl Spool {
    /// Keeps the file and its log short until the intake ends. For a thread of its own. `report` is told what could not be deleted.
    pub(crate) fn keep_short(&self, report: impl Fn(&Error)) {
        let Some(checkpointer) = &self.checkpointer else { return };
        let log = &checkpointer.log;
        sync::lock(&log.state).is_attended = true;
        loop {
            let mut state = sync::lock(&log.state);
            while !state.is_due() && !state.is_delete_due && !self.is_intake_ended() {
                state = log.changed.wait(state, None);
            }
            let (is_due, is_delete_due) = (state.is_due(), std::mem::take(&mut state.is_delete_due));
            if self.is_intake_ended() {
                state.is_attended = false;
                return;
            }
            drop(state);
            if is_delete_due && let Err(error) = self.delete_applied() {
                // They are applied; their rows go with the next delete.
                report(&error);
            }
            if is_due && let Err(error) = self.shorten_log(checkpointer) {
                log::debug!("{}; trying again after the next commits", self.error("shortening the log of", &error));
                let mut state = sync::lock(&log.state);
                state.given_up = state.pages;
            }
        }
    }

    fn shorten_log(&self, checkpointer: &Checkpointer) -> rusqlite::Result<()> {
        if checkpointer.copy()? >= HOLD_PAGES {
            let _no_append = self.writer();
            checkpointer.copy()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::config;

    /// Only with the writer held is nothing appended during the copy that it would leave out.
    #[test]
    fn a_long_log_is_copied_wholly_with_the_writer_held() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
        let checkpointer = spool.checkpointer.as_ref().unwrap();
        let log = || sync::lock(&checkpointer.log.state);
        // As the thread has it, so that the commits leave the log alone.
        log().is_attended = true;
        spool.writer().execute("CREATE TABLE others (bytes BLOB)", []).unwrap();
        while log().pages < HOLD_PAGES {
            spool.writer().execute("INSERT INTO others VALUES (zeroblob(65536))", []).unwrap();
        }
        std::thread::scope(|scope| {
            let writer = spool.writer();
            let pages = log().pages;
            let copying = scope.spawn(|| spool.shorten_log(checkpointer));
            while log().copied < pages {
                assert!(!copying.is_finished());
                std::thread::yield_now();
            }
            writer.execute("INSERT INTO others VALUES ('late')", []).unwrap();
            drop(writer);
            copying.join().unwrap().unwrap();
        });
        let log = log();
        assert_eq!(log.copied, log.pages);
    }
}
