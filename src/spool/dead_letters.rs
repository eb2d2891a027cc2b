//! The dead letters in the spool's file.
//!
//! They are written before the destination's checkpoint passes their events, so a crash in between loses none; and since an
//! offset is their key, an event that is prepared again after such a crash does not become a second one.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags, Row, params};

use super::{BUSY_TIMEOUT, Spool, spool_error};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::dead_letter::{DeadLetter, Payload, Stage};
use crate::error::{Class, Error, Result, Violation};

impl Spool {
    /// Keeps the dead letters, in one transaction. Those of an offset that is already kept are ignored.
    ///
    /// # Errors
    /// Class `Outage` if `dead_letters.bytes_max` is reached and no dead letter may go: nothing is dropped that nobody has seen.
    pub(crate) fn keep(&self, dead_letters: &[DeadLetter]) -> Result<()> {
        if dead_letters.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        let before = self.state().dead_letter_bytes;
        let keep = |writer: &mut Connection| -> rusqlite::Result<Option<u64>> {
            let transaction = writer.transaction()?;
            let mut bytes = before;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR IGNORE INTO dead_letters (offset, received_at, rejected_at, stage, reason, violations, sqlstate,
                     constraint_name, column_name, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?;
                for letter in dead_letters {
                    let violations = crate::error::violations_json(&letter.violations).to_string();
                    let inserted = insert.execute(params![
                        letter.offset,
                        letter.received_at,
                        letter.rejected_at,
                        letter.stage.name(),
                        letter.reason,
                        violations,
                        letter.sqlstate,
                        letter.constraint,
                        letter.column,
                        letter.event.0
                    ])?;
                    bytes += (inserted * letter.event.0.len()) as u64;
                }
            }
            if bytes > self.dead_letters_bytes_max {
                bytes -= forget_seen(&transaction, bytes - self.dead_letters_bytes_max)?;
            }
            if bytes > self.dead_letters_bytes_max {
                return Ok(None);
            }
            transaction.commit()?;
            Ok(Some(bytes))
        };
        let kept = keep(&mut writer).map_err(|error| self.error("keeping dead letters in", &error))?;
        let Some(bytes) = kept else {
            return Err(Error::spool(format!(
                "keeping dead letters in the spool {}: dead_letters.bytes_max = {} is reached",
                self.path().display(),
                self.dead_letters_bytes_max
            ))
            .with_class(Class::Outage)
            .with_hint(
                "nothing is dropped: export them with `cxsink dead-letters export`, which lets the oldest go, or raise \
                 dead_letters.bytes_max",
            ));
        };
        self.state().dead_letter_bytes = bytes;
        Ok(())
    }

    /// The offsets from `from` on that already have a dead letter: their fate is decided.
    pub(crate) fn dead_offsets(&self, from: u64) -> Result<Vec<u64>> {
        let select = |reader: &Connection| -> rusqlite::Result<Vec<u64>> {
            let mut select =
                reader.prepare_cached("SELECT offset FROM dead_letters WHERE offset >= ?1 ORDER BY offset")?;
            let offsets = select.query_map([from], |row| row.get(0))?;
            offsets.collect()
        };
        select(&self.reader()).map_err(|error| self.error("reading dead letters from", &error))
    }

    /// At most `count` dead letters from offset `from` on, the oldest first.
    pub(crate) fn dead_letters(&self, from: u64, count: usize) -> Result<Vec<DeadLetter>> {
        list(&self.reader(), from, count).map_err(|error| self.error("reading dead letters from", &error))
    }
}

