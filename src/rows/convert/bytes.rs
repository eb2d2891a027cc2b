//! Bytes, which JSON does not have: a text in base64, or in PostgreSQL's own form.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::rows::batch::Value;
use crate::rows::convert::stored_text::text_from;

/// Writes hexadecimal digits behind `\x`. Base64 has no backslash, so a text in that form already is no other bytes in base64.
pub(super) fn to_bytes(json: &Json, text: &mut String) -> std::result::Result<Value, &'static str> {
    const NOT_BYTES: &str = "is not base64";
    let given = json.as_str().ok_or(NOT_BYTES)?;
    let start = text.len();
    text.push_str("\\x");
    if let Some(hex) = given.strip_prefix("\\x") {
        if hex.len() % 2 != 0 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NOT_BYTES);
        }
        text.extend(hex.chars().map(|digit| digit.to_ascii_lowercase()));
        return Ok(text_from(text, start));
    }
    // MIME has line ends in it.
    let bare: String = given.split_ascii_whitespace().collect();
    for byte in STANDARD.decode(bare).map_err(|_| NOT_BYTES)? {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text_from(text, start))
}
