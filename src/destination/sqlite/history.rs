//! The history: every event of the batch, in the transaction of the batch.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ToSql};

use super::parameter::Parameter;
use crate::destination::Write;
use crate::destination::names::{TableName, quote};
use crate::destination::new_history::{Definition, lines};
use crate::rows::{HistoryValue, Plan};

const ORIGINS: [(&str, &str); 4] = [
    ("received_at", "TIMESTAMPTZ NOT NULL"),
    ("spool_offset", "INTEGER NOT NULL"),
    ("spool_id", "TEXT NOT NULL"),
    ("spool_late", "BOOLEAN NOT NULL"),
];

/// The insert of one event, with a parameter for each column; `None` without a history.
pub(super) fn insert_sql(plan: &Plan, table: Option<&TableName>) -> Option<String> {
    let (history, table) = (plan.history.as_ref()?, table?.quoted());
    let names: Vec<String> = history.columns.iter().map(|column| quote(&column.name)).collect();
    let values: Vec<String> = (1..=names.len()).map(|parameter| format!("?{parameter}")).collect();
    let mut sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
    if !history.identity.is_empty() {
        // An event that is written again, in order, is in the history already.
        let identity: Vec<String> = history.identity.iter().map(|name| quote(name)).collect();
        sql.extend([" ON CONFLICT (", &identity.join(", "), ") DO NOTHING"]);
    }
    Some(sql)
}

/// Inserts the events of the batch in the order of their arrival. `now`: the time of the transaction.
pub(super) fn insert(transaction: &Connection, sql: &str, write: &Write<'_>, now: &str) -> rusqlite::Result<()> {
    let rows = write.rows;
    let Some(history) = &rows.plan.history else { return Ok(()) };
    let mut insert = transaction.prepare_cached(sql)?;
    for &event in write.events {
        let row = event as usize;
        for (index, column) in history.columns.iter().enumerate() {
            let stored;
            let value: &dyn ToSql = match column.value {
                HistoryValue::Stored(value) => {
                    stored = Parameter::new(rows, row, value, &column.column_type);
                    &stored
                }
                HistoryValue::Now => &now,
                HistoryValue::ReceivedAt => &Time(rows.received_at[row]),
                HistoryValue::SpoolOffset => &rows.offsets[row],
                HistoryValue::SpoolId => &write.spool_id,
                HistoryValue::SpoolLate => &write.is_late,
            };
            insert.raw_bind_parameter(index + 1, value)?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}

/// Microseconds since 1970-01-01 UTC, as text of fixed width.
struct Time(i64);

impl ToSql for Time {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(format!("{}Z", crate::time::timestamp::format_micros(self.0))))
    }
}

/// The statement that creates the table.
pub(super) fn create_sql(table: &TableName, columns: &[Definition]) -> String {
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n);\n", table.quoted(), lines(columns, &ORIGINS, "  "))
}
