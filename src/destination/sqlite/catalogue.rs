//! The table in SQLite's catalogue.

use std::sync::Arc;

use rusqlite::Connection;

use crate::rows::{Column, ColumnType, OtherType, Table, TextForm};

/// The table; without columns if it does not exist.
pub(super) fn read_table(connection: &Connection, table: &str) -> rusqlite::Result<Table> {
    let mut columns = Vec::new();
    let mut primary_key: Vec<(i64, String)> = Vec::new();
    let mut has_generated = false;
    let mut select = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let mut rows = select.query([table])?;
    while let Some(row) = rows.next()? {
        let (name, type_name): (String, String) = (row.get(0)?, row.get(1)?);
        let (place_in_key, hidden): (i64, i64) = (row.get(4)?, row.get(5)?);
        let is_rowid = place_in_key > 0 && type_name.eq_ignore_ascii_case("integer");
        if place_in_key > 0 {
            primary_key.push((place_in_key, name.clone()));
        }
        has_generated |= hidden > 1;
        columns.push(Column {
            name,
            column_type: column_type(&type_name),
            type_name,
            not_null: row.get(2)?,
            has_default: row.get::<_, bool>(3)? || is_rowid || hidden > 1,
            is_generated: hidden > 1,
        });
    }
    primary_key.sort();
    let mut unique_keys = Vec::new();
    if !primary_key.is_empty() {
        unique_keys.push(primary_key.into_iter().map(|(_, name)| name).collect());
    }
    let indexes = unique_indexes(connection, table)?;
    unique_keys.extend(indexes.iter().filter_map(UniqueIndex::names));
    // This looks for words and parses no SQL: a word too many costs speed, one too few a wrong row.
    let guards = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE
         AND (type = 'trigger' OR sql LIKE '%check%' OR sql LIKE '%references%'))";
    let is_guarded = has_generated
        || indexes.iter().any(|index| index.names().is_none())
        || connection.query_row(guards, [table], |row| row.get(0))?;
    Ok(Table {
        name: table.to_owned(),
        loose_columns: loose_columns(&columns, &indexes),
        columns,
        unique_keys,
        has_times_as_text: true,
        is_guarded,
        // There is one connection, so the order of arrival costs nothing.
        relates_rows: is_guarded,
        history: None,
    })
}

/// A unique index.
struct UniqueIndex {
    /// An expression has no name.
    columns: Vec<Option<String>>,
    collations: Vec<String>,
    is_partial: bool,
}

impl UniqueIndex {
    /// The columns; `None` if the index is not a conflict target.
    fn names(&self) -> Option<Vec<String>> {
        if self.is_partial { None } else { self.columns.iter().cloned().collect() }
    }
}

/// In the order in which SQLite searches for a conflict target.
fn unique_indexes(connection: &Connection, table: &str) -> rusqlite::Result<Vec<UniqueIndex>> {
    let mut indexes = connection.prepare("SELECT name, partial FROM pragma_index_list(?1) WHERE \"unique\"")?;
    let mut members =
        connection.prepare("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE \"key\" ORDER BY seqno")?;
    let indexes: Vec<(String, bool)> =
        indexes.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let read = |(name, is_partial): (String, bool)| -> rusqlite::Result<UniqueIndex> {
        let rows = members.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (columns, collations) = rows.collect::<rusqlite::Result<_>>()?;
        Ok(UniqueIndex { columns, collations, is_partial })
    };
    indexes.into_iter().map(read).collect()
}

/// Text columns that a unique index compares by NOCASE or RTRIM. (Other values have one text each.)
fn loose_columns(columns: &[Column], indexes: &[UniqueIndex]) -> Vec<String> {
    let is_text = |name: &&String| {
        columns.iter().any(|column| column.name == **name && matches!(column.column_type, ColumnType::Text { .. }))
    };
    let members = indexes.iter().flat_map(|index| index.columns.iter().zip(&index.collations));
    let loose = members.filter(|(_, collation)| !collation.eq_ignore_ascii_case("binary"));
    loose.filter_map(|(column, _)| column.as_ref()).filter(is_text).cloned().collect()
}

/// The collation by which the conflict target compares each column of the key; `None` for the rowid.
pub(super) fn key_collations(
    connection: &Connection,
    table: &str,
    key: &[&str],
) -> rusqlite::Result<Option<Vec<String>>> {
    let place =
        |index: &UniqueIndex, name: &str| index.columns.iter().position(|column| column.as_deref() == Some(name));
    let collations = |index: &UniqueIndex| -> Option<Vec<String>> {
        if index.is_partial || index.columns.len() != key.len() {
            return None;
        }
        key.iter().map(|name| place(index, name).map(|place| index.collations[place].clone())).collect()
    };
    Ok(unique_indexes(connection, table)?.iter().find_map(collations))
}

/// SQLite keeps the declared type as text; these are the usual names. A column of any other name takes texts as they are.
fn column_type(declared: &str) -> ColumnType {
    let other = |form| ColumnType::Other(Arc::new(OtherType { sql_name: declared.to_owned(), form }));
    let lower = declared.to_ascii_lowercase();
    let (word, arguments) = match lower.split_once('(') {
        Some((word, rest)) => (word.trim(), rest.trim_end_matches(')')),
        None => (lower.trim(), ""),
    };
    let mut numbers = arguments.split(',').map(|number| number.trim().parse::<u32>().ok());
    let first = numbers.next().flatten();
    match word {
        "text" | "varchar" | "character varying" | "clob" => ColumnType::Text { chars_max: first },
        "smallint" | "int2" => ColumnType::Int2,
        "integer" | "int" | "int4" => ColumnType::Int4,
        "bigint" | "int8" => ColumnType::Int8,
        "real" | "double" | "double precision" | "float" | "float8" => ColumnType::Float8,
        "numeric" | "decimal" => {
            let scale = numbers.next().flatten().and_then(|scale| i32::try_from(scale).ok()).unwrap_or(0);
            ColumnType::Numeric { precision_scale: first.map(|precision| (precision, scale)) }
        }
        "boolean" | "bool" => ColumnType::Bool,
        "timestamptz" | "timestamp with time zone" | "datetime" => ColumnType::TimestampTz,
        "timestamp" => ColumnType::Timestamp,
        "date" => ColumnType::Date,
        "uuid" => ColumnType::Uuid,
        // SQLite has no arrays; its functions for JSON read such a text.
        "json" | "jsonb" => ColumnType::Json,
        _ if word.ends_with("[]") => ColumnType::Json,
        "blob" | "bytea" => other(TextForm::Bytes),
        _ => other(TextForm::Any),
    }
}
