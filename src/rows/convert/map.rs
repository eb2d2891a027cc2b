//! An event's row, and its key.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result, Violation};
use crate::rows::batch::{Arrival, Rows};
use crate::rows::column_type::ColumnType;
use crate::rows::columns::{PlanColumn, Role};
use crate::rows::convert::epoch;
use crate::rows::convert::place::{first, resolve};
use crate::rows::convert::reading::read;
use crate::rows::convert::rest::rest;
use crate::rows::convert::stored_text::push_text;
use crate::rows::convert::value::convert;
use crate::rows::event::{Numbers, ParsedEvent};
use crate::rows::partition::key_hash;
use crate::rows::plan::Plan;
use crate::rows::source::{ColumnSource, EventValue, pointer_of};
use crate::rows::value::Value;

type Converted = std::result::Result<Value, &'static str>;

/// Appends the event as one row, or leaves `rows` as they were.
///
/// # Errors
/// [`Unmapped`](crate::ErrorKind::Unmapped) with one violation for each column whose value does not fit.
pub(crate) fn map_event(event: &ParsedEvent<'_>, arrival: Arrival, rows: &mut Rows) -> Result<()> {
    let plan = Arc::clone(&rows.plan);
    let numbers = Numbers::new(event);
    let (values_before, text_before) = (rows.values.len(), rows.text.len());
    let mut mismatches = Vec::new();
    for column in plan.stored_columns() {
        let value = match &column.source {
            ColumnSource::Pointer(tokens) => match resolve(&event.json, tokens) {
                None | Some(Json::Null) => Ok(Value::Null),
                Some(json) => convert(json, &numbers, &column.column_type, &mut rows.text),
            },
            ColumnSource::Event(value) => event_value(value, event, &numbers, &column.column_type, &mut rows.text),
            ColumnSource::Constant(constant) => Ok(constant.push(&mut rows.text)),
            ColumnSource::Rest => rest(&event.json, &numbers, &plan, &column.column_type, &mut rows.text),
            ColumnSource::ReceivedAt => Ok(epoch::at(arrival.received_at, &column.column_type)),
            ColumnSource::Offset => Ok(offset(arrival.offset, &column.column_type, &mut rows.text)),
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
        rows.offsets.push(arrival.offset);
        rows.received_at.push(arrival.received_at);
        return Ok(());
    }
    rows.values.truncate(values_before);
    rows.text.truncate(text_before);
    Err(unmapped(event, &mismatches))
}

/// The first value that is there, read as the column's source says, or the default.
fn event_value(
    value: &EventValue,
    event: &ParsedEvent<'_>,
    numbers: &Numbers<'_>,
    column_type: &ColumnType,
    text: &mut String,
) -> Converted {
    match (first(&event.json, &value.pointers), &value.default) {
        (Some((_, json)), _) => read(json, value.reading, numbers, column_type, text),
        (None, Some(default)) => Ok(default.push(text)),
        (None, None) => Ok(Value::Null),
    }
}

fn offset(offset: u64, column_type: &ColumnType, text: &mut String) -> Value {
    match column_type {
        ColumnType::Numeric { .. } => push_text(text, &offset.to_string()),
        _ => Value::Int(offset.cast_signed()),
    }
}

/// The hash of the event's key, also of an event that is not valid; `None` if it has no key.
pub(crate) fn key_of(event: &ParsedEvent<'_>, plan: &Arc<Plan>) -> Option<u64> {
    let mut rows = Rows::new(Arc::clone(plan));
    let numbers = Numbers::new(event);
    for column in plan.stored_columns() {
        let value = match &column.source {
            _ if column.role != Role::Key => Ok(Value::Null),
            ColumnSource::Pointer(tokens) => {
                let json = resolve(&event.json, tokens).filter(|json| !json.is_null())?;
                convert(json, &numbers, &column.column_type, &mut rows.text)
            }
            ColumnSource::Event(value) => event_value(value, event, &numbers, &column.column_type, &mut rows.text),
            ColumnSource::Constant(constant) => Ok(constant.push(&mut rows.text)),
            // No plan has these in its key.
            ColumnSource::Rest | ColumnSource::ReceivedAt | ColumnSource::Offset | ColumnSource::Now => return None,
        };
        let value = value.ok()?;
        if column.role == Role::Key && value == Value::Null {
            return None;
        }
        rows.values.push(value);
    }
    Some(key_hash(&rows, 0))
}

fn unmapped(event: &ParsedEvent<'_>, mismatches: &[(&PlanColumn, &'static str)]) -> Error {
    let pointer = |column: &PlanColumn| match first(&event.json, column.source.pointers()) {
        Some((tokens, _)) => pointer_of(tokens),
        None => column.source.pointer(),
    };
    let violations: Vec<Violation> = mismatches
        .iter()
        .map(|(column, reason)| Violation {
            pointer: pointer(column),
            keyword: "column".into(),
            message: format!("{reason} (column {:?})", column.name),
        })
        .collect();
    let first = &violations[0];
    Error::new(ErrorKind::Unmapped, format!("the event does not fit the table: {first}"))
        .with_column(mismatches.first().map(|(column, _)| column.name.as_str()))
        .with_violations(violations)
}

/// [`map_event`] for a tree without a text of its own.
#[cfg(test)]
pub(crate) fn map_json(event: &Json, offset: u64, rows: &mut Rows) -> Result<()> {
    let text = event.to_string();
    let arrival = Arrival { offset, received_at: 0 };
    map_event(&ParsedEvent { text: &text, json: event.clone() }, arrival, rows)
}
