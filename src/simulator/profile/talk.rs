//! The server's side of one conversation, as a value: no socket, no clock of its own.

use std::time::Instant;

use serde_json::Value as Json;

use super::dialect::{Dialect, Exchange, Expected};
use crate::simulator::options::OpenFailure;

/// The meaning of a message of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulator) enum Heard {
    /// It has none, or it is to stay without an answer.
    Nothing,
    /// A step of the opening that is not the last one.
    Step {
        answer: String,
    },
    /// The conversation is open.
    Opened {
        answer: String,
        token_expiry: Option<Instant>,
    },
    /// The opening fails, as an option demands; the connection stays.
    OpeningFailed {
        answer: Option<String>,
    },
    Heartbeat {
        answer: String,
    },
    Acknowledged {
        n: u64,
    },
    /// The client broke the rules: the code and the reason to close with.
    Violation(u16, &'static str),
}

const CODE_POLICY: u16 = 1008;
const CODE_TOKEN: u16 = 4001;

/// A conversation after its handshake.
pub(in crate::simulator) struct Talk<'a> {
    dialect: &'static Dialect,
    stream_id: &'a str,
    /// When a token expires; `None`: it is not valid.
    token_expiry: &'a (dyn Fn(&str) -> Option<Instant> + Sync),
    failure: Option<OpenFailure>,
    steps: usize,
    /// The earliest expiry of the tokens in the opening.
    expiry: Option<Instant>,
    has_failed: bool,
}

impl<'a> Talk<'a> {
    pub(in crate::simulator) fn new(
        dialect: &'static Dialect,
        stream_id: &'a str,
        token_expiry: &'a (dyn Fn(&str) -> Option<Instant> + Sync),
        failure: Option<OpenFailure>,
    ) -> Self {
        Self { dialect, stream_id, token_expiry, failure, steps: 0, expiry: None, has_failed: false }
    }

    /// Takes a message of the client.
    pub(in crate::simulator) fn hear(&mut self, message: &[u8]) -> Heard {
        if self.has_failed || self.dialect.open.is_empty() {
            return Heard::Nothing;
        }
        let Ok(message) = serde_json::from_slice::<Json>(message) else {
            return Heard::Violation(CODE_POLICY, "the message is not JSON");
        };
        match self.dialect.open.get(self.steps) {
            Some(step) => self.hear_opening(step, &message),
            None => self.hear_later(&message),
        }
    }

    fn hear_opening(&mut self, step: &'static Exchange, message: &Json) -> Heard {
        if let Some(violation) = self.violation(step.has, message) {
            return violation;
        }
        self.steps += 1;
        let answer = self.answer(step, message);
        if self.steps < self.dialect.open.len() {
            return Heard::Step { answer };
        }
        self.has_failed = self.failure.is_some();
        match self.failure {
            None => Heard::Opened { answer, token_expiry: self.expiry },
            Some(OpenFailure::Refused) => Heard::OpeningFailed { answer: Some(self.dialect.open_refused.into()) },
            Some(OpenFailure::Garbage) => Heard::OpeningFailed { answer: Some("<html>502 Bad Gateway</html>".into()) },
            Some(OpenFailure::Silent) => Heard::OpeningFailed { answer: None },
        }
    }

    fn hear_later(&mut self, message: &Json) -> Heard {
        if let Some(heartbeat) = self.dialect.heartbeat.as_ref().filter(|heartbeat| is_kind(heartbeat.has, message)) {
            let violation = self.violation(heartbeat.has, message);
            return violation.unwrap_or_else(|| Heard::Heartbeat { answer: self.answer(heartbeat, message) });
        }
        let acknowledged = self.dialect.ack.as_ref().filter(|ack| is_kind(ack.has, message)).map(|ack| {
            let id = message.pointer(ack.id).and_then(Json::as_str);
            let n = id.and_then(|id| id.strip_prefix(ack.id_prefix)?.parse().ok());
            n.map_or(Heard::Violation(CODE_POLICY, "the acknowledgement names no message"), |n| Heard::Acknowledged {
                n,
            })
        });
        acknowledged.unwrap_or(Heard::Violation(CODE_POLICY, "the message is none of this stream"))
    }

    /// Checks each expected value; the reason to close where one differs.
    fn violation(&mut self, has: &[(&str, Expected)], message: &Json) -> Option<Heard> {
        has.iter().find_map(|(pointer, expected)| {
            let text = message.pointer(pointer).and_then(Json::as_str);
            let holds = match expected {
                Expected::Text(wanted) => text == Some(wanted),
                Expected::AnyText => text.is_some(),
                Expected::StreamId => text == Some(self.stream_id),
                Expected::Token => {
                    let expiry = text.and_then(self.token_expiry);
                    self.expiry = self.expiry.min(expiry).or(expiry);
                    if expiry.is_none() {
                        return Some(Heard::Violation(CODE_TOKEN, "the token is unknown or has expired"));
                    }
                    true
                }
            };
            (!holds).then_some(Heard::Violation(CODE_POLICY, "the message is not the one that opens this stream"))
        })
    }

