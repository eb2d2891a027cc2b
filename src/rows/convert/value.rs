//! The value for a column.

use serde_json::Value as Json;

use crate::rows::column_type::{ColumnType, TextForm};
use crate::rows::convert::array::to_array;
use crate::rows::convert::bytes::to_bytes;
use crate::rows::convert::json::JsonText;
use crate::rows::convert::number::{to_bool, to_float, to_int, to_numeric};
use crate::rows::convert::pairs::to_pairs;
use crate::rows::convert::text::{to_label, to_text, to_uuid};
use crate::rows::event::Numbers;
use crate::rows::value::Value;
use crate::time::timestamp::DateTime;

/// The value for a column; `json` is not null. The error is the reason for a mismatch.
pub(super) fn convert(
    json: &Json,
    numbers: &Numbers<'_>,
    column_type: &ColumnType,
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    match column_type {
        ColumnType::Text { chars_max } => to_text(json, numbers, *chars_max, text),
        ColumnType::Int2 => to_int(json, numbers, i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int4 => to_int(json, numbers, i32::MIN.into(), i32::MAX.into()),
        ColumnType::Int8 => to_int(json, numbers, i64::MIN, i64::MAX),
        ColumnType::Float4 => to_float::<f32>(json, numbers),
        ColumnType::Float8 => to_float::<f64>(json, numbers),
        ColumnType::Numeric { precision_scale } => to_numeric(json, numbers, *precision_scale, text),
        ColumnType::Bool => to_bool(json, numbers).map(Value::Bool).ok_or("is neither true nor false"),
        ColumnType::TimestampTz => date_time(json)?.utc_micros().map(Value::Micros),
        ColumnType::Timestamp => date_time(json)?.local_micros().map(Value::Micros),
        ColumnType::Date => date_time(json)?.days().map(Value::Days),
        ColumnType::Uuid => to_uuid(json, text),
        ColumnType::Other(other) => match &other.form {
            TextForm::Any => to_text(json, numbers, None, text),
            TextForm::Label(labels) => to_label(json, numbers, labels, text),
            TextForm::Pairs => to_pairs(json, text),
            TextForm::Bytes => to_bytes(json, text),
            TextForm::Array { element, .. } if json.is_string() && element.is_pairs() => Err("is not an array"),
            TextForm::Array { element, delimiter } => {
                to_array(json, *delimiter, &|json, text| convert(json, numbers, element, text), text)
            }
        },
        ColumnType::Json | ColumnType::Jsonb => {
            let mut out = JsonText::new(numbers, text);
            out.push(json);
            out.finish(column_type)
        }
    }
}

fn date_time(json: &Json) -> std::result::Result<DateTime, &'static str> {
    json.as_str().and_then(DateTime::parse_date).ok_or("is not a date-time of RFC 3339")
}
