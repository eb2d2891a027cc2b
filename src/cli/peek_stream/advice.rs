//! The settings that the messages of a stream suggest.

use std::collections::HashMap;

use serde_json::Value;

use super::as_toml::{list, shown, text};
use super::control::{Control, Purpose, control};
use super::envelope::{self, Envelope, Fit};
use super::start::Start;
use super::suggestion::Suggestion;
use crate::config::EventConfig;
use crate::source::{Meaning, PeekedEvent};
use crate::{Config, Validator};

/// Gathers what the messages suggest.
pub(super) struct Advisor<'a> {
    config: &'a Config,
    validator: &'a Validator,
    /// Short messages that are no events, each once, in the order in which they came, and how often they came.
    controls: Vec<(Control, u64)>,
    envelopes: HashMap<Envelope, u64>,
    start: Start,
    has_answer: bool,
    has_heartbeat_answer: bool,
    has_events: bool,
}

impl<'a> Advisor<'a> {
    pub(super) fn new(config: &'a Config, validator: &'a Validator) -> Self {
        Self {
            config,
            validator,
            controls: Vec::new(),
            envelopes: HashMap::new(),
            start: Start::default(),
            has_answer: false,
            has_heartbeat_answer: false,
            has_events: false,
        }
    }

    /// Notes a message; returns a remark on it.
    pub(super) fn note(&mut self, message: &[u8], meaning: &Meaning) -> Option<String> {
        match meaning {
            Meaning::OpenAnswer => self.has_answer = true,
            Meaning::HeartbeatAnswer => self.has_heartbeat_answer = true,
            Meaning::Refused(_) | Meaning::Ignored(_) => {}
            Meaning::Events(events) => return self.note_events(message, events),
        }
        None
    }

    fn note_events(&mut self, message: &[u8], events: &[PeekedEvent]) -> Option<String> {
        let is_good = |event: &PeekedEvent| event.problem.is_none() && self.validator.validate(&event.bytes).is_ok();
        if events.iter().any(is_good) {
            self.has_events = true;
            return None;
        }
        let short = control(message);
        if let Some(found) = short.clone().filter(|short| short.purpose != Purpose::Unknown) {
            return Some(self.note_control(found));
        }
        if let Some(found) =
            envelope::suggested(message, |event| self.fit(event)).filter(|found| self.is_news(found, events))
        {
            let remark = format!("try {}: {}", settings(&found), found.why);
            *self.envelopes.entry(found).or_default() += 1;
            return Some(remark);
        }
        if let Some(found) = short.filter(|_| !self.is_unwrapped(events)) {
            let remark = self.note_control(found);
            // A short object may well be an event.
            if events.iter().any(|event| event.problem.is_some()) || !message.trim_ascii_start().starts_with(b"{") {
                return Some(remark);
            }
        }
        let unwrapped = events.iter().filter(|event| event.problem.is_none());
        unwrapped.for_each(|event| self.start.note(&event.bytes));
        None
    }

    fn fit(&self, event: &Value) -> Fit {
        match self.validator.validate(event.to_string().as_bytes()) {
            Ok(()) => Fit::Passes,
            Err(error) => Fit::Lacks(error.violations().iter().filter(|found| found.keyword == "required").count()),
        }
    }

    /// Whether `[event]` says how to unwrap such a message.
    fn is_unwrapped(&self, events: &[PeekedEvent]) -> bool {
        self.config.event != EventConfig::default() && events.iter().all(|event| event.problem.is_none())
    }

    /// A message that can be unwrapped needs other settings only if the schema says so.
    fn is_news(&self, found: &Envelope, events: &[PeekedEvent]) -> bool {
        let own = &self.config.event;
        let is_same =
            (own.path.as_deref().unwrap_or_default(), own.each, own.lines) == (&found.path, found.each, found.lines);
        !is_same && (!self.is_unwrapped(events) || found.is_valid)
    }

    fn note_control(&mut self, found: Control) -> String {
        let remark = self.remark(&found);
        match self.controls.iter_mut().find(|(known, _)| *known == found) {
            Some((_, times)) => *times += 1,
            None => self.controls.push((found, 1)),
        }
        remark
    }

