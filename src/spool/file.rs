//! Opening the file: one process at a time, the format checked, what is in it counted.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::read::SpooledBurst;
use super::reserve::Reserve;
use super::{BUSY_TIMEOUT, beside, checksum, damaged, own_file_error, spool_error, synchronous};
use crate::config::SpoolSync;
use crate::error::{Class, Error, Result};
use crate::spool::wal::Checkpointer;
use crate::time::clock::{Clock, SystemClock};
use crate::time::timestamp::format_micros;

/// "cxsp": tells a spool from other SQLite files (SQLite documentation, `PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x6378_7370;
/// Raised with every change that an older version could not read.
const FORMAT: i32 = 1;

/// `unchecked_from` is the offset up to which the file's numbering is known to be the destination's: the end of the spool when
/// it was first opened after the two were last compared. A crash of the machine may cost an unflushed spool its last events
/// although they are applied already; what is appended then gets their offsets, and must not be taken for them.
///
/// No event below `spool.applied` has a row any more, unless its row has later events too. `spool.next` is where the rows end.
/// Checksums are explained in [`checksum`].
/// `spool.dead_letter_bytes` is kept by triggers, because other processes delete dead letters too.
///
/// `bursts.position` is the offset of a burst's first event; `bytes` holds the length of each event, as 32-bit little-endian
/// numbers, then the events. Times are microseconds since 1970-01-01 UTC.
const TABLES: &str = "
    CREATE TABLE spool (
        id TEXT NOT NULL,
        applied INTEGER NOT NULL,
        next INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        unchecked_from INTEGER,
        dead_letter_bytes INTEGER NOT NULL
    );
    CREATE TABLE bursts (
        position INTEGER PRIMARY KEY,
        events INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        checksum INTEGER NOT NULL
    );
    CREATE TABLE dead_letters (
        offset INTEGER PRIMARY KEY,
        received_at INTEGER NOT NULL,
        rejected_at INTEGER NOT NULL,
        stage TEXT NOT NULL,
        reason TEXT NOT NULL,
        violations TEXT NOT NULL,
        sqlstate TEXT,
        constraint_name TEXT,
        column_name TEXT,
        exported_at INTEGER,
        replayed_at INTEGER,
        replayed_as INTEGER,
        event BLOB NOT NULL
    );
    CREATE TRIGGER dead_letter_kept AFTER INSERT ON dead_letters BEGIN
        UPDATE spool SET dead_letter_bytes = dead_letter_bytes + length(new.event);
    END;
    CREATE TRIGGER dead_letter_gone AFTER DELETE ON dead_letters BEGIN
        UPDATE spool SET dead_letter_bytes = dead_letter_bytes - length(old.event);
    END;
    CREATE TABLE replay_requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        offsets TEXT,
        next_from INTEGER NOT NULL DEFAULT 0,
        replayed INTEGER NOT NULL DEFAULT 0,
        rejected INTEGER NOT NULL DEFAULT 0,
        skipped INTEGER NOT NULL DEFAULT 0,
        requested_at INTEGER NOT NULL,
        done_at INTEGER
    );
    CREATE TABLE connections (
        id INTEGER PRIMARY KEY,
        opened_at INTEGER NOT NULL,
        first_event_at INTEGER,
        last_event_at INTEGER,
        events INTEGER NOT NULL DEFAULT 0,
        ended_at INTEGER,
        cause TEXT,
        status INTEGER,
        tries_failed INTEGER NOT NULL,
        try_error TEXT
    );";

/// An open file and what was found in it.
pub(super) struct SpoolFile {
    pub(super) path: PathBuf,
    pub(super) id: String,
    pub(super) writer: Connection,
    pub(super) reader: Option<Connection>,
    pub(super) checkpointer: Option<Checkpointer>,
    pub(super) lock: Option<File>,
    pub(super) next: u64,
    pub(super) applied: u64,
    pub(super) confirmed: crate::spool::checkpoint_history::Confirmed,
    pub(super) unchecked_from: u64,
    pub(super) bytes: u64,
}

