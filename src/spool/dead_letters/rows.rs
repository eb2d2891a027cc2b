//! The rows of `dead_letters`.

use rusqlite::{Connection, Row, params};

use crate::error::{Violation, violations_json};
use crate::report::dead_letter::{DeadLetter, Payload, Stage};
use crate::spool::dead_letters::keys::KEY_SPACE;
use crate::spool::dead_letters::redacted::{IS_REDACTED, has_table};
use crate::spool::disk::space;
use crate::time::micros;

pub(super) fn list(connection: &Connection, from: u64, count: usize) -> rusqlite::Result<Vec<DeadLetter>> {
    // SQLite's integers are signed: there is no offset above their range, and never more rows than they count.
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let columns = columns(connection)?;
    let select = format!("SELECT {columns} FROM dead_letters WHERE offset >= ?1 ORDER BY offset LIMIT ?2");
    connection.prepare_cached(&select)?.query_map(params![from, count], dead_letter)?.collect()
}

/// The space that a new dead letter takes in the file: what the column `space` of its row says, and its key.
pub(crate) fn space_of(letter: &DeadLetter) -> u64 {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let texts = letter.stage.name().len() + letter.reason.len() + violations_json(&letter.violations).to_string().len();
    let names = text(&letter.sqlstate) + text(&letter.constraint) + text(&letter.column);
    let key = letter.key_hash.map_or(0, |_| KEY_SPACE);
    space((RECORD_BYTES + texts + names + letter.event.0.len()) as u64) + key
}

/// The bytes of a record beside its texts and its event: its head and its numbers.
const RECORD_BYTES: usize = 37;

/// The columns that [`dead_letter`] reads, in this order.
pub(super) fn columns(connection: &Connection) -> rusqlite::Result<String> {
    let is_redacted = if has_table(connection)? { IS_REDACTED } else { "FALSE" };
    Ok(format!("{COLUMNS}, {is_redacted}"))
}

const COLUMNS: &str = "offset, received_at, rejected_at, stage, reason, violations, sqlstate, constraint_name,
     column_name, exported_at, replayed_at, replayed_as, superseded_at, event";

pub(super) fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        offset: row.get(0)?,
        received_at: micros::to_time(row.get(1)?),
        rejected_at: micros::to_time(row.get(2)?),
        stage: Stage::from_name(row.get_ref(3)?.as_str()?).unwrap_or(Stage::Database),
        reason: row.get(4)?,
        violations: violations(row.get_ref(5)?.as_str()?),
        sqlstate: row.get(6)?,
        constraint: row.get(7)?,
        column: row.get(8)?,
        exported_at: row.get::<_, Option<i64>>(9)?.map(micros::to_time),
        replayed_at: row.get::<_, Option<i64>>(10)?.map(micros::to_time),
        replayed_as: row.get(11)?,
        superseded_at: row.get::<_, Option<i64>>(12)?.map(micros::to_time),
        event: Payload(row.get(13)?),
        is_redacted: row.get(14)?,
        key_hash: None,
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
