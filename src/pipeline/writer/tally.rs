//! The log lines about dead letters: one for the first of each kind, then a tally by kind, ever more rarely.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::report::dead_letter::{DeadLetter, Stage};

/// The time after the first line until the first tally. Each tally doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Kinds that are told apart; a kind beyond them counts as `OTHER`.
const KINDS_MAX: usize = 20;
const OTHER: &str = "other reasons";

/// Dead letters that are not in the log yet.
#[derive(Debug)]
pub(super) struct Tally {
    /// The number of each kind since the last line; 0 for kinds that had only their first line.
    kinds: BTreeMap<String, u64>,
    due: Option<Instant>,
    pause: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self { kinds: BTreeMap::new(), due: None, pause: PAUSE_MIN }
    }
}

impl Tally {
    /// Counts a dead letter. Returns a line if it is the first of its kind.
    pub(super) fn add(&mut self, letter: &DeadLetter, now: Instant) -> Option<String> {
        let kind = kind(letter);
        if let Some(count) = self.kinds.get_mut(&kind) {
            *count += 1;
            return None;
        }
        if self.kinds.len() >= KINDS_MAX {
            *self.kinds.entry(OTHER.into()).or_default() += 1;
            return None;
        }
        let line = format!("event {} is a dead letter ({})", letter.offset, reason(letter));
        self.kinds.insert(kind, 0);
        self.due.get_or_insert(now + self.pause);
        Some(line)
    }

    /// The tally, if there is something in it and its time has come.
    pub(super) fn line_if_due(&mut self, now: Instant) -> Option<String> {
        let is_due = self.due.is_some_and(|due| now >= due);
        let line = is_due.then(|| self.line())??;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.due = Some(now + self.pause);
        Some(line)
    }

    /// The tally, if there is something in it.
    pub(super) fn line(&mut self) -> Option<String> {
        let total: u64 = self.kinds.values().sum();
        if total == 0 {
            return None;
        }
        let mut line = if total == 1 {
            String::from("1 more event is a dead letter:")
        } else {
            format!("{total} more events are dead letters:")
        };
        for (kind, count) in self.kinds.iter_mut().filter(|(_, count)| **count > 0) {
            let _ = write!(line, " {count} ({kind}),");
            *count = 0;
        }
        line.pop();
        Some(line)
    }
}

/// The kind of a dead letter: its stage and the part of its reason that others share.
fn kind(letter: &DeadLetter) -> String {
    let stage = letter.stage;
    let of_column = letter.column.as_ref().map(|column| format!("column {column}"));
    let of_constraint = letter.constraint.as_ref().map(|constraint| format!("constraint {constraint}"));
    let detail = match stage {
        Stage::Schema => letter.violations.first().map(|violation| violation.keyword.clone()),
        _ => of_constraint.or(of_column).or_else(|| letter.sqlstate.as_ref().map(|code| format!("SQLSTATE {code}"))),
    };
    detail.map_or_else(|| stage.to_string(), |detail| format!("{stage}: {detail}"))
}

/// The reason without JSON pointers: those contain member names of the event, which must not get into a log.
fn reason(letter: &DeadLetter) -> String {
    match letter.stage {
        Stage::Schema => kind(letter),
        stage => format!("{stage}: {}", letter.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    fn letter(offset: u64, sqlstate: &str) -> DeadLetter {
        let error = Error::new(ErrorKind::Database, "refused").with_sqlstate(sqlstate);
        DeadLetter::new(offset, 0, 0, &error, b"")
    }

    #[test]
    fn the_first_of_each_kind_has_a_line_and_the_rest_a_tally_that_gets_rarer() {
        let mut tally = Tally::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tally.add(&letter(7, "23514"), at(0)).unwrap(), "event 7 is a dead letter (database: refused)");
        assert_eq!(tally.add(&letter(8, "23514"), at(0)), None);
        assert!(tally.add(&letter(9, "22001"), at(0)).is_some(), "another kind");
        assert_eq!(tally.add(&letter(10, "22001"), at(0)), None);
        assert_eq!(tally.add(&letter(11, "22001"), at(0)), None);
        assert_eq!(tally.line_if_due(at(0)), None);
        let tallied = "3 more events are dead letters: 2 (database: SQLSTATE 22001), 1 (database: SQLSTATE 23514)";
        assert_eq!(tally.line_if_due(at(1)).unwrap(), tallied);
        assert_eq!(tally.add(&letter(12, "22001"), at(2)), None);
        assert_eq!(tally.line_if_due(at(2)), None, "the pause has doubled");
        assert_eq!(tally.line_if_due(at(3)).unwrap(), "1 more event is a dead letter: 1 (database: SQLSTATE 22001)");
        assert_eq!(tally.line_if_due(at(900)), None);
        assert_eq!(tally.line(), None);
    }

    #[test]
    fn kinds_without_number_are_counted_together() {
        let mut tally = Tally::default();
        let lines = (0..100).filter_map(|number| tally.add(&letter(number, &number.to_string()), Instant::now()));
        assert_eq!(lines.count(), KINDS_MAX);
        assert_eq!(tally.line().unwrap(), "80 more events are dead letters: 80 (other reasons)");
    }
}
