//! The table that `init-db` creates for a mapping of one's own: its columns follow from the mapping and the schema.

use crate::config::MappingConfig;
use crate::error::Result;
use crate::rows::allows::{Allows, Values};
use crate::rows::column_type::ColumnType;
use crate::rows::columns::{ColumnSource, parse_source};
use crate::rows::schema::Schema;

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
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config): the mapping has an unknown source.
    pub(crate) fn new(mapping: &MappingConfig, schema: &Schema) -> Result<Self> {
        let column = |(name, source): &(String, String)| {
            let is_key = mapping.key.contains(name);
            Ok(new_column(name, &parse_source(name, source)?, is_key, schema))
        };
        Ok(Self { columns: mapping.columns.iter().map(column).collect::<Result<_>>()?, key: mapping.key.clone() })
    }
}

fn new_column(name: &str, source: &ColumnSource, is_key: bool, schema: &Schema) -> NewColumn {
    let (column_type, not_null, is_now) = match source {
        ColumnSource::Now => (ColumnType::TimestampTz, true, true),
        ColumnSource::Rest => (ColumnType::Jsonb, false, false),
        ColumnSource::Pointer(tokens) if tokens.is_empty() => (ColumnType::Jsonb, true, false),
        ColumnSource::Pointer(tokens) => match schema.allows(tokens) {
            // What lies deeper is missing where its parent is null.
            Allows::Values(values) => (column_type(&values, is_key), values.is_required && tokens.len() == 1, false),
            // Text takes any value.
            Allows::Unknown | Allows::Nothing => (ColumnType::Text { chars_max: None }, false, false),
        },
    };
    NewColumn { name: name.into(), column_type, not_null: not_null || is_key, is_now }
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
