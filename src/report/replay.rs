//! Replaying dead letters: which of them, and what became of each.

use serde_json::json;

use crate::error::violations_json;
use crate::report::dead_letter::Rejection;

/// Which dead letters to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// All that were not replayed yet.
    All,
    /// Those with these offsets that were not replayed yet.
    Offsets(Vec<u64>),
}

/// What became of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is valid now, and an event again, at this offset of the spool. No offset: a dry run.
    Replayed(Option<u64>),
    /// It is still not valid, for this reason, which its dead letter now states.
    Rejected(Rejection),
    /// There is none with this offset, it was replayed before, or the sink is still at work on its batch.
    Skipped,
}

/// What a replay did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// How many are events again, and on their way to the table.
    pub replayed: u64,
    /// How many are still not valid; they stay dead letters.
    pub rejected: u64,
    /// How many of the offsets asked for had nothing to replay.
    pub skipped: u64,
    /// Offset and fate of the first [`LETTERS_MAX`](Self::LETTERS_MAX); empty when the sink of another process replayed them.
    pub letters: Vec<(u64, Fate)>,
    /// The process whose sink replayed them, if it was not this one's: under the configuration that it was started with.
    pub by: Option<String>,
}

impl Replayed {
    /// How many fates are kept: there may be millions of dead letters.
    pub const LETTERS_MAX: usize = 10_000;

    pub(crate) fn count(&mut self, offset: u64, fate: Fate) {
        match fate {
            Fate::Replayed(_) => self.replayed += 1,
            Fate::Rejected(_) => self.rejected += 1,
            Fate::Skipped => self.skipped += 1,
        }
        if self.letters.len() < Self::LETTERS_MAX {
            self.letters.push((offset, fate));
        }
    }

    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        let letters: Vec<_> = self.letters.iter().map(|(offset, fate)| fate.to_value(*offset)).collect();
        json!({
            "replayed": self.replayed,
            "rejected": self.rejected,
            "skipped": self.skipped,
            "letters": letters,
            "by": self.by,
        })
        .to_string()
    }
}

impl Fate {
    fn to_value(&self, offset: u64) -> serde_json::Value {
        match self {
            Self::Replayed(again) => json!({"offset": offset, "fate": "replayed", "replayed_as": again}),
            Self::Rejected(rejection) => json!({
                "offset": offset,
                "fate": "rejected",
                "stage": rejection.stage.name(),
                "reason": rejection.reason,
                "violations": violations_json(&rejection.violations),
            }),
            Self::Skipped => json!({"offset": offset, "fate": "skipped"}),
        }
    }
}
