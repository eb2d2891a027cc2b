//! The rules of the conversation (`[stream]` and `[event]`), compiled once for all connections.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::{Config, MessagePattern};
use crate::error::Result;
use crate::event::Burst;
use crate::source::unwrap::Unwrapper;
use crate::source::websocket::conversation::patterns::{Pattern, Pointers};
use crate::source::websocket::conversation::template::AckTemplate;

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Rules {
    pointers: Pointers,
    answer: Option<Pattern>,
    refusals: Vec<Pattern>,
    heartbeat_answer: Option<Pattern>,
    ignored: Vec<Pattern>,
    ack: Option<AckTemplate>,
    /// Whether it was said that a message lacks what its acknowledgement names.
    has_warned: AtomicBool,
    unwrapper: Option<Unwrapper>,
}

/// The meaning of a message by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// `stream.open_answer`, while it is awaited.
    Answer,
    /// One of `stream.open_refused`.
    Refusal,
    /// `stream.heartbeat_answer`.
    HeartbeatAnswer,
    /// One of `stream.ignore`.
    Ignored,
    /// Anything else.
    Events,
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let stream = &config.stream;
        let mut pointers = Pointers::default();
        let mut compile = |patterns: &[MessagePattern], key: &str| -> Result<Vec<Pattern>> {
            let compiled = patterns.iter().filter_map(|pattern| pointers.compile(pattern).transpose());
            compiled.collect::<Result<_>>().map_err(|error| error.while_doing(key))
        };
        let answer = compile(stream.open_answer.as_slice(), "stream.open_answer")?.pop();
        let refusals = compile(&stream.open_refused, "stream.open_refused")?;
        let heartbeat_answer = compile(stream.heartbeat_answer.as_slice(), "stream.heartbeat_answer")?.pop();
        let ignored = compile(&stream.ignore, "stream.ignore")?;
        let ack = stream.ack.as_deref().map(AckTemplate::parse).transpose();
        Ok(Self {
            pointers,
            answer,
            refusals,
            heartbeat_answer,
            ignored,
            ack: ack.map_err(|error| error.while_doing("stream.ack"))?,
            has_warned: AtomicBool::new(false),
            unwrapper: Unwrapper::new(&config.event)?,
        })
    }

    /// Whether every message is one event, and nothing has to be looked at.
    pub(crate) fn are_trivial(&self) -> bool {
        let has_patterns = self.has_answer() || self.has_heartbeat_answer();
        !has_patterns
            && self.refusals.is_empty()
            && self.ignored.is_empty()
            && self.ack.is_none()
            && self.unwrapper.is_none()
    }

    pub(crate) fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    pub(crate) fn has_heartbeat_answer(&self) -> bool {
        self.heartbeat_answer.is_some()
    }

    /// The meaning of the message. Once the stream is open, `stream.open_answer` means nothing: its pattern may match events.
    pub(crate) fn kind_of(&self, message: &[u8], awaits_answer: bool) -> MessageKind {
        let mut members = self.pointers.members(message);
        let mut is_any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&mut members));
        if awaits_answer && is_any(self.answer.as_slice()) {
            MessageKind::Answer
        } else if is_any(&self.refusals) {
            MessageKind::Refusal
        } else if is_any(self.heartbeat_answer.as_slice()) {
            MessageKind::HeartbeatAnswer
        } else if is_any(&self.ignored) {
            MessageKind::Ignored
        } else {
            MessageKind::Events
        }
    }

    /// Appends the events of the message; returns their number. Of a message that was cut nothing can be unwrapped.
    pub(crate) fn unwrap(&self, message: &[u8], is_cut: bool, burst: &mut Burst) -> usize {
        match &self.unwrapper {
            Some(unwrapper) if !is_cut => return unwrapper.unwrap(message, burst),
            Some(_) => burst.push_message(message),
            None => burst.push(message),
        }
        1
    }

    /// The acknowledgement of the message; `None` if none is wanted, or the message lacks what it should name.
    pub(crate) fn ack(&self, message: &[u8]) -> Option<String> {
        let ack = self.ack.as_ref()?.fill(message);
        if ack.is_none() && !self.has_warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "a message has nothing where stream.ack points, and is not acknowledged (compare the pointers in stream.ack with a message \
                 that cxsink peek-stream shows); this is said once"
            );
        }
        ack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(settings: &[(&str, &str)]) -> Rules {
        let mut config = Config::default();
        for (key, value) in settings {
            config.set(key, value).unwrap();
        }
        Rules::new(&config).unwrap()
    }

    #[test]
    fn by_default_nothing_is_looked_at() {
        assert!(rules(&[]).are_trivial());
        assert!(rules(&[("stream.open", r#"["hello"]"#), ("stream.heartbeat", "beat")]).are_trivial());
        for (key, value) in [
            ("stream.open_answer", "hello"),
            ("stream.open_refused", r#"["no"]"#),
            ("stream.heartbeat_answer", "pong"),
            ("stream.ignore", r#"["pong"]"#),
            ("stream.ack", "ok"),
            ("event.lines", "true"),
        ] {
            assert!(!rules(&[(key, value)]).are_trivial(), "{key}");
        }
        assert!(
            rules(&[("stream.open_refused", "[{ close_code = 4429 }]")]).are_trivial(),
            "the close frame is looked at"
        );
    }

    #[test]
    fn a_message_has_one_meaning() {
        use MessageKind::{Answer, Events, HeartbeatAnswer, Ignored, Refusal};
        let rules = rules(&[
            ("stream.open_answer", r#"{ pointer = "/command", equals = "CONNECTED" }"#),
            ("stream.open_refused", r#"["\"RATE_LIMIT\"", { pointer = "/command", equals = "ERROR" }]"#),
            ("stream.heartbeat_answer", r#"{ pointer = "/command", equals = "HEARTBEAT_ACK" }"#),
            ("stream.ignore", r#"[{ pointer = "/command", equals = ["SUBSCRIBED", "HEARTBEAT_ACK", "ERROR"] }]"#),
        ]);
        let check = |message: &str, awaiting, open| {
            assert_eq!(rules.kind_of(message.as_bytes(), true), awaiting, "{message}");
            assert_eq!(rules.kind_of(message.as_bytes(), false), open, "{message}");
        };
        check(r#"{"command":"CONNECTED"}"#, Answer, Events);
        check(r#"{"command":"ERROR"}"#, Refusal, Refusal);
        check("\"RATE_LIMIT\"", Refusal, Refusal);
        check(r#"{"command":"HEARTBEAT_ACK"}"#, HeartbeatAnswer, HeartbeatAnswer);
        check(r#"{"command":"SUBSCRIBED"}"#, Ignored, Ignored);
        check(r#"{"command":"MESSAGE"}"#, Events, Events);
        check("", Events, Events);
    }
}
