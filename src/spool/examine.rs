//! The checks of the spool: the directory, the lock, the file and the space for it. Nothing is left behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::files::open::{self, free_bytes};
use crate::files::sqlite;
use crate::report::finding::Finding;
use crate::spool::disk::{Reserve, file_limit};
use crate::spool::errors::spool_error;
use crate::spool::file::{BUSY_TIMEOUT, check_format};
use crate::spool::identity::{Inode, NETWORK_FILE_SYSTEMS, check_name, holder, in_use, resolve};

/// As much as a large burst takes.
static PROBE: [u8; 64 << 10] = [0; 64 << 10];

pub(crate) fn in_memory() -> Finding {
    Finding::warning("spool.path is :memory:", "set spool.path to a file: events in memory are lost with the process")
}

/// Writes a file beside the spool and removes it again.
pub(crate) fn directory(path: &Path) -> Result<Finding> {
    let directory = directory_of(path);
    let existing = existing(&directory);
    let probe = existing.join(format!(".cxsink-check-{}", std::process::id()));
    open::probe(&probe, &PROBE).map_err(|error| {
        // Left by a check that was killed, whose number this process has.
        let _ = fs::remove_file(&probe);
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some room, or set spool.path to another disk: the disk is full"
            }
            io::ErrorKind::NotADirectory => "set spool.path to a file in a directory: this one goes through a file",
            _ => "set spool.path to a file in a directory that this user may write to",
        };
        Error::spool(format!("writing a file in {}: {error}", existing.display())).with_hint(hint)
    })?;
    let place = directory.display();
    if let Some(why) = unfit(&existing) {
        return Ok(Finding::warning(
            format!("{place} is on {why}"),
            "set spool.path to a file on a local disk: events wait there until they are committed",
        ));
    }
    if existing != directory {
        return Ok(Finding::good(format!("{place} does not exist yet: the sink creates it")));
    }
    Ok(Finding::good(format!("{place} takes files")))
}

fn directory_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

/// The directory, or the nearest one above it that exists: the sink creates those below.
fn existing(directory: &Path) -> PathBuf {
    directory.ancestors().find(|directory| directory.exists()).unwrap_or(directory).to_owned()
}

/// Why events should not wait on this file system.
#[cfg(target_os = "linux")]
fn unfit(directory: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(directory).ok()?.f_type;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a magic number has 32 bits")]
    unfit_kind(kind as u32)
}

#[cfg(target_os = "linux")]
fn unfit_kind(magic: u32) -> Option<&'static str> {
    if let 0x0102_1994 | 0x8584_58f6 = magic {
        return Some("a file system in memory, which a restart of the machine empties");
    }
    NETWORK_FILE_SYSTEMS.iter().find(|(network, _)| *network == magic).map(|(_, why)| *why)
}

#[cfg(not(target_os = "linux"))]
fn unfit(_: &Path) -> Option<&'static str> {
    None
}

/// Finds out whether another process has the spool open.
pub(crate) fn lock(path: &Path) -> Result<Finding> {
    match holder(path) {
        Some(holder) => Err(in_use(path, &holder)),
        None => Ok(Finding::good("no other process has the spool open")),
    }
}

/// Opens the file, if there is one, and counts its events.
pub(crate) fn file(path: &Path) -> Result<Finding> {
    let Some((_inode, connection)) = open_existing(path)? else {
        return Ok(Finding::good(format!("{} does not exist yet: the sink creates it", path.display())));
    };
    if connection.is_readonly("main").map_err(|error| failure(path, &error))? {
        return Err(Error::spool(format!("opening the spool {}: this user may only read it", path.display()))
            .with_hint("make the sink's user the owner of the spool's files"));
    }
    let select = "SELECT (SELECT max(position) FROM bursts) - deleted_offset FROM spool";
    let pending: u64 = query(&connection, path, select)?.unwrap_or(0);
    Ok(Finding::good(format!("{}: {pending} events pending", path.display())))
}

/// Compares the space of the dead letters with its limit. `None` where there is no file yet.
pub(crate) fn dead_letters(path: &Path, bytes_max: u64) -> Result<Option<Finding>> {
    let Some((_inode, connection)) = open_existing(path)? else { return Ok(None) };
    let count: u64 = query(&connection, path, "SELECT count(*) FROM spool, dead_letters")?.unwrap_or(0);
    let space: u64 = query(&connection, path, "SELECT dead_letter_space FROM spool")?.unwrap_or(0);
    let seen: u64 = query(&connection, path, COUNT_SEEN)?.unwrap_or(0);
    let message = format!("{count} dead letters take {} of {}", shown(space), shown(bytes_max));
    // Less than this may not be enough for one more.
    let is_full = space.saturating_add(SMALLEST_ROOM) > bytes_max;
    if is_full && seen == 0 && count > 0 {
        return Err(Error::spool(message).with_hint(
            "export them with `cxsink dead-letters export` or mark_exported, or raise dead_letters.bytes_max: the sink waits with the next one",
        ));
    }
    Ok(Some(if space > bytes_max / 5 * 4 && seen == 0 {
        Finding::warning(
            message,
            "export them soon with `cxsink dead-letters export` or mark_exported, or raise dead_letters.bytes_max",
        )
    } else {
        Finding::good(message)
    }))
}