    fn remark(&self, found: &Control) -> String {
        let pattern = shown(&found.pattern);
        let stream = &self.config.stream;
        match found.purpose {
            Purpose::Refusal => format!("this seems to request a delay: try stream.open_refused = [{pattern}]"),
            Purpose::Failure if stream.open.is_empty() => "this seems to be an error: read what it says".into(),
            Purpose::Failure => {
                "this seems to be an error: check the messages in stream.open, and that the token is for this stream"
                    .into()
            }
            Purpose::Pong if stream.heartbeat.is_some() => {
                format!("this seems to answer the heartbeat: try stream.heartbeat_answer = {pattern}")
            }
            Purpose::Greeting if !stream.open.is_empty() && !self.has_answer => {
                format!("this seems to answer stream.open: try stream.open_answer = {pattern}")
            }
            Purpose::Pong | Purpose::Heartbeat | Purpose::Greeting => {
                format!("this seems to hold no event: try stream.ignore = [{pattern}]")
            }
            Purpose::Unknown => format!("if this holds no event: stream.ignore = [{pattern}]"),
        }
    }

    /// The suggestions of all messages together, in the order of the keys.
    pub(super) fn suggestions(&self) -> Vec<Suggestion> {
        let stream = &self.config.stream;
        let mut found = Vec::new();
        let with = |wanted: Purpose| self.controls.iter().filter(move |(control, _)| control.purpose == wanted);
        let mut suggest = |key, value, why: &str| found.push(Suggestion { key, value, why: why.into() });

        // Of several answers the last one says that all is done.
        let answer = with(Purpose::Greeting).next_back().filter(|_| !stream.open.is_empty() && !self.has_answer);
        if let Some((control, _)) = answer {
            suggest("stream.open_answer", shown(&control.pattern), "came after the opening messages");
        }
        if with(Purpose::Refusal).next().is_some() {
            let refused = stream.open_refused.iter().chain(with(Purpose::Refusal).map(|(control, _)| &control.pattern));
            suggest("stream.open_refused", list(refused), "requests a delay");
        }
        let pong = with(Purpose::Pong).next().filter(|_| stream.heartbeat.is_some() && !self.has_heartbeat_answer);
        if let Some((control, _)) = pong {
            suggest("stream.heartbeat_answer", shown(&control.pattern), "came after a heartbeat");
        }
        let chosen: Vec<_> = answer.into_iter().chain(pong).map(|(control, _)| &control.pattern).collect();
        let ignored = self.controls.iter().filter(|(control, times)| match control.purpose {
            Purpose::Pong | Purpose::Heartbeat | Purpose::Greeting => true,
            Purpose::Refusal | Purpose::Failure => false,
            Purpose::Unknown => *times > 1 && (self.has_events || !self.envelopes.is_empty()),
        });
        let ignored: Vec<_> =
            ignored.map(|(control, _)| &control.pattern).filter(|one| !chosen.contains(one)).collect();
        if !ignored.is_empty() {
            suggest("stream.ignore", list(stream.ignore.iter().chain(ignored)), "seems to hold no event");
        }
        if let Some((envelope, times)) =
            self.envelopes.iter().max_by_key(|(envelope, times)| (**times, envelope.is_valid))
        {
            let why = format!("{}, in {times} of the messages", envelope.why);
            for (key, value) in pairs(envelope) {
                suggest(key, value, &why);
            }
        }
        let schema = &self.config.schema;
        if !self.has_events && schema.file.is_none() && schema.inline.is_none() {
            found.extend(self.start.suggestions());
        }
        found
    }
}

/// The keys that differ from their defaults.
fn pairs(envelope: &Envelope) -> Vec<(&'static str, String)> {
    let path = (!envelope.path.is_empty()).then(|| ("event.path", text(&envelope.path)));
    let each = envelope.each.then(|| ("event.each", "true".into()));
    let lines = envelope.lines.then(|| ("event.lines", "true".into()));
    [path, each, lines].into_iter().flatten().collect()
}

