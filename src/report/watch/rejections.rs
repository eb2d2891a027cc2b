//! Dead letters by stage and reason, since the sink was opened.

use serde::Serialize;

use crate::error::foreign_text::{one_line, without_numbers};
use crate::report::dead_letter::{DeadLetter, Stage};
use crate::time::micros;

/// Reasons without a pattern, such as members named after customers, must not fill the memory.
const GROUPS_MAX: usize = 50;
const CHARS_MAX: usize = 300;

/// Dead letters of one stage and reason.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RejectionGroup {
    pub(crate) stage: Stage,
    /// Without values of events; N stands for each number.
    pub(crate) reason: String,
    pub(crate) count: u64,
    /// For `cxsink dead-letters show`.
    pub(crate) last_offset: u64,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) last_at: f64,
}

/// See the [module documentation](self).
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Rejections {
    /// The largest first.
    pub(crate) groups: Vec<RejectionGroup>,
    /// Those for whose reasons there was no room.
    pub(crate) ungrouped: u64,
}

impl Rejections {
    pub(super) fn note(&mut self, letter: &DeadLetter) {
        let reason = without_numbers(&one_line(&letter.reason, CHARS_MAX));
        let last_at = micros::to_seconds(micros::from_time(letter.rejected_at));
        let mut groups = self.groups.iter_mut();
        if let Some(known) = groups.find(|known| known.stage == letter.stage && known.reason == reason) {
            known.count += 1;
            (known.last_offset, known.last_at) = (letter.offset, last_at);
        } else if self.groups.len() < GROUPS_MAX {
            let (stage, last_offset) = (letter.stage, letter.offset);
            self.groups.push(RejectionGroup { stage, reason, count: 1, last_offset, last_at });
        } else {
            self.ungrouped += 1;
        }
    }

    pub(super) fn sorted(&self) -> Self {
        let mut sorted = self.clone();
        sorted.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    fn letter(offset: u64, kind: ErrorKind, reason: &str) -> DeadLetter {
        DeadLetter::new(offset, 0, 5_000_000, &Error::new(kind, reason), b"{")
    }

    #[test]
    fn letters_of_one_stage_and_reason_are_a_group() {
        let mut rejections = Rejections::default();
        for offset in 0..3 {
            rejections.note(&letter(offset, ErrorKind::Json, &format!("not JSON: column {offset}")));
        }
        rejections.note(&letter(3, ErrorKind::Schema, "the type is missing"));
        for offset in 4..9 {
            rejections.note(&letter(offset, ErrorKind::Constraint, "the type is missing"));
        }
        let sorted = rejections.sorted();
        let shown: Vec<_> =
            sorted.groups.iter().map(|g| (g.stage.name(), &*g.reason, g.count, g.last_offset)).collect();
        let expected = [
            ("database", "the type is missing", 5, 8),
            ("json", "not JSON: column N", 3, 2),
            ("schema", "the type is missing", 1, 3),
        ];
        assert_eq!(shown, expected);
        assert_eq!((sorted.ungrouped, sorted.groups[0].last_at), (0, 5.0));
    }

    #[test]
    fn the_memory_of_reasons_is_bounded_and_every_letter_is_counted() {
        let mut rejections = Rejections::default();
        for offset in 0..1000 {
            let reason = "x".repeat(usize::try_from(offset).unwrap() + 1);
            rejections.note(&letter(offset, ErrorKind::Json, &reason));
        }
        assert_eq!(rejections.groups.len(), GROUPS_MAX);
        let grouped: u64 = rejections.groups.iter().map(|group| group.count).sum();
        assert_eq!(grouped + rejections.ungrouped, 1000);
    }
}
