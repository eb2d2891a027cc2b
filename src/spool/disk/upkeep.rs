//! Deleting committed events where no append does it, and keeping the file and its log short.
//!
//! The preparer does it when no event comes, and a thread of its own does it under load, so that neither the reader nor a
//! writer waits for it.

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::spool::disk::WalCheckpointer;
use crate::spool::disk::is_full;
use crate::spool::disk::pages::{empty_log, free_pages, shrink};
use crate::spool::guard::WATCH_INTERVAL;
use crate::spool::identity::Watch;
use crate::spool::queue::{QueueState, Spool};
use crate::spool::statements::Transaction;

/// This many committed events may stay in the file before they are deleted without an append.
pub(in crate::spool) const DELETE_EVENTS_MAX: u64 = 20_000;
/// The free pages that go back to the file system at a time.
const SHRINK_PAGES: u32 = 1024;
/// Free pages below this are kept for the next events.
const FREE_PAGES_KEPT: u32 = 256;

impl Spool {
    /// Whether enough is committed to delete it without an append.
    pub(in crate::spool) fn is_delete_due(&self, state: &QueueState) -> bool {
        state.offsets.committed() - state.offsets.deleted() >= DELETE_EVENTS_MAX || state.space >= self.bytes_max / 2
    }

    /// Deletes committed events, on the thread that is there for it, or at once.
    pub(in crate::spool) fn delete_soon(&self) -> Result<()> {
        let is_requested = self.wal_checkpointer.as_ref().is_some_and(WalCheckpointer::request_delete);
        if is_requested { Ok(()) } else { self.delete_committed() }
    }

    /// Deletes committed events.
    pub(crate) fn delete_committed(&self) -> Result<()> {
        self.delete_with(&mut self.writer())
    }

    pub(in crate::spool) fn delete_with(&self, writer: &mut Connection) -> Result<()> {
        let deleted = self.with_reserve(writer, |writer| self.delete_from(writer));
        deleted.map_err(|error| self.error("deleting from", &error))
    }

    pub(super) fn delete_from(&self, writer: &mut Connection) -> rusqlite::Result<()> {
        let is_done = {
            let offsets = &self.state().offsets;
            offsets.deleted() == offsets.committed()
        };
        if is_done {
            return Ok(());
        }
        let transaction = Transaction::begin(writer)?;
        let change = self.delete_rows(&transaction)?;
        transaction.commit()?;
        self.note_change(&change);
        Ok(())
    }

    /// Deletes committed events, then gives some free space back to the file system. For idle moments, and in small steps,
    /// because appends wait for it.
    pub(crate) fn tidy(&self) -> Result<()> {
        self.delete_committed()?;
        let mut writer = self.writer();
        match self.shrink_file(&mut writer) {
            Err(error) if is_full(&error) => self.make_room(&mut writer).map(drop),
            outcome => outcome,
        }
        .map_err(|error| self.error("shrinking", &error))
    }

    fn shrink_file(&self, writer: &mut Connection) -> rusqlite::Result<()> {
        if self.reserve.is_out() {
            return self.make_room(writer).map(drop);
        }
        let is_last = free_pages(writer)? <= FREE_PAGES_KEPT + SHRINK_PAGES;
        if shrink(writer, FREE_PAGES_KEPT, SHRINK_PAGES)? && is_last {
            // Only an empty log shortens the file itself.
            empty_log(writer)?;
        }
        Ok(())
    }

    /// Keeps the file and its log short, and watches the preparer and whether they are there, until [`end_upkeep`](Self::end_upkeep). For a thread of
    /// its own. `report` gets what could not be deleted, and `lose` the loss of the file.
    pub(crate) fn keep_short(&self, report: impl Fn(&Error), lose: impl Fn(&Error)) {
        let Some(wal_checkpointer) = &self.wal_checkpointer else { return };
        let mut watch = Watch::begin(self);
        while let Some(due) = wal_checkpointer.wait(watch.wait().min(WATCH_INTERVAL)) {
            self.watch();
            watch.look(self, &report, &lose);
            if due.delete
                && let Err(error) = self.delete_committed()
            {
                // They are committed; their rows go with the next delete.
                report(&error);
            }
            if due.copy
                && let Err(error) = wal_checkpointer.shorten(|| self.writer())
            {
                log::debug!("{}; trying again after the next commits", self.error("shortening the log of", &error));
                wal_checkpointer.give_up();
            }
        }
    }
}
