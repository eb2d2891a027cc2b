//! An event's row, and its key.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result, Violation};
use crate::rows::batch::{Rows, Value};
use crate::rows::columns::{ColumnSource, PlanColumn, Role};
use crate::rows::convert::rest::rest;
use crate::rows::convert::value::convert;
use crate::rows::event::{Numbers, ParsedEvent};
use crate::rows::partition::key_hash;
use crate::rows::plan::Plan;

/// Appends the event as one row, or leaves `rows` as they were.
///
/// # Errors
/// [`Unmapped`](crate::ErrorKind::Unmapped) with one violation for each column whose value does not fit.
pub(crate) fn map_event(event: &ParsedEvent<'_>, offset: u64, rows: &mut Rows) -> Result<()> {
    let plan = Arc::clone(&rows.plan);
    let numbers = Numbers::new(event);
    let (values_before, text_before) = (rows.values.len(), rows.text.len());
    let mut mismatches = Vec::new();
    for column in plan.row_columns() {
        let value = match &column.source {
            ColumnSource::Pointer(tokens) => match resolve(&event.json, tokens) {
                None | Some(Json::Null) => Ok(Value::Null),
                Some(json) => convert(json, &numbers, &column.column_type, &mut rows.text),
            },
            ColumnSource::Rest => rest(&event.json, &numbers, &plan, &column.column_type, &mut rows.text),
            ColumnSource::Now => continue,
        };
        match value {
            Ok(Value::Null) if column.required => {
                mismatches.push((column, "is missing or null, but the column requires a value"));
            }
            Ok(value) => rows.values.push(value),
            Err(reason) => mismatches.push((column, reason)),
        }
    }
    if mismatches.is_empty() {
        rows.offsets.push(offset);
        return Ok(());
    }
    rows.values.truncate(values_before);
    rows.text.truncate(text_before);
    Err(unmapped(&mismatches))
}

/// The hash of the event's key, also of an event that is not valid; `None` if it has no key.
pub(crate) fn key_of(event: &ParsedEvent<'_>, plan: &Arc<Plan>) -> Option<u64> {
    let mut rows = Rows::new(Arc::clone(plan));
    let numbers = Numbers::new(event);
    for column in plan.row_columns() {
        let value = match &column.source {
            ColumnSource::Pointer(tokens) if column.role == Role::Key => {
                let json = resolve(&event.json, tokens).filter(|json| !json.is_null())?;
                convert(json, &numbers, &column.column_type, &mut rows.text).ok()?
            }
            _ => Value::Null,
        };
        rows.values.push(value);
    }
    Some(key_hash(&rows, 0))
}

fn unmapped(mismatches: &[(&PlanColumn, &'static str)]) -> Error {
    let violations: Vec<Violation> = mismatches
        .iter()
        .map(|(column, reason)| Violation {
            pointer: column.source.pointer(),
            keyword: "column".into(),
            message: format!("{reason} (column {:?})", column.name),
        })
        .collect();
    let first = &violations[0];
    Error::new(ErrorKind::Unmapped, format!("the event does not fit the table: {first}"))
        .with_column(mismatches.first().map(|(column, _)| column.name.as_str()))
        .with_violations(violations)
}

/// The value at a JSON pointer (RFC 6901 section 4).
fn resolve<'a>(event: &'a Json, tokens: &[String]) -> Option<&'a Json> {
    tokens.iter().try_fold(event, |json, token| match json {
        Json::Object(members) => members.get(token),
        Json::Array(items) => {
            let is_index = token == "0" || !token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit());
            is_index.then(|| token.parse::<usize>().ok()).flatten().and_then(|index| items.get(index))
        }
        _ => None,
    })
}

/// [`map_event`] for a tree without a text of its own.
#[cfg(test)]
pub(crate) fn map_json(event: &Json, offset: u64, rows: &mut Rows) -> Result<()> {
    let text = event.to_string();
    map_event(&ParsedEvent { text: &text, json: event.clone() }, offset, rows)
}
