//! The ways in which an event is invalid.

use std::fmt;

use serde::Serialize;

use crate::error::foreign_text::{MESSAGE_CHARS_MAX, NAME_CHARS_MAX, one_line};

/// One way in which an event violates the JSON Schema, or a value does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Violation {
    /// JSON pointer (RFC 6901) to the value in the event; empty for the event itself.
    pub pointer: String,
    /// The violated schema keyword, such as `required` or `enum`; `column` for a value that does not fit its column, `budget` for an
    /// event whose check takes too many steps.
    pub keyword: String,
    /// The violation in words, without values of the event.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = one_line(&self.pointer, NAME_CHARS_MAX);
        let place = if pointer.is_empty() { "(event)" } else { &pointer };
        write!(f, "{place}: {}", one_line(&self.message, MESSAGE_CHARS_MAX))
    }
}

pub(crate) fn violations_json(violations: &[Violation]) -> serde_json::Value {
    serde_json::to_value(violations).unwrap_or_default()
}
