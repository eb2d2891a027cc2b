//! Writes on a full disk: which of them may use the reserve.
//!
//! Writes that make room may, and writes that must not be refused: dead letters, and the last burst before the end. Events are
//! taken only while the reserve is there, so that it is there when it is needed next.

use rusqlite::{Connection, TransactionBehavior};

use crate::spool::disk::WalCheckpointer;
use crate::spool::disk::pages::{empty_log, free_pages, shrink};
use crate::spool::disk::reserve::{LOAN_BYTES_MAX, is_full};
use crate::spool::queue::Spool;

/// The free pages that go back to the file system at a time: the log takes less than two pages for each.
const SHRINK_PAGES: u32 = 256;

impl Spool {
    /// Runs a write that makes room: on a full disk it may use the reserve.
    pub(in crate::spool) fn with_reserve<T>(
        &self,
        writer: &mut Connection,
        mut write: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match write(writer) {
            Err(error) if is_full(&error) && self.reserve.release() => {
                let outcome = write(writer);
                // The outcome of the write is the caller's, whether or not the reserve can be taken again.
                if let Err(error) = self.hold_reserve(writer) {
                    log::debug!("taking the reserve again: {error}");
                }
                outcome
            }
            outcome => outcome,
        }
    }

    /// Runs a write of this many bytes that must not be refused although it takes room: dead letters, the last burst before the
    /// end. On a full disk it may use the reserve if that is whole, and if enough is left for making room.
    pub(in crate::spool) fn with_loan<T>(
        &self,
        writer: &mut Connection,
        bytes: u64,
        mut write: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match write(writer) {
            Err(error) if is_full(&error) => {
                if self.make_room(writer)? && bytes <= LOAN_BYTES_MAX {
                    self.with_reserve(writer, write)
                } else {
                    Err(error)
                }
            }
            outcome => outcome,
        }
    }

    /// Runs a write of this many bytes that is allowed only while the reserve is there. On a full disk it makes room and tries once
    /// more.
    pub(in crate::spool) fn beside_reserve<T>(
        &self,
        writer: &mut Connection,
        bytes: u64,
        mut write: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let full = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
        if !self.reserve.is_held_for(bytes) && !self.make_room(writer)? {
            return Err(full());
        }
        let keep_up = || self.wal_checkpointer.as_ref().map_or(Ok(()), WalCheckpointer::keep_up);
        match keep_up().and_then(|()| write(writer)) {
            Err(error) if is_full(&error) => {
                if self.make_room(writer)? {
                    keep_up()?;
                    write(writer)
                } else {
                    Err(error)
                }
            }
            outcome => outcome,
        }
    }

    /// Takes the reserve if it is not there, before the first event that would have to wait for it.
    pub(crate) fn take_reserve(&self) {
        // If there is no room, an append finds out.
        if !self.reserve.is_held()
            && let Err(error) = self.hold_reserve(&mut self.writer())
        {
            log::debug!("taking the reserve: {error}");
        }
    }

    /// Deletes committed events, and gives every free page and the log back to the file system; whether the reserve is there
    /// afterwards. Where nothing can be gained the reserve is not released: another program might take the room.
    pub(super) fn make_room(&self, writer: &mut Connection) -> rusqlite::Result<bool> {
        let make = |writer: &mut Connection| -> rusqlite::Result<()> {
            self.delete_from(writer)?;
            // Before the log is emptied: pages that the file no longer has are not copied into it.
            while shrink(writer, 0, SHRINK_PAGES)? && empty_log(writer)? {}
            empty_log(writer).map(drop)
        };
        let offsets = self.state().offsets.clone();
        let is_gain = offsets.deleted() < offsets.committed() || free_pages(writer)? > 0 || !self.reserve.is_held();
        if is_gain {
            match self.with_reserve(writer, make) {
                // Where the log may not grow, a delete has no room before it is emptied.
                Err(error) if is_full(&error) && empty_log(writer)? => self.with_reserve(writer, make)?,
                outcome => outcome?,
            }
        } else if let Err(error) = empty_log(writer) {
            log::debug!("{error}");
        }
        self.hold_reserve(writer)
    }

    /// Takes the reserve, as far as there is room; whether it is whole.
    fn hold_reserve(&self, writer: &mut Connection) -> rusqlite::Result<bool> {
        if self.reserve.is_held() {
            return Ok(true);
        }
        // Under the lock of the file, so that another process can use the room for which it released the reserve.
        let _lock = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(self.reserve.hold())
    }
}
