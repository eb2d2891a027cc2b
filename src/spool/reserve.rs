//! Room for the time when the disk is full: a file beside the spool takes it, and is deleted when the room is needed.
//!
//! Draining frees the disk, but it needs room first: what is applied is deleted by appending to SQLite's write-ahead log, and
//! what is in the log must find its place in the file before the log can start anew and the file can shrink. Without a reserve
//! a full disk would stay full although every event is applied.
//!
//! Only such writes may take it, and those that must not be refused: dead letters, and the last burst before the end. An
//! event is taken only while the reserve is there, so it is there again when it is needed next.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{Spool, append, beside, file};
use crate::spool::wal::Checkpointer;

/// Enough for the part of the log that is not in the file and may be new to it (8 MiB, `BEHIND_PAGES`), one append (1 MiB), a loan
/// (4 MiB) and a step of shrinking (3 MiB). The tests of this crate, and fuzzing, open thousands of spools and fill no disk.
const BYTES: u64 = if cfg!(any(test, fuzzing)) { 64 << 10 } else { 16 << 20 };
/// Small appends without asking whether the reserve is there: they take half a MiB of the log at most, of the one for an append.
const SMALL_APPENDS: u32 = 32;
const SMALL_APPEND_BYTES: u64 = 4096;
/// What dead letters may use of it: they are of events that are in the spool, and leave it then.
const LOAN_BYTES_MAX: u64 = BYTES / 4;
/// Written again and again: large, so that file systems that compress find nothing to compress.
const BLOCK_BYTES: usize = if cfg!(any(test, fuzzing)) { 64 << 10 } else { 1 << 20 };
/// How many pages go back to the file system at a time: the log takes less than two pages for each.
const SHRINK_PAGES: u32 = 256;

/// The file that keeps the room.
#[derive(Debug)]
pub(super) struct Reserve {
    /// `None` for a spool in memory, which needs none.
    path: Option<PathBuf>,
    /// It cannot be made, and that is not for want of room: the spool works without it.
    is_given_up: AtomicBool,
    /// It was used, and is to be taken again.
    is_out: AtomicBool,
    /// For so many small appends the file system is not asked again whether it is there.
    is_trusted_for: AtomicU32,
}

impl Reserve {
    pub(super) fn beside(spool: &Path) -> Self {
        let path = (spool.as_os_str() != ":memory:").then(|| beside(spool, "reserve"));
        Self {
            path,
            is_given_up: AtomicBool::new(false),
            is_out: AtomicBool::new(false),
            is_trusted_for: AtomicU32::new(0),
        }
    }

    /// Asked of the file system, since another process may have taken it to purge dead letters.
    pub(super) fn is_held(&self) -> bool {
        let Some(path) = self.needed() else { return true };
        fs::metadata(path).is_ok_and(|file| file.len() >= BYTES)
    }

    /// The same for an append of so many bytes. Asking costs as much as a tenth of a small append, so among those it is not done
    /// each time.
    fn is_held_for(&self, bytes: u64) -> bool {
        let left = self.is_trusted_for.load(Ordering::Relaxed);
        if bytes <= SMALL_APPEND_BYTES && left > 0 {
            self.is_trusted_for.store(left - 1, Ordering::Relaxed);
            return true;
        }
        let is_held = self.is_held();
        self.is_trusted_for.store(if is_held { SMALL_APPENDS } else { 0 }, Ordering::Relaxed);
        is_held
    }

    /// How much room it still has to take before an event is.
    pub(super) fn bytes_missing(&self) -> u64 {
        if self.is_held() { 0 } else { BYTES }
    }

    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// Gives the room back; true if there was any.
    pub(super) fn release(&self) -> bool {
        let Some(path) = self.needed() else { return false };
        self.is_trusted_for.store(0, Ordering::Relaxed);
        let released = fs::remove_file(path).is_ok();
        if released {
            self.is_out.store(true, Ordering::Relaxed);
            log::debug!("the disk is full: using the reserve {}", path.display());
        }
        released
    }

    /// Takes the room; false if there is not enough. What there is stays taken then.
    fn hold(&self) -> bool {
        let Some(path) = self.needed() else { return true };
        if self.is_held() {
            return true;
        }
        let Err(error) = fill(path) else {
            self.is_out.store(false, Ordering::Relaxed);
            return true;
        };
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return false;
        }
        let _ = fs::remove_file(path);
        log::warn!("making {}: {error}; a full disk will not free itself by draining", path.display());
        self.is_given_up.store(true, Ordering::Relaxed);
        true
    }

    fn needed(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| !self.is_given_up.load(Ordering::Relaxed))
    }
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = file::private_options().open(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    fastrand::fill(&mut block);
    let mut length = file.seek(SeekFrom::End(0))?;
    while length < BYTES {
        length += file.write(&block)? as u64;
    }
    Ok(())
}

/// Whether a write failed for want of room. A quota says so by an error of input and output.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}

impl Spool {
    /// Runs a write that makes room: on a full disk it may use the reserve, or what is left of it.
    pub(super) fn with_reserve<T>(
        &self,
        writer: &mut Connection,
        mut write: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match write(writer) {
            Err(error) if is_full(&error) && self.reserve.release() => {
                let outcome = write(writer);
                // What became of the write is to be told, whatever becomes of the rest.
                if let Err(error) = self.hold_reserve(writer) {
                    log::debug!("taking the reserve again: {error}");
                }
                outcome
            }
            outcome => outcome,
        }
    }

    /// Runs a write of so many bytes that must not be refused, although it takes room: dead letters, the last burst before the
    /// end. On a full disk it may use the reserve if that is whole, and if enough is left for making room.
    pub(super) fn with_loan<T>(
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

    /// Runs a write of so many bytes that may come only while the reserve is there. On a full disk it is tried once more after
    /// making room.
    pub(super) fn beside_reserve<T>(
        &self,
        writer: &mut Connection,
        bytes: u64,
        mut write: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let full = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
        if !self.reserve.is_held_for(bytes) && !self.make_room(writer)? {
            return Err(full());
        }
        let keep_up = || self.checkpointer.as_ref().map_or(Ok(()), Checkpointer::keep_up);
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

    /// Deletes what is applied, and gives every free page and the log back to the file system; whether the reserve is there
    /// afterwards. It is not touched where nothing can be gained: another program might take the room.
    pub(super) fn make_room(&self, writer: &mut Connection) -> rusqlite::Result<bool> {
        let make = |writer: &mut Connection| -> rusqlite::Result<()> {
            self.delete_from(writer)?;
            // Before the log is emptied: of pages that the file no longer has, nothing is written to it.
            while append::shrink(writer, 0, SHRINK_PAGES)? && append::empty_log(writer)? {}
            append::empty_log(writer).map(drop)
        };
        let state = *self.state();
        let is_gain = state.deleted < state.applied || append::free_pages(writer)? > 0 || !self.reserve.is_held();
        if is_gain {
            self.with_reserve(writer, make)?;
        } else if let Err(error) = append::empty_log(writer) {
            log::debug!("{error}");
        }
        self.hold_reserve(writer)
    }

    /// Takes what there is for the reserve; whether it is whole.
    fn hold_reserve(&self, writer: &mut Connection) -> rusqlite::Result<bool> {
        if self.reserve.is_held() {
            return Ok(true);
        }
        // Under the lock of the file, so that another process can use the room that it took the reserve for.
        let _lock = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(self.reserve.hold())
    }
}
