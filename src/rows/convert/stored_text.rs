//! Texts as they are stored: at the end of the rows' text, and as PostgreSQL takes them.

use crate::rows::value::Value;

pub(super) const HAS_NUL: &str = "contains the NUL character (\\u0000), which PostgreSQL does not store";

pub(in crate::rows) fn push_text(text: &mut String, value: &str) -> Value {
    let start = text.len();
    text.push_str(value);
    text_from(text, start)
}

/// The text from `start` to the end.
pub(super) fn text_from(text: &str, start: usize) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "a batch is batch.bytes_max plus one event, far below 4 GiB")]
    let value = Value::Text { start: start as u32, len: (text.len() - start) as u32 };
    value
}

/// White space as PostgreSQL's input functions skip it; Rust's `trim` would skip more.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

/// `varchar(n)` refuses more than n characters, but cuts off excess spaces (PostgreSQL manual, "Character Types").
pub(super) fn fit_chars(value: &str, chars_max: Option<u32>) -> std::result::Result<&str, &'static str> {
    let Some(chars_max) = chars_max.map(|n| n as usize).filter(|&n| value.len() > n) else { return Ok(value) };
    match value.char_indices().nth(chars_max) {
        None => Ok(value),
        Some((end, _)) if value[end..].bytes().all(|byte| byte == b' ') => Ok(&value[..end]),
        Some(_) => Err("has more characters than the column allows"),
    }
}
