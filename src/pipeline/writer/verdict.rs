//! The verdict on an event that the table refuses: is the reason this event, or the table?
//!
//! No error code tells them apart. A trigger may raise any code for one row; and a full sequence or a new NOT NULL column refuses
//! every row with a code that speaks of its values. The evidence is what passes beside the suspect. Only an event that is refused
//! while another one passes is set aside. A table that refuses everything gets no dead letters: its events wait.

use std::collections::{BTreeMap, BTreeSet};

use crate::rows::{ColumnType, Plan};

/// The events in a row that are set aside although no other event is known to pass. Then the table is the suspect.
pub(super) const ALONE_MAX: u64 = 10;
/// The same for a reason that was an event's before: another one passed beside it.
pub(super) const ALONE_PROVEN_MAX: u64 = 1000;
/// Reasons that are remembered.
const REASONS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The event is the reason: it becomes a dead letter.
    Event,
    /// The table is the reason, or it is not known yet: the event waits.
    Table,
    /// The table takes the event: the reason is gone, or is not in this table.
    Passes,
}

/// The next step with an event that was refused alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    SetAside,
    TryAgain,
    /// The sink ends.
    GiveUp,
}

/// The result of a trial of an event that the database refused alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evidence {
    /// It is refused by itself, too.
    pub(super) is_refused: bool,
    /// An event behind it passes, between two refusals of the suspect.
    pub(super) neighbour_passes: bool,
    /// Events behind it that were tried and refused.
    pub(super) neighbours_refused: u64,
    /// With other values beside its key the row passes, between two refusals of the suspect.
    pub(super) variant_passes: bool,
}

/// Judges the rows that the database refuses.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Events that were set aside since the last one that passed.
    alone: u64,
    /// Reasons (code, constraint, column) that were an event's, while the table is as planned.
    proven: BTreeSet<String>,
}

impl Judge {
    pub(super) fn judge(&mut self, reason: &str, evidence: Evidence) -> Verdict {
        if !evidence.is_refused {
            return Verdict::Passes;
        }
        if evidence.neighbour_passes {
            self.alone = 0;
            if self.proven.len() < REASONS_MAX {
                self.proven.insert(reason.to_owned());
            }
            return Verdict::Event;
        }
        // With other values the table takes a row of this key. That counts for a few events only: a rule may have come that refuses
        // what every event has.
        let in_a_row = self.alone + 1 + evidence.neighbours_refused;
        let max = if self.is_proven(reason) { ALONE_PROVEN_MAX } else { ALONE_MAX };
        if !evidence.variant_passes || in_a_row > max {
            return Verdict::Table;
        }
        self.alone += 1;
        Verdict::Event
    }

    pub(super) fn is_proven(&self, reason: &str) -> bool {
        self.proven.contains(reason)
    }

    /// The table took an event.
    pub(super) fn note_committed(&mut self) {
        self.alone = 0;
    }

    /// The table has changed.
    pub(super) fn forget(&mut self) {
        self.proven.clear();
    }
}

/// Judges the events with a value that does not fit its column, which the preparer finds.
#[derive(Debug, Default)]
pub(super) struct ColumnJudge {
    columns: BTreeMap<String, Known>,
}

/// A column, as far as this process knows it.
#[derive(Debug)]
struct Known {
    column_type: ColumnType,
    required: bool,
    /// Whether a value of an event fitted since the column is as it is.
    is_proven: bool,
    /// Whether the column was different before, in this process.
    is_changed: bool,
    /// Events that were set aside although the column is not proven.
    alone: u64,
}

impl ColumnJudge {
    /// Takes note of the columns as they are now. Those that have changed must be proven again.
    pub(super) fn note_plan(&mut self, plan: &Plan) {
        for column in plan.stored_columns() {
            let (column_type, required) = (&column.column_type, column.required);
            let is_same = |known: &Known| known.column_type == *column_type && known.required == required;
            let known = self.columns.get(&column.name);
            if !known.is_some_and(is_same) {
                let is_changed = known.is_some();
                let known =
                    Known { column_type: column_type.clone(), required, is_proven: false, is_changed, alone: 0 };
                self.columns.insert(column.name.clone(), known);
            }
        }
    }

    pub(super) fn is_proven(&self, column: &str) -> bool {
        self.columns.get(column).is_none_or(|known| known.is_proven)
    }

    /// A value of an event fits the column.
    pub(super) fn prove(&mut self, column: &str) {
        if let Some(known) = self.columns.get_mut(column) {
            known.is_proven = true;
        }
    }

    /// The verdict on this many events, each with a value that does not fit the column.
    pub(super) fn verdict(&self, column: &str, events: u64) -> Verdict {
        match self.columns.get(column) {
            Some(known) if known.is_proven => Verdict::Event,
            Some(known) if known.is_changed || known.alone + events > ALONE_MAX => Verdict::Table,
            _ => Verdict::Event,
        }
    }

    /// These events are set aside.
    pub(super) fn note_set_aside(&mut self, column: &str, events: u64) {
        if let Some(known) = self.columns.get_mut(column) {
            known.alone += events;
        }
    }
}

#[cfg(test)]
#[path = "tests/verdict.rs"]
mod tests;