/// Deletes the oldest dead letters that were exported or replayed until `excess` bytes are free or none is left.
fn forget_seen(connection: &Connection, excess: u64) -> rusqlite::Result<u64> {
    let mut oldest = connection.prepare_cached(
        "SELECT offset, length(event) FROM dead_letters WHERE exported_at IS NOT NULL OR replayed_at IS NOT NULL ORDER BY offset",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM dead_letters WHERE offset = ?1")?;
    let mut freed = 0;
    let mut rows = oldest.query([])?;
    let mut offsets = Vec::new();
    while let Some(row) = rows.next()? {
        if freed >= excess {
            break;
        }
        offsets.push(row.get::<_, u64>(0)?);
        freed += row.get::<_, u64>(1)?;
    }
    for offset in offsets {
        delete.execute([offset])?;
    }
    Ok(freed)
}

/// The dead letters of a spool file, seen from outside: also while a sink has it open, and without one.
///
/// ```no_run
/// # fn main() -> cxsink::Result<()> {
/// let letters = cxsink::DeadLetters::open(&cxsink::Config::load("cxsink.toml")?)?;
/// for letter in letters.list(0, 100)? {
///     println!("{}: {}", letter.offset, letter.reason);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DeadLetters {
    connection: Connection,
    path: PathBuf,
}

impl DeadLetters {
    /// Opens the file that `spool.path` names; it must exist.
    ///
    /// # Errors
    /// `SPOOL` if there is no such file or it is not a spool.
    pub fn open(config: &Config) -> Result<Self> {
        let path = &config.spool.path;
        if !path.exists() {
            return Err(Error::spool(format!("opening the spool {}: there is no such file", path.display()))
                .with_hint("set spool.path to the spool of the sink whose dead letters you want"));
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("SELECT count(*) FROM spool", [], |_| Ok(()))?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            let error = spool_error(path, "opening", &error);
            if error.hint().is_none() {
                error.with_hint("the file is not a cxsink spool: check spool.path")
            } else {
                error
            }
        })?;
        Ok(Self { connection, path: path.clone() })
    }

    /// At most `count` dead letters from offset `from` on, the oldest first.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn list(&self, from: u64, count: usize) -> Result<Vec<DeadLetter>> {
        list(&self.connection, from, count).map_err(|error| self.error("reading dead letters from", &error))
    }

    /// How many there are.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn count(&self) -> Result<u64> {
        self.connection
            .query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))
            .map_err(|error| self.error("reading dead letters from", &error))
    }

    /// Notes that these offsets were exported: when `dead_letters.bytes_max` is reached, they may go.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be written.
    pub fn mark_exported(&self, offsets: RangeInclusive<u64>) -> Result<()> {
        let update = "UPDATE dead_letters SET exported_at = ?1 WHERE offset BETWEEN ?2 AND ?3 AND exported_at IS NULL";
        self.connection
            .execute(update, params![SystemClock.unix_micros(), offsets.start(), offsets.end()])
            .map(drop)
            .map_err(|error| self.error("marking dead letters in", &error))
    }

    fn error(&self, what: &str, error: &rusqlite::Error) -> Error {
        spool_error(&self.path, what, error)
    }
}

fn list(connection: &Connection, from: u64, count: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut select = connection.prepare_cached(
        "SELECT offset, received_at, rejected_at, stage, reason, violations, sqlstate, constraint_name, column_name, event
         FROM dead_letters WHERE offset >= ?1 ORDER BY offset LIMIT ?2",
    )?;
    select.query_map(params![from, count], dead_letter)?.collect()
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        offset: row.get(0)?,
        received_at: row.get(1)?,
        rejected_at: row.get(2)?,
        stage: Stage::from_name(row.get_ref(3)?.as_str()?).unwrap_or(Stage::Database),
        reason: row.get(4)?,
        violations: violations(row.get_ref(5)?.as_str()?),
        sqlstate: row.get(6)?,
        constraint: row.get(7)?,
        column: row.get(8)?,
        event: Payload(row.get(9)?),
    })
}

fn violations(json: &str) -> Vec<Violation> {
    let parsed: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let text = |item: &serde_json::Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let items = parsed.as_array().into_iter().flatten();
    items
        .map(|item| Violation {
            pointer: text(item, "pointer"),
            keyword: text(item, "keyword"),
            message: text(item, "message"),
        })
        .collect()
}
