//! The column that refuses a value by its type or its domain: the server's error names none.

use std::time::Duration;

use postgres::types::Type;

use super::connection::{PgResult, Session};
use super::statement::cast;
use crate::destination::Write;
use crate::destination::names::TableName;
use crate::error::{Error, Violation};
use crate::rows::batch::Value;
use crate::rows::{PlanColumn, Role};

/// Adds the column to the error of a row that was refused alone: that of a domain whose check refuses it, or one of whose type the
/// database judges the values, if a value is refused by itself. The latter reads each value once more, without a table.
pub(super) fn named(
    session: &mut Session,
    error: Error,
    write: &Write<'_>,
    table: Option<&TableName>,
    timeout: Duration,
) -> Error {
    if write.coalesced.len() != 1 || !error.is_refusal() || error.column().is_some() {
        return error;
    }
    let found = match (error.constraint(), table) {
        (Some(constraint), Some(table)) => of_domain(session, constraint, table, write, timeout)
            .map(|column| (column, format!("is refused by the domain of the column (column {:?})", column.name))),
        (Some(_), None) => None,
        (None, _) => of_type(session, write, timeout)
            .map(|column| (column, format!("is refused by the type of the column (column {:?})", column.name))),
    };
    match found {
        Some((column, reason)) => with_column(error, column, reason),
        None => error,
    }
}

/// The names of the columns of a table, each with its type and the domains below that, of which one has a check of this name.
const OF_DOMAIN: &str = "\
WITH RECURSIVE of_columns (name, type) AS (
    SELECT attname, atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT name, typbasetype FROM of_columns JOIN pg_catalog.pg_type ON pg_type.oid = type WHERE typtype = 'd'
)
SELECT DISTINCT name::text FROM of_columns JOIN pg_catalog.pg_constraint ON contypid = type WHERE conname::text = $2";

/// The column of a domain with this check; `None` if that is none of the domain's, or if several columns have the domain.
fn of_domain<'a>(
    session: &mut Session,
    constraint: &str,
    table: &TableName,
    write: &Write<'a>,
    timeout: Duration,
) -> Option<&'a PlanColumn> {
    let table = table.quoted();
    let names = session.run("looking up a check", timeout, |client| {
        let rows = client.query_typed(OF_DOMAIN, &[(&table, Type::TEXT), (&constraint, Type::TEXT)])?;
        rows.iter().map(|row| row.try_get(0)).collect::<PgResult<Vec<String>>>()
    });
    // Without an answer the error stays as it is.
    let names = names.ok()?;
    let mut columns = write.rows.plan.row_columns().iter().filter(|column| names.contains(&column.name));
    columns.next().filter(|_| columns.next().is_none())
}

fn of_type<'a>(session: &mut Session, write: &Write<'a>, timeout: Duration) -> Option<&'a PlanColumn> {
    let [row] = write.coalesced else { return None };
    let rows = write.rows;
    let columns = rows.plan.stored_columns().enumerate().filter(|(_, column)| column.may_be_refused());
    for (index, column) in columns {
        let row = if column.role == Role::Updated { row.last } else { row.first };
        let value = rows.value(row as usize, index);
        if value != Value::Null && is_refused(session, column, rows.text_of(value), timeout)? {
            return Some(column);
        }
    }
    None
}

/// `None` if it is not known: the connection has other troubles now.
fn is_refused(session: &mut Session, column: &PlanColumn, text: &str, timeout: Duration) -> Option<bool> {
    // The answer has a type that needs no lookup.
    let sql = format!("SELECT ($1::text{}) IS NULL", cast(&column.column_type));
    match session.run("reading a value", timeout, |client| client.query_typed(&sql, &[(&text, Type::TEXT)])) {
        Ok(_) => Some(false),
        Err(refusal) if refusal.is_refusal() => Some(true),
        Err(_) => None,
    }
}

fn with_column(error: Error, column: &PlanColumn, reason: String) -> Error {
    let violation = Violation { pointer: column.source.pointer(), keyword: "column".into(), message: reason };
    // As if the server had named it: it stands in the parentheses at the end.
    let message = match error.message().strip_suffix(')') {
        Some(open) => format!("{open}, column {})", column.name),
        None => error.message().to_owned(),
    };
    error.with_message(message).with_column(Some(&column.name)).with_violations(vec![violation])
}
