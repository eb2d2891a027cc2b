//! The SQL of `init-db`: the default table, or the one of a mapping, and the checkpoint table. A repetition changes nothing.

use crate::destination::names::CHECKPOINT;
use crate::destination::new_history::{Definition, of_default, of_new_table};
use crate::destination::new_table::column_lines;
use crate::rows::{ColumnType, NewHistory, NewTable};

const NOW: &str = "DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z'))";

/// `table` is quoted.
pub(crate) fn init_db_sql(table: &str, own: Option<&NewTable>) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (
{}
);
CREATE TABLE IF NOT EXISTS {CHECKPOINT} (
  spool_id TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  owner TEXT
);
",
        own.map_or_else(default_columns, |own| column_lines(own, "  ", NOW, |column| type_name(&column.column_type)))
    )
}

const DEFAULT_COLUMNS: [(&str, &str); 12] = [
    ("id", "INTEGER PRIMARY KEY"),
    ("interaction_id", "VARCHAR(255) NOT NULL"),
    ("timestamp", "TIMESTAMPTZ NOT NULL"),
    ("type", "VARCHAR(50) NOT NULL"),
    ("idempotency_key", "VARCHAR(255) NOT NULL UNIQUE"),
    ("duration", "INTEGER"),
    ("disposition", "VARCHAR(255)"),
    ("queue_name", "VARCHAR(255)"),
    ("agent_id", "VARCHAR(255)"),
    ("attributes", "JSON"),
    ("created_at", "TIMESTAMPTZ NOT NULL "),
    ("updated_at", "TIMESTAMPTZ NOT NULL "),
];

fn default_columns() -> String {
    let line = |(name, definition): (&str, &str)| {
        let default = if definition.ends_with(' ') { NOW } else { "" };
        format!("  {name} {definition}{default}")
    };
    DEFAULT_COLUMNS.map(line).join(",\n")
}

/// The mapped columns of the table that [`init_db_sql`] creates.
pub(super) fn definitions(own: Option<&NewTable>, history: &NewHistory) -> Vec<Definition> {
    own.map_or_else(|| of_default(history, &DEFAULT_COLUMNS), |own| of_new_table(own, type_name))
}

/// The catalogue reads these names back as the same types.
fn type_name(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Text { chars_max: None } => "TEXT",
        ColumnType::Text { chars_max: Some(chars) } => return format!("VARCHAR({chars})"),
        ColumnType::Numeric { precision_scale: Some((precision, scale)) } => {
            return format!("NUMERIC({precision},{scale})");
        }
        ColumnType::Numeric { precision_scale: None } => "NUMERIC",
        ColumnType::Int2 => "SMALLINT",
        ColumnType::Int4 => "INTEGER",
        ColumnType::Int8 => "BIGINT",
        ColumnType::Float4 | ColumnType::Float8 => "REAL",
        ColumnType::Bool => "BOOLEAN",
        ColumnType::TimestampTz => "TIMESTAMPTZ",
        ColumnType::Timestamp => "TIMESTAMP",
        ColumnType::Date => "DATE",
        ColumnType::Uuid => "UUID",
        ColumnType::Json | ColumnType::Jsonb => "JSON",
        ColumnType::Other(other) => return other.sql_name.clone(),
    }
    .into()
}
