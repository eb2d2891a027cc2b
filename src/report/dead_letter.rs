//! Dead letters: events that did not reach the table, byte for byte, each with the reason.
//!
//! The spool and the dead letters in it are the only places outside the table that hold payloads.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::error::{Error, ErrorKind, Violation};
use crate::report::json::{self, serialize_as_name};
use crate::time::micros;

/// An event that was rejected, or a message that could not be unwrapped, with the reason.
///
/// Serialized, times are microseconds since 1970-01-01 UTC. The event is the member `event` if it is UTF-8, and `event_hex`, in
/// hexadecimal, if it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The offset of the event in the spool; unique within a spool.
    pub offset: u64,
    /// The time at which the event was received.
    #[serde(serialize_with = "json::time")]
    pub received_at: SystemTime,
    /// The time at which it was rejected.
    #[serde(serialize_with = "json::time")]
    pub rejected_at: SystemTime,
    /// The stage that rejected it.
    pub stage: Stage,
    /// The reason, in one line, without values of the event.
    pub reason: String,
    /// Every way in which it violates the schema or does not fit the table.
    pub violations: Vec<Violation>,
    /// The database's SQLSTATE (PostgreSQL manual, appendix A), if the database refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// The constraint that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// The column that its value does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The time at which it was exported.
    #[serde(serialize_with = "json::time_or_null")]
    pub exported_at: Option<SystemTime>,
    /// The time at which it was appended to the spool again.
    #[serde(serialize_with = "json::time_or_null")]
    pub replayed_at: Option<SystemTime>,
    /// The offset that it was given then: of the new event, and of its dead letter if it was rejected again. Of a message, the offset
    /// of its first event; `None` if it had none.
    pub replayed_as: Option<u64>,
    /// The time at which the replayed event was found superseded: a later event of its key was in the table. A forced replay takes it
    /// again.
    #[serde(serialize_with = "json::time_or_null")]
    pub superseded_at: Option<SystemTime>,
    /// Whether the event was redacted (`[[redact]]`) before it was spooled; serialized as `redacted`, and left out if it was not.
    #[serde(rename = "redacted", skip_serializing_if = "std::ops::Not::not")]
    pub is_redacted: bool,
    /// The event, byte for byte.
    #[serde(flatten)]
    pub event: Payload,
    /// The hash of its key, of a new one whose key is known: see `spool::dead_letters::keys`.
    #[serde(skip)]
    pub(crate) key_hash: Option<u64>,
}

/// The bytes of an event. `Debug` shows only their number.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(2))?;
        members.serialize_entry("bytes", &self.0.len())?;
        match std::str::from_utf8(&self.0) {
            Ok(text) => members.serialize_entry("event", text)?,
            Err(_) => members.serialize_entry("event_hex", &json::hex(&self.0))?,
        }
        members.end()
    }
}

/// The stage at which an event was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The message could not be unwrapped (`[event]`): the dead letter is the message, whole.
    Message,
    /// It is not JSON, or too large.
    Json,
    /// It violates the schema.
    Schema,
    /// One of its values does not fit its column.
    Mapping,
    /// The database refused the row.
    Database,
    /// It took the process down: twice the process ended while it prepared the event.
    Guard,
}

impl Stage {
    /// Every stage, in the order of the path of an event.
    pub const ALL: [Self; 6] = [Self::Message, Self::Json, Self::Schema, Self::Mapping, Self::Database, Self::Guard];

    /// The name, as in the C library, in Python and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Json => "json",
            Self::Schema => "schema",
            Self::Mapping => "mapping",
            Self::Database => "database",
            Self::Guard => "guard",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

serialize_as_name!(Stage);

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DeadLetter {
    /// The dead letter of an event that met this error. Times are microseconds since 1970-01-01 UTC.
    pub(crate) fn new(offset: u64, received_us: i64, rejected_us: i64, error: &Error, event: &[u8]) -> Self {
        let stage = match error.kind() {
            ErrorKind::Json => Stage::Json,
            ErrorKind::Schema => Stage::Schema,
            ErrorKind::Unmapped => Stage::Mapping,
            ErrorKind::Internal => Stage::Guard,
            _ => Stage::Database,
        };
        Self {
            offset,
            received_at: micros::to_time(received_us),
            rejected_at: micros::to_time(rejected_us),
            stage,
            reason: error.message().to_owned(),
            violations: error.violations().to_vec(),
            sqlstate: error.sqlstate().map(Into::into),
            constraint: error.constraint().map(Into::into),
            column: error.column().map(Into::into),
            exported_at: None,
            replayed_at: None,
            replayed_as: None,
            superseded_at: None,
            is_redacted: false,
            event: Payload(event.to_vec()),
            key_hash: None,
        }
    }

    /// The dead letter of a message that could not be unwrapped.
    pub(crate) fn of_message(offset: u64, received_us: i64, rejected_us: i64, reason: String, message: &[u8]) -> Self {
        let error = Error::new(ErrorKind::Json, reason);
        Self { stage: Stage::Message, ..Self::new(offset, received_us, rejected_us, &error, message) }
    }

    /// The same message with the reason why it cannot be unwrapped now.
    pub(crate) fn with_reason_of_message(&self, reason: String) -> Self {
        Self { reason, ..self.clone() }
    }

    /// The same event with the error that it meets now.
    pub(crate) fn with_reason(&self, error: &Error) -> Self {
        let (received_us, rejected_us) = (micros::from_time(self.received_at), micros::from_time(self.rejected_at));
        let is_redacted = self.is_redacted;
        Self { is_redacted, ..Self::new(self.offset, received_us, rejected_us, error, &self.event.0) }
    }

    /// Everything as one JSON object, with the event or without it.
    pub fn to_json(&self, with_event: bool) -> String {
        if with_event {
            return json::to_json(self);
        }
        let mut object = serde_json::to_value(self).unwrap_or_default();
        if let Some(members) = object.as_object_mut() {
            members.remove("event");
            members.remove("event_hex");
        }
        object.to_string()
    }
}

/// The reason why an event became a dead letter. The dead letter itself has the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rejection {
    /// The offset of the event in the spool, and of its dead letter.
    pub offset: u64,
    /// The stage that rejected it.
    pub stage: Stage,
    /// The reason, in one line, without values of the event.
    pub reason: String,
    /// Every way in which it violates the schema or does not fit the table.
    pub violations: Vec<Violation>,
    /// The database's SQLSTATE (PostgreSQL manual, appendix A), if the database refused it.
    pub sqlstate: Option<String>,
}

/// One line for people.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} is a dead letter ({}): {}", self.offset, self.stage, self.reason)
    }
}

impl From<&DeadLetter> for Rejection {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            offset: letter.offset,
            stage: letter.stage,
            reason: letter.reason.clone(),
            violations: letter.violations.clone(),
            sqlstate: letter.sqlstate.clone(),
        }
    }
}
