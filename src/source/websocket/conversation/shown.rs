//! A server's messages as an error shows them: enough to see why the stream did not open, and never the payload of an event.
//!
//! A short text is a word of the conversation (`"pong"`, `RATE_LIMIT_EXCEEDED`) and is shown. An object may be an event, so it is only
//! described, unless it is small and says itself that it is an error.

use std::fmt;

use serde_json::{Map, Value};

use crate::net::masks::Masks;

/// A longer message is described only.
const BYTES_MAX: usize = 200;
/// How many messages, and members of an object, are shown.
const COUNT_MAX: usize = 3;
/// How much of a member's name is shown.
const NAME_CHARS_MAX: usize = 30;
/// Members by which an object says that it is an error.
const ERROR_MEMBERS: [&str; 5] = ["error", "errors", "errorcode", "reason", "statuscode"];
/// Members whose value may say so.
const KIND_MEMBERS: [&str; 6] = ["type", "event", "action", "command", "status", "code"];

/// The messages that came while an answer was awaited, fit to be shown.
#[derive(Debug, Default)]
pub(crate) struct Came {
    first: Vec<String>,
    count: u64,
}

impl Came {
    pub(crate) fn add(&mut self, message: &[u8], masks: &Masks) {
        self.count += 1;
        if self.first.len() < COUNT_MAX {
            self.first.push(show(message, masks));
        }
    }
}

/// `; instead came …`; nothing if nothing came.
impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        write!(f, "; instead came {}", self.first.join(", then "))?;
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// The message on one harmless line, without secrets, or a description of it.
pub(crate) fn show(message: &[u8], masks: &Masks) -> String {
    let message = message.trim_ascii();
    let Ok(text) = std::str::from_utf8(message) else {
        return format!("{} bytes that are no text", message.len());
    };
    let is_plain = !text.contains('{') && !text.starts_with('[');
    if text.len() <= BYTES_MAX && (is_plain || is_error(text)) {
        return masks.show(message, BYTES_MAX);
    }
    let size = text.len();
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => format!("an object{} ({size} bytes)", names(&members, masks)),
        Ok(Value::Array(elements)) => format!("an array of length {} ({size} bytes)", elements.len()),
        Ok(_) => format!("a JSON text ({size} bytes)"),
        Err(_) => format!("a text that is not JSON ({size} bytes)"),
    }
}

fn is_error(text: &str) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return false };
    members.iter().any(|(name, value)| {
        let name = name.to_ascii_lowercase().replace('_', "");
        let says_error = || value.as_str().is_some_and(|value| value.to_ascii_lowercase().contains("error"));
        ERROR_MEMBERS.contains(&name.as_str()) || (KIND_MEMBERS.contains(&name.as_str()) && says_error())
    })
}

/// Names are not the payload, but they come from the server too.
fn names(members: &Map<String, Value>, masks: &Masks) -> String {
    if members.is_empty() {
        return String::new();
    }
    let names: Vec<_> =
        members.keys().take(COUNT_MAX).map(|name| masks.show(name.as_bytes(), NAME_CHARS_MAX)).collect();
    let more = if members.len() > COUNT_MAX { ", …" } else { "" };
    format!(" with {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], expected: &str) {
        assert_eq!(show(message, &Masks::new(["t0k\"en", "k3y-4711"])), expected);
    }

    #[test]
    fn words_and_errors_are_shown_without_secrets() {
        check(b" \"unauthorized\"\n", "\"unauthorized\"");
        check(b"RATE_LIMIT_EXCEEDED", "RATE_LIMIT_EXCEEDED");
        check(b"bad token \"t0k\\\"en\" \x1b[31m", "bad token \"***\" \\u{1b}[31m");
        check(br#"{"error":"no k3y-4711","code":401}"#, r#"{"error":"no ***","code":401}"#);
        check(br#"{"t0k\"en":1}"#, "an object with *** (13 bytes)");
        check(br#"{"error_code":7}"#, r#"{"error_code":7}"#);
        check(
            br#"{"type":"connection_ERROR","message":"expired"}"#,
            r#"{"type":"connection_ERROR","message":"expired"}"#,
        );
    }

    #[test]
    fn what_may_be_an_event_is_described_only() {
        check(br#"{"agentId":"hunter2"}"#, "an object with agentId (21 bytes)");
        check(br#"{"type":"call","c":"hunter2","b":2,"a":1}"#, "an object with a, b, c, … (41 bytes)");
        check(br#"[{"agentId":"hunter2"},2]"#, "an array of length 2 (25 bytes)");
        check(br#""{\"agentId\":\"hunter2\"}""#, "a JSON text (27 bytes)");
        check(br#"{"agentId":"hunter2""#, "a text that is not JSON (20 bytes)");
        check(br#"{"error":"hunter2"} {"#, "a text that is not JSON (21 bytes)");
        check(b"\xff hunter2", "9 bytes that are no text");
        check(b"{}", "an object (2 bytes)");
        let long = format!("{{\"error\":\"{}\"}}", "hunter2".repeat(40));
        check(long.as_bytes(), "an object with error (292 bytes)");
        check("hunter2".repeat(40).as_bytes(), "a text that is not JSON (280 bytes)");
    }

    #[test]
    fn the_first_messages_are_listed_and_the_others_counted() {
        let mut came = Came::default();
        assert_eq!(came.to_string(), "");
        for word in ["one", "two", "three", "four", "five"] {
            came.add(word.as_bytes(), &Masks::default());
            if came.count == 1 {
                assert_eq!(came.to_string(), "; instead came one");
            }
        }
        assert_eq!(came.to_string(), "; instead came one, then two, then three, and 2 more");
    }
}