impl SpoolFile {
    pub(super) fn open(path: &Path, sync: SpoolSync) -> Result<Self> {
        let in_memory = path.as_os_str() == ":memory:";
        let lock = if in_memory { None } else { Some(lock_file(path)?) };
        match Self::open_locked(path, sync) {
            // On a full disk not even the log can be taken up again.
            Err(error) if error.class() == Class::Transient && Reserve::beside(path).release() => {
                Self::open_locked(path, sync)
            }
            outcome => outcome,
        }
        .map(|file| Self { lock, ..file })
    }

    fn open_locked(path: &Path, sync: SpoolSync) -> Result<Self> {
        let in_memory = path.as_os_str() == ":memory:";
        let fail = |error: &rusqlite::Error| own_file_error(path, "opening", error);
        let writer = if in_memory { Connection::open_in_memory() } else { Connection::open(path) };
        let mut writer = writer.map_err(|error| fail(&error))?;
        check_format(&writer, path)?;
        configure(&writer, sync).map_err(|error| fail(&error))?;
        make_tables(&writer).map_err(|error| fail(&error))?;
        crate::spool::checkpoint_history::make_tables(&writer).map_err(|error| fail(&error))?;
        let confirmed = crate::spool::checkpoint_history::read_confirmed(&writer).map_err(|error| fail(&error))?;
        super::connections::note_gone(&writer).map_err(|error| fail(&error))?;
        let reader = if in_memory { None } else { Some(open_reader(path).map_err(|error| fail(&error))?) };
        let found = count(&writer).map_err(|error| fail(&error))?;
        let (id, applied, next, bytes) = found;
        let unchecked_from = note_unchecked(&writer, next).map_err(|error| fail(&error))?;
        let checkpointer = if in_memory {
            None
        } else {
            Some(open_checkpointer(path, sync, &mut writer).map_err(|error| fail(&error))?)
        };
        let lock = None;
        Ok(Self {
            path: path.to_owned(),
            id,
            writer,
            reader,
            checkpointer,
            lock,
            next,
            applied,
            confirmed,
            unchecked_from,
            bytes,
        })
    }
}

/// The process that has the spool open, by its own words.
pub(super) fn holder(path: &Path) -> Option<String> {
    let mut file = File::open(lock_path(path)).ok()?;
    let Err(TryLockError::WouldBlock) = file.try_lock_shared() else { return None };
    Some(read_holder(&mut file))
}

pub(super) fn in_use(path: &Path, holder: &str) -> Error {
    Error::spool(format!("the spool {} is in use by {holder}", path.display()))
        .with_hint("one sink at a time: end the other one, or give this one a spool.path of its own")
}

fn read_holder(file: &mut File) -> String {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    if holder.is_empty() { "another process".into() } else { holder.trim().into() }
}

fn lock_path(path: &Path) -> PathBuf {
    beside(path, "lock")
}

/// Takes the lock beside the file. The lock goes with the process, however it ends; the file stays and names its holder.
fn lock_file(path: &Path) -> Result<File> {
    let lock_path = lock_path(path);
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).map_err(|error| {
            Error::spool(format!("making the spool's directory {}: {error}", directory.display()))
                .with_hint("set spool.path to a file in a directory that this user may write to")
        })?;
    }
    make_private(path);
    let open = private_options().open(&lock_path);
    let mut file = open.map_err(|error| {
        Error::spool(format!("opening the spool's lock {}: {error}", lock_path.display()))
            .with_hint("set spool.path to a file in a directory that this user may write to")
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(in_use(path, &read_holder(&mut file)));
        }
        Err(TryLockError::Error(error)) => {
            return Err(Error::spool(format!("locking {}: {error}", lock_path.display()))
                .with_hint("set spool.path to a local file system; some network file systems cannot lock"));
        }
    }
    let now = format_micros(SystemClock.unix_micros());
    let holder = format!("process {} (since {}Z)\n", std::process::id(), &now[..19]);
    // Only for the error message of the next one: its failure must not stop the sink.
    let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
    Ok(file)
}

/// The spool holds customers' events: it is made for this user's eyes alone. SQLite gives the files beside it the same rights.
fn make_private(path: &Path) {
    // If it cannot be made, SQLite says why.
    let _ = private_options().open(path);
}

