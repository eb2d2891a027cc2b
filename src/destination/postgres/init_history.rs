//! The history that `cxsink init-db` creates. A repetition adds the partitions of months that have come since.

use std::time::Duration;

use super::connection::Session;
use super::init_db::create;
use crate::destination::names::TableName;
use crate::destination::new_history::{Definition, lines};
use crate::error::{Error, Result};
use crate::rows::{Month, NewHistory};

const ORIGINS: [(&str, &str); 4] = [
    ("received_at", "timestamptz NOT NULL"),
    ("spool_offset", "bigint NOT NULL"),
    ("spool_id", "text NOT NULL"),
    ("spool_late", "boolean NOT NULL"),
];

/// PostgreSQL cuts longer names off (`NAMEDATALEN` - 1).
const NAME_BYTES_MAX: usize = 63;

/// The statement that creates the table.
pub(super) fn table(name: &TableName, columns: &[Definition], history: &NewHistory) -> String {
    let partitioned = if history.months.is_empty() { "" } else { " PARTITION BY RANGE (received_at)" };
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n){partitioned};\n", name.quoted(), lines(columns, &ORIGINS, "    "))
}

/// The statements that create the partitions, the default one last. Their names are those of `pg_partman`.
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config): the table's name is too long for them.
pub(super) fn partitions(table: &TableName, history: &NewHistory) -> Result<Vec<String>> {
    if history.months.is_empty() {
        return Ok(Vec::new());
    }
    let partition = |suffix: &str| {
        let name = format!("{}_{suffix}", table.name);
        if name.len() > NAME_BYTES_MAX {
            let message = format!("destination.history_table: the name of a partition would be too long: {name}");
            return Err(Error::config(message).with_hint("choose a name of at most 53 bytes"));
        }
        Ok(TableName { schema: table.schema.clone(), name }.quoted())
    };
    let parent = table.quoted();
    let of_month = |month: &Month| {
        let (begin, end) = (month.first_day(), month.next().first_day());
        let name = partition(&format!("p{}", month.digits()))?;
        Ok(format!(
            "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {parent}\n    \
             FOR VALUES FROM ('{begin} 00:00:00+00') TO ('{end} 00:00:00+00');\n"
        ))
    };
    let mut statements: Vec<String> = history.months.iter().map(of_month).collect::<Result<_>>()?;
    statements.push(format!("CREATE TABLE IF NOT EXISTS {} PARTITION OF {parent} DEFAULT;\n", partition("default")?));
    Ok(statements)
}

/// Runs the statements, each in a transaction of its own. One that fails does not keep the later ones from running.
pub(super) fn run(session: &mut Session, statements: impl Iterator<Item = String>, timeout: Duration) -> Result<()> {
    let mut outcome = Ok(());
    for statement in statements {
        if let Err(error) = create(session, "creating the history", &statement, timeout) {
            let error = if error.is_refusal() { with_hint(error) } else { return Err(error) };
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

fn with_hint(error: Error) -> Error {
    match error.sqlstate() {
        Some("23514") => {
            error.with_hint("move the events of the new month out of the default partition: docs/history.md")
        }
        Some("42P17" | "42809") => {
            error.with_hint("unset destination.history_partitioned: the table exists without partitions")
        }
        _ => error,
    }
}
