//! Events with a value that does not fit its column, which the preparer finds by the plan: they are set aside only if the table is
//! still as planned, and if the column takes values of other events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Class, Error, ErrorKind, Result};
use crate::pipeline::handoff::PreparedBatch;
use crate::pipeline::writer::run::{End, Writer};
use crate::pipeline::writer::verdict::Verdict;
use crate::report::dead_letter::{DeadLetter, Stage};
use crate::rows::batch::{Rows, Value};

/// The events behind the batch in which a round looks for a value that fits.
const NEIGHBOURS_MAX: usize = 1000;

impl Writer {
    /// Waits until the events that do not fit may be set aside; `Outdated` if they are to be prepared again.
    pub(super) fn judge_misfits(&mut self, batch: &PreparedBatch) -> Result<End> {
        if self.plan.as_deref() == Some(&*batch.rows.plan) {
            self.trials.columns.note_plan(&batch.rows.plan);
            self.prove_columns(&batch.rows);
        }
        let misfits = by_column(&batch.dead_letters);
        if misfits.is_empty() {
            return Ok(End::Committed);
        }
        loop {
            if !self.is_connected && !self.reconnect()? {
                return Ok(End::GivenUp);
            }
            if self.handoff.is_outdated(batch.epoch) {
                return Ok(End::Outdated);
            }
            if !self.is_as_planned(batch)? {
                continue;
            }
            self.trials.columns.note_plan(&batch.rows.plan);
            self.prove_columns(&batch.rows);
            let Some(misfit) = self.suspect_column(batch, &misfits)? else {
                for (column, letters) in &misfits {
                    self.trials.columns.note_set_aside(column, letters.len() as u64);
                }
                return Ok(End::Committed);
            };
            if !self.hold(&refused_by_column(&batch.rows.plan.table, misfit)) {
                return Ok(End::GivenUp);
            }
        }
    }

    /// A misfit of a column that may be wrong itself. Looks at the events behind the batch before that.
    fn suspect_column<'a>(
        &mut self,
        batch: &PreparedBatch,
        misfits: &BTreeMap<&str, Vec<&'a DeadLetter>>,
    ) -> Result<Option<&'a DeadLetter>> {
        let is_suspect = |writer: &Self, column: &str, letters: &[&DeadLetter]| {
            writer.trials.columns.verdict(column, letters.len() as u64) == Verdict::Table
        };
        if misfits.iter().any(|(column, letters)| is_suspect(self, column, letters)) {
            let mut neighbours = Rows::new(Arc::clone(&batch.rows.plan));
            self.read_neighbours(batch.to, NEIGHBOURS_MAX, &mut neighbours)?;
            self.prove_columns(&neighbours);
        }
        let suspect = misfits.iter().find(|(column, letters)| is_suspect(self, column, letters));
        Ok(suspect.and_then(|(_, letters)| letters.first().copied()))
    }

    /// Every column is proven that has a value in one of the rows.
    fn prove_columns(&mut self, rows: &Rows) {
        for (index, column) in rows.plan.stored_columns().enumerate() {
            let has_value = |row| rows.value(row, index) != Value::Null;
            if !self.trials.columns.is_proven(&column.name) && (0..rows.len()).any(has_value) {
                self.trials.columns.prove(&column.name);
            }
        }
    }
}

/// The events that do not fit, by their first such column.
fn by_column(dead_letters: &[DeadLetter]) -> BTreeMap<&str, Vec<&DeadLetter>> {
    let mut misfits: BTreeMap<&str, Vec<&DeadLetter>> = BTreeMap::new();
    for letter in dead_letters.iter().filter(|letter| letter.stage == Stage::Mapping) {
        misfits.entry(letter.column.as_deref().unwrap_or_default()).or_default().push(letter);
    }
    misfits
}

fn refused_by_column(table: &str, misfit: &DeadLetter) -> Error {
    let message =
        format!("preparing events for the table {table}: {}; no other event fits this column either", misfit.reason);
    Error::new(ErrorKind::Database, message)
        .with_class(Class::Transient)
        .with_column(misfit.column.as_deref())
        .with_hint(
            "correct the column's type, or its source in [mapping.columns]; nothing is set aside until a value fits",
        )
}
