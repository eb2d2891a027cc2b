//! The SQL of columns and their arrays.

use std::borrow::Cow;
use std::fmt::Write;

use postgres::types::Type;

use crate::rows::ColumnType;

/// The cast of a text array's value to the column's type; other arrays need none.
pub(in super::super) fn cast(column_type: &ColumnType) -> Cow<'static, str> {
    match column_type {
        ColumnType::Numeric { .. } => "::numeric",
        ColumnType::Uuid => "::uuid",
        ColumnType::Json => "::json",
        ColumnType::Jsonb => "::jsonb",
        ColumnType::Other(other) => return format!("::{}", other.sql_name).into(),
        _ => "",
    }
    .into()
}

pub(in super::super) fn array_type(column_type: &ColumnType) -> Type {
    match column_type {
        ColumnType::Int2 => Type::INT2_ARRAY,
        ColumnType::Int4 => Type::INT4_ARRAY,
        ColumnType::Int8 => Type::INT8_ARRAY,
        ColumnType::Float4 => Type::FLOAT4_ARRAY,
        ColumnType::Float8 => Type::FLOAT8_ARRAY,
        ColumnType::Bool => Type::BOOL_ARRAY,
        ColumnType::TimestampTz => Type::TIMESTAMPTZ_ARRAY,
        ColumnType::Timestamp => Type::TIMESTAMP_ARRAY,
        ColumnType::Date => Type::DATE_ARRAY,
        ColumnType::Text { .. }
        | ColumnType::Numeric { .. }
        | ColumnType::Uuid
        | ColumnType::Json
        | ColumnType::Jsonb
        | ColumnType::Other(_) => Type::TEXT_ARRAY,
    }
}

pub(in super::super) fn array_name(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Int2 => "int2[]",
        ColumnType::Int4 => "int4[]",
        ColumnType::Int8 => "int8[]",
        ColumnType::Float4 => "float4[]",
        ColumnType::Float8 => "float8[]",
        ColumnType::Bool => "bool[]",
        ColumnType::TimestampTz => "timestamptz[]",
        ColumnType::Timestamp => "timestamp[]",
        ColumnType::Date => "date[]",
        ColumnType::Text { .. }
        | ColumnType::Numeric { .. }
        | ColumnType::Uuid
        | ColumnType::Json
        | ColumnType::Jsonb
        | ColumnType::Other(_) => "text[]",
    }
}

/// The rows of arrays, in the form that every engine has. `first`: the number of the first array's parameter.
pub(super) fn from_arrays<'a>(columns: impl Iterator<Item = &'a ColumnType>, first: usize) -> String {
    let (arrays, aliases): (Vec<_>, Vec<_>) = columns
        .enumerate()
        .map(|(i, column_type)| (format!("${}::{}", first + i, array_name(column_type)), format!("c{i}")))
        .unzip();
    format!("unnest({}) AS v({})", arrays.join(", "), aliases.join(", "))
}

pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

pub(super) fn push(sql: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = sql.write_fmt(text);
}
