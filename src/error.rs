//! The one error type: what was tried, on what, why it failed, and what to do next.
//!
//! It is opaque so that details can grow without breaking callers: [`Error::kind`] is the stable part and equals the
//! status codes of the C library and of the Python package. The threads act on the [`Class`]: wait, try again, set one event
//! aside, or give up.

use std::fmt;

/// A result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in one word. The numbers are the status codes of the C library and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The time given to a call has passed.
    Timeout = 1,
    /// An argument of a call makes no sense.
    InvalidArgument = 10,
    /// A configuration value is unknown, missing or bad.
    Config = 11,
    /// The call does not fit the state of the sink, for example `ingest` after `close`.
    State = 12,
    /// The handle was used in a forked child process.
    Forked = 13,
    /// CXone refused the credentials, the token or the scope.
    Auth = 20,
    /// A connection could not be made or was lost: name resolution, TCP, TLS, timeouts.
    Connect = 21,
    /// The peer answered something the protocol does not allow.
    Protocol = 22,
    /// The event is not JSON.
    Json = 30,
    /// The event does not match the JSON Schema.
    Schema = 31,
    /// The event is valid but does not fit the table.
    Unmapped = 32,
    /// The destination failed or is not set up as needed.
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
    /// Another transaction was in the way: try the same batch again at once, then with a short backoff.
    Conflict,
    /// The database refuses a row for its content: bisect the batch until that row is alone.
    BadRow,
    /// The table does not match the configuration: an error at start; later treated as transient.
    Mismatch,
    /// Trying again cannot help: the sink ends as failed.
    Permanent,
}

/// One way in which an event misses the JSON Schema, or a value misses its column.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// JSON pointer (RFC 6901) to the value in the event; empty for the event itself.
    pub pointer: String,
    /// The schema keyword that was missed, such as `required` or `enum`; `column` for a value that does not fit its column.
    pub keyword: String,
    /// What is wrong, without the event's own values.
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
/// `Display` prints one line: what was tried, on what, and why it failed. [`hint`](Error::hint) says what to do next.
/// Neither ever contains secrets or event payloads.
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
    status: Option<u16>,
    is_timeout: bool,
    violations: Vec<Violation>,
    index: Option<u64>,
}

impl Error {
    /// An error of this kind: for bindings, and for what an application builds on top. The message says what was tried, on what,
    /// and why it failed.
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
            status: None,
            is_timeout: false,
            violations: Vec::new(),
            index: None,
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

    /// The call was ended by `stop()` or `close()`; never shown to a user as a failure.
    pub(crate) fn stopped() -> Self {
        Self::state("the sink is stopping").with_class(Class::Transient)
    }

    /// Puts what was tried in front of the message.
    #[must_use]
    pub(crate) fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Other words for the same.
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

    /// Says what to do next.
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
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
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

    /// The other side took the request but did not finish it in time: a smaller one may succeed.
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

    /// What went wrong, in one word.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was tried, on what, and why it failed: the same text as `Display`.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may succeed later without any change: the other side was away or busy.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.class, Class::Transient | Class::Conflict)
    }

    /// What to do next, where cxsink knows it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// PostgreSQL's five-character SQLSTATE (PostgreSQL manual, appendix A), where the database gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// The constraint or index that refused the row, where the database named one.
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// The column whose value did not fit, where it is known.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The HTTP status or WebSocket close code of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Every way in which the event misses the schema or the table; empty for other errors.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// Where the event stands that could not be taken, counted from 0, among those given to [`crate::Sink::ingest_many`]: every one
    /// before it was taken.
    pub fn index(&self) -> Option<u64> {
        self.0.index
    }

    /// Everything above as one JSON object, for machines: `{"kind": …, "code": …, "message": …, …}`; absent parts are left out.
    pub fn detail_json(&self) -> String {
        let inner = &*self.0;
        let mut object = serde_json::Map::new();
        object.insert("kind".into(), inner.kind.name().into());
        object.insert("code".into(), inner.kind.code().into());
        object.insert("message".into(), inner.message.as_str().into());
        object.insert("retryable".into(), self.is_retryable().into());
        let texts = [
            ("hint", &inner.hint),
            ("sqlstate", &inner.sqlstate),
            ("constraint", &inner.constraint),
            ("column", &inner.column),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                object.insert(name.into(), text.as_str().into());
            }
        }
        if let Some(status) = inner.status {
            object.insert("status".into(), status.into());
        }
        if let Some(index) = inner.index {
            object.insert("index".into(), index.into());
        }
        if !inner.violations.is_empty() {
            object.insert("violations".into(), violations_json(&inner.violations));
        }
        serde_json::Value::Object(object).to_string()
    }
}

pub(crate) fn violations_json(violations: &[Violation]) -> serde_json::Value {
    violations
        .iter()
        .map(|v| serde_json::json!({"pointer": v.pointer, "keyword": v.keyword, "message": v.message}))
        .collect()
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

impl std::error::Error for Error {}
