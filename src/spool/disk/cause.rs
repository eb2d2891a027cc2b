//! The operating system's reason for a spool that cannot be written: SQLite calls nearly all of it "disk I/O error".
//!
//! SQLite keeps the number of the error, but only its C interface gives it. So the same is tried once more, beside the file: never on the
//! file itself, because closing it would drop SQLite's locks (POSIX locks belong to the process and the file, not to the descriptor).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::files::{open, sqlite};
use crate::spool::disk::file_limit;
use crate::spool::identity::beside;

/// As much as the smallest write of SQLite.
const PROBE: [u8; 4096] = [0; 4096];

/// The error of a write beside the spool, or of a look at its files; `None` if all is well now.
pub(in crate::spool) fn cause(spool: &Path) -> Option<io::Error> {
    if sqlite::is_in_memory(spool) {
        return None;
    }
    let of_file = fs::metadata(spool).err();
    of_file
        .or_else(|| file_limit::reached(spool).then(|| ErrorKind::FileTooLarge.into()))
        .or_else(|| write(spool).err())
}

fn write(spool: &Path) -> io::Result<()> {
    let probe: PathBuf = beside(spool, &format!("probe-{}", std::process::id()));
    match open::probe(&probe, &PROBE) {
        // Another thread tries it at this moment.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        tried => tried,
    }
}

/// The reason in words, and what to do.
pub(in crate::spool) fn explain(error: &io::Error) -> (String, &'static str) {
    let (reason, hint) = match error.kind() {
        ErrorKind::StorageFull => ("the disk is full", FULL),
        ErrorKind::QuotaExceeded => (
            "the disk quota of this user is used up",
            "raise the quota, or free some room; no event is lost, and the sink continues by itself",
        ),
        ErrorKind::FileTooLarge => {
            let limit = file_limit::bytes_max().map_or_else(String::new, |bytes| format!(" of {bytes} bytes"));
            let reason = format!("the limit{limit} on the size of a file of this process is reached");
            return (
                reason,
                "raise the limit (`ulimit -f`, LimitFSIZE= of the unit) and start again, or let the destination take the spooled events",
            );
        }
        ErrorKind::ReadOnlyFilesystem => (
            "the file system is read-only",
            "mount it for writing; if it was, the log of the kernel says why it no longer is",
        ),
        ErrorKind::StaleNetworkFileHandle => (
            "the network file system has lost the file (a stale handle)",
            "mount it again and start again; better, set spool.path to a local disk",
        ),
        ErrorKind::PermissionDenied => ("permission denied", "make the file and its directory writable for this user"),
        ErrorKind::NotFound | ErrorKind::NotADirectory => (
            "the file or its directory is no longer there",
            "put it back, or start again with another spool.path; do not remove the files of a running sink",
        ),
        ErrorKind::OutOfMemory => ("out of memory", "give the process more memory; no event is lost"),
        _ => match descriptors(error) {
            Some(reason) => (
                reason,
                "raise the limit (`ulimit -n`, LimitNOFILE= of the unit), or look for what leaves files open; no event is lost",
            ),
            None => {
                return (error.to_string(), "look into the log of the kernel: the disk may fail; no event is lost yet");
            }
        },
    };
    (reason.to_owned(), hint)
}

pub(in crate::spool) const FULL: &str = "free some room: the disk is full; no event is lost, and the sink continues by itself when there is room or when the destination \
     has taken the spooled events";

#[cfg(unix)]
fn descriptors(error: &io::Error) -> Option<&'static str> {
    match rustix::io::Errno::from_io_error(error)? {
        rustix::io::Errno::MFILE => Some("this process has too many open files"),
        rustix::io::Errno::NFILE => Some("the system has too many open files"),
        _ => None,
    }
}

#[cfg(not(unix))]
fn descriptors(_: &io::Error) -> Option<&'static str> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn every_cause_has_its_own_words_and_a_hint_for_it() {
        let check = |errno: Errno, reason: &str, hint: &str| {
            let (said, advice) = explain(&errno.into());
            assert!(said.contains(reason) && advice.contains(hint), "{errno:?}: {said} ({advice})");
        };
        check(Errno::NOSPC, "disk is full", "free some room");
        check(Errno::DQUOT, "quota", "raise the quota");
        check(Errno::ROFS, "read-only", "mount it for writing");
        check(Errno::STALE, "stale handle", "local disk");
        check(Errno::FBIG, "size of a file", "ulimit -f");
        check(Errno::MFILE, "this process has too many open files", "ulimit -n");
        check(Errno::NFILE, "the system has too many open files", "ulimit -n");
        check(Errno::ACCESS, "permission denied", "writable for this user");
        check(Errno::NOENT, "no longer there", "do not remove");
        check(Errno::NOMEM, "out of memory", "more memory");
        check(Errno::IO, "Input/output error", "log of the kernel");
    }

    #[test]
    fn a_look_leaves_nothing_behind_and_finds_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool.db");
        assert_eq!(cause(&spool).unwrap().kind(), ErrorKind::NotFound);
        fs::write(&spool, b"").unwrap();
        assert!(cause(&spool).is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
