//! The SQL of the upsert.

use std::fmt::Write as _;

use rusqlite::Connection;

use super::catalogue::key_collations;
use super::history;
use crate::destination::names::{TableName, quote};
use crate::rows::{OnConflict, OnlyIf, Plan, PlanColumn};

/// The SQL of a plan.
pub(super) struct Statements {
    /// Finds a row by its key.
    pub(super) find: String,
    pub(super) upsert: String,
    /// For late events.
    pub(super) late: String,
    /// The insert into the history, if there is one.
    pub(super) history: Option<String>,
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
        Ok(Self {
            find: find_sql(&key, collations.as_deref(), &table),
            upsert: upsert_sql(plan, &table, plan.on_conflict()),
            late: upsert_sql(plan, &table, plan.on_conflict_of_late()),
            history: history::insert_sql(plan, history),
        })
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

/// One parameter for each column of a row, and a last one, the time of the transaction, for all columns that take it.
fn upsert_sql(plan: &Plan, table: &str, on_conflict: OnConflict<'_>) -> String {
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.name)).collect();
    let values: Vec<String> = (0..plan.columns.len()).map(|index| format!("?{}", index.min(plan.width) + 1)).collect();
    let key: Vec<&str> = plan.key.iter().map(|&index| names[index].as_str()).collect();
    let mut sql = format!(
        "INSERT INTO {table} AS t ({}) VALUES ({}) ON CONFLICT ({}) DO ",
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
    let _ = write!(sql, "UPDATE SET {}", each(&updated, &|name| format!("{name} = excluded.{name}")).join(", "));
    match only_if {
        OnlyIf::Always => {}
        OnlyIf::Changed(compared) => {
            // By bytes, whatever collation the column has: 'Sales' is another value than 'sales'.
            let differences = each(&compared, &|name| format!("t.{name} IS NOT excluded.{name} COLLATE BINARY"));
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
