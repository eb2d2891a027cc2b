//! The error type: what failed, the reason, and what to do next.
//!
//! It is opaque so that details can grow without breaking callers: [`Error::kind`] is the stable part and equals the
//! status codes of the C library and of the Python package. The threads act on the [`Class`]: wait, try again, set one event
//! aside, or give up.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of an error, in one word. The numbers are the status codes of the C library and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The time given to a call has passed.
    Timeout = 1,
    /// An argument of a call is invalid.
    InvalidArgument = 10,
    /// A configuration value is unknown, missing or bad.
    Config = 11,
    /// The state of the sink does not allow the call, for example `ingest` after `close`.
    State = 12,
    /// The handle was used in a forked child process.
    Forked = 13,
    /// CXone refused the credentials, the token or the scope.
    Auth = 20,
    /// A connection could not be made or was lost: name resolution, TCP, TLS, timeouts.
    Connect = 21,
    /// The answer of the server violates the protocol.
    Protocol = 22,
    /// The event is not JSON.
    Json = 30,
    /// The event violates the JSON Schema.
    Schema = 31,
    /// The event is valid, but one of its values does not fit its column.
    Unmapped = 32,
    /// The destination failed, or its table does not match the configuration.
    Database = 40,
    /// The destination refused a row for its content.
    Constraint = 41,
    /// The spool file cannot be used.
    Spool = 50,
    /// A bug in cxsink.
    Internal = 90,
    /// A panic in one of the sink's threads: a bug in cxsink.
    Panic = 91,
}

impl ErrorKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 16] = [
        Self::Timeout,
        Self::InvalidArgument,
        Self::Config,
        Self::State,
        Self::Forked,
        Self::Auth,
        Self::Connect,
        Self::Protocol,
        Self::Json,
        Self::Schema,
        Self::Unmapped,
        Self::Database,
        Self::Constraint,
        Self::Spool,
        Self::Internal,
        Self::Panic,
    ];

    /// The number, as in the C header's `cxsink_status`.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The name, as in the C header's `cxsink_status`, without its prefix: `"INVALID_ARGUMENT"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "TIMEOUT",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Config => "CONFIG",
            Self::State => "STATE",
            Self::Forked => "FORKED",
            Self::Auth => "AUTH",
            Self::Connect => "CONNECT",
            Self::Protocol => "PROTOCOL",
            Self::Json => "JSON",
            Self::Schema => "SCHEMA",
            Self::Unmapped => "UNMAPPED",
            Self::Database => "DATABASE",
            Self::Constraint => "CONSTRAINT",
            Self::Spool => "SPOOL",
            Self::Internal => "INTERNAL",
            Self::Panic => "PANIC",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The class of a failure, which decides what the sink does about it (the table of failures in ARCHITECTURE.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The other side is unreachable or busy: keep everything spooled, back off, try again without limit.
    Transient,
    /// Another transaction was in the way: try the same batch again after a few milliseconds, then with a short backoff.
    Conflict,
    /// The database refuses a row for its content: bisect the batch until that row is alone.
    BadRow,
    /// The table does not match the configuration: an error at start; later treated as transient.
    Mismatch,
    /// Trying again cannot help: the sink ends as failed.
    Permanent,
}

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
        let place = if self.pointer.is_empty() { "(event)" } else { &self.pointer };
        write!(f, "{place}: {}", self.message)
    }
}

