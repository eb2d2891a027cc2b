//! The SQL of the upsert.

use std::cell::Cell;
use std::fmt::Write as _;

use rusqlite::Connection;

use super::catalogue::key_collations;
use super::history;
use crate::destination::names::{TableName, quote};
use crate::rows::{OnConflict, OnlyIf, Plan, PlanColumn};

/// The rows of a group, which one statement writes: binding and starting a statement costs as much as the row itself. Until a statement
/// ends, SQLite keeps a copy of each page that it changes, up to 64 KiB of them in memory: a page in each index for each row.
pub(super) const ROWS: usize = 8;

/// The SQL of a plan.
pub(super) struct Statements {
    /// Finds a row by its key.
    pub(super) find: String,
    upsert: Upsert,
    /// For late events.
    late: Upsert,
    /// The insert into the history, if there is one.
    pub(super) history: Option<String>,
    /// Whether each key is looked for, to count what is inserted.
    pub(super) finds_keys: Cell<bool>,
}

/// The statement for one row, and the one for [`ROWS`] of them.
pub(super) struct Upsert {
    pub(super) row: String,
    pub(super) group: String,
}

impl Statements {
    pub(super) fn new(
        connection: &Connection,
        plan: &Plan,
        table: &TableName,
        history: Option<&TableName>,
    ) -> rusqlite::Result<Self> {
        let key: Vec<&str> = plan.key.iter().map(|&index| plan.columns[index].name.as_str()).collect();
        let collations = key_collations(connection, &table.name, &key)?;
        let table = table.quoted();
        let upsert = |on_conflict: fn(&Plan) -> OnConflict<'_>| Upsert {
            row: upsert_sql(plan, &table, &on_conflict(plan), 1),
            group: upsert_sql(plan, &table, &on_conflict(plan), ROWS),
        };
        Ok(Self {
            find: find_sql(&key, collations.as_deref(), &table),
            upsert: upsert(Plan::on_conflict),
            late: upsert(Plan::on_conflict_of_late),
            history: history::insert_sql(plan, history),
            // Where one row can decide about another, each is a statement, as in one-by-one execution.
            finds_keys: Cell::new(plan.relates_rows),
        })
    }

    pub(super) fn upsert(&self, is_late: bool) -> &Upsert {
        if is_late { &self.late } else { &self.upsert }
    }
}

/// Compares as the conflict target does, which may have another collation than the column.
fn find_sql(key: &[&str], collations: Option<&[String]>, table: &str) -> String {
    let condition = |(n, name): (usize, &&str)| {
        let collation = collations.map_or_else(String::new, |collations| format!(" COLLATE {}", quote(&collations[n])));
        format!("{} = ?{}{collation}", quote(name), n + 1)
    };
    let conditions: Vec<String> = key.iter().enumerate().map(condition).collect();
    format!("SELECT 1 FROM {table} WHERE {}", conditions.join(" AND "))
}

/// One parameter for each column of each row, and a last one, the time of the transaction, for all columns that take it.
fn upsert_sql(plan: &Plan, table: &str, on_conflict: &OnConflict<'_>, rows: usize) -> String {
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.name)).collect();
    let number =
        |row: usize, column: usize| if column < plan.width { row * plan.width + column } else { rows * plan.width };
    let values = |row: usize| -> String {
        let values: Vec<String> = (0..names.len()).map(|column| format!("?{}", number(row, column) + 1)).collect();
        format!("({})", values.join(", "))
    };
    let values: Vec<String> = (0..rows).map(values).collect();
    let key: Vec<&str> = plan.key.iter().map(|&index| names[index].as_str()).collect();
    let mut sql = format!(
        "INSERT INTO {table} AS t ({}) VALUES {} ON CONFLICT ({}) DO ",
        names.join(", "),
        values.join(", "),
        key.join(", ")
    );
    let OnConflict::Update { updated, only_if } = on_conflict else {
        sql.push_str("NOTHING");
        return sql;
    };
    let each = |columns: &[&PlanColumn], make: &dyn Fn(String) -> String| -> Vec<String> {
        columns.iter().map(|column| make(quote(&column.name))).collect()
    };
    let _ = write!(sql, "UPDATE SET {}", each(updated, &|name| format!("{name} = excluded.{name}")).join(", "));
    match only_if {
        OnlyIf::Always => {}
        OnlyIf::Changed(compared) => {
            // By bytes, whatever collation the column has: 'Sales' is another value than 'sales'.
            let differences = each(compared, &|name| format!("t.{name} IS NOT excluded.{name} COLLATE BINARY"));
            let _ = write!(sql, " WHERE {}", differences.join(" OR "));
        }
        OnlyIf::NotOlder(column) => {
            let name = quote(&column.name);
            let _ = write!(sql, " WHERE t.{name} IS NULL OR excluded.{name} >= t.{name}");
        }
        OnlyIf::Newer(column) => {
            let name = quote(&column.name);
            let _ = write!(sql, " WHERE excluded.{name} > t.{name}");
        }
    }
    sql
}