pub(super) fn private_options() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Refuses what is not a spool, or one of a newer version, before anything is written.
pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<()> {
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0)).map_err(|error| {
            let error = spool_error(path, "opening", &error);
            if error.hint().is_none() {
                error.with_hint("set spool.path to a file that cxsink may make")
            } else {
                error
            }
        })
    };
    let (application_id, format) = (pragma("application_id")?, pragma("user_version")?);
    let tables = pragma("schema_version")?;
    if tables == 0 {
        return Ok(());
    }
    if application_id != APPLICATION_ID {
        return Err(Error::spool(format!(
            "opening the spool {}: the file is another program's database",
            path.display()
        ))
        .with_hint("set spool.path to a file of its own"));
    }
    if format > FORMAT {
        return Err(Error::spool(format!(
            "opening the spool {}: its format is {format}, this version of cxsink reads up to {FORMAT}",
            path.display()
        ))
        .with_hint("use the newer cxsink that wrote it, let that one drain it, or set spool.path to another file"));
    }
    Ok(())
}

fn configure(connection: &Connection, sync: SpoolSync) -> rusqlite::Result<()> {
    // auto_vacuum only takes effect before the first table; it lets the file shrink again in small steps.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous(sync))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))?;
    // Only the command line's look at dead letters can be in the way, and it is quick.
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    let is_made =
        connection.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'spool'", [], |_| Ok(())).optional()?.is_some();
    if is_made {
        return Ok(());
    }
    let checksum = checksum::of_places(0, 0);
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES}
         INSERT INTO spool VALUES (lower(hex(randomblob(16))), 0, 0, {checksum}, NULL, 0);
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT"
    ))
}

/// Pages kept by a connection, in KiB: events pass through once, and more than this makes nothing faster (measured).
const CACHE_KIB: i32 = 256;

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn open_checkpointer(path: &Path, sync: SpoolSync, writer: &mut Connection) -> rusqlite::Result<Checkpointer> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", synchronous(sync))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Checkpointer::new(writer, connection)
}

fn note_unchecked(connection: &Connection, next: u64) -> rusqlite::Result<u64> {
    let update = "UPDATE spool SET unchecked_from = coalesce(unchecked_from, ?1) RETURNING unchecked_from";
    connection.query_row(update, [next], |row| row.get(0))
}

/// The offset after the last dead letter.
fn letters_end(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(offset) + 1, 0) FROM dead_letters", [], |row| row.get(0))
}

fn count(connection: &Connection) -> rusqlite::Result<(String, u64, u64, u64)> {
    let places = "SELECT id, applied, next, checksum FROM spool";
    let (id, applied, next, checksum) = connection.query_row(places, [], |row| {
        Ok((row.get(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?, row.get::<_, i64>(3)?))
    })?;
    if checksum != checksum::of_places(applied, next) || applied > next {
        return Err(damaged("it does not know where its events begin and end"));
    }
    let edge = |order: &str| {
        let select = format!(
            "SELECT position, events, received_at, bytes, checksum FROM bursts ORDER BY position {order} LIMIT 1"
        );
        let range = |row: &rusqlite::Row<'_>| {
            SpooledBurst::from_row(row).map(|burst| (burst.position, burst.position + burst.events))
        };
        connection.query_row(&select, [], range).optional()
    };
    let is_whole = match (edge("ASC")?, edge("DESC")?) {
        (Some((begin, _)), Some((_, end))) => begin <= applied && end == next,
        _ => applied == next,
    };
    // A letter comes after the event that it is about.
    let is_whole = is_whole && letters_end(connection)? <= next;
    if !is_whole {
        return Err(damaged("events are missing"));
    }
    let bytes = connection.query_row("SELECT total(length(bytes)) FROM bursts", [], |row| row.get::<_, f64>(0))?;
    // Counted once, so that no mistake in it lasts; from here on the triggers keep it.
    let dead = "UPDATE spool SET dead_letter_bytes = (SELECT coalesce(sum(length(event)), 0) FROM dead_letters)";
    connection.execute(dead, [])?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size, exact in f64 up to 8 PiB")]
    Ok((id, applied, next, bytes as u64))
}
