//! The kind of an error, for callers, and its class, for the threads.

use std::fmt;

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
    /// The database refuses the statement, most likely for the content of a row: bisect the batch until that row is alone.
    BadRow,
    /// The table does not match the configuration: an error at start; later treated as transient.
    Mismatch,
    /// Trying again cannot help: the sink ends as failed.
    Permanent,
}
