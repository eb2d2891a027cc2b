//! A compiled schema, and the check of an event.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result, Violation};
use crate::rows::event::ParsedEvent;
use crate::rows::schema::budget::{Budget, steps_max};
use crate::rows::schema::patterns::BACKTRACKING;
use crate::rows::schema::view::{Budgeted, View, counts};

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(super) validator: Validator<Budgeted>,
    /// The document that the validator was compiled from.
    pub(in crate::rows) document: Json,
    /// The document as its author wrote it.
    pub(super) written: Json,
    /// The patterns that were translated, with their originals.
    pub(super) patterns: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
    /// The memory of the part of the schema that an error may copy.
    pub(super) copied_bytes: usize,
    /// The length of the longest JSON pointer into the schema.
    pub(super) pointer_bytes: usize,
    /// A larger event is rejected without parsing.
    pub(super) bytes_max: u64,
}

impl Schema {
    /// Parts of the schema that check nothing although they look as if they did.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Parses and checks one event.
    ///
    /// # Errors
    /// [`Json`](crate::ErrorKind::Json): not a JSON text (RFC 8259), or larger than `stream.event_bytes_max`.
    /// [`Schema`](crate::ErrorKind::Schema), with the violations.
    pub(crate) fn parse<'e>(&self, event: &'e [u8]) -> Result<ParsedEvent<'e>> {
        if event.len() as u64 > self.bytes_max {
            return Err(not_json(format!(
                "{} bytes are more than stream.event_bytes_max = {}",
                event.len(),
                self.bytes_max
            )));
        }
        if event.is_empty() {
            return Err(not_json("the message is empty"));
        }
        let text = std::str::from_utf8(event)
            .map_err(|error| not_json(format!("not UTF-8 from byte {}", error.valid_up_to())))?;
        let parsed = ParsedEvent::parse(text).map_err(|error| not_json(json_reason(&error)))?;
        // A panic of the library concerns this event alone.
        match catch_unwind(AssertUnwindSafe(|| self.check(&parsed.json, event.len()))) {
            Ok(Ok(())) => Ok(parsed),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(unchecked("the validator panicked".into())),
        }
    }

    fn check(&self, value: &Json, event_bytes: usize) -> Result<()> {
        let budget = Budget::new(event_bytes);
        let is_valid = self.validator.is_valid(View::new(value, &budget));
        if budget.is_spent() {
            let steps = steps_max(event_bytes);
            return Err(unchecked(format!(
                "validation takes more than {steps} steps, the limit for {event_bytes} bytes"
            )));
        }
        if is_valid {
            return Ok(());
        }
        let mut violations = self.violations(value, event_bytes);
        if violations.is_empty() {
            let steps = steps_max(event_bytes);
            violations
                .push(over_budget(format!("value is not valid, and finding out why takes more than {steps} steps")));
        }
        let message = match violations.as_slice() {
            [first, rest @ ..] if !rest.is_empty() => format!("{first} (and {} more)", rest.len()),
            violations => violations.iter().map(ToString::to_string).collect(),
        };
        let message = format!("the event does not match the schema: {message}");
        Err(Error::new(ErrorKind::Schema, message).with_violations(violations))
    }

    /// The first violations of an invalid event: as many as the budget allows.
    fn violations(&self, value: &Json, event_bytes: usize) -> Vec<Violation> {
        let mut violations = Vec::new();
        self.for_each_violation(value, event_bytes, |violation, _| violations.push(violation));
        violations
    }

    /// Calls `f` with the first violations of an invalid event, and the library's error: as many as the budget allows.
    pub(super) fn for_each_violation(
        &self,
        value: &Json,
        event_bytes: usize,
        mut f: impl FnMut(Violation, &ValidationError<'_>),
    ) {
        // An error holds the pointer to its value, and one through every reference that led there.
        let pointers = pointer_bytes(value) + depth(value) * self.pointer_bytes;
        let budget = Budget::for_reasons(event_bytes, REASON_BYTES + pointers + self.copied_bytes);
        let errors = self.validator.iter_errors(View::new(value, &budget));
        for error in errors.filter(counts).take(VIOLATIONS_MAX) {
            let violation = Violation {
                pointer: shorten(error.instance_path().to_string()),
                keyword: keyword(&error).to_owned(),
                message: shorten(self.message(&error, value)),
            };
            f(violation, &error);
        }
    }

    fn message(&self, error: &ValidationError<'_>, event: &Json) -> String {
        match error.kind() {
            // The library counts the items of the value, which the error does not hold.
            ValidationErrorKind::AdditionalItems { limit } => {
                let items = event.pointer(error.instance_path().as_str()).and_then(Json::as_array).map_or(0, Vec::len);
                format!("value has {items} items, and {limit} are allowed")
            }
            _ => self.patterns.iter().fold(error.masked().to_string(), |message, (translation, original)| {
                message.replace(translation.as_str(), original)
            }),
        }
    }
}

/// The keyword as it is in the schema file.
fn keyword<'e>(error: &'e ValidationError<'_>) -> &'e str {
    match error.kind().keyword() {
        BACKTRACKING => "pattern",
        keyword => keyword,
    }
}

/// The maximum number of violations of one event in an error.
const VIOLATIONS_MAX: usize = 100;
/// A message contains the names of unexpected members, which may be as long as the event.
const MESSAGE_CHARS_MAX: usize = 300;
/// The memory of an error of the library, without the texts that it copies.
const REASON_BYTES: usize = 1024;

/// The length of the longest JSON pointer into a value.
pub(super) fn pointer_bytes(value: &Json) -> usize {
    match value {
        Json::Array(items) => 20 + items.iter().map(pointer_bytes).max().unwrap_or(0),
        // `~` and `/` take two bytes in a pointer.
        Json::Object(members) => {
            members.iter().map(|(name, below)| 1 + 2 * name.len() + pointer_bytes(below)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn depth(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn shorten(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// The error of an event whose validation did not come to an end.
fn unchecked(reason: String) -> Error {
    let message = format!("the event cannot be checked against the schema: {reason}");
    Error::new(ErrorKind::Schema, message).with_violations(vec![over_budget(reason)])
}

fn over_budget(message: String) -> Violation {
    Violation { pointer: String::new(), keyword: "budget".into(), message }
}

fn not_json(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Json, format!("the event is not JSON: {}", reason.into()))
}

/// `serde_json`'s syntax errors never quote values. Its data errors do, but do not occur for `Value`.
fn json_reason(error: &serde_json::Error) -> String {
    if error.is_data() { format!("at line {} column {}", error.line(), error.column()) } else { error.to_string() }
}
