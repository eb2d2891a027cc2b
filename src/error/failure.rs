//! The one error type.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::error::foreign_text::{MESSAGE_CHARS_MAX, NAME_CHARS_MAX, into_one_line};
use crate::error::kind::{Class, ErrorKind};
use crate::error::violation::Violation;

/// A result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

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
    is_refusal: bool,
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
            message: into_one_line(message.into(), MESSAGE_CHARS_MAX),
            hint: None,
            sqlstate: None,
            constraint: None,
            column: None,
            http_status: None,
            close_code: None,
            is_timeout: false,
            is_refusal: false,
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
    pub(crate) fn while_doing(self, what: impl fmt::Display) -> Self {
        let message = format!("{what}: {}", self.0.message);
        self.with_message(message)
    }

    /// Replaces the message.
    #[must_use]
    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = into_one_line(message.into(), MESSAGE_CHARS_MAX);
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
        self.0.hint = Some(into_one_line(hint.into(), MESSAGE_CHARS_MAX));
        self
    }

    #[must_use]
    pub(crate) fn with_sqlstate(mut self, sqlstate: impl Into<String>) -> Self {
        self.0.sqlstate = Some(into_one_line(sqlstate.into(), NAME_CHARS_MAX));
        self
    }

    #[must_use]
    pub(crate) fn with_constraint(mut self, constraint: Option<&str>) -> Self {
        self.0.constraint = constraint.map(|name| into_one_line(name.into(), NAME_CHARS_MAX));
        self
    }

    #[must_use]
    pub(crate) fn with_column(mut self, column: Option<&str>) -> Self {
        self.0.column = column.map(|name| into_one_line(name.into(), NAME_CHARS_MAX));
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

    /// The database took the statement and refused it: nothing was changed, and the connection is good. Whether the reason is a row
    /// or the table shows only a trial.
    #[must_use]
    pub(crate) fn with_refusal(mut self) -> Self {
        self.0.is_refusal = true;
        self
    }

    pub(crate) fn is_refusal(&self) -> bool {
        self.0.is_refusal || self.0.class == Class::BadRow
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
