//! Connections to the stream, and the gaps between them, in which events may have been missed.
//!
//! Events that CXone sent while no connection was open, or that were in flight when one broke, come again only if CXone sends them
//! again. A gap says when that was, so that the events can be fetched in another way.

use std::time::SystemTime;

use serde::Serialize;

use crate::report::json;

/// A connection to the stream. Times are from this machine's clock; serialized, they are microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamConnection {
    /// The number of the connection; it grows with time.
    pub id: u64,
    /// The time at which the stream was open.
    #[serde(serialize_with = "json::time")]
    pub opened_at: SystemTime,
    /// The time at which the first event was read.
    #[serde(serialize_with = "json::time_or_null")]
    pub first_event_at: Option<SystemTime>,
    /// The time at which the last event was read. It is recorded every few seconds, so a process that was killed may have read more.
    #[serde(serialize_with = "json::time_or_null")]
    pub last_event_at: Option<SystemTime>,
    /// The number of events read, recorded every few seconds.
    pub events: u64,
    /// The time at which it ended. `None` while it is open, and forever if the process ended without ending it.
    #[serde(serialize_with = "json::time_or_null")]
    pub ended_at: Option<SystemTime>,
    /// The cause of its end; `None` while it is open.
    pub cause: Option<String>,
    /// The close code from the server (RFC 6455 section 7.4).
    pub close_code: Option<u16>,
    /// The number of failed tries to connect before this one, since the connection before.
    pub tries_failed: u64,
    /// The reason why the last of them failed.
    pub try_error: Option<String>,
}

/// A time in which events may have been missed: between two connections, or because the destination lost rows that it had
/// committed (a checkpoint regression). It is never too short: it begins where the last event is known to have been read.
///
/// Serialized, times are microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Gap {
    /// The begin: the time of the last event, or of the end of the connection if the server closed it in order.
    #[serde(serialize_with = "json::time")]
    pub from: SystemTime,
    /// The end: the time at which the next connection was open. `None` if there is none yet.
    #[serde(serialize_with = "json::time_or_null")]
    pub to: Option<SystemTime>,
    /// The cause of the end of the connection before, or the reason why the destination lost rows.
    pub cause: String,
    /// The close code from the server (RFC 6455 section 7.4).
    pub close_code: Option<u16>,
    /// The number of tries to connect that failed during the gap.
    pub tries_failed: u64,
    /// The reason why the last of them failed.
    pub try_error: Option<String>,
}

/// The cause of a connection that the next one replaced in time: no event was missed.
pub(crate) const RENEWED: &str = "the next connection took over before the token expired";

/// The cause of a connection whose process ended before it could record one.
pub(crate) const PROCESS_GONE: &str = "the process ended without closing it: killed, crashed, or the machine went down";

impl StreamConnection {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }

    /// Whether it is open, as far as is known.
    fn is_open(&self) -> bool {
        self.ended_at.is_none() && self.cause.is_none()
    }

    /// Records that the process that had it open has ended.
    pub(crate) fn note_gone(&mut self) {
        if self.is_open() {
            self.cause = Some(PROCESS_GONE.into());
        }
    }

    /// The time from which on events may be missing.
    fn missed_from(&self) -> SystemTime {
        // The server sends its Close frame after every event (RFC 6455 section 5.5.1), so all of them have been read. After any
        // other end, events may have been in flight.
        let in_order = self.close_code.and(self.ended_at);
        in_order.or(self.last_event_at).unwrap_or(self.opened_at)
    }
}

impl Gap {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

/// The gaps between these connections, which are in the order of their opening, and those of checkpoint regressions, in the order
/// of their begin.
pub(crate) fn gaps(connections: &[StreamConnection], regressions: Vec<Gap>) -> Vec<Gap> {
    let mut gaps = gaps_between(connections);
    if !regressions.is_empty() {
        gaps.extend(regressions);
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
            close_code: connection.close_code,
            tries_failed: next.map_or(0, |next| next.tries_failed),
            try_error: next.and_then(|next| next.try_error.clone()),
        })
    };
    connections.iter().zip(nexts).filter_map(between).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::micros;

    fn connection(opened_at: i64, last_event_at: Option<i64>, ended_at: Option<i64>) -> StreamConnection {
        let last_event_at = last_event_at.map(micros::to_time);
        StreamConnection {
            id: 0,
            opened_at: micros::to_time(opened_at),
            first_event_at: last_event_at,
            last_event_at,
            events: 0,
            ended_at: ended_at.map(micros::to_time),
            cause: ended_at.map(|at| format!("ended at {at}")),
            close_code: None,
            tries_failed: 0,
            try_error: None,
        }
    }

    fn windows(connections: &[StreamConnection]) -> Vec<(i64, Option<i64>)> {
        gaps_between(connections)
            .iter()
            .map(|gap| (micros::from_time(gap.from), gap.to.map(micros::from_time)))
            .collect()
    }

    #[test]
    fn a_gap_begins_where_no_event_can_be_missing_before() {
        let open = connection(100, Some(150), None);
        assert_eq!(windows(&[]), []);
        assert_eq!(windows(std::slice::from_ref(&open)), [], "open: nothing is missed");
        assert_eq!(
            windows(&[connection(10, Some(20), Some(30)), open.clone()]),
            [(20, Some(100))],
            "cut after an event"
        );
        assert_eq!(windows(&[connection(10, None, Some(30)), open.clone()]), [(10, Some(100))], "cut before any event");
        let closed = StreamConnection { close_code: Some(1012), ..connection(10, Some(20), Some(30)) };
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
