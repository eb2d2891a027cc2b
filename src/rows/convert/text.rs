//! Values of text, and those whose standard form is a text.

use serde_json::Value as Json;

use crate::rows::column_type::ColumnType;
use crate::rows::convert::json::JsonText;
use crate::rows::convert::stored_text::{HAS_NUL, fit_chars, push_text};
use crate::rows::event::Numbers;
use crate::rows::value::Value;

pub(super) fn to_text(
    json: &Json,
    numbers: &Numbers<'_>,
    chars_max: Option<u32>,
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    let Json::String(value) = json else {
        let mut out = JsonText::new(numbers, text);
        out.push(json);
        return out.finish(&ColumnType::Text { chars_max });
    };
    if value.contains('\0') {
        return Err(HAS_NUL);
    }
    fit_chars(value, chars_max).map(|value| push_text(text, value))
}

/// Reads the forms that PostgreSQL reads: 32 hexadecimal digits, optionally with a hyphen after any group of four and with braces
/// around them (PostgreSQL manual, "UUID Type"). Writes the standard form.
pub(super) fn to_uuid(json: &Json, text: &mut String) -> std::result::Result<Value, &'static str> {
    const NOT_A_UUID: &str = "is not a UUID";
    let given = json.as_str().ok_or(NOT_A_UUID)?;
    let bare = given.strip_prefix('{').map_or(Some(given), |inner| inner.strip_suffix('}')).ok_or(NOT_A_UUID)?;
    let mut hex = String::with_capacity(32);
    for part in bare.split('-') {
        let is_hex = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if part.is_empty() || part.len() % 4 != 0 || !is_hex {
            return Err(NOT_A_UUID);
        }
        hex.push_str(part);
    }
    if hex.len() != 32 {
        return Err(NOT_A_UUID);
    }
    hex.make_ascii_lowercase();
    let standard = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    Ok(push_text(text, &standard))
}

/// One of the labels of an enum.
pub(super) fn to_label(
    json: &Json,
    numbers: &Numbers<'_>,
    labels: &[String],
    text: &mut String,
) -> std::result::Result<Value, &'static str> {
    let start = text.len();
    let value = to_text(json, numbers, None, text)?;
    if labels.iter().any(|label| *label == text[start..]) {
        Ok(value)
    } else {
        Err("is none of the values of the column's type")
    }
}
