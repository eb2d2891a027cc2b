//! Replaying dead letters: which of them, and the fate of each.

use serde::Serialize;
use serde::ser::Serializer;

use crate::error::Violation;
use crate::report::dead_letter::{Rejection, Stage};
use crate::report::json;

/// Selects the dead letters to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// All that were not replayed yet.
    All,
    /// Those with these offsets that were not replayed yet.
    Offsets(Vec<u64>),
}

/// The fate of a dead letter in a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is valid now, and an event again, at this offset of the spool; of a message, the offset of its first event. `None` in a dry run,
    /// and for a message without events.
    Replayed(Option<u64>),
    /// It is valid now, but a later event of its key has written its row, which would stay as it is. Only in a dry run: in a replay, the
    /// writer finds out, and the counter `superseded` counts it.
    Superseded,
    /// It is still not valid, for this reason, which its dead letter now states.
    Rejected(Rejection),
    /// No dead letter has this offset, it was replayed before, or its batch is not finished.
    Skipped,
}

/// The result of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReplayReport {
    /// The number of dead letters that are events again, on their way to the table. A message counts once, however many events it has.
    pub replayed: u64,
    /// The number of those that are still not valid; they stay dead letters.
    pub rejected: u64,
    /// The number of the given offsets with nothing to replay.
    pub skipped: u64,
    /// The number of those that left their row as it was, because a later event of their key had been written; in a dry run, of those that
    /// would, which do not count as replayed then. 0 when a running sink replayed them: its counter has them once they are written.
    pub superseded: u64,
    /// The offset and the fate of the first [`FATES_MAX`](Self::FATES_MAX); empty when the sink of another process replayed them.
    #[serde(serialize_with = "serialize_fates")]
    pub fates: Vec<(u64, Fate)>,
    /// The process whose sink replayed them, if it was another one's: under the configuration that it was started with.
    pub by: Option<String>,
}

impl ReplayReport {
    /// The number of fates that a report keeps: there may be millions of dead letters.
    pub const FATES_MAX: usize = 10_000;

    pub(crate) fn count(&mut self, offset: u64, fate: Fate) {
        match fate {
            Fate::Replayed(_) => self.replayed += 1,
            Fate::Rejected(_) => self.rejected += 1,
            Fate::Skipped => self.skipped += 1,
            Fate::Superseded => self.superseded += 1,
        }
        if self.fates.len() < Self::FATES_MAX {
            self.fates.push((offset, fate));
        }
    }

    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

fn serialize_fates<S: Serializer>(fates: &[(u64, Fate)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(tag = "fate", rename_all = "lowercase")]
    enum Entry<'a> {
        Replayed { offset: u64, replayed_as: Option<u64> },
        Rejected { offset: u64, stage: Stage, reason: &'a str, violations: &'a [Violation] },
        Skipped { offset: u64 },
        Superseded { offset: u64 },
    }
    serializer.collect_seq(fates.iter().map(|(offset, fate)| match fate {
        Fate::Replayed(replayed_as) => Entry::Replayed { offset: *offset, replayed_as: *replayed_as },
        Fate::Rejected(rejection) => Entry::Rejected {
            offset: *offset,
            stage: rejection.stage,
            reason: &rejection.reason,
            violations: &rejection.violations,
        },
        Fate::Skipped => Entry::Skipped { offset: *offset },
        Fate::Superseded => Entry::Superseded { offset: *offset },
    }))
}
