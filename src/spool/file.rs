//! Opening the file: format, settings and tables, and what is in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::config::{Config, SpoolSync};
use crate::error::{Class, Error, Result};
use crate::files::sqlite;
use crate::report::stream_connection::PROCESS_GONE;
use crate::spool::checksum;
use crate::spool::dead_letters::{KEYS_TABLE, OpenKeys, SWITCHES_TABLE, Switches, read_open, switch};
use crate::spool::disk::{Reserve, WalCheckpointer, file_limit};
use crate::spool::errors::{damaged, own_file_error, spool_error};
use crate::spool::guard::Guard;
use crate::spool::identity::{Lock, acquire, owner};
use crate::spool::late::{self, LateRanges};
use crate::spool::offsets::{Checkpoints, Offsets};
use crate::spool::row::BurstRow;
use crate::spool::statements::{TABLES, flushed};

/// "cxsp": distinguishes a spool from other SQLite files (SQLite documentation, `PRAGMA application_id`).
const APPLICATION_ID: i32 = 0x6378_7370;
/// Raised with every change that an older version cannot read: 2 has marked lengths ([`super::row`]).
const FORMAT: i32 = 2;
/// How long one connection waits for another: none of them holds the file for long.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Pages kept by a connection, in KiB: events pass through once, and more than this makes nothing faster (measured).
const CACHE_KIB: i32 = 256;

/// An open file, with its content in numbers.
pub(super) struct SpoolFile {
    pub(super) path: PathBuf,
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) writer: Connection,
    pub(super) reader: Option<Connection>,
    pub(super) wal_checkpointer: Option<WalCheckpointer>,
    pub(super) lock: Option<Lock>,
    pub(super) offsets: Offsets,
    pub(super) checkpoints: Checkpoints,
    pub(super) unchecked_from: u64,
    /// The space of the rows of events.
    pub(super) space: u64,
    pub(super) guard: Guard,
    pub(super) late: LateRanges,
    pub(super) open_keys: OpenKeys,
    pub(super) switches: Switches,
}

impl SpoolFile {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let path = config.of_one_stream()?.spool.path.as_path();
        // Resolved once: the process may change its directory later.
        let (path, lock) = if sqlite::is_in_memory(path) {
            (path.to_owned(), None)
        } else {
            let (path, lock) = acquire(path)?;
            (path, Some(lock))
        };
        let path = path.as_path();
        file_limit::check(path)?;
        let open = || Self::open_locked(path, config);
        let file = match open() {
            // On a full disk not even the log can be read again.
            Err(error) if error.class() == Class::Transient && Reserve::beside(path).release() => open(),
            outcome => outcome,
        }?;
        // SQLite has opened a name, and the lock is on an inode.
        if lock.as_ref().is_some_and(|lock| !lock.is_at(path)) {
            return Err(Error::spool(format!(
                "opening the spool {}: the file was replaced at the same time",
                path.display()
            ))
            .with_class(Class::Transient)
            .with_hint("find out which program writes to this path, and give the spool one of its own"));
        }
        Ok(Self { lock, ..file })
    }

    fn open_locked(path: &Path, config: &Config) -> Result<Self> {
        let fail = |error: &rusqlite::Error| own_file_error(path, "opening", error);
        let writer = sqlite::open_or_create(path).map_err(|error| fail(&error))?;
        check_format(&writer, path)?;
        Self::prepare(path, config, writer).map_err(|error| fail(&error))
    }

    fn prepare(path: &Path, config: &Config, mut writer: Connection) -> rusqlite::Result<Self> {
        let (sync, is_redacted) = (config.spool.sync, !config.redact.is_empty());
        configure(&writer, sync)?;
        create_tables(&writer)?;
        end_connections(&writer)?;
        let found = Found::read(&writer)?;
        let (late, open_keys) = (late::read(&writer)?, read_open(&writer, found.offsets.committed())?);
        // Before the destination gets the owner, which no crash of the machine takes out of it.
        let (unchecked_from, owner, switches) = flushed(&writer, |writer| {
            let transaction = writer.unchecked_transaction()?;
            let end = found.offsets.end();
            let switches = switch(&transaction, end, is_redacted)?;
            let noted = (note_unchecked(&transaction, end)?, owner::make(&transaction)?, switches);
            transaction.commit().map(|()| noted)
        })?;
        let guard = Guard::open(&writer, found.offsets.end())?;
        let (reader, wal_checkpointer) = if sqlite::is_in_memory(path) {
            (None, None)
        } else {
            (Some(open_reader(path)?), Some(open_wal_checkpointer(path, sync, &mut writer)?))
        };
        let Found { id, offsets, checkpoints, space } = found;
        let path = path.to_owned();
        Ok(Self {
            path,
            id,
            owner,
            writer,
            reader,
            wal_checkpointer,
            lock: None,
            offsets,
            checkpoints,
            unchecked_from,
            space,
            guard,
            late,
            open_keys,
            switches,
        })
    }
}

