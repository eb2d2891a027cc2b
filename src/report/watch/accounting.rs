//! The counters with their words, by side of the accounting: those of the summary at the end of a run and of the page are these.

use serde::Serialize;

use crate::report::stats::{Counter, Group, Stats};

/// A counter for people.
#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    /// Its name in the statistics.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    /// `accepted` = `done` + `waiting`; the `other` ones have no side.
    pub(crate) side: &'static str,
    pub(crate) count: u64,
}

impl Counted {
    pub(crate) fn new(counter: Counter, stats: &Stats) -> Self {
        let (name, words) = words(counter);
        let side = match counter.group() {
            Group::Accepted => "accepted",
            Group::Done => "done",
            Group::Waiting => "waiting",
            Group::Other => "other",
        };
        Self { key: counter.name(), name, words, side, count: stats.get(counter) }
    }
}

/// Name and explanation.
fn words(counter: Counter) -> (&'static str, &'static str) {
    match counter {
        Counter::Recovered => ("recovered", "left in the spool by an earlier run"),
        Counter::Replayed => ("replayed", "events of dead letters tried again"),
        Counter::Confirmed => ("confirmed", "stored, but the database's answer was lost"),
        Counter::Coalesced => ("coalesced", "stored in one row with a later event of the same key"),
        Counter::Superseded => ("superseded", "not stored: a later event of the same key was"),
        Counter::DeadLettered => ("dead letters", "see cxsink dead-letters list"),
        Counter::Pending => ("pending", "in the spool, not in the table yet"),
        Counter::Ignored => ("ignored", "messages without an event"),
        Counter::TokenRenewals => ("token renewals", ""),
        Counter::NoticesDropped => ("notices dropped", ""),
        other => (other.name(), ""),
    }
}
