//! A value of a row as a parameter of a statement.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::rows::batch::{Rows, Value};
use crate::rows::{ColumnType, TextForm};
use crate::time::timestamp::{format_days, format_micros};

/// See the [module documentation](self).
pub(super) struct Parameter<'a> {
    rows: &'a Rows,
    value: Value,
    column_type: &'a ColumnType,
}

impl<'a> Parameter<'a> {
    pub(super) fn new(rows: &'a Rows, row: usize, column: usize, column_type: &'a ColumnType) -> Self {
        Self { rows, value: rows.value(row, column), column_type }
    }
}

impl Parameter<'_> {
    fn is_bytes(&self) -> bool {
        matches!(self.column_type, ColumnType::Other(other) if other.form == TextForm::Bytes)
    }

    /// From the hexadecimal digits behind `\x`.
    fn bytes(&self) -> Vec<u8> {
        let digits = self.rows.text_of(self.value).get(2..).unwrap_or_default().as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "two digits of four bits")]
        digits.chunks_exact(2).map(|pair| ((digit(pair[0]) << 4) | digit(pair[1])) as u8).collect()
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.value {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(value.into())),
            Value::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(value)),
            Value::Float(value) => ToSqlOutput::Borrowed(ValueRef::Real(value)),
            Value::Micros(micros) if *self.column_type == ColumnType::TimestampTz => {
                ToSqlOutput::from(format_micros(micros) + "Z")
            }
            Value::Micros(micros) => ToSqlOutput::from(format_micros(micros)),
            Value::Days(days) => ToSqlOutput::from(format_days(days)),
            Value::Text { .. } if self.is_bytes() => ToSqlOutput::from(self.bytes()),
            Value::Text { .. } => ToSqlOutput::Borrowed(ValueRef::Text(self.rows.text_of(self.value).as_bytes())),
        })
    }
}
