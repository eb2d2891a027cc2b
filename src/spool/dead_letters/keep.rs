//! Keeping dead letters.
//!
//! They are written before the destination's checkpoint passes their events, so a crash in between loses none; and since an
//! offset is their key, an event that is prepared again after such a crash does not become a second one.

use rusqlite::{Connection, params};

use crate::error::{Class, Error, Result, violations_json};
use crate::report::dead_letter::DeadLetter;
use crate::spool::dead_letters::rows::{list, space_of};
use crate::spool::disk::LOAN_BYTES_MAX;
use crate::spool::queue::Spool;
use crate::spool::statements::Transaction;
use crate::time::micros;

/// See [`Spool::dead_letters_max`]. As much as may be borrowed on a full disk; the reserve of the tests is smaller.
const BATCH_SPACE_MAX: u64 = 4 << 20;
const _: () = assert!(BATCH_SPACE_MAX <= LOAN_BYTES_MAX || cfg!(any(test, fuzzing)));

impl Spool {
    /// Keeps the dead letters, in one transaction. Those of an offset that is already kept are ignored. Where there is no other dead
    /// letter, all of them are kept, whatever they take: see [`dead_letters_max`](Self::dead_letters_max).
    ///
    /// # Errors
    /// Class `Transient` if `dead_letters.bytes_max` is reached and no dead letter may go: none is deleted before it was exported or
    /// replayed, and its event is finished.
    pub(crate) fn keep(&self, dead_letters: &[DeadLetter]) -> Result<()> {
        if dead_letters.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        if self.try_to_keep(&mut writer, dead_letters)? {
            self.open_keys_of(dead_letters);
            return Ok(());
        }
        // Only dead letters below the deleted offset may go, and until there is room no append moves it.
        if let Err(error) = self.delete_with(&mut writer) {
            log::debug!("{error}");
        }
        if !self.try_to_keep(&mut writer, dead_letters)? {
            return Err(self.full_of_dead_letters());
        }
        self.open_keys_of(dead_letters);
        Ok(())
    }

    /// The dead letters of one batch may take this much: all of them are kept at once, also on a full disk, and they must not take
    /// more than the limit. A single one may take more.
    pub(crate) fn dead_letters_max(&self) -> u64 {
        BATCH_SPACE_MAX.min(self.dead_letters_bytes_max)
    }

    fn try_to_keep(&self, writer: &mut Connection, dead_letters: &[DeadLetter]) -> Result<bool> {
        let space = dead_letters.iter().map(space_of).sum();
        self.with_loan(writer, space, |writer| self.insert_dead_letters(writer, dead_letters))
            .map_err(|error| self.error("keeping dead letters in", &error))
    }

    /// False, and nothing is inserted, if they do not fit into `dead_letters.bytes_max`.
    fn insert_dead_letters(&self, writer: &mut Connection, dead_letters: &[DeadLetter]) -> rusqlite::Result<bool> {
        let transaction = Transaction::begin(writer)?;
        let space = |transaction: &Connection| -> rusqlite::Result<u64> {
            transaction.prepare_cached("SELECT dead_letter_space FROM spool")?.query_row([], |row| row.get(0))
        };
        let before = space(&transaction)?;
        dead_letters.iter().try_for_each(|letter| {
            insert(&transaction, letter)?;
            self.insert_key(&transaction, letter)
        })?;
        let after = space(&transaction)?;
        let excess = after.saturating_sub(self.dead_letters_bytes_max);
        let freed = if excess > 0 { delete_seen(&transaction, excess)? } else { 0 };
        let fits = freed >= excess || before <= freed;
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
            "export them with `cxsink dead-letters export` or mark_exported, so that the oldest may be deleted, or raise \
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

/// With the space of its key. By the index, so that it is quick among millions that were neither exported nor replayed.
pub(in crate::spool) const SEEN: &str = "SELECT offset,
         space + 52 * EXISTS (SELECT 1 FROM dead_letter_keys AS key WHERE key.offset = dead_letters.offset)
     FROM dead_letters INDEXED BY dead_letters_seen
     WHERE (exported_at IS NOT NULL OR replayed_at IS NOT NULL) AND offset < (SELECT deleted_offset FROM spool) ORDER BY offset";

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

/// Deletes the oldest dead letters that were exported or replayed, and whose events are finished, until `excess` is free or none is
/// left. Returns the space that they took.
fn delete_seen(connection: &Connection, excess: u64) -> rusqlite::Result<u64> {
    let mut oldest = connection.prepare_cached(SEEN)?;
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