fn settings(envelope: &Envelope) -> String {
    let all: Vec<_> = pairs(envelope).iter().map(|(key, value)| format!("{key} = {value}")).collect();
    all.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        r#"{"interactionId":"i","timestamp":"2026-11-26T22:00:00Z","type":"call","idempotencyKey":"k"}"#;

    fn events(message: &str, problem: Option<&str>) -> Meaning {
        Meaning::Events(vec![PeekedEvent { bytes: message.into(), problem: problem.map(Into::into) }])
    }

    /// The suggestions for these messages, as `key = value`; each of them is a setting that the configuration takes.
    fn suggestions(settings: &[(&str, &str)], messages: &[(&str, Meaning)]) -> Vec<String> {
        let mut config = Config::default();
        for (key, value) in settings {
            config.set(key, value).unwrap();
        }
        let validator = Validator::new(&config).unwrap();
        let mut advisor = Advisor::new(&config, &validator);
        for (message, meaning) in messages {
            advisor.note(message.as_bytes(), meaning);
        }
        let found = advisor.suggestions();
        let mut changed = config.clone();
        for one in &found {
            // A variable holds a text without TOML's quotes.
            let bare = one.value.strip_prefix(['\'', '"']).and_then(|value| value.strip_suffix(['\'', '"']));
            changed.set(one.key, bare.unwrap_or(&one.value)).unwrap();
        }
        found.into_iter().map(|one| format!("{} = {}", one.key, one.value)).collect()
    }

    #[test]
    fn events_suggest_nothing() {
        assert!(suggestions(&[], &[(EVENT, events(EVENT, None))]).is_empty());
        let ignored = [("\"pong\"", Meaning::Ignored(None)), ("\"hello\"", Meaning::OpenAnswer)];
        assert!(suggestions(&[], &ignored).is_empty());
    }

    #[test]
    fn control_messages_suggest_the_settings_of_the_conversation() {
        let say = |message: &'static str| (message, events(message, None));
        let open = ("stream.open", "hello");
        let beat = ("stream.heartbeat", "beat");
        let check = |settings: &[(&str, &str)], messages: &[&'static str], expected: &[&str]| {
            let messages: Vec<_> = messages.iter().map(|message| say(message)).collect();
            assert_eq!(suggestions(settings, &messages), expected);
        };
        check(&[open], &["\"authorized\""], &["stream.open_answer = '\"authorized\"'"]);
        check(&[], &["\"authorized\""], &["stream.ignore = ['\"authorized\"']"]);
        check(&[beat], &["pong"], &["stream.heartbeat_answer = \"pong\""]);
        check(&[], &["pong"], &["stream.ignore = [\"pong\"]"]);
        check(&[], &["it's a ping ack"], &["stream.ignore = [\"it's a ping ack\"]"]);
        check(&[], &["\"RATE_LIMIT_EXCEEDED\""], &["stream.open_refused = ['\"RATE_LIMIT_EXCEEDED\"']"]);
        check(&[], &["\"unauthorized\""], &[]);
        check(
            &[open, beat, ("stream.ignore", "[{ pointer = \"/command\", equals = \"A\" }, 'b']")],
            &[r#"{"command":"CONNECTED"}"#, r#"{"command":"SUBSCRIBED"}"#, r#"{"command":"HEARTBEAT_ACK"}"#],
            &[
                "stream.open_answer = { pointer = \"/command\", equals = \"SUBSCRIBED\" }",
                "stream.heartbeat_answer = { pointer = \"/command\", equals = \"HEARTBEAT_ACK\" }",
                "stream.ignore = [{ pointer = \"/command\", equals = [\"A\", \"CONNECTED\"] }, \"b\"]",
            ],
        );
        check(&[], &["tick", "tick", EVENT], &["stream.ignore = [\"tick\"]"]);
        check(&[], &["tick", "tock", EVENT], &[]);
        check(&[], &["tick", "tick"], &[]);
    }

    #[test]
    fn envelopes_suggest_the_settings_of_the_event() {
        let envelope = format!(r#"{{"body":{{"data":{}}}}}"#, Value::from(EVENT));
        let (lines, array) = (format!("{EVENT}\n{EVENT}"), format!("[{EVENT}]"));
        assert_eq!(suggestions(&[], &[(&envelope, events(&envelope, None))]), ["event.path = \"/body/data\""]);
        assert_eq!(suggestions(&[], &[(&lines, events(&lines, None))]), ["event.lines = true"]);
        assert_eq!(suggestions(&[], &[(&array, events(&array, None))]), ["event.each = true"]);
        let wrong = [("event.path", "/data")];
        assert_eq!(suggestions(&wrong, &[(&envelope, events(&envelope, Some("no")))]), ["event.path = \"/body/data\""]);
        // An event that is only invalid is no envelope.
        let right = [("event.path", "/body/data")];
        assert!(suggestions(&right, &[(&envelope, events(r#"{"a":{"b":1,"c":2,"d":3}}"#, None))]).is_empty());
    }
}
