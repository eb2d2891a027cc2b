//! From text to tree.

use serde::de::IgnoredAny;
use serde_json::Value as Json;

/// An event whose text is JSON.
#[derive(Debug)]
pub(crate) struct ParsedEvent<'e> {
    pub(crate) text: &'e str,
    /// Its values. Of duplicate members the last one counts. A number beyond the range of a double is one near its end, which a
    /// schema sees; [`Numbers`](super::Numbers) has the digits.
    pub(crate) json: Json,
}

impl<'e> ParsedEvent<'e> {
    pub(crate) fn parse(text: &'e str) -> serde_json::Result<Self> {
        let json = serde_json::from_str(text).or_else(|error| match within_range(text) {
            Some(within_range) => serde_json::from_str(&within_range),
            None => Err(error),
        })?;
        Ok(Self { text, json })
    }
}

/// The text with every number beyond the range of a double replaced by one that is near its end, and as long, so that errors keep
/// their places; `None` if there is no such number.
fn within_range(text: &str) -> Option<String> {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        let (before, at) = rest.split_at(start);
        replaced.push_str(before);
        let token = if at.starts_with('"') { string(at) } else { number(at) };
        match token.parse::<f64>() {
            Ok(value) if value.is_infinite() && is_json(token) => {
                let sign = if value < 0.0 { "-" } else { "" };
                let zeros = token.len() - sign.len() - "1e308".len();
                replaced.extend([sign, "1e", &"0".repeat(zeros), "308"]);
            }
            _ => replaced.push_str(token),
        }
        rest = &at[token.len()..];
    }
    replaced.push_str(rest);
    (replaced != text).then_some(replaced)
}

/// Reads a number by its syntax alone.
fn is_json(number: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(number).is_ok()
}

/// The string at the beginning of `text`, with its quotes.
pub(super) fn string(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text, |end| &text[..end + 2])
}

/// The number at the beginning of `text`.
pub(super) fn number(text: &str) -> &str {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_the_range_of_a_double_are_parsed() {
        let check = |text: &str, json: &str| {
            assert_eq!(ParsedEvent::parse(text).unwrap().json.to_string(), json, "{text}");
        };
        check(
            r#"{"a":1E400,"b":-1e309,"c":"1e999","d\"1e999":1}"#,
            r#"{"a":1e+308,"b":-1e+308,"c":"1e999","d\"1e999":1}"#,
        );
        check(&format!("[{}]", "9".repeat(400)), "[1e+308]");
        check("1e99999999999999999999", "1e+308");
        check("[1e-400,0e999999999999,-0]", "[0.0,0.0,-0.0]");
    }

    #[test]
    fn an_error_beside_such_a_number_keeps_its_place() {
        let error = |text: &str| ParsedEvent::parse(text).unwrap_err().to_string();
        assert_eq!(error(r#"{"a":1e400,}"#), "trailing comma at line 1 column 12");
        assert_eq!(error(r#"{"a":1e400"#), "EOF while parsing an object at line 1 column 10");
        assert_eq!(error(r#"{"a":1e400 "b"}"#), "expected `,` or `}` at line 1 column 12");
        assert_eq!(error("[01e400]"), "invalid number at line 1 column 3");
        assert_eq!(error("[1.e400]"), "invalid number at line 1 column 4");
        assert!(error(r#"["1e400"#).starts_with("EOF while parsing a string"));
    }
}
