//! The text of an `hstore`: `"a"=>"1", b=>NULL`.
//!
//! Its input function reports a text that it cannot read as an internal error of the server, which is never one event's. So what
//! does not fit is found here: forms that it reads, and this does not, are rare.

use serde_json::Value as Json;

use crate::rows::convert::stored_text::{HAS_NUL, push_text};
use crate::rows::value::Value;

pub(super) fn to_pairs(json: &Json, text: &mut String) -> std::result::Result<Value, &'static str> {
    match json {
        Json::String(pairs) if pairs.contains('\0') => Err(HAS_NUL),
        Json::String(pairs) if is_pairs(pairs) => Ok(push_text(text, pairs)),
        _ => Err("is not the text of an hstore"),
    }
}

fn is_pairs(text: &str) -> bool {
    let mut rest = text.trim_matches(' ');
    while !rest.is_empty() {
        let Some(after) = after_pair(rest) else { return false };
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start_matches(' '),
            None => return after.is_empty(),
        };
        if rest.is_empty() {
            return false;
        }
    }
    true
}

fn after_pair(text: &str) -> Option<&str> {
    let value = after_word(text)?.trim_start_matches(' ').strip_prefix("=>")?;
    Some(after_word(value.trim_start_matches(' '))?.trim_start_matches(' '))
}

/// A word in quotes, in which a backslash takes the next character as it is; or letters and digits.
fn after_word(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut is_escaped = false;
        let end = quoted.bytes().position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        return end.map(|end| &quoted[end + 1..]);
    }
    let rest = text.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '+'));
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_distinguished_from_other_texts() {
        for pairs in ["", " ", "a=>1", r#""a b"=>"\"", c=>NULL"#, "ä => é,b=>2 ", r#""=>"=>"""#] {
            assert!(is_pairs(pairs), "{pairs}");
        }
        for other in ["a", "a=>", "=>1", "a=>1,", ",", "a=>1 b=>2", r#"a=>"x"#, "a=1", "a==>1", r#"{"a":1}"#] {
            assert!(!is_pairs(other), "{other}");
        }
    }
}
