//! The messages of this side, with their placeholders replaced.

use crate::config::validate_stream::{STREAM_ID, TOKEN, placeholders};
use crate::error::Result;
use crate::source::raw_json::{self, Pointer};

/// The message of a template: `{token}` and `{stream_id}` are replaced, escaped as in a JSON text.
pub(crate) fn fill(template: &str, token: &str, stream_id: &str) -> String {
    let mut message = String::with_capacity(template.len() + token.len());
    let mut rest = template;
    // In one go: a value may look like a placeholder.
    while let Some(place) = rest.find('{') {
        message.push_str(&rest[..place]);
        rest = &rest[place..];
        let mut values = [(TOKEN, token), (STREAM_ID, stream_id)].into_iter();
        let found = values.find_map(|(placeholder, value)| Some((rest.strip_prefix(placeholder)?, value)));
        if let Some((behind, value)) = found {
            let json = serde_json::Value::from(value).to_string();
            message.push_str(&json[1..json.len() - 1]);
            rest = behind;
        } else {
            message.push('{');
            rest = &rest[1..];
        }
    }
    message + rest
}

/// `stream.ack`, taken apart.
#[derive(Debug)]
pub(super) struct AckTemplate {
    /// Each placeholder with the text before it.
    parts: Vec<(String, Pointer)>,
    tail: String,
}

impl AckTemplate {
    pub(super) fn parse(template: &str) -> Result<Self> {
        let (mut parts, mut end) = (Vec::new(), 0);
        for (before, pointer) in placeholders(template) {
            parts.push((before.to_owned(), Pointer::parse(pointer)?));
            end += before.len() + pointer.len() + "{}".len();
        }
        Ok(Self { parts, tail: template[end..].to_owned() })
    }

    /// The acknowledgement of a message; `None` if the message lacks what it should name.
    pub(super) fn fill(&self, message: &[u8]) -> Option<String> {
        let mut ack = String::new();
        if !self.parts.is_empty() {
            let message = std::str::from_utf8(message).ok()?;
            for (before, pointer) in &self.parts {
                ack.push_str(before);
                ack.push_str(raw_json::at(message, pointer).ok()??);
            }
        }
        Some(ack + &self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_escaped_in_one_go() {
        let check = |template: &str, expected: &str| assert_eq!(fill(template, "t\"\\\u{e9}\n", "{token}"), expected);
        check(r#"{"a":{"token":"{token}"}}"#, "{\"a\":{\"token\":\"t\\\"\\\\\u{e9}\\n\"}}");
        check("{stream_id}/{stream_id}", "{token}/{token}");
        check("{{token}{token", "{t\\\"\\\\\u{e9}\\n{token");
        check(r#"{"action":"heartbeat"}"#, r#"{"action":"heartbeat"}"#);
        check("", "");
    }

    #[test]
    fn an_acknowledgement_has_the_json_of_its_message() {
        let check = |template: &str, message: &str, expected: Option<&str>| {
            assert_eq!(AckTemplate::parse(template).unwrap().fill(message.as_bytes()).as_deref(), expected);
        };
        let message = r#"{"eventId": "e\u002d1", "n": 1.50, "o": {"a": [1, 2]}}"#;
        check(r#"{"ack":{/eventId}}"#, message, Some(r#"{"ack":"e\u002d1"}"#));
        check(r#"{"a":{/o/a},"n":{/n}}"#, message, Some(r#"{"a":[1, 2],"n":1.50}"#));
        check("{/o/a/1}", message, Some("2"));
        check(r#"{"ack":{/missing}}"#, message, None);
        check(r#"{"ack":{/eventId}}"#, "no JSON", None);
        check(r#"{"ack":true}"#, "no JSON", Some(r#"{"ack":true}"#));
        AckTemplate::parse("{/a~2}").unwrap_err();
    }
}
