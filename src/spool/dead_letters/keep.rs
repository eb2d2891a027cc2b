//! Keeping dead letters.
//!
//! They are written before the destination's checkpoint passes their events, so a crash in between loses none; and since an
//! offset is their key, an event that is prepared again after such a crash does not become a second one.

use rusqlite::{Connection, params};

use crate::error::{Class, Error, Result, violations_json};
use crate::report::dead_letter::DeadLetter;
use crate::spool::dead_letters::rows::list;
use crate::spool::queue::Spool;
use crate::spool::statements::Transaction;
use crate::time::micros;

impl Spool {
    /// Keeps the dead letters, in one transaction. Those of an offset that is already kept are ignored.
    ///
    /// # Errors
    /// Class `Transient` if `dead_letters.bytes_max` is reached and no dead letter may go: none is deleted before it was exported or replayed.
    pub(crate) fn keep(&self, dead_letters: &[DeadLetter]) -> Result<()> {
        if dead_letters.is_empty() {
            return Ok(());
        }
        let bytes = dead_letters.iter().map(|letter| letter.event.0.len() as u64).sum();
        let mut writer = self.writer();
        let kept = self.with_loan(&mut writer, bytes, |writer| self.insert_dead_letters(writer, dead_letters));
        if kept.map_err(|error| self.error("keeping dead letters in", &error))? {
            self.open_keys_of(dead_letters);
            return Ok(());
        }
        // Only dead letters below the deleted offset can be purged, and until there is room no append moves it.
        if let Err(error) = self.delete_with(&mut writer) {
            log::debug!("{error}");
        }
        Err(self.full_of_dead_letters())
    }

    /// False, and nothing is inserted, if they do not fit into `dead_letters.bytes_max`.
    fn insert_dead_letters(&self, writer: &mut Connection, dead_letters: &[DeadLetter]) -> rusqlite::Result<bool> {
        let transaction = Transaction::begin(writer)?;
        dead_letters.iter().try_for_each(|letter| {
            insert(&transaction, letter)?;
            self.insert_key(&transaction, letter)
        })?;
        let mut bytes: u64 =
            transaction.prepare_cached("SELECT dead_letter_bytes FROM spool")?.query_row([], |row| row.get(0))?;
        if bytes > self.dead_letters_bytes_max {
            bytes -= delete_seen(&transaction, bytes - self.dead_letters_bytes_max)?;
        }
        let fits = bytes <= self.dead_letters_bytes_max;
        if fits {
            transaction.commit()?;
        }
        Ok(fits)
    }

    fn full_of_dead_letters(&self) -> Error {
        Error::spool(format!(
            "keeping dead letters in the spool {}: dead_letters.bytes_max = {} is reached",
            self.path().display(),
            self.dead_letters_bytes_max
        ))
        .with_class(Class::Transient)
        .with_hint(
            "export them with `cxsink dead-letters export`, so that the oldest may be deleted, or raise \
             dead_letters.bytes_max",
        )
    }

    /// The offsets from `from` on that already have a dead letter: they are not written to the table.
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

fn insert(transaction: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR IGNORE INTO dead_letters (offset, received_at, rejected_at, stage, reason, violations, sqlstate,
         constraint_name, column_name, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let inserted = insert.execute(params![
        letter.offset,
        micros::from_time(letter.received_at),
        micros::from_time(letter.rejected_at),
        letter.stage.name(),
        letter.reason,
        violations_json(&letter.violations).to_string(),
        letter.sqlstate,
        letter.constraint,
        letter.column,
        letter.event.0
    ]);
    inserted.map(drop)
}

/// Deletes the oldest dead letters that were exported or replayed until `excess` bytes are free or none is left.
fn delete_seen(connection: &Connection, excess: u64) -> rusqlite::Result<u64> {
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
