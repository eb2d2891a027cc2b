//! The memory of a writer for its verdicts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::RetryConfig;
use crate::error::Error;
use crate::pipeline::event_rules::EventRules;
use crate::pipeline::writer::verdict::{ColumnJudge, Judge};
use crate::rows::batch::Rows;
use crate::time::backoff::Backoff;

/// The longest pause before an event that waits is tried again. A neighbour may have come in the meantime.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The memory of a writer for its verdicts.
#[derive(Debug)]
pub(super) struct Trials {
    pub(super) rules: EventRules,
    pub(super) judge: Judge,
    pub(super) columns: ColumnJudge,
    /// The batch, by epoch and first offset, since whose first refusal the catalogue is known to be as planned.
    pub(super) examined: Option<(u64, u64)>,
    /// The offset of the neighbour to try next: the last one that passed, or where the last round ended.
    pub(super) next_neighbour: u64,
    /// The last event that passed a trial although its write was refused.
    pub(super) passed: Option<u64>,
    /// The last row that was committed.
    last_row: Option<Rows>,
    /// The reason for which the first event waits, and when it was reported.
    pub(super) reported: Option<(String, Instant)>,
    pub(super) pause: Backoff,
    /// Whether a trigger was reported that suppresses rows.
    pub(super) is_suppression_reported: bool,
}

impl Trials {
    pub(super) fn new(rules: &EventRules, retry: &RetryConfig) -> Self {
        Self {
            rules: rules.clone(),
            judge: Judge::default(),
            columns: ColumnJudge::default(),
            examined: None,
            next_neighbour: 0,
            passed: None,
            last_row: None,
            reported: None,
            pause: Backoff::new(retry.delay_min, retry.delay_max.min(PAUSE_MAX)),
            is_suppression_reported: false,
        }
    }

    /// The table took rows; this is the last of them, if there is one.
    pub(super) fn note_committed(&mut self, rows: &Rows, last: Option<&u32>) {
        self.judge.note_committed();
        self.end_wait();
        if let Some(&row) = last {
            self.last_row = Some(one_row(rows, row as usize));
        }
    }

    pub(super) fn end_wait(&mut self) {
        self.reported = None;
        self.passed = None;
        self.pause.reset();
    }

    /// Rows with the suspect's key and other values. The shapes that a table takes if only values of the suspect are bad:
    /// the suspect without all that may be null, and the last committed row under its key. Where the database names a constraint,
    /// that last row itself: it tells a rule on rows from a table that takes none.
    pub(super) fn variants(&self, suspect: &Rows, refusal: &Error) -> Rows {
        let plan = &suspect.plan;
        let is_key = |column: usize| plan.key.contains(&column);
        let mut variants = Rows::new(Arc::clone(plan));
        let place = (suspect, 0);
        let required: Vec<bool> = plan.stored_columns().map(|column| column.required).collect();
        variants.push_row(place, |column| (is_key(column) || required[column]).then_some(place));
        if let Some(last) = self.last_row.as_ref().filter(|last| last.plan == *plan) {
            variants.push_row(place, |column| Some((if is_key(column) { suspect } else { last }, 0)));
            if refusal.constraint().is_some() {
                variants.push_row(place, |_| Some((last, 0)));
            }
        }
        variants
    }
}

pub(super) fn one_row(rows: &Rows, row: usize) -> Rows {
    let mut one = Rows::new(Arc::clone(&rows.plan));
    one.push_row((rows, row), |_| Some((rows, row)));
    one
}
