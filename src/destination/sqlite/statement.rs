//! The SQL of the upsert and of `init-db`.

use std::fmt::Write as _;

use crate::destination::names::{CHECKPOINT, quote};
use crate::rows::{OnConflict, OnlyIf, Plan, PlanColumn};

/// The SQL of `init-db`. `table` is quoted.
pub(crate) fn init_db_sql(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (
  id INTEGER PRIMARY KEY,
  interaction_id VARCHAR(255) NOT NULL,
  timestamp TIMESTAMPTZ NOT NULL,
  type VARCHAR(50) NOT NULL,
  idempotency_key VARCHAR(255) NOT NULL UNIQUE,
  duration INTEGER,
  disposition VARCHAR(255),
  queue_name VARCHAR(255),
  agent_id VARCHAR(255),
  attributes JSON,
  created_at TIMESTAMPTZ NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z')),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z'))
);
CREATE TABLE IF NOT EXISTS {CHECKPOINT} (
  spool_id TEXT PRIMARY KEY,
  position INTEGER NOT NULL
);
"
    )
}

/// The SQL of a plan.
pub(super) struct Statements {
    /// Finds a row by its key.
    pub(super) find: String,
    pub(super) upsert: String,
}

impl Statements {
    /// `table` is quoted.
    pub(super) fn new(plan: &Plan, table: &str) -> Self {
        Self { find: find_sql(plan, table), upsert: upsert_sql(plan, table) }
    }
}

fn find_sql(plan: &Plan, table: &str) -> String {
    let conditions: Vec<String> = plan
        .key
        .iter()
        .enumerate()
        .map(|(n, &index)| format!("{} = ?{}", quote(&plan.columns[index].name), n + 1))
        .collect();
    format!("SELECT 1 FROM {table} WHERE {}", conditions.join(" AND "))
}

/// One parameter for each column of a row, and a last one, the time of the transaction, for all columns that take it.
fn upsert_sql(plan: &Plan, table: &str) -> String {
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.name)).collect();
    let values: Vec<String> = (0..plan.columns.len()).map(|index| format!("?{}", index.min(plan.width) + 1)).collect();
    let key: Vec<&str> = plan.key.iter().map(|&index| names[index].as_str()).collect();
    let mut sql = format!(
        "INSERT INTO {table} AS t ({}) VALUES ({}) ON CONFLICT ({}) DO ",
        names.join(", "),
        values.join(", "),
        key.join(", ")
    );
    let OnConflict::Update { updated, only_if } = plan.on_conflict() else {
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
            let differences = each(&compared, &|name| format!("t.{name} IS NOT excluded.{name}"));
            let _ = write!(sql, " WHERE {}", differences.join(" OR "));
        }
        OnlyIf::NotOlder(column) => {
            let name = quote(&column.name);
            let _ = write!(sql, " WHERE t.{name} IS NULL OR excluded.{name} >= t.{name}");
        }
    }
    sql
}
