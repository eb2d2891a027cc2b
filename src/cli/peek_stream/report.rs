//! The output of `peek-stream`: text for people, the messages alone, or JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::as_toml::shown;
use super::suggestion::Suggestion;
use crate::Validator;
use crate::cli::arguments::PeekStream;
use crate::cli::format::{count, counted};
use crate::cli::print::print_out;
use crate::source::{Meaning, PeekedEvent};

/// Characters of a message in the form for people, and of an event in it.
const CHARS_MAX: usize = 2000;
/// Events of a message, and problems of an event, in the form for people.
const LISTED_MAX: usize = 5;

/// A text of the conversation without its secrets, cut after this number of characters.
pub(super) type Shown<'a> = &'a dyn Fn(&[u8], usize) -> String;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Raw,
    Json,
}

/// Prints, and counts what it has printed.
pub(super) struct Report<'a> {
    form: Form,
    validator: &'a Validator,
    pub(super) messages: u64,
    answers: u64,
    ignored: u64,
    events: u64,
    valid: u64,
    not_unwrapped: u64,
    /// The latest problems, and the number of their message: they are not printed twice.
    printed: (u64, Vec<String>),
}

impl<'a> Report<'a> {
    pub(super) fn new(options: &PeekStream, validator: &'a Validator) -> Self {
        let form = match (options.raw, options.json) {
            (true, _) => Form::Raw,
            (false, true) => Form::Json,
            (false, false) => Form::Text,
        };
        Self {
            form,
            validator,
            messages: 0,
            answers: 0,
            ignored: 0,
            events: 0,
            valid: 0,
            not_unwrapped: 0,
            printed: (0, Vec::new()),
        }
    }

    pub(super) fn opened(&self, address: &str) {
        match self.form {
            Form::Text => line("open", address),
            Form::Json => print_out!("{}", json!({"open": address})),
            Form::Raw => {}
        }
    }

    pub(super) fn sent(&self, key: &str, message: &[u8], shown: Shown<'_>) {
        match self.form {
            Form::Text => {
                line("sent", &shown(message, CHARS_MAX));
                line("", &format!("({key})"));
            }
            Form::Json => print_out!("{}", json!({"sent": shown(message, usize::MAX), "key": key})),
            Form::Raw => {}
        }
    }

    pub(super) fn received(&mut self, message: &[u8], meaning: &Meaning, remark: Option<&str>, shown: Shown<'_>) {
        self.messages += 1;
        let events = self.count(meaning);
        match self.form {
            Form::Raw => print_out!("{}", shown(message, usize::MAX)),
            Form::Json => print_out!("{}", self.as_json(message, meaning, &events, remark, shown)),
            Form::Text => {
                line(&format!("received {}", self.messages), &cut(message, shown));
                match meaning {
                    Meaning::OpenAnswer => line("", "the answer to the opening messages: the stream is open"),
                    Meaning::HeartbeatAnswer => line("", "the answer to the heartbeat; counted as ignored"),
                    Meaning::Refused(pattern) => {
                        line(
                            "",
                            &format!("the server requests a delay (stream.open_refused: {})", self::shown(pattern)),
                        );
                    }
                    Meaning::Ignored(None) => line("", "ignored: an array without elements"),
                    Meaning::Ignored(Some(pattern)) => {
                        line("", &format!("ignored (stream.ignore: {})", self::shown(pattern)));
                    }
                    Meaning::Events(_) => self.describe(message, &events, remark.is_some(), shown),
                }
                if let Some(remark) = remark {
                    line("", &format!("→ {}", shown(remark.as_bytes(), CHARS_MAX)));
                }
            }
        }
    }

