//! A reserve of disk space: a file beside the spool, deleted when the disk is full and its room is needed.
//!
//! Draining frees the disk, but it needs room first: deleting rows appends to SQLite's write-ahead log, and the log must be
//! copied into the file before it can start again and the file can shrink. Without a reserve a full disk would stay full although
//! every event is committed.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;

use crate::files::sqlite;
use crate::spool::disk::file_limit;
use crate::spool::identity::{beside, open_own};
use crate::threads::sync;

/// Enough for the part of the log that is not in the file and may be new to it (8 MiB, `BEHIND_PAGES`), one append (1 MiB), a loan
/// (4 MiB) and a step of shrinking (3 MiB). The tests of this crate, and fuzzing, open thousands of spools and fill no disk.
const BYTES: u64 = if cfg!(any(test, fuzzing)) { 64 << 10 } else { 16 << 20 };
/// Small appends without a check of the reserve: they take half a MiB of the log at most, of the one for an append.
const SMALL_APPENDS: u32 = 32;
const SMALL_APPEND_BYTES: u64 = 4096;
/// The part that dead letters may use: their events are in the spool, and leave it then.
pub(in crate::spool) const LOAN_BYTES_MAX: u64 = BYTES / 4;
/// Written again and again: large, so that file systems that compress find nothing to compress.
const BLOCK_BYTES: usize = if cfg!(any(test, fuzzing)) { 64 << 10 } else { 1 << 20 };

/// The time until the next try to take it.
const TRY_AGAIN: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(10) };

/// The file that keeps the room.
#[derive(Debug)]
pub(crate) struct Reserve {
    /// `None` for a spool in memory, which needs none.
    path: Option<PathBuf>,
    /// It cannot be taken, for another reason than a full disk: the spool works without it for a time.
    given_up: Mutex<GivenUp>,
    /// It was released, and is to be taken again.
    is_out: AtomicBool,
    /// For this many small appends its file is not checked.
    is_trusted_for: AtomicU32,
}

/// The last failure to take the reserve.
#[derive(Debug, Default)]
struct GivenUp {
    until: Option<Instant>,
    /// Each is in the log once.
    reason: Option<String>,
}

impl Reserve {
    pub(crate) fn beside(spool: &Path) -> Self {
        let path = (!sqlite::is_in_memory(spool)).then(|| beside(spool, "reserve"));
        Self { path, given_up: Mutex::default(), is_out: AtomicBool::new(false), is_trusted_for: AtomicU32::new(0) }
    }

    /// Checks the file, since another process may have released it to purge dead letters.
    pub(super) fn is_held(&self) -> bool {
        let Some(path) = self.needed() else { return true };
        fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() >= BYTES)
    }

    /// The same for an append of this many bytes. The check costs as much as a tenth of a small append, so it is not done for
    /// each of those.
    pub(super) fn is_held_for(&self, bytes: u64) -> bool {
        let left = self.is_trusted_for.load(Ordering::Relaxed);
        if bytes <= SMALL_APPEND_BYTES && left > 0 {
            self.is_trusted_for.store(left - 1, Ordering::Relaxed);
            return true;
        }
        let is_held = self.is_held();
        self.is_trusted_for.store(if is_held { SMALL_APPENDS } else { 0 }, Ordering::Relaxed);
        is_held
    }

    /// The room that it still has to take before the spool takes an event.
    pub(crate) fn bytes_missing(&self) -> u64 {
        if self.is_held() { 0 } else { BYTES }
    }

    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// Gives the room back; true if there was any.
    pub(crate) fn release(&self) -> bool {
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
    pub(super) fn hold(&self) -> bool {
        let Some(path) = self.needed() else { return true };
        if self.is_held() {
            return true;
        }
        let Err(error) = fill(path) else {
            self.is_out.store(false, Ordering::Relaxed);
            *sync::lock(&self.given_up) = GivenUp::default();
            return true;
        };
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return false;
        }
        let _ = fs::remove_file(path);
        self.give_up(path, &error);
        true
    }

    /// Not for ever: a moment without free descriptors is soon over.
    fn give_up(&self, path: &Path, error: &io::Error) {
        let mut given_up = sync::lock(&self.given_up);
        given_up.until = Some(Instant::now() + TRY_AGAIN);
        let reason = error.to_string();
        if given_up.reason.as_ref() != Some(&reason) {
            log::warn!(
                "creating {}: {reason}; a full disk will not free itself by draining until it can be created",
                path.display()
            );
            given_up.reason = Some(reason);
        }
    }

    fn needed(&self) -> Option<&Path> {
        // Below a limit on the size of its files a spool needs no room of others.
        let path = self.path.as_deref().filter(|_| file_limit::bytes_max().is_none_or(|max| max > BYTES))?;
        let until = sync::lock(&self.given_up).until;
        until.is_none_or(|until| Instant::now() >= until).then_some(path)
    }
}

fn fill(path: &Path) -> io::Result<()> {
    let mut file = open_own(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    fastrand::fill(&mut block);
    let mut length = file.seek(SeekFrom::End(0))?;
    while length < BYTES {
        length += file.write(&block)? as u64;
    }
    Ok(())
}

/// Whether a write failed because the disk is full. A quota, and a limit on the size of a file, are reported as input/output errors.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}
