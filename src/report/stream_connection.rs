//! The ledger of the stream's connections, and the times at which events may have been missed.
//!
//! What CXone sent while nobody was connected, or what was on its way when a connection broke, comes again only if CXone
//! sends it again. The ledger says when that was, so that it can be fetched by other means.

use serde_json::{Value as Json, json};

/// One connection to the stream. Times are microseconds since 1970-01-01 UTC, by this machine's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamConnection {
    /// Ascending with time.
    pub id: u64,
    /// When the stream was open.
    pub opened_at: i64,
    /// When the first event was read.
    pub first_event_at: Option<i64>,
    /// When the last event was read; noted every few seconds, so a process that was killed may have read some more.
    pub last_event_at: Option<i64>,
    /// How many events were read; noted every few seconds.
    pub events: u64,
    /// When it ended. `None` while it is open, and for ever if the process ended without ending it.
    pub ended_at: Option<i64>,
    /// Why it ended; `None` while it is open.
    pub cause: Option<String>,
    /// The close code that the server gave (RFC 6455 section 7.4).
    pub status: Option<u16>,
    /// How many tries failed before this one, since the connection before.
    pub tries_failed: u64,
    /// Why the last of these failed.
    pub try_error: Option<String>,
}

/// A time in which events may have been missed: between two connections, or because the destination has forgotten what it had
/// confirmed. Never too short: it begins where the last event is known to have been read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Where it begins, in microseconds since 1970-01-01 UTC: when the last event was read, or, if the server ended the
    /// connection in order, when it did.
    pub from: i64,
    /// Where it ends: when the next connection was open. `None` if there is none yet.
    pub to: Option<i64>,
    /// Why the connection before it ended, or what the destination has forgotten.
    pub cause: String,
    /// The close code that the server gave (RFC 6455 section 7.4).
    pub status: Option<u16>,
    /// How many tries to connect failed during it.
    pub tries_failed: u64,
    /// Why the last of these failed.
    pub try_error: Option<String>,
}

/// The cause that stands with a connection that was replaced in time: nothing was missed.
pub(crate) const RENEWED: &str = "the next connection took over before the token expired";

/// The cause that stands with a connection whose process was gone before it could note one.
pub(crate) const PROCESS_GONE: &str = "the process ended without closing it: killed, crashed, or the machine went down";

impl StreamConnection {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json!({
            "id": self.id,
            "opened_at": self.opened_at,
            "first_event_at": self.first_event_at,
            "last_event_at": self.last_event_at,
            "events": self.events,
            "ended_at": self.ended_at,
            "cause": self.cause,
            "status": self.status,
            "tries_failed": self.tries_failed,
            "try_error": self.try_error,
        })
        .to_string()
    }

    /// Whether nothing more is known of it than that it is open.
    fn is_open(&self) -> bool {
        self.ended_at.is_none() && self.cause.is_none()
    }

    /// The process that had it open is no more.
    pub(crate) fn note_gone(&mut self) {
        if self.is_open() {
            self.cause = Some(PROCESS_GONE.into());
        }
    }

    /// From when on events may be missing.
    fn missed_from(&self) -> i64 {
        // A close frame comes behind everything that was sent before it, so all of that has been read. Of any other end it
        // is not known what was on its way.
        let in_order = self.status.and(self.ended_at);
        in_order.or(self.last_event_at).unwrap_or(self.opened_at)
    }
}

impl Gap {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        let object: Json = json!({
            "from": self.from,
            "to": self.to,
            "cause": self.cause,
            "status": self.status,
            "tries_failed": self.tries_failed,
            "try_error": self.try_error,
        });
        object.to_string()
    }
}

/// The gaps between these connections, which are in the order of their opening, and those of events that the destination has
/// forgotten.
pub(crate) fn gaps(connections: &[StreamConnection], forgotten: Vec<Gap>) -> Vec<Gap> {
    let mut gaps = gaps_between(connections);
    if !forgotten.is_empty() {
        gaps.extend(forgotten);
        gaps.sort_by_key(|gap| gap.from);
    }
    gaps
}

fn gaps_between(connections: &[StreamConnection]) -> Vec<Gap> {
    let nexts = connections.iter().skip(1).map(Some).chain([None]);
    let between = |(connection, next): (&StreamConnection, Option<&StreamConnection>)| {
        if next.is_none() && connection.is_open() {
            return None;
        }
        if next.is_some() && connection.cause.as_deref() == Some(RENEWED) {
            return None;
        }
        let from = connection.missed_from();
        Some(Gap {
            from,
            // The clock may have been set back.
            to: next.map(|next| next.opened_at.max(from)),
            cause: connection.cause.clone().unwrap_or_else(|| PROCESS_GONE.into()),
            status: connection.status,
            tries_failed: next.map_or(0, |next| next.tries_failed),
            try_error: next.and_then(|next| next.try_error.clone()),
        })
    };
    connections.iter().zip(nexts).filter_map(between).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(opened_at: i64, last_event_at: Option<i64>, ended_at: Option<i64>) -> StreamConnection {
        StreamConnection {
            id: 0,
            opened_at,
            first_event_at: last_event_at,
            last_event_at,
            events: 0,
            ended_at,
            cause: ended_at.map(|at| format!("ended at {at}")),
            status: None,
            tries_failed: 0,
            try_error: None,
        }
    }

    fn windows(connections: &[StreamConnection]) -> Vec<(i64, Option<i64>)> {
        gaps_between(connections).iter().map(|gap| (gap.from, gap.to)).collect()
    }

    #[test]
    fn a_gap_begins_where_nothing_can_be_missing_before() {
        let open = connection(100, Some(150), None);
        assert_eq!(windows(&[]), []);
        assert_eq!(windows(std::slice::from_ref(&open)), [], "open: nothing is missed");
        assert_eq!(
            windows(&[connection(10, Some(20), Some(30)), open.clone()]),
            [(20, Some(100))],
            "cut after an event"
        );
        assert_eq!(windows(&[connection(10, None, Some(30)), open.clone()]), [(10, Some(100))], "cut before any event");
        let closed = StreamConnection { status: Some(1012), ..connection(10, Some(20), Some(30)) };
        assert_eq!(windows(&[closed.clone(), open.clone()]), [(30, Some(100))], "closed in order");
        assert_eq!(windows(&[closed]), [(30, None)], "no connection since");
        let killed = connection(10, Some(20), None);
        assert_eq!(gaps_between(&[killed.clone(), open])[0].cause, PROCESS_GONE);
        assert_eq!(
            windows(&[killed, connection(15, None, Some(40))]),
            [(20, Some(20)), (15, None)],
            "the clock went back"
        );
    }
}