    fn answer(&self, exchange: &Exchange, message: &Json) -> String {
        let echo = message.pointer(exchange.echo).cloned().unwrap_or_default();
        exchange.answer.replace("<stream_id>", self.stream_id).replace("<echo>", &echo.to_string())
    }
}

/// Whether the message is of this kind, whatever token it holds.
fn is_kind(has: &[(&str, Expected)], message: &Json) -> bool {
    has.iter().all(|(pointer, expected)| match expected {
        Expected::Text(wanted) => message.pointer(pointer).and_then(Json::as_str) == Some(wanted),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::dialects::dialect;
    use super::super::name::Profile;
    use super::*;

    fn talked(profile: Profile, failure: Option<OpenFailure>, messages: &[&str]) -> Vec<Heard> {
        let soon = Instant::now() + Duration::from_secs(60);
        let expiry = |token: &str| (token == "good").then_some(soon);
        let mut talk = Talk::new(dialect(profile), "s-1", &expiry, failure);
        messages.iter().map(|message| talk.hear(message.as_bytes())).collect()
    }

    const REGISTER: &str = r#"{"action":"register","payload":{"token":"good"}}"#;

    #[test]
    fn the_opening_is_answered_and_then_each_heartbeat() {
        let heard = talked(Profile::EventHub, None, &[REGISTER, r#"{"action":"heartbeat"}"#]);
        assert!(matches!(&heard[0], Heard::Opened { answer, token_expiry: Some(_) } if answer == "\"authorized\""));
        assert_eq!(heard[1], Heard::Heartbeat { answer: "\"pong\"".into() });
    }

    #[test]
    fn an_opening_of_two_steps_has_an_answer_for_each() {
        let connect = r#"{"command":"CONNECT","headers":{"sessionToken":"good"},"body":{}}"#;
        let subscribe = r#"{"command":"SUBSCRIBE","headers":{"sessionToken":"good"},"body":{"topic":"s-1"}}"#;
        let heard = talked(Profile::AgentAssist, None, &[connect, subscribe]);
        assert!(matches!(&heard[0], Heard::Step { answer } if answer.contains("CONNECTED")));
        assert!(matches!(&heard[1], Heard::Opened { answer, .. } if answer.contains(r#"{"topic":"s-1"}"#)));
        let heard = talked(Profile::AgentAssist, None, &[subscribe]);
        assert!(matches!(&heard[0], Heard::Violation(1008, _)), "{heard:?}");
    }

    #[test]
    fn a_wrong_token_ends_the_conversation() {
        let wrong = REGISTER.replace("good", "bad");
        let heard = talked(Profile::EventHub, None, &[&wrong]);
        assert_eq!(heard, [Heard::Violation(4001, "the token is unknown or has expired")]);
        let heartbeat = r#"{"command":"HEARTBEAT","headers":{"sessionToken":"bad"},"body":{}}"#;
        let mut talk = Talk::new(dialect(Profile::AgentAssist), "s-1", &|_| None, None);
        talk.steps = 2;
        assert!(matches!(talk.hear(heartbeat.as_bytes()), Heard::Violation(4001, _)));
    }

    #[test]
    fn an_acknowledgement_names_its_message() {
        let open = r#"{"type":"auth","data":{"jwt":"good","tenant_id":"s-1"}}"#;
        let heard =
            talked(Profile::EightByEight, None, &[open, r#"{"type":"ack","id":"n-17"}"#, r#"{"type":"ack","id":17}"#]);
        assert_eq!(heard[1], Heard::Acknowledged { n: 17 });
        assert!(matches!(heard[2], Heard::Violation(1008, _)));
    }

    #[test]
    fn an_opening_fails_as_demanded() {
        for (failure, expected) in [
            (OpenFailure::Refused, Some("\"RATE_LIMIT_EXCEEDED\"".to_owned())),
            (OpenFailure::Garbage, Some("<html>502 Bad Gateway</html>".to_owned())),
            (OpenFailure::Silent, None),
        ] {
            let heard = talked(Profile::EventHub, Some(failure), &[REGISTER, REGISTER]);
            assert_eq!(heard, [Heard::OpeningFailed { answer: expected }, Heard::Nothing]);
        }
    }

    #[test]
    fn an_answer_repeats_what_it_answers() {
        let heartbeat = r#"[{"type":"Heartbeat","messageId":"a\"b"}]"#;
        let mut talk = Talk::new(dialect(Profile::RingCentral), "s-1", &|_| None, None);
        talk.steps = 1;
        assert_eq!(talk.hear(heartbeat.as_bytes()), Heard::Heartbeat { answer: heartbeat.into() });
    }
}
