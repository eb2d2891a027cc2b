//! Counters of a simulator.

use std::fmt;

use super::entry::EntryKind;
use super::options::InvalidKind;

/// Counters of what a [`Simulator`](super::Simulator) has sent and refused so far.
///
/// An event counts as sent when the operating system has taken all its bytes. Only for
/// [`events_confirmed`](Self::events_confirmed) is it known that a reader got them. Always
/// `events = unique_keys + redeliveries + updates + invalid_total() + replays`.
///
/// ```
/// use cxsink::simulator::{Simulator, SimulatorOptions};
///
/// let simulator = Simulator::start(SimulatorOptions::default())?;
/// let report = simulator.report();
/// assert_eq!((report.events, report.connections, report.finished), (0, 0, false));
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulatorReport {
    /// All events sent: a lossless reader has received this many.
    pub events: u64,
    /// Valid events with a new idempotency key: the rows of the table when nothing was lost.
    pub unique_keys: u64,
    /// Events that repeated an earlier one of the sequence.
    pub redeliveries: u64,
    /// Events with an earlier key and other content.
    pub updates: u64,
    /// Events sent again at the start of a further connection.
    pub replays: u64,
    /// Events that the reader has confirmed, by a pong or by its reply to a close frame.
    pub events_confirmed: u64,
    /// Messages with events sent.
    pub messages: u64,
    /// Acknowledgements received.
    pub acknowledgements_received: u64,
    /// Heartbeats of the conversation received, also those without an answer.
    pub heartbeats_received: u64,
    /// Streams opened: the handshake, and the conversation where there is one.
    pub connections: u64,
    /// Tokens issued.
    pub tokens_issued: u64,
    /// Token requests refused, by an option or because they were wrong.
    pub tokens_refused: u64,
    /// Handshakes refused, by an option or because they were wrong.
    pub handshakes_refused: u64,
    /// Openings of the conversation that failed, because of an option or because they were wrong.
    pub openings_refused: u64,
    /// Other requests refused: not HTTP, too large, too slow, or for an unknown path.
    pub requests_refused: u64,
    /// Close frames that the simulator sent first, the one at the end included.
    pub closes: u64,
    /// Connections ended without a close frame, because of `cut_after`.
    pub cuts: u64,
    /// Connections that fell silent.
    pub silences: u64,
    /// Pings sent.
    pub pings_sent: u64,
    /// Pings received, also those without a reply because of a silence.
    pub pings_received: u64,
    /// Whether every event of the sequence was sent.
    pub finished: bool,
    invalid: [u64; InvalidKind::ALL.len()],
}

impl SimulatorReport {
    /// Invalid events sent of this kind.
    pub fn invalid(&self, kind: InvalidKind) -> u64 {
        self.invalid[kind as usize]
    }

    /// Invalid events sent.
    pub fn invalid_total(&self) -> u64 {
        self.invalid.iter().sum()
    }

    /// Events of the sequence sent, without replays.
    pub(super) fn positions(&self) -> u64 {
        self.events - self.replays
    }

    pub(super) fn count(&mut self, kind: EntryKind, is_replay: bool) {
        self.events += 1;
        let counter = match kind {
            _ if is_replay => &mut self.replays,
            EntryKind::First => &mut self.unique_keys,
            EntryKind::Redelivery => &mut self.redeliveries,
            EntryKind::Update => &mut self.updates,
            EntryKind::Invalid(kind) => &mut self.invalid[kind as usize],
        };
        *counter += 1;
    }

    fn numbers(&self) -> [(&'static str, u64); 20] {
        [
            ("events", self.events),
            ("unique_keys", self.unique_keys),
            ("redeliveries", self.redeliveries),
            ("updates", self.updates),
            ("invalid", self.invalid_total()),
            ("replays", self.replays),
            ("events_confirmed", self.events_confirmed),
            ("messages", self.messages),
            ("acknowledgements_received", self.acknowledgements_received),
            ("heartbeats_received", self.heartbeats_received),
            ("connections", self.connections),
            ("tokens_issued", self.tokens_issued),
            ("tokens_refused", self.tokens_refused),
            ("handshakes_refused", self.handshakes_refused),
            ("openings_refused", self.openings_refused),
            ("requests_refused", self.requests_refused),
            ("closes", self.closes),
            ("cuts", self.cuts),
            ("silences", self.silences),
            ("pings_sent", self.pings_sent),
        ]
    }

    /// Returns all counters as one JSON object; `invalid_by_kind` has a member for each kind of invalid event.
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.extend(self.numbers().map(|(name, number)| (name.to_owned(), number.into())));
        object.insert("pings_received".into(), self.pings_received.into());
        let by_kind = InvalidKind::ALL.map(|kind| (kind.name().to_owned(), self.invalid(kind).into()));
        object.insert("invalid_by_kind".into(), serde_json::Map::from_iter(by_kind).into());
        object.insert("finished".into(), self.finished.into());
        serde_json::Value::Object(object).to_string()
    }
}

/// The counters that are not 0, on one line.
impl fmt::Display for SimulatorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.finished { "finished" } else { "not finished" })?;
        for (name, number) in self.numbers().into_iter().filter(|(_, number)| *number > 0) {
            write!(f, ", {name} {number}")?;
        }
        Ok(())
    }
}