    /// The events of a message, with what is wrong with each. It may be left out where something else is to be tried first.
    fn describe(&mut self, message: &[u8], events: &[Judged<'_>], has_remark: bool, shown: Shown<'_>) {
        for Judged { event, problems } in events.iter().take(LISTED_MAX) {
            match (&event.problem, problems.is_empty()) {
                (Some(_), _) => line("", "cannot be unwrapped, so it would become a dead letter:"),
                (None, true) => line("", "an event; it passes the schema"),
                (None, false) if has_remark => line("", "an event that does not pass the schema"),
                (None, false) => line("", "an event; it does not pass the schema, so it would become a dead letter:"),
            }
            if event.bytes != message {
                line("", &format!("  {}", cut(&event.bytes, shown)));
            }
            if event.problem.is_none() && has_remark {
                continue;
            }
            if *problems == self.printed.1 && !problems.is_empty() {
                line("", &format!("  as in message {}", self.printed.0));
                continue;
            }
            for problem in problems.iter().take(LISTED_MAX) {
                line("", &format!("  {}", shown(problem.as_bytes(), CHARS_MAX)));
            }
            if problems.len() > LISTED_MAX {
                line("", &format!("  (and {})", counted((problems.len() - LISTED_MAX) as u64, "more problem")));
            }
            if !problems.is_empty() {
                self.printed = (self.messages, problems.clone());
            }
        }
        if events.len() > LISTED_MAX {
            line("", &format!("(and {})", counted((events.len() - LISTED_MAX) as u64, "more event")));
        }
    }

    /// Adds a message to the counters; returns its events, each with what is wrong with it.
    fn count<'m>(&mut self, meaning: &'m Meaning) -> Vec<Judged<'m>> {
        match meaning {
            Meaning::OpenAnswer | Meaning::Refused(_) => self.answers += 1,
            Meaning::HeartbeatAnswer | Meaning::Ignored(_) => self.ignored += 1,
            Meaning::Events(events) => {
                let judged: Vec<_> = events.iter().map(|event| Judged::new(event, self.validator)).collect();
                self.not_unwrapped += judged.iter().filter(|event| event.event.problem.is_some()).count() as u64;
                self.events += judged.iter().filter(|event| event.event.problem.is_none()).count() as u64;
                self.valid += judged.iter().filter(|event| event.problems.is_empty()).count() as u64;
                return judged;
            }
        }
        Vec::new()
    }

    fn as_json(
        &self,
        message: &[u8],
        meaning: &Meaning,
        events: &[Judged<'_>],
        remark: Option<&str>,
        shown: Shown<'_>,
    ) -> Value {
        let (is, pattern) = match meaning {
            Meaning::OpenAnswer => ("open_answer", None),
            Meaning::HeartbeatAnswer => ("heartbeat_answer", None),
            Meaning::Refused(pattern) => ("open_refused", Some(pattern)),
            Meaning::Ignored(pattern) => ("ignored", pattern.as_ref()),
            Meaning::Events(_) => ("events", None),
        };
        let mut value = json!({"number": self.messages, "received": shown(message, usize::MAX), "is": is});
        if let Some(pattern) = pattern {
            value["pattern"] = self::shown(pattern).into();
        }
        if let Meaning::Events(_) = meaning {
            let event = |event: &Judged<'_>| {
                let problems: Vec<_> = event.problems.iter().map(|text| shown(text.as_bytes(), usize::MAX)).collect();
                json!({"event": shown(&event.event.bytes, usize::MAX), "unwrapped": event.event.problem.is_none(), "problems": problems})
            };
            value["events"] = events.iter().map(event).collect();
        }
        if let Some(remark) = remark {
            value["remark"] = shown(remark.as_bytes(), usize::MAX).into();
        }
        value
    }

    /// A remark that belongs to no message.
    pub(super) fn note(&self, text: &str) {
        match self.form {
            Form::Text => line("", &format!("→ {text}")),
            Form::Json => print_out!("{}", json!({"remark": text})),
            Form::Raw => {}
        }
    }

    /// The counters and the suggestions.
    pub(super) fn end(&self, suggestions: &[Suggestion], shown: Shown<'_>) {
        match self.form {
            Form::Raw => {}
            Form::Json => {
                let settings: Vec<_> = suggestions
                    .iter()
                    .map(|one| json!({"key": one.key, "value": shown(one.value.as_bytes(), usize::MAX), "why": shown(one.why.as_bytes(), usize::MAX)}))
                    .collect();
                print_out!(
                    "{}",
                    json!({"messages": self.messages, "answers": self.answers, "ignored": self.ignored, "events": self.events,
                           "valid": self.valid, "not_unwrapped": self.not_unwrapped, "suggestions": settings})
                );
            }
            Form::Text => {
                print_out!("\n{}; nothing was stored", self.totals());
                if !suggestions.is_empty() {
                    print_out!("\nSettings to try, then peek again:\n{}", as_toml(suggestions, shown));
                }
                if self.events > 0 && self.valid < self.events {
                    print_out!(
                        "\nEvents that do not pass the schema become dead letters. Events of another form than Data Actions need a schema and \
                         a mapping of their own:\nschema.inline, mapping.columns, mapping.key (docs/streams.md, \"From an event to a row\")"
                    );
                }
            }
        }
    }

    fn totals(&self) -> String {
        let mut text = counted(self.messages, "message");
        let parts = [
            (self.answers, "answered the opening messages"),
            (self.ignored, "ignored"),
            (self.not_unwrapped, "cannot be unwrapped"),
        ];
        for (number, words) in parts.into_iter().filter(|(number, _)| *number > 0) {
            let _ = write!(text, ", {} {words}", count(number));
        }
        if self.events > 0 {
            let _ = write!(text, "; {}, {} of them pass the schema", counted(self.events, "event"), count(self.valid));
        }
        text
    }
}

/// An event, and why it would become a dead letter.
struct Judged<'a> {
    event: &'a PeekedEvent,
    problems: Vec<String>,
}

impl<'a> Judged<'a> {
    fn new(event: &'a PeekedEvent, validator: &Validator) -> Self {
        let problems = match (&event.problem, validator.validate(&event.bytes)) {
            (Some(problem), _) => vec![problem.clone()],
            (None, Ok(())) => Vec::new(),
            (None, Err(error)) if error.violations().is_empty() => vec![error.message().to_owned()],
            (None, Err(error)) => error.violations().iter().map(ToString::to_string).collect(),
        };
        Self { event, problems }
    }
}

fn cut(text: &[u8], shown: Shown<'_>) -> String {
    let mut line = shown(text, CHARS_MAX);
    if line.ends_with('…') && text.len() > CHARS_MAX {
        let _ = write!(line, " ({} bytes; --raw prints it whole)", count(text.len() as u64));
    }
    line
}

/// The settings as a part of a configuration file.
fn as_toml(suggestions: &[Suggestion], shown: Shown<'_>) -> String {
    let (mut text, mut section) = (String::new(), "");
    for Suggestion { key, value, why } in suggestions {
        let (own, name) = key.split_once('.').unwrap_or(("", key));
        if own != section {
            let _ = writeln!(text, "  [{own}]");
            section = own;
        }
        let why = shown(why.as_bytes(), CHARS_MAX);
        let _ = writeln!(text, "  {name} = {}    # {why}", shown(value.as_bytes(), usize::MAX));
    }
    text.trim_end().to_owned()
}

fn line(head: &str, text: &str) {
    print_out!("{}", format!("{head:<13} {text}").trim_end());
}
