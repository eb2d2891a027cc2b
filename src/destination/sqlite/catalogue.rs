//! The table in SQLite's catalogue.

use rusqlite::Connection;

use crate::rows::{Column, ColumnType, Table};

/// The table; without columns if it does not exist.
pub(super) fn read_table(connection: &Connection, table: &str) -> rusqlite::Result<Table> {
    let mut columns = Vec::new();
    let mut primary_key: Vec<(i64, String)> = Vec::new();
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
        columns.push(Column {
            name,
            column_type: column_type(&type_name),
            type_name,
            not_null: row.get(2)?,
            has_default: row.get::<_, bool>(3)? || is_rowid || hidden > 1,
        });
    }
    primary_key.sort();
    let mut unique_keys = Vec::new();
    if !primary_key.is_empty() {
        unique_keys.push(primary_key.into_iter().map(|(_, name)| name).collect());
    }
    let mut indexes = connection.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial")?;
    for index in indexes.query_map([table], |row| row.get::<_, String>(0))? {
        let mut members = connection.prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
        let members = members.query_map([index?], |row| row.get::<_, Option<String>>(0))?;
        // An expression has no name; such an index is not a conflict target.
        if let Some(names) = members.collect::<rusqlite::Result<Option<Vec<String>>>>()? {
            unique_keys.push(names);
        }
    }
    // This looks for words and parses no SQL: a word too many costs speed, one too few a wrong row.
    let guards = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND (type = 'trigger'
         OR sql LIKE '%check%' OR sql LIKE '%references%' OR sql LIKE '%generated%' OR sql LIKE '%unique index%where%'))";
    let is_guarded = connection.query_row(guards, [table], |row| row.get(0))?;
    // SQLite has one writer at a time, so the order of rows is never changed.
    Ok(Table { name: table.to_owned(), columns, unique_keys, is_guarded, relates_rows: false })
}

/// SQLite keeps the declared type as text; these are the usual names.
fn column_type(declared: &str) -> Option<ColumnType> {
    let declared = declared.to_ascii_lowercase();
    let (word, arguments) = match declared.split_once('(') {
        Some((word, rest)) => (word.trim(), rest.trim_end_matches(')')),
        None => (declared.trim(), ""),
    };
    let mut numbers = arguments.split(',').map(|number| number.trim().parse::<u32>().ok());
    let first = numbers.next().flatten();
    Some(match word {
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
        "json" | "jsonb" => ColumnType::Json,
        _ => return None,
    })
}
