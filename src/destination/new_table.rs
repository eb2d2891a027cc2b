//! The columns of a table that `init-db` creates for a mapping of one's own, as SQL.

use crate::destination::names::quote;
use crate::rows::{NewColumn, NewTable};

/// The lines of CREATE TABLE: the columns and the unique index. `now` is the default of a column that notes the time of the transaction.
pub(super) fn column_lines(
    table: &NewTable,
    indent: &str,
    now: &str,
    type_name: impl Fn(&NewColumn) -> String,
) -> String {
    let column = |column: &NewColumn| {
        let not_null = if column.not_null { " NOT NULL" } else { "" };
        let default = if column.is_now { format!(" {now}") } else { String::new() };
        format!("{indent}{} {}{not_null}{default}", quote(&column.name), type_name(column))
    };
    let key: Vec<String> = table.key.iter().map(|name| quote(name)).collect();
    let mut lines: Vec<String> = table.columns.iter().map(column).collect();
    lines.push(format!("{indent}UNIQUE ({})", key.join(", ")));
    lines.join(",\n")
}
