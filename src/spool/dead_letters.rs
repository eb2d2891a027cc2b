//! The dead letters in the spool's file.
//!
//! They are written before the destination's checkpoint passes their events, so a crash in between loses none; and since an
//! offset is their key, an event that is prepared again after such a crash does not become a second one.

use rusqlite::{Connection, Row, params};

use super::Spool;
use super::transaction::Transaction;
use crate::error::{Class, Error, Result, Violation, violations_json};
use crate::report::dead_letter::{DeadLetter, Payload, Stage};

impl Spool {
    /// Keeps the dead letters, in one transaction. Those of an offset that is already kept are ignored.
    ///
    /// # Errors
    /// Class `Transient` if `dead_letters.bytes_max` is reached and no dead letter may go: nothing is dropped that nobody has seen.
    pub(crate) fn keep(&self, dead_letters: &[DeadLetter]) -> Result<()> {
        if dead_letters.is_empty() {
            return Ok(());
        }
        let bytes = dead_letters.iter().map(|letter| letter.event.0.len() as u64).sum();
        let mut writer = self.writer();
        let keep = |writer: &mut Connection| -> rusqlite::Result<bool> {
            let transaction = Transaction::begin(writer)?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT OR IGNORE INTO dead_letters (offset, received_at, rejected_at, stage, reason, violations, sqlstate,
                     constraint_name, column_name, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?;
                for letter in dead_letters {
                    let violations = violations_json(&letter.violations).to_string();
                    insert.execute(params![
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
                }
            }
            let mut bytes: u64 =
                transaction.prepare_cached("SELECT dead_letter_bytes FROM spool")?.query_row([], |row| row.get(0))?;
            if bytes > self.dead_letters_bytes_max {
                bytes -= forget_seen(&transaction, bytes - self.dead_letters_bytes_max)?;
            }
            if bytes > self.dead_letters_bytes_max {
                return Ok(false);
            }
            transaction.commit()?;
            Ok(true)
        };
        let kept =
            self.with_loan(&mut writer, bytes, keep).map_err(|error| self.error("keeping dead letters in", &error))?;
        if !kept {
            // Only what is noted as finished can be purged, and until there is room nothing else may come that notes it.
            if let Err(error) = self.delete_with(&mut writer) {
                log::debug!("{error}");
            }
            return Err(Error::spool(format!(
                "keeping dead letters in the spool {}: dead_letters.bytes_max = {} is reached",
                self.path().display(),
                self.dead_letters_bytes_max
            ))
            .with_class(Class::Transient)
            .with_hint(
                "nothing is dropped: export them with `cxsink dead-letters export`, which lets the oldest go, or raise \
                 dead_letters.bytes_max",
            ));
        }
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

pub(super) fn list(connection: &Connection, from: u64, count: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    // SQLite's integers are signed: there is no offset above their range, and never more rows than they count.
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let select = format!("SELECT {COLUMNS} FROM dead_letters WHERE offset >= ?1 ORDER BY offset LIMIT ?2");
    connection.prepare_cached(&select)?.query_map(params![from, count], dead_letter)?.collect()
}

/// What [`dead_letter`] reads, in this order.
pub(super) const COLUMNS: &str =
    "offset, received_at, rejected_at, stage, reason, violations, sqlstate, constraint_name,
     column_name, exported_at, replayed_at, replayed_as, event";

pub(super) fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
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
        exported_at: row.get(9)?,
        replayed_at: row.get(10)?,
        replayed_as: row.get(11)?,
        event: Payload(row.get(12)?),
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
