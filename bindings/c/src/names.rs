//! The numbers of the ABI and their names: statuses, states, counters, kinds of notices, log levels.
//!
//! They are those of the core, which the tests below compare, and are never reused.

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use cxsink_core::stats::Counter;
use cxsink_core::{ErrorKind, State};

use crate::boundary::{c_text, value};

/// The outcome of a call. From 10 on the call has failed, and `cxsink_error` has the details.
///
/// A newer library may have further numbers: treat an unknown one as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The call succeeded.
    Ok = 0,
    /// The time given to the call has passed.
    Timeout = 1,
    /// The sink has ended, and every notice was fetched.
    Closed = 2,
    /// An argument is invalid: NULL, not UTF-8, out of range.
    InvalidArgument = 10,
    /// A configuration value is unknown, missing or bad.
    Config = 11,
    /// The state of the sink does not allow the call, for example ingest after close.
    State = 12,
    /// The handle was used in a forked child process.
    Forked = 13,
    /// CXone refused the credentials, the token or the scope.
    Auth = 20,
    /// A connection could not be made or was lost.
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
    /// A bug in cxsink: it panicked. The process continues, and spooled events are safe.
    Panic = 91,
}

/// Each status with its name.
const STATUSES: [(Status, &CStr); 18] = [
    (Status::Ok, c"OK"),
    (Status::Timeout, c"TIMEOUT"),
    (Status::Closed, c"CLOSED"),
    (Status::InvalidArgument, c"INVALID_ARGUMENT"),
    (Status::Config, c"CONFIG"),
    (Status::State, c"STATE"),
    (Status::Forked, c"FORKED"),
    (Status::Auth, c"AUTH"),
    (Status::Connect, c"CONNECT"),
    (Status::Protocol, c"PROTOCOL"),
    (Status::Json, c"JSON"),
    (Status::Schema, c"SCHEMA"),
    (Status::Unmapped, c"UNMAPPED"),
    (Status::Database, c"DATABASE"),
    (Status::Constraint, c"CONSTRAINT"),
    (Status::Spool, c"SPOOL"),
    (Status::Internal, c"INTERNAL"),
    (Status::Panic, c"PANIC"),
];

impl From<ErrorKind> for Status {
    fn from(kind: ErrorKind) -> Self {
        let same = STATUSES.into_iter().find(|(status, _)| *status as u32 == kind.code());
        same.map_or(Self::Internal, |(status, _)| status)
    }
}

/// The state of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum SinkState {
    /// Opened, not started.
    Open = 0,
    /// Events are read and committed.
    Running = 1,
    /// Events are read, but the destination takes no rows, or the spool accepts no events. They wait in the spool or at the server.
    Stalled = 2,
    /// Nothing is read any more; spooled events are being committed.
    Stopping = 3,
    /// Ended as requested.
    Closed = 4,
    /// Ended by an error; spooled events are safe.
    Failed = 5,
}

/// Each state of C and of the core, with its name.
const STATES: [(SinkState, State, &CStr); 6] = [
    (SinkState::Open, State::Open, c"open"),
    (SinkState::Running, State::Running, c"running"),
    (SinkState::Stalled, State::Stalled, c"stalled"),
    (SinkState::Stopping, State::Stopping, c"stopping"),
    (SinkState::Closed, State::Closed, c"closed"),
    (SinkState::Failed, State::Failed, c"failed"),
];

/// A counter of a sink. Whenever no batch is in progress,
/// received + recovered + replayed = inserted + updated + unchanged + confirmed + coalesced + dead_lettered + superseded + pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum SinkCounter {
    /// Events accepted from the stream or from the application, since the sink was opened.
    Received = 0,
    /// Events found in the spool when it was opened that were not committed to the table yet.
    Recovered = 1,
    /// Events of dead letters appended to the spool again by a replay, since the sink was opened.
    Replayed = 2,
    /// Events that made a new row.
    Inserted = 3,
    /// Events that changed a row.
    Updated = 4,
    /// Events that left their row as it was (`destination.update` = `changed` or `newer`, or nothing to update).
    Unchanged = 5,
    /// Events of an in-doubt transaction that turned out to be committed: inserted, updated or unchanged, it is not known which.
    Confirmed = 6,
    /// Events coalesced into a later one of the same key in the same batch.
    Coalesced = 7,
    /// Events kept as dead letters.
    DeadLettered = 8,
    /// Replayed events that left their row as it was: a later event of their key had been written.
    Superseded = 14,
    /// Events in the spool that are not committed to the table yet: the lag.
    Pending = 9,
    /// Connections to the stream opened because the one before was lost or closed. A planned one, which takes over before the
    /// token expires (`stream.renew_before_expiry`), does not count; its token does, in `token_renewals`.
    Reconnects = 10,
    /// Tokens fetched after the first.
    TokenRenewals = 11,
    /// Transactions committed.
    Batches = 12,
    /// Notices dropped because the application did not poll in time.
    NoticesDropped = 13,
    /// Messages of the stream: those with events, and the ignored ones. A message has one event unless `[event]` says otherwise.
    Messages = 15,
    /// Messages of the stream without an event: answers, heartbeats, those of `stream.ignore`, arrays without elements.
    Ignored = 16,
}

/// The core's counter of this number.
pub(crate) fn counter(which: u32) -> Option<Counter> {
    Counter::ALL.into_iter().find(|counter| *counter as u32 == which)
}