const SMALLEST_ROOM: u64 = 4096;
/// Those that a sink may delete when it needs their space.
const COUNT_SEEN: &str = "SELECT count(*) FROM dead_letters INDEXED BY dead_letters_seen
     WHERE exported_at IS NOT NULL OR replayed_at IS NOT NULL";

/// `None` where there is no file yet. The inode is kept until the connection is closed.
fn open_existing(path: &Path) -> Result<Option<(Option<Inode>, Connection)>> {
    if !path.exists() {
        return Ok(None);
    }
    // Opened read-only, SQLite could not remove the files beside a database with a write-ahead log.
    let path = &resolve(path);
    let inode = Inode::open(path, File::options().read(true)).ok();
    check_name(path)?;
    let connection = sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| failure(path, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| failure(path, &error))?;
    check_format(&connection, path)?;
    Ok(Some((inode, connection)))
}

/// A number in the file; `None` while it has no tables yet.
fn query(connection: &Connection, path: &Path, select: &str) -> Result<Option<u64>> {
    let query = || -> rusqlite::Result<Option<u64>> {
        if connection.table_exists(None, "spool")? {
            connection.query_row(select, [], |row| row.get(0)).map(Some)
        } else {
            Ok(None)
        }
    };
    query().map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &rusqlite::Error) -> Error {
    spool_error(path, "opening", error)
}

/// Compares the free space with the growth that is left to the spool. `None` where the system does not report it.
pub(crate) fn space(path: &Path, bytes_max: u64) -> Result<Option<Finding>> {
    let directory = existing(&directory_of(path));
    let Some(free) = free_bytes(&directory)
        .map_err(|error| Error::spool(format!("reading the free space of {}: {error}", directory.display())))?
    else {
        return Ok(None);
    };
    let missing = Reserve::beside(path).bytes_missing();
    if free < missing {
        let message = format!(
            "{} free in {}, and the spool's reserve takes {}",
            shown(free),
            directory.display(),
            shown(missing)
        );
        return Err(
            Error::spool(message).with_hint("make room, or move spool.path: no event is accepted without the reserve")
        );
    }
    let taken = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let growth = bytes_max.saturating_sub(taken).saturating_add(missing);
    if let Some(limit) = file_limit::bytes_max().filter(|limit| *limit < bytes_max) {
        let message =
            format!("a file of this process may have {} at most, the spool {}", shown(limit), shown(bytes_max));
        let hint = "raise the limit (`ulimit -f`, LimitFSIZE= of the unit), or lower spool.bytes_max and dead_letters.bytes_max";
        return Ok(Some(Finding::warning(message, hint)));
    }
    let message = format!("{} free for the spool, which may grow by {}", shown(free), shown(growth));
    Ok(Some(if free >= growth {
        Finding::good(message)
    } else {
        Finding::warning(
            message,
            "give it room, or lower spool.bytes_max and dead_letters.bytes_max: when the disk is full the sink stops reading",
        )
    }))
}

/// In the units of the configuration.
fn shown(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_units_of_the_configuration() {
        let check = |bytes, expected: &str| assert_eq!(shown(bytes), expected);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1024, "1.0 KiB");
        check(4 << 30, "4.0 GiB");
        check((4 << 30) - 1, "3.9 GiB");
        check(u64::MAX, "16777215.9 TiB");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_and_memory_file_systems_are_recognised() {
        assert!(unfit_kind(0x6969).is_some_and(|why| why.contains("NFS")));
        assert!(unfit_kind(0x0102_1994).is_some_and(|why| why.contains("memory")));
        assert_eq!(unfit_kind(0xef53), None, "ext4");
        assert_eq!(unfit_kind(0x5846_5342), None, "xfs");
        assert_eq!(unfit_kind(0x794c_7630), None, "overlayfs");
        // /dev/shm is in memory on every Linux that has it.
        if Path::new("/dev/shm").exists() {
            assert!(unfit(Path::new("/dev/shm")).is_some());
        }
    }
}
