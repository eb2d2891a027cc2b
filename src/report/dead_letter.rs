//! What is kept of an event that did not reach the table: its bytes as they came, and why.
//!
//! Dead letters are the one place where payloads are kept outside the table.

use crate::error::{Error, ErrorKind, Violation, violations_json};

/// An event that was set aside, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event's place in the spool; unique within a spool.
    pub offset: u64,
    /// When the event was received, in microseconds since 1970-01-01 UTC.
    pub received_at: i64,
    /// When it was set aside, in microseconds since 1970-01-01 UTC.
    pub rejected_at: i64,
    /// How far it came.
    pub stage: Stage,
    /// Why, in one line, without values of the event.
    pub reason: String,
    /// Every way in which it misses the schema or the table.
    pub violations: Vec<Violation>,
    /// The database's SQLSTATE, where the database refused it.
    pub sqlstate: Option<String>,
    /// The constraint that refused it.
    pub constraint: Option<String>,
    /// The column that its value does not fit.
    pub column: Option<String>,
    /// When it was exported, in microseconds since 1970-01-01 UTC.
    pub exported_at: Option<i64>,
    /// When it was put into the spool again, in microseconds since 1970-01-01 UTC.
    pub replayed_at: Option<i64>,
    /// The offset that it was given then: of the new event, and of its dead letter if it was refused again.
    pub replayed_as: Option<u64>,
    /// The event, byte for byte.
    pub event: Payload,
}

/// The bytes of an event. `Debug` shows only their number.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// How far an event came before it was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// It is not JSON, or too large.
    Json,
    /// It does not match the schema.
    Schema,
    /// A value does not fit its column.
    Mapping,
    /// The database refused the row.
    Database,
}

impl Stage {
    /// The name, as in the C library, in Python and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Schema => "schema",
            Self::Mapping => "mapping",
            Self::Database => "database",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Json, Self::Schema, Self::Mapping, Self::Database].into_iter().find(|stage| stage.name() == name)
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl DeadLetter {
    /// Sets an event aside for the error it met.
    pub(crate) fn new(offset: u64, received_at: i64, rejected_at: i64, error: &Error, event: &[u8]) -> Self {
        let stage = match error.kind() {
            ErrorKind::Json => Stage::Json,
            ErrorKind::Schema => Stage::Schema,
            ErrorKind::Unmapped => Stage::Mapping,
            _ => Stage::Database,
        };
        Self {
            offset,
            received_at,
            rejected_at,
            stage,
            reason: error.message().to_owned(),
            violations: error.violations().to_vec(),
            sqlstate: error.sqlstate().map(Into::into),
            constraint: error.constraint().map(Into::into),
            column: error.column().map(Into::into),
            exported_at: None,
            replayed_at: None,
            replayed_as: None,
            event: Payload(event.to_vec()),
        }
    }

    /// The same event with the error that it meets today.
    pub(crate) fn with_reason(&self, error: &Error) -> Self {
        Self::new(self.offset, self.received_at, self.rejected_at, error, &self.event.0)
    }

    /// Everything as one JSON object. With `with_event`, the member `event` holds the bytes as text, or `event_hex` the bytes
    /// in hexadecimal where they are not UTF-8.
    pub fn to_json(&self, with_event: bool) -> String {
        let mut object = serde_json::json!({
            "offset": self.offset,
            "received_at": self.received_at,
            "rejected_at": self.rejected_at,
            "stage": self.stage.name(),
            "reason": self.reason,
            "violations": violations_json(&self.violations),
            "bytes": self.event.0.len(),
            "exported_at": self.exported_at,
            "replayed_at": self.replayed_at,
            "replayed_as": self.replayed_as,
        });
        for (name, value) in [("sqlstate", &self.sqlstate), ("constraint", &self.constraint), ("column", &self.column)]
        {
            if let Some(value) = value {
                object[name] = value.as_str().into();
            }
        }
        if with_event {
            match std::str::from_utf8(&self.event.0) {
                Ok(text) => object["event"] = text.into(),
                Err(_) => object["event_hex"] = hex(&self.event.0).into(),
            }
        }
        object.to_string()
    }
}

/// Why an event became a dead letter. Its bytes are in the dead letter itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The event's place in the spool, by which the dead letter is found.
    pub offset: u64,
    /// How far it came.
    pub stage: Stage,
    /// Why, in one line, without values of the event.
    pub reason: String,
    /// Every way in which it misses the schema or the table.
    pub violations: Vec<Violation>,
    /// The database's SQLSTATE, where the database refused it.
    pub sqlstate: Option<String>,
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

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
