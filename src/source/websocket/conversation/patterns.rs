//! Patterns of control messages, taken apart once for many messages.

use serde_json::{Number, Value};

use crate::config::MessagePattern;
use crate::error::Result;
use crate::source::raw_json::{self, Pointer};

/// Compiles patterns; each pointer is looked up once in a message, however many patterns have it.
#[derive(Debug, Default)]
pub(super) struct Pointers(Vec<Pointer>);

/// A pattern of a message.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The whole message, without the white space around it.
    Text(String),
    /// The value at this pointer is one of these; no values: any value.
    Member { pointer: usize, equals: Vec<Value> },
}

/// A message, with the members that patterns have looked up.
pub(super) struct Members<'p, 'm> {
    pointers: &'p [Pointer],
    trimmed: &'m [u8],
    found: Vec<Look<'m>>,
}

/// The bytes of a value; none also if the message is not JSON.
#[derive(Clone, Copy)]
enum Look<'m> {
    NotYet,
    Done(Option<&'m str>),
}

impl Pointers {
    /// `None` for the code of a close frame.
    pub(super) fn compile(&mut self, pattern: &MessagePattern) -> Result<Option<Pattern>> {
        Ok(match pattern {
            MessagePattern::Text(text) => Some(Pattern::Text(text.trim().to_owned())),
            MessagePattern::Member { pointer, equals } => {
                let pointer = Pointer::parse(pointer)?;
                Some(Pattern::Member { pointer: self.place_of(pointer), equals: equals.clone() })
            }
            MessagePattern::CloseCode(_) => None,
        })
    }

    fn place_of(&mut self, pointer: Pointer) -> usize {
        self.0.iter().position(|known| *known == pointer).unwrap_or_else(|| {
            self.0.push(pointer);
            self.0.len() - 1
        })
    }

    pub(super) fn members<'m>(&self, message: &'m [u8]) -> Members<'_, 'm> {
        Members { pointers: &self.0, trimmed: message.trim_ascii(), found: vec![Look::NotYet; self.0.len()] }
    }
}

impl<'m> Members<'_, 'm> {
    fn get(&mut self, pointer: usize) -> Option<&'m str> {
        if let Look::Done(found) = self.found[pointer] {
            return found;
        }
        let text = std::str::from_utf8(self.trimmed).ok();
        let found = text.and_then(|text| raw_json::at(text, &self.pointers[pointer]).ok()?);
        self.found[pointer] = Look::Done(found);
        found
    }
}

impl Pattern {
    pub(super) fn matches(&self, message: &mut Members<'_, '_>) -> bool {
        match self {
            Self::Text(text) => message.trimmed == text.as_bytes(),
            Self::Member { pointer, equals } => message.get(*pointer).is_some_and(|raw| is_one_of(raw, equals)),
        }
    }
}

fn is_one_of(raw: &str, values: &[Value]) -> bool {
    if values.is_empty() {
        return true;
    }
    // Only scalars can be equal, and a tree may be large.
    !raw.starts_with(['{', '['])
        && serde_json::from_str(raw).is_ok_and(|found| values.iter().any(|value| is_same(&found, value)))
}

/// As values: 1 is 1.0.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_same_number(one, other),
        _ => one == other,
    }
}

fn is_same_number(one: &Number, other: &Number) -> bool {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one == other,
        _ => one.as_f64() == other.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pattern: &MessagePattern, message: &str, expected: bool) {
        let mut pointers = Pointers::default();
        let compiled = pointers.compile(pattern).unwrap().unwrap();
        assert_eq!(compiled.matches(&mut pointers.members(message.as_bytes())), expected, "{pattern:?} {message}");
    }

    fn member(pointer: &str, equals: &[Value]) -> MessagePattern {
        MessagePattern::Member { pointer: pointer.into(), equals: equals.to_vec() }
    }

    #[test]
    fn a_text_is_the_whole_message_without_white_space_around_it() {
        let pattern = MessagePattern::Text(" \"pong\"\n".into());
        check(&pattern, "\"pong\"", true);
        check(&pattern, "\r\n \"pong\" \t", true);
        check(&pattern, "pong", false);
        check(&pattern, "\"pong\" \"pong\"", false);
        check(&pattern, "\"\\u0070ong\"", false);
        check(&pattern, "", false);
        check(&MessagePattern::Text("pong".into()), "pong", true);
    }

    #[test]
    fn a_member_is_compared_by_its_json_value() {
        let command = member("/command", &[json!("ACK"), json!("SUBSCRIBED")]);
        check(&command, r#"{"command":"ACK"}"#, true);
        check(&command, r#"{"command":"\u0041CK","body":{}}"#, true);
        check(&command, r#"{"command":"MESSAGE","command":"SUBSCRIBED"}"#, true);
        check(&command, r#"{"command":"ACK","command":"MESSAGE"}"#, false);
        check(&command, r#"{"command":"ack"}"#, false);
        check(&command, r#"{"command":["ACK"]}"#, false);
        check(&command, r#"{"body":{"command":"ACK"}}"#, false);
        check(&command, r#"{"command":"ACK""#, false);
        check(&command, "ACK", false);

        let number = member("/0/code", &[json!(1), json!(true), json!(0.5)]);
        check(&number, r#"[{"code":1}]"#, true);
        check(&number, r#"[{"code":1.0}]"#, true);
        check(&number, r#"[{"code":10e-1}]"#, true);
        check(&number, r#"[{"code":true}]"#, true);
        check(&number, r#"[{"code":5e-1}]"#, true);
        check(&number, r#"[{"code":"1"}]"#, false);
        check(&number, r#"[{"code":2}]"#, false);
        check(&number, r#"[{"code":1e999}]"#, false);
        check(&number, r#"[{"code":null}]"#, false);
    }

    #[test]
    fn without_values_any_value_matches() {
        let any = member("/ack", &[]);
        for value in ["null", "{}", "[1]", "\"\"", "false"] {
            check(&any, &format!(r#"{{"ack":{value}}}"#), true);
        }
        check(&any, r#"{"nack":1}"#, false);
        check(&member("", &[]), "\"whole\"", true);
        check(&member("", &[]), "not JSON", false);
    }

    #[test]
    fn bytes_that_are_no_text_match_no_member() {
        let mut pointers = Pointers::default();
        let pattern = pointers.compile(&member("/a", &[])).unwrap().unwrap();
        assert!(!pattern.matches(&mut pointers.members(b"{\"a\":\"\xff\"}")));
    }

    #[test]
    fn a_pointer_is_looked_up_once() {
        let mut pointers = Pointers::default();
        for pattern in [member("/a", &[]), member("/b", &[]), member("/a", &[json!(1)])] {
            pointers.compile(&pattern).unwrap();
        }
        assert_eq!(pointers.0.len(), 2);
        assert!(pointers.compile(&MessagePattern::CloseCode(4429)).unwrap().is_none());
    }
}
