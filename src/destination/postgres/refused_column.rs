//! The column whose type refuses a value: an error of a type's input function names none.

use std::time::Duration;

use postgres::types::Type;

use super::connection::Session;
use super::statement::cast;
use crate::destination::Write;
use crate::error::{Error, Violation};
use crate::rows::batch::Value;
use crate::rows::{PlanColumn, Role};

/// Adds the column to the error of a row that was refused alone, if one of its values is refused by itself. Only types whose values
/// the database judges are tried; it reads each value once more, without a table.
pub(super) fn named(session: &mut Session, error: Error, write: &Write<'_>, timeout: Duration) -> Error {
    let [row] = write.coalesced else { return error };
    if !error.is_refusal() || error.column().is_some() || error.constraint().is_some() {
        return error;
    }
    let rows = write.rows;
    let columns = rows.plan.stored_columns().enumerate().filter(|(_, column)| column.may_be_refused());
    for (index, column) in columns {
        let row = if column.role == Role::Updated { row.last } else { row.first };
        let value = rows.value(row as usize, index);
        if value == Value::Null {
            continue;
        }
        match is_refused(session, column, rows.text_of(value), timeout) {
            Some(false) => {}
            Some(true) => return with_column(error, column),
            None => break,
        }
    }
    error
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

fn with_column(error: Error, column: &PlanColumn) -> Error {
    let message = format!("is refused by the type of the column (column {:?})", column.name);
    let violation = Violation { pointer: column.source.pointer(), keyword: "column".into(), message };
    error.with_column(Some(&column.name)).with_violations(vec![violation])
}