/// The names of the counters, as C has text.
fn counter_names() -> [(u32, &'static CStr); Counter::ALL.len()] {
    static NAMES: OnceLock<[CString; Counter::ALL.len()]> = OnceLock::new();
    let names = NAMES.get_or_init(|| Counter::ALL.map(|counter| c_text(counter.name())));
    std::array::from_fn(|index| (Counter::ALL[index] as u32, names[index].as_c_str()))
}

/// The kind of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum NoticeKind {
    /// The sink's state changed: `cxsink_notice_get_state`.
    State = 1,
    /// An event became a dead letter.
    Rejected = 2,
    /// Something failed: `cxsink_notice_get_error`. The sink continues by itself, unless its state becomes failed.
    Error = 3,
    /// The statistics, every ten seconds from the start on, while the application polls.
    Stats = 4,
    /// A batch was committed.
    Stored = 5,
}

/// Each kind with its name.
const NOTICES: [(NoticeKind, &CStr); 5] = [
    (NoticeKind::State, c"state"),
    (NoticeKind::Rejected, c"rejected"),
    (NoticeKind::Error, c"error"),
    (NoticeKind::Stats, c"stats"),
    (NoticeKind::Stored, c"stored"),
];

/// The level of a log record. As a maximum, it includes every lower number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum LogLevel {
    /// Nothing.
    Off = 0,
    /// Bugs.
    Error = 1,
    /// Needs attention: outages, dead letters, settings without effect.
    Warn = 2,
    /// Occasional events: connections, tokens, states.
    Info = 3,
    /// Details for finding the cause of a problem.
    Debug = 4,
    /// More details.
    Trace = 5,
}

/// The name of an unknown number.
const UNKNOWN: &CStr = c"UNKNOWN";

fn name_in<const N: usize>(
    function: &'static str,
    number: u32,
    names: impl FnOnce() -> [(u32, &'static CStr); N],
) -> *const c_char {
    let find = || names().into_iter().find(|(known, _)| *known == number).map_or(UNKNOWN, |(_, name)| name);
    value(function, UNKNOWN, find).as_ptr()
}

/// The name of a status, for example "INVALID_ARGUMENT"; "UNKNOWN" for a number that this library does not know.
///
/// Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_status_name(status: u32) -> *const c_char {
    name_in("cxsink_status_name", status, || STATUSES.map(|(status, name)| (status as u32, name)))
}

/// The name of a state, for example "running"; "UNKNOWN" for a number that this library does not know.
///
/// Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_state_name(state: u32) -> *const c_char {
    name_in("cxsink_state_name", state, || STATES.map(|(state, _, name)| (state as u32, name)))
}

/// The name of a counter, for example "dead_lettered", as in the JSON of `cxsink_sink_stats`; "UNKNOWN" for a
/// number that this library does not know. The numbers are consecutive: a loop from 0 to the first unknown one visits
/// them all.
///
/// Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_counter_name(counter: u32) -> *const c_char {
    name_in("cxsink_counter_name", counter, counter_names)
}

/// The name of a kind of notice, for example "rejected", as in the member kind of its JSON; "UNKNOWN" for a number
/// that this library does not know.
///
/// Ownership: the text belongs to the library and lives as long as it is loaded; do not free it.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_notice_kind_name(kind: u32) -> *const c_char {
    name_in("cxsink_notice_kind_name", kind, || NOTICES.map(|(kind, name)| (kind as u32, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_kinds_of_errors_of_the_core() {
        for kind in ErrorKind::ALL {
            let (status, name) = STATUSES.into_iter().find(|(status, _)| *status as u32 == kind.code()).unwrap();
            assert_eq!((Status::from(kind), name.to_str().unwrap()), (status, kind.name()));
        }
        assert_eq!(STATUSES.len(), ErrorKind::ALL.len() + 2, "OK and CLOSED are not errors");
    }

    #[test]
    fn states_are_those_of_the_core() {
        for (number, state, name) in STATES {
            assert_eq!((number as u32, name.to_str().unwrap()), (state as u32, state.name()));
        }
    }

    #[test]
    fn counters_have_the_numbers_names_and_words_of_the_core() {
        let this_file = include_str!("names.rs");
        let start = this_file.find("pub enum SinkCounter {\n").unwrap();
        let body = &this_file[start..][..this_file[start..].find("}\n").unwrap()];
        let expected = Counter::ALL.map(|counter| {
            let words = counter.description().replace('\n', "\n    ///");
            format!("    /// {words}\n    {counter:?} = {},\n", counter as u32)
        });
        assert_eq!(body, format!("pub enum SinkCounter {{\n{}", expected.concat()));
        assert!(this_file.contains(&format!("/// {}.\n", cxsink_core::Stats::accounting())));
        for (counter, (number, name)) in Counter::ALL.into_iter().zip(counter_names()) {
            assert_eq!((number, name.to_str().unwrap()), (counter as u32, counter.name()));
        }
    }

    #[test]
    fn notices_are_those_of_the_core() {
        use cxsink_core::Notice;
        use cxsink_core::stats::Stored;
        let (error, stored) = (cxsink_core::Error::new(ErrorKind::State, "x"), Stored::default());
        let samples =
            [Notice::State(State::Open), Notice::Error(error), Notice::Stats(Box::default()), Notice::Stored(stored)];
        for notice in samples {
            let (_, name) = NOTICES.into_iter().find(|(kind, _)| *kind as u32 == notice.kind_code()).unwrap();
            assert_eq!(name.to_str().unwrap(), notice.kind_name());
        }
    }
}