/// Why an operation failed.
///
/// `Display` prints one line, `what failed: reason`; [`hint`](Error::hint) says what to do next. Neither contains secrets or
/// payloads.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    class: Class,
    message: String,
    hint: Option<String>,
    sqlstate: Option<String>,
    constraint: Option<String>,
    column: Option<String>,
    http_status: Option<u16>,
    close_code: Option<u16>,
    is_timeout: bool,
    violations: Vec<Violation>,
    index: Option<u64>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind, for bindings and applications. The message is `what failed: reason`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let class = match kind {
            ErrorKind::Connect => Class::Transient,
            ErrorKind::Constraint => Class::BadRow,
            _ => Class::Permanent,
        };
        Self(Box::new(Inner {
            kind,
            class,
            message: message.into(),
            hint: None,
            sqlstate: None,
            constraint: None,
            column: None,
            http_status: None,
            close_code: None,
            is_timeout: false,
            violations: Vec::new(),
            index: None,
            source: None,
        }))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn spool(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Spool, message)
    }

    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }

    /// `stop()` or `close()` ended the call; the user never sees it as a failure.
    pub(crate) fn stopped() -> Self {
        Self::state("the sink is stopping").with_class(Class::Transient)
    }

    /// Puts what failed in front of the message.
    #[must_use]
    pub(crate) fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Replaces the message.
    #[must_use]
    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    #[must_use]
    pub(crate) fn with_class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// Adds a hint: what to do next, as an imperative.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn with_sqlstate(mut self, sqlstate: impl Into<String>) -> Self {
        self.0.sqlstate = Some(sqlstate.into());
        self
    }

    #[must_use]
    pub(crate) fn with_constraint(mut self, constraint: Option<&str>) -> Self {
        self.0.constraint = constraint.map(Into::into);
        self
    }

    #[must_use]
    pub(crate) fn with_column(mut self, column: Option<&str>) -> Self {
        self.0.column = column.map(Into::into);
        self
    }

    #[must_use]
    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    #[must_use]
    pub(crate) fn with_close_code(mut self, code: u16) -> Self {
        self.0.close_code = Some(code);
        self
    }

    /// Keeps the cause for [`source`](std::error::Error::source). Its text must hold no secret and no payload: PostgreSQL's errors
    /// quote values of the row, and a parser's quote the configuration.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(cause));
        self
    }

    /// Keeps a copy of the error of the operating system as the cause.
    #[must_use]
    pub(crate) fn caused_by_io(self, cause: &io::Error) -> Self {
        let copy = match cause.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(cause.kind(), cause.to_string()),
        };
        self.caused_by(copy)
    }

    /// Keeps SQLite's code as the cause; not its text, in which the RAISE of a trigger may quote values.
    #[must_use]
    pub(crate) fn caused_by_sqlite(self, cause: &rusqlite::Error) -> Self {
        match cause.sqlite_error() {
            Some(code) => self.caused_by(rusqlite::Error::SqliteFailure(*code, None)),
            None => self,
        }
    }

    #[must_use]
    pub(crate) fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.0.violations = violations;
        self
    }

    #[must_use]
    pub(crate) fn with_index(mut self, index: u64) -> Self {
        self.0.index = Some(index);
        self
    }

    /// The server accepted the request but did not finish it in time; a smaller one may succeed.
    #[must_use]
    pub(crate) fn with_timeout(mut self) -> Self {
        self.0.is_timeout = true;
        self
    }

    pub(crate) fn is_timeout(&self) -> bool {
        self.0.is_timeout
    }

    pub(crate) fn class(&self) -> Class {
        self.0.class
    }

    /// The kind, in one word.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message, `what failed: reason`: the same text as `Display`.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may succeed later without a change: the server was unreachable or busy.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.class, Class::Transient | Class::Conflict)
    }

    /// The hint: how to fix it, if known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The SQLSTATE, five characters (PostgreSQL manual, appendix A), if the database sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// The constraint or index that refused the row, if the database named one.
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// The column whose value does not fit, if known.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The HTTP status of the answer (RFC 9110 section 15), if a server answered the token request, the WebSocket handshake or
    /// `CONNECT` with an error.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The close code (RFC 6455 section 7.4), if the server closed the stream with one.
    pub fn close_code(&self) -> Option<u16> {
        self.0.close_code
    }

    /// Every way in which the event violates the schema or does not fit the table; empty for other errors.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The index, from 0, of the first event given to [`crate::Sink::ingest_many`] that was not accepted. Every event before it was.
    pub fn index(&self) -> Option<u64> {
        self.0.index
    }

    /// Everything as one JSON object: `{"kind": …, "code": …, "message": …, "retryable": …, …}`, without the members that are unknown.
    pub fn detail_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'a> {
            kind: &'a str,
            code: u32,
            message: &'a str,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            sqlstate: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            constraint: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            column: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            http_status: Option<u16>,
            #[serde(skip_serializing_if = "Option::is_none")]
            close_code: Option<u16>,
            #[serde(skip_serializing_if = "Option::is_none")]
            index: Option<u64>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            violations: &'a [Violation],
        }
        let members = Members {
            kind: self.kind().name(),
            code: self.kind().code(),
            message: self.message(),
            retryable: self.is_retryable(),
            hint: self.hint(),
            sqlstate: self.sqlstate(),
            constraint: self.constraint(),
            column: self.column(),
            http_status: self.http_status(),
            close_code: self.close_code(),
            index: self.index(),
            violations: self.violations(),
        };
        members.serialize(serializer)
    }
}

pub(crate) fn violations_json(violations: &[Violation]) -> serde_json::Value {
    serde_json::to_value(violations).unwrap_or_default()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.0.kind.name(), self.0.kind.code(), self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    /// The error of the operating system or of a library behind this one, if there is one: a [`std::io::Error`], for example. The
    /// message already contains its text. Errors whose text could quote secrets or payloads are not kept.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_cause_is_the_source() {
        let refused = io::Error::from_raw_os_error(111);
        let error = Error::new(ErrorKind::Connect, format!("connecting: {refused}")).caused_by_io(&refused);
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
        assert_eq!(source.kind(), refused.kind());
        assert!(Error::config("bad").source().is_none());
    }

    #[test]
    fn the_json_has_what_is_known_only() {
        let json = |error: &Error| serde_json::from_str::<serde_json::Value>(&error.detail_json()).unwrap();
        let known = json(&Error::new(ErrorKind::Auth, "no").with_hint("yes").with_http_status(401).with_index(3));
        assert_eq!(
            known,
            serde_json::json!({"kind": "AUTH", "code": 20, "message": "no", "retryable": false, "hint": "yes",
                "http_status": 401, "index": 3})
        );
        assert_eq!(json(&Error::new(ErrorKind::Protocol, "no").with_close_code(1008))["close_code"], 1008);
    }
}
