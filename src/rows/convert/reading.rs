//! Values that are read with options of their column's source.

use serde_json::Value as Json;

use crate::config::ValueFormat;
use crate::rows::column_type::ColumnType;
use crate::rows::convert::bytes::{from_base64, from_hex};
use crate::rows::convert::epoch::to_time;
use crate::rows::convert::value::convert;
use crate::rows::event::Numbers;
use crate::rows::value::Value;

/// How a value is read. They fit the type of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    pub(crate) format: Option<ValueFormat>,
    /// Without white space at both ends of a text.
    pub(crate) trim: bool,
    /// With as many characters of a text as the column has.
    pub(crate) truncate: bool,
}

/// The value for a column; `json` is not null. The error is the reason for a mismatch.
pub(in crate::rows) fn read(
    json: &Json,
    reading: Reading,
    numbers: &Numbers<'_>,
    column_type: &ColumnType,
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    match reading.format {
        Some(ValueFormat::EpochS) => return to_time(json, numbers, 6, column_type),
        Some(ValueFormat::EpochMs) => return to_time(json, numbers, 3, column_type),
        Some(ValueFormat::EpochUs) => return to_time(json, numbers, 0, column_type),
        Some(ValueFormat::Base64) => return from_base64(json, text),
        Some(ValueFormat::Hex) => return from_hex(json, text),
        None => {}
    }
    // What is cut of a number or an object would be another number, or no JSON any more.
    let Json::String(whole) = json else { return convert(json, numbers, column_type, text) };
    let mut part = if reading.trim { whole.trim() } else { whole };
    if let (true, ColumnType::Text { chars_max: Some(chars) }) = (reading.truncate, column_type) {
        part = part.char_indices().nth(*chars as usize).map_or(part, |(end, _)| &part[..end]);
    }
    if part.len() == whole.len() {
        convert(json, numbers, column_type, text)
    } else {
        convert(&part.into(), numbers, column_type, text)
    }
}
