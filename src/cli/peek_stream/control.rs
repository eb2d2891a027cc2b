//! Messages that hold no event: answers and signs of life, recognised by their words.

use serde_json::{Map, Value};

use crate::config::MessagePattern;

/// A longer message is hardly one of them.
const BYTES_MAX: usize = 300;
/// Nor is an object with more members.
const MEMBERS_MAX: usize = 5;
/// Members that say what a message is, the most telling first.
const TELLING: [&str; 12] = [
    "command",
    "action",
    "event",
    "eventName",
    "type",
    "messageType",
    "kind",
    "op",
    "method",
    "status",
    "message",
    "topicName",
];

/// The purpose of a message, as far as its words show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To request a delay.
    Refusal,
    /// To say that something is wrong.
    Failure,
    /// An answer to a heartbeat.
    Pong,
    /// A heartbeat of the server's own.
    Heartbeat,
    /// An answer to the opening messages.
    Greeting,
    /// No words that are known here.
    Unknown,
}

/// A short message and how to name it in the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Control {
    pub(super) purpose: Purpose,
    pub(super) pattern: MessagePattern,
}

/// `None` for a message that is too large, or has too much in it, to be one of them.
pub(super) fn control(message: &[u8]) -> Option<Control> {
    let text = str::from_utf8(message).ok()?.trim();
    if text.is_empty() || text.len() > BYTES_MAX {
        return None;
    }
    let whole = || MessagePattern::Text(text.to_owned());
    let (word, pattern) = match serde_json::from_str(text) {
        Ok(Value::Object(members)) if members.len() > MEMBERS_MAX => return None,
        Ok(Value::Object(members)) => match telling(&members) {
            Some((pointer, value)) => {
                (value.to_owned(), MessagePattern::Member { pointer, equals: vec![value.into()] })
            }
            None => return Some(Control { purpose: Purpose::Unknown, pattern: whole() }),
        },
        Ok(Value::String(word)) => (word, whole()),
        Ok(_) => return None,
        Err(_) if text.contains('\n') => return None,
        Err(_) => (text.to_owned(), whole()),
    };
    Some(Control { purpose: purpose(&word), pattern })
}

fn telling(members: &Map<String, Value>) -> Option<(String, &str)> {
    TELLING.iter().find_map(|name| Some((format!("/{name}"), members.get(*name)?.as_str()?)))
}

fn purpose(word: &str) -> Purpose {
    let word = word.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
    if has(&["rate_limit", "rate limit", "ratelimit", "too many", "too_many", "throttl", "slow down"]) {
        Purpose::Refusal
    } else if has(&["error", "denied", "unauthori", "forbidden", "invalid", "expired", "fail", "not_auth"]) {
        Purpose::Failure
    } else if has(&["pong"])
        || (has(&["heartbeat", "ping", "keepalive", "keep-alive"]) && has(&["ack", "ok", "response"]))
    {
        Purpose::Pong
    } else if has(&["heartbeat", "keepalive", "keep-alive", "keep_alive"]) || word == "ping" {
        Purpose::Heartbeat
    } else if has(&[
        "authori",
        "authenticat",
        "regist",
        "connected",
        "subscri",
        "welcome",
        "ready",
        "logged",
        "session",
    ]) {
        Purpose::Greeting
    } else {
        Purpose::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_message_tell_its_purpose() {
        let check = |message: &str, expected: Option<(Purpose, &str)>| {
            let found = control(message.as_bytes());
            let shown = found.as_ref().map(|found| match &found.pattern {
                MessagePattern::Text(text) => (found.purpose, text.clone()),
                MessagePattern::Member { pointer, equals } => {
                    (found.purpose, format!("{pointer}={}", equals[0].as_str().unwrap()))
                }
                MessagePattern::CloseCode(_) => unreachable!(),
            });
            assert_eq!(shown.as_ref().map(|(purpose, text)| (*purpose, text.as_str())), expected, "{message}");
        };
        check(r#""authorized""#, Some((Purpose::Greeting, r#""authorized""#)));
        check(r#""unauthorized""#, Some((Purpose::Failure, r#""unauthorized""#)));
        check(r#""pong""#, Some((Purpose::Pong, r#""pong""#)));
        check("pong\n", Some((Purpose::Pong, "pong")));
        check(r#""RATE_LIMIT_EXCEEDED""#, Some((Purpose::Refusal, r#""RATE_LIMIT_EXCEEDED""#)));
        check(r#"{"command":"HEARTBEAT_ACK","headers":{}}"#, Some((Purpose::Pong, "/command=HEARTBEAT_ACK")));
        check(r#"{"command":"SUBSCRIBED","id":4}"#, Some((Purpose::Greeting, "/command=SUBSCRIBED")));
        check(r#"{"type":"heartbeat"}"#, Some((Purpose::Heartbeat, "/type=heartbeat")));
        check(r#"{"a":1}"#, Some((Purpose::Unknown, r#"{"a":1}"#)));
        check("", None);
        check("[1]", None);
        check(&format!("\"{}\"", "x".repeat(BYTES_MAX)), None);
        check(r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"type":"pong"}"#, None);
    }
}
