//! The length of the write-ahead log: a connection of its own copies it into the file (SQLite: a WAL checkpoint).
//!
//! SQLite by itself copies the log within the commit that makes it 1000 pages long: 5 to 8 ms for flushes to the disk, during
//! which no event is appended. A second connection copies while the first one appends. But the log begins again only when
//! all of it is copied, and under a flood the appends are always ahead. So when it has grown to four times its usual length, the
//! rest, which is short, is copied while appends wait.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::{Connection, MAIN_DB, wal::CheckpointMode};

use crate::threads::sync;
use crate::threads::sync::Condition;

/// The pages of 4 KiB that are copied at a time.
const COPY_PAGES: u32 = 1000;
/// The log's length at which appends wait until the rest of it is copied.
const HOLD_PAGES: u32 = 4 * COPY_PAGES;
/// With this many pages that are not copied, an append copies before it continues.
const BEHIND_PAGES: u32 = 2 * COPY_PAGES;
/// The log's length at which the commit itself copies, because the thread does not keep up: a disk that is slow or full.
const PAGES_MAX: u32 = 16 * COPY_PAGES;

/// The connection that copies.
#[derive(Debug)]
pub(crate) struct WalCheckpointer {
    connection: Mutex<Connection>,
    log: Arc<Log>,
}

/// The write-ahead log, as its commits and copies report it.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condition,
}

#[derive(Debug, Default)]
struct LogState {
    /// Its length in pages.
    pages: u32,
    /// The pages of it that are in the file, too.
    copied: u32,
    /// Its length when copying failed: the next copy is due when as much again is written.
    given_up: u32,
    /// Many committed events are to be deleted.
    is_delete_due: bool,
    /// A thread copies and deletes; otherwise the commits copy, as SQLite does by itself.
    is_attended: bool,
    /// The thread is to end.
    is_ended: bool,
}

impl Log {
    /// After a commit. True if the commit is to copy the log itself.
    fn note_commit(&self, pages: u32) -> bool {
        let mut state = sync::lock(&self.state);
        if pages < state.pages {
            // All of it was copied, and it began again.
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

impl WalCheckpointer {
    /// `writer`: the connection that appends, whose commits are watched from now on. `connection`: another one to the same file.
    pub(in crate::spool) fn new(writer: &mut Connection, connection: Connection) -> rusqlite::Result<Self> {
        let log = Arc::new(Log::default());
        let watched = Arc::clone(&log);
        writer.wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            if watched.note_commit(pages.unsigned_abs()) {
                // The commit is done; if the copy fails, the next commit tries again.
                let _ = wal.checkpoint();
            }
            Ok(())
        }))?;
        Ok(Self { connection: Mutex::new(connection), log })
    }

    /// Copies the pages that need no wait for another connection. Returns the log's length.
    fn copy(&self) -> rusqlite::Result<u32> {
        let (pages, copied) = sync::lock(&self.connection).wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE)?;
        sync::lock(&self.log.state).copied = u32::try_from(copied).unwrap_or(0);
        Ok(u32::try_from(pages).unwrap_or(0))
    }

    /// Copies if much of the log is not in the file yet: on a full disk it must be copied before anything can be freed, and only
    /// the reserve has room for it then.
    pub(super) fn keep_up(&self) -> rusqlite::Result<()> {
        let is_behind = {
            let state = sync::lock(&self.log.state);
            state.pages.saturating_sub(state.copied) >= BEHIND_PAGES
        };
        if is_behind { self.copy().map(drop) } else { Ok(()) }
    }

    /// Makes the thread delete committed events; false if there is none.
    pub(in crate::spool) fn request_delete(&self) -> bool {
        let mut state = sync::lock(&self.log.state);
        state.is_delete_due = state.is_attended;
        self.log.changed.notify_one();
        state.is_attended
    }

    /// Ends the thread, the one that runs or a later one.
    pub(in crate::spool) fn end(&self) {
        sync::lock(&self.log.state).is_ended = true;
        self.log.changed.notify_all();
    }

    /// For the thread: waits until there is something to do, or until `timeout` has passed; `None` at the end.
    pub(super) fn wait(&self, timeout: Duration) -> Option<Due> {
        let until = Instant::now() + timeout;
        let mut state = sync::lock(&self.log.state);
        while !state.is_due() && !state.is_delete_due && !state.is_ended {
            state.is_attended = true;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.log.changed.wait(state, Some(left));
        }
        state.is_attended = !state.is_ended;
        let is_delete_due = std::mem::take(&mut state.is_delete_due);
        state.is_attended.then(|| Due { delete: is_delete_due, copy: state.is_due() })
    }

    /// Copies the log; a long one is copied to its end while the guard of `hold_appends` lives.
    pub(super) fn shorten<G>(&self, hold_appends: impl FnOnce() -> G) -> rusqlite::Result<()> {
        if self.copy()? >= HOLD_PAGES {
            let _held = hold_appends();
            self.copy()?;
        }
        Ok(())
    }

    /// After copying failed.
    pub(super) fn give_up(&self) {
        let mut state = sync::lock(&self.log.state);
        state.given_up = state.pages;
    }
}

/// The thread's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) delete: bool,
    pub(super) copy: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::queue::Spool;
    use crate::spool::tests::config;

    /// While appends wait, the copy leaves out no page.
    #[test]
    fn a_long_log_is_copied_to_its_end_while_appends_wait() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
        let wal_checkpointer = spool.wal_checkpointer.as_ref().unwrap();
        let log = || sync::lock(&wal_checkpointer.log.state);
        // As the thread has it, so that the commits leave the log alone.
        log().is_attended = true;
        spool.writer().execute("CREATE TABLE others (bytes BLOB)", []).unwrap();
        while log().pages < HOLD_PAGES {
            spool.writer().execute("INSERT INTO others VALUES (zeroblob(65536))", []).unwrap();
        }
        std::thread::scope(|scope| {
            let writer = spool.writer();
            let pages = log().pages;
            let copying = scope.spawn(|| wal_checkpointer.shorten(|| spool.writer()));
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
