//! The columns of a history that `init-db` creates, as SQL.

use crate::destination::names::quote;
use crate::rows::{ColumnType, HISTORY_IDENTITY, NewHistory, NewTable, Table};

/// A column's name, and its type with NOT NULL.
pub(super) type Definition = (String, String);

/// The mapped columns, as the table has them now.
pub(super) fn of_table(history: &NewHistory, table: &Table) -> Vec<Definition> {
    let definition = |name: &String| {
        let column = table.columns.iter().find(|column| column.name == *name)?;
        let not_null = if column.not_null { " NOT NULL" } else { "" };
        Some((name.clone(), format!("{}{not_null}", column.type_name)))
    };
    history.columns.iter().filter_map(definition).collect()
}

/// The mapped columns of a table that `init-db` would create itself.
pub(super) fn of_new_table(table: &NewTable, type_name: impl Fn(&ColumnType) -> String) -> Vec<Definition> {
    let not_null = |is_so| if is_so { " NOT NULL" } else { "" };
    let columns = table.columns.iter();
    columns.map(|column| (column.name.clone(), type_name(&column.column_type) + not_null(column.not_null))).collect()
}

/// The mapped columns of the default table: names and definitions.
pub(super) fn of_default(history: &NewHistory, default: &[(&str, &str)]) -> Vec<Definition> {
    let definition = |name: &String| {
        let (_, definition) = default.iter().find(|(default, _)| default == name)?;
        // What follows NOT NULL is for the table only.
        let end = definition.find(" NOT NULL").map_or(definition.len(), |at| at + " NOT NULL".len());
        Some((name.clone(), definition[..end].to_owned()))
    };
    history.columns.iter().filter_map(definition).collect()
}

/// The lines of CREATE TABLE: the mapped columns, those that say where an event comes from, and the primary key.
pub(super) fn lines(columns: &[Definition], origins: &[(&str, &str)], indent: &str) -> String {
    let mapped = columns.iter().map(|(name, definition)| (name.as_str(), definition.as_str()));
    let line = |(name, definition): (&str, &str)| format!("{indent}{} {definition}", quote(name));
    let mut lines: Vec<String> = mapped.chain(origins.iter().copied()).map(line).collect();
    lines.push(format!("{indent}PRIMARY KEY ({})", HISTORY_IDENTITY.join(", ")));
    lines.join(",\n")
}