/// Refuses a file that is not a spool, or of a newer version, before anything is written.
pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<()> {
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0)).map_err(|error| {
            let error = spool_error(path, "opening", &error);
            if error.hint().is_none() {
                error.with_hint("set spool.path to a file that cxsink may create")
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
    if let Some(pages) = file_limit::pages_max() {
        // A full file instead of a write beyond the limit.
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // Other processes only look at dead letters or delete some of them, and both are quick.
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// How SQLite flushes (SQLite documentation, `PRAGMA synchronous`): in WAL mode NORMAL survives the end of the process,
/// FULL also the loss of power.
fn synchronous(sync: SpoolSync) -> &'static str {
    match sync {
        SpoolSync::ProcessCrash => "NORMAL",
        SpoolSync::PowerLoss => "FULL",
    }
}

fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.table_exists(None, "spool")? {
        create_first_tables(connection)?;
    }
    connection.execute_batch(&format!("BEGIN; {} {KEYS_TABLE} {SWITCHES_TABLE} COMMIT", late::TABLE))?;
    let format: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // From here on an older version would not understand every row.
    if format < FORMAT { connection.pragma_update(None, "user_version", FORMAT) } else { Ok(()) }
}

fn create_first_tables(connection: &Connection) -> rusqlite::Result<()> {
    let (deleted, end) = (checksum::of_deleted(0), checksum::of_burst(0, 0, 0, &[]));
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES}
         INSERT INTO spool VALUES (lower(hex(randomblob(16))), 0, {deleted}, '', NULL, 0, FALSE);
         INSERT INTO bursts VALUES (0, 0, 0, x'', {end});
         PRAGMA application_id = {APPLICATION_ID}; COMMIT"
    ))
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = sqlite::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn open_wal_checkpointer(path: &Path, sync: SpoolSync, writer: &mut Connection) -> rusqlite::Result<WalCheckpointer> {
    let connection = sqlite::open_or_create(path)?;
    connection.pragma_update(None, "synchronous", synchronous(sync))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    WalCheckpointer::new(writer, connection)
}

/// The lock is held: a connection that is noted as open ended with its process.
fn end_connections(connection: &Connection) -> rusqlite::Result<()> {
    let update = "UPDATE connections SET cause = ?1 WHERE ended_at IS NULL AND cause IS NULL";
    connection.execute(update, [PROCESS_GONE]).map(drop)
}

fn note_unchecked(connection: &Connection, end: u64) -> rusqlite::Result<u64> {
    let update = "UPDATE spool SET unchecked_from = coalesce(unchecked_from, ?1) RETURNING unchecked_from";
    connection.query_row(update, [end], |row| row.get(0))
}

/// The content of a file.
struct Found {
    id: String,
    offsets: Offsets,
    checkpoints: Checkpoints,
    space: u64,
}

impl Found {
    /// Reads and checks it.
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let select = "SELECT id, checkpoints, deleted_offset, checksum FROM spool";
        let (id, checkpoints, deleted, checksum) = connection.query_row(select, [], |row| {
            let texts: (String, String) = (row.get(0)?, row.get(1)?);
            Ok((texts.0, texts.1, row.get::<_, u64>(2)?, row.get::<_, u32>(3)?))
        })?;
        if checksum != checksum::of_deleted(deleted) {
            return Err(damaged("the checksum of its deleted offset does not fit"));
        }
        let begin = rows(connection, "ASC LIMIT 1")?.first().map(|row| row.start);
        let (end, is_end_whole) = match rows(connection, "DESC LIMIT 2")?.as_slice() {
            [end_row, last, ..] => (end_row.end, end_row.is_empty() && last.end == end_row.start),
            [end_row] => (end_row.end, end_row.is_empty()),
            [] => (deleted, false),
        };
        let is_whole = is_end_whole && begin.is_some_and(|begin| begin <= deleted && deleted <= end);
        // A dead letter comes after the event that it is about.
        if !is_whole || dead_letters_end(connection)? > end {
            return Err(damaged("events are missing"));
        }
        count_dead_letters(connection)?;
        let space = "SELECT coalesce(sum(space), 0) FROM bursts WHERE events > 0";
        let space = connection.query_row(space, [], |row| row.get(0))?;
        Ok(Self { id, offsets: Offsets::new(deleted, end), checkpoints: Checkpoints::parse(&checkpoints), space })
    }
}

/// The offsets of the rows at one end of the queue; the end row has none.
fn rows(connection: &Connection, which: &str) -> rusqlite::Result<Vec<Range<u64>>> {
    let select = format!("SELECT position, events, received_at, bytes, checksum FROM bursts ORDER BY position {which}");
    let range = |row: &rusqlite::Row<'_>| BurstRow::from_row(row).map(|row| row.position..row.end());
    connection.prepare(&select)?.query_map([], range)?.collect()
}

/// The offset after the last dead letter.
fn dead_letters_end(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT coalesce(max(offset) + 1, 0) FROM dead_letters", [], |row| row.get(0))
}

/// Adds up the space of the dead letters at each start, so that no mistake lasts; from here on the triggers do.
fn count_dead_letters(connection: &Connection) -> rusqlite::Result<()> {
    let update = "UPDATE spool SET dead_letter_space = (SELECT coalesce(sum(space), 0) FROM dead_letters)
         + 52 * (SELECT count(*) FROM dead_letter_keys)";
    connection.execute(update, []).map(drop)
}
