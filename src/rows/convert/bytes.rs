//! Bytes, which JSON does not have: a text in base64, or in hexadecimal digits. Both become PostgreSQL's own form, `\x6162`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::report::json::hex;
use crate::rows::convert::stored_text::text_from;
use crate::rows::value::Value;

type Converted = std::result::Result<Value, &'static str>;

const NOT_BASE64: &str = "is not base64";
const NOT_HEX: &str = "is not an even number of hexadecimal digits";

/// Base64 has no backslash, so a text in PostgreSQL's form is no other bytes in base64.
pub(super) fn to_bytes(json: &Json, text: &mut String) -> Converted {
    match json {
        Json::String(given) if given.starts_with("\\x") => from_hex(json, text).map_err(|_| NOT_BASE64),
        _ => from_base64(json, text),
    }
}

pub(super) fn from_base64(json: &Json, text: &mut String) -> Converted {
    let given = json.as_str().ok_or(NOT_BASE64)?;
    // MIME has line ends in it.
    let bare: String = given.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(bare).map_err(|_| NOT_BASE64)?;
    let start = text.len();
    text.push_str("\\x");
    text.push_str(&hex(&bytes));
    Ok(text_from(text, start))
}

/// Digits, with PostgreSQL's `\x` before them or without.
pub(super) fn from_hex(json: &Json, text: &mut String) -> Converted {
    let given = json.as_str().ok_or(NOT_HEX)?;
    // As in PostgreSQL, there may be white space, but not between the two digits of a byte.
    let groups = || given.strip_prefix("\\x").unwrap_or(given).split_ascii_whitespace();
    if !groups().all(|group| group.len() % 2 == 0 && group.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(NOT_HEX);
    }
    let start = text.len();
    text.push_str("\\x");
    text.extend(groups().flat_map(str::chars).map(|digit| digit.to_ascii_lowercase()));
    Ok(text_from(text, start))
}
