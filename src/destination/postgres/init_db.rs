//! The SQL of `cxsink init-db`: the default table, or the one of a mapping, and the checkpoint table. A repetition changes nothing.

use std::time::Duration;

use super::connection::Session;
use crate::destination::names::{TableName, quote};
use crate::destination::new_history::{Definition, of_default, of_new_table};
use crate::destination::new_table::column_lines;
use crate::error::{Error, Result};
use crate::rows::{ColumnType, NewColumn, NewHistory, NewTable};

/// One process creates the tables at a time: `CREATE TABLE IF NOT EXISTS` itself fails if another transaction creates the same table
/// at the same moment. The number is "cxsink" in ASCII; the lock ends with the transaction. The path is this user's own: behind a
/// pooler, another client may have left one.
const BEGIN: &str = "SET LOCAL search_path TO DEFAULT; SELECT pg_catalog.pg_advisory_xact_lock(109368983514731);";

/// Runs statements that create tables, in one transaction. `doing`: for errors, such as "creating the tables".
pub(super) fn create(session: &mut Session, doing: &str, sql: &str, timeout: Duration) -> Result<()> {
    let sql = format!("{BEGIN} {sql}");
    let mut create = || session.run(doing, timeout, |client| client.batch_execute(&sql));
    // After a lost race they are there.
    create().or_else(|error| if is_race(&error) { create() } else { Err(error) })
}

/// Whether another program created one of the tables at the same moment: the table (42P07), its type or its sequence (42710, 23505 of
/// a catalogue's index).
fn is_race(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("42P07" | "42710" | "23505"))
}

/// The statements that create `table`, and the checkpoint table in the same schema, with every name quoted.
pub(super) fn sql(table: &TableName, own: Option<&NewTable>) -> String {
    let checkpoint = table.checkpoint().quoted();
    format!(
        "\
CREATE TABLE IF NOT EXISTS {} (
{}
);

CREATE TABLE IF NOT EXISTS {checkpoint} (
    spool_id text PRIMARY KEY,
    position bigint NOT NULL,
    owner text,
    updated_at timestamptz NOT NULL DEFAULT now()
);
",
        table.quoted(),
        own.map_or_else(default_columns, |own| column_lines(own, "    ", "DEFAULT now()", |column| type_of(
            own, column
        )))
    )
}

const DEFAULT_COLUMNS: [(&str, &str); 12] = [
    ("id", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("interaction_id", "varchar(255) NOT NULL"),
    ("timestamp", "timestamptz NOT NULL"),
    ("type", "varchar(50) NOT NULL"),
    ("idempotency_key", "varchar(255) COLLATE \"C\" NOT NULL UNIQUE"),
    ("duration", "integer"),
    ("disposition", "varchar(255)"),
    ("queue_name", "varchar(255)"),
    ("agent_id", "varchar(255)"),
    ("attributes", "jsonb"),
    ("created_at", "timestamptz NOT NULL DEFAULT now()"),
    ("updated_at", "timestamptz NOT NULL DEFAULT now()"),
];

fn default_columns() -> String {
    // Without quotes where none are needed: these lines are read.
    let name = |name: &str| if matches!(name, "timestamp" | "type") { quote(name) } else { name.into() };
    let lines = DEFAULT_COLUMNS.map(|(column, definition)| format!("    {} {definition}", name(column)));
    lines.join(",\n")
}

/// The mapped columns of the table that [`sql`] creates.
pub(super) fn definitions(own: Option<&NewTable>, history: &NewHistory) -> Vec<Definition> {
    own.map_or_else(|| of_default(history, &DEFAULT_COLUMNS), |own| of_new_table(own, type_name))
}

/// Texts of the key in the order of their bytes: the index compares them faster than by the rules of a language.
fn type_of(table: &NewTable, column: &NewColumn) -> String {
    let is_text_of_key = matches!(column.column_type, ColumnType::Text { .. }) && table.key.contains(&column.name);
    let collation = if is_text_of_key { " COLLATE \"C\"" } else { "" };
    format!("{}{collation}", type_name(&column.column_type))
}

fn type_name(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Text { chars_max: None } => "text",
        ColumnType::Text { chars_max: Some(chars) } => return format!("varchar({chars})"),
        ColumnType::Numeric { precision_scale: Some((precision, scale)) } => {
            return format!("numeric({precision},{scale})");
        }
        ColumnType::Numeric { precision_scale: None } => "numeric",
        ColumnType::Int2 => "smallint",
        ColumnType::Int4 => "integer",
        ColumnType::Int8 => "bigint",
        ColumnType::Float4 => "real",
        ColumnType::Float8 => "double precision",
        ColumnType::Bool => "boolean",
        ColumnType::TimestampTz => "timestamptz",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Date => "date",
        ColumnType::Uuid => "uuid",
        ColumnType::Json => "json",
        ColumnType::Jsonb => "jsonb",
        ColumnType::Other(other) => return other.sql_name.clone(),
    }
    .into()
}
