//! The table that `init-db` creates for a mapping of one's own: its columns follow from the mapping and the schema.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::config::{FromEvent, MappingConfig, MappingSource, ValueFormat};
use crate::rows::allows::{Allows, Values};
use crate::rows::column_type::{ColumnType, OtherType, TextForm};
use crate::rows::convert::Reading;
use crate::rows::schema::Schema;
use crate::rows::source::{Literal, tokens};

/// The longest `varchar` (PostgreSQL manual, "Character Types").
const CHARS_MAX: u64 = 10_485_760;

/// A column of a table that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewColumn {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) not_null: bool,
    /// Whether its default is the time of the transaction.
    pub(crate) is_now: bool,
}

/// A table that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewTable {
    pub(crate) columns: Vec<NewColumn>,
    /// The names of the columns with the unique index.
    pub(crate) key: Vec<String>,
}

impl NewTable {
    pub(crate) fn new(mapping: &MappingConfig, schema: &Schema) -> Self {
        let column =
            |(name, source): &(String, MappingSource)| new_column(name, source, mapping.key.contains(name), schema);
        Self { columns: mapping.columns.iter().map(column).collect(), key: mapping.key.clone() }
    }
}

fn new_column(name: &str, source: &MappingSource, is_key: bool, schema: &Schema) -> NewColumn {
    let (column_type, not_null) = match source {
        MappingSource::Now | MappingSource::ReceivedAt => (ColumnType::TimestampTz, true),
        MappingSource::Rest => (ColumnType::Jsonb, false),
        MappingSource::Stream => (TEXT, true),
        MappingSource::Offset => (ColumnType::Int8, true),
        MappingSource::Constant(constant) => (type_of(constant), true),
        MappingSource::Event(from_event) => of_event(from_event, is_key, schema),
    };
    let is_now = *source == MappingSource::Now;
    NewColumn { name: name.into(), column_type, not_null: not_null || is_key, is_now }
}

/// Text takes any value.
const TEXT: ColumnType = ColumnType::Text { chars_max: None };

fn type_of(constant: &Json) -> ColumnType {
    match constant {
        Json::Bool(_) => ColumnType::Bool,
        Json::Number(number) if number.is_i64() => ColumnType::Int8,
        Json::Number(_) => ColumnType::Numeric { precision_scale: None },
        Json::Array(_) | Json::Object(_) => ColumnType::Jsonb,
        Json::String(_) | Json::Null => TEXT,
    }
}

/// The type, and whether each event has a value.
fn of_event(from_event: &FromEvent, is_key: bool, schema: &Schema) -> (ColumnType, bool) {
    let FromEvent { pointers, default, format, trim, truncate, .. } = from_event;
    let of_pointers: Vec<_> = pointers.iter().map(|pointer| of_pointer(pointer, is_key, schema)).collect();
    let is_required = default.is_some() || of_pointers.iter().any(|(_, is_required)| *is_required);
    let column_type = match format {
        Some(ValueFormat::EpochS | ValueFormat::EpochMs | ValueFormat::EpochUs) => ColumnType::TimestampTz,
        Some(ValueFormat::Base64 | ValueFormat::Hex) => {
            ColumnType::Other(Arc::new(OtherType { sql_name: "bytea".into(), form: TextForm::Bytes }))
        }
        None => {
            let mut types = of_pointers.into_iter().map(|(column_type, _)| column_type);
            let first = types.next().unwrap_or(TEXT);
            let reading = Reading { trim: *trim, ..Reading::default() };
            let fits = default.as_ref().is_none_or(|default| Literal::new(default, reading, &first).is_ok());
            let is_text = matches!(first, ColumnType::Text { .. } | ColumnType::Uuid);
            if types.all(|other| other == first) && fits && (is_text || !trim) { first } else { TEXT }
        }
    };
    match column_type {
        // There must be a length; this is that of CXone's own table for these events.
        ColumnType::Text { chars_max } if *truncate => {
            (ColumnType::Text { chars_max: chars_max.or(Some(255)) }, is_required)
        }
        column_type => (column_type, is_required),
    }
}

fn of_pointer(pointer: &str, is_key: bool, schema: &Schema) -> (ColumnType, bool) {
    match tokens(pointer) {
        Some(tokens) if tokens.is_empty() => (ColumnType::Jsonb, true),
        Some(tokens) => match schema.allows(&tokens) {
            // What lies deeper is missing where its parent is null.
            Allows::Values(values) => (column_type(&values, is_key), values.is_required && tokens.len() == 1),
            Allows::Unknown | Allows::Nothing => (TEXT, false),
        },
        None => (TEXT, false),
    }
}

fn column_type(values: &Values, is_key: bool) -> ColumnType {
    let text = |chars_max: Option<u64>| ColumnType::Text {
        chars_max: chars_max.filter(|chars| *chars <= CHARS_MAX).and_then(|chars| u32::try_from(chars).ok()),
    };
    match values.only_type() {
        Some("integer") => ColumnType::Int8,
        Some("number") => ColumnType::Numeric { precision_scale: None },
        Some("boolean") => ColumnType::Bool,
        Some("string") if values.has_format(&["date-time"]) => ColumnType::TimestampTz,
        Some("string") if values.has_format(&["date"]) => ColumnType::Date,
        Some("string") if values.has_format(&["uuid"]) => ColumnType::Uuid,
        Some("string") => text(values.chars_max.map(|chars| chars.max(1))),
        Some("object" | "array") if !is_key => ColumnType::Jsonb,
        _ => text(None),
    }
}

#[cfg(test)]
#[path = "tests/new_table.rs"]
mod tests;
