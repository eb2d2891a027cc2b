//! Trials: the evidence for a verdict on an event that the database refuses.
//!
//! Before an event is set aside, the catalogue is read again: a plan for yesterday's table proves nothing. Then one transaction, which
//! is rolled back, tries the suspect beside the events behind it. Where none of those passes, it tries the row of the suspect with
//! other values. So the order of events is kept: what passes is written later, in its turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::destination::{Trial, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::pipeline::handoff::PreparedBatch;
use crate::pipeline::writer::run::Writer;
use crate::pipeline::writer::sub_batch::SubBatch;
use crate::pipeline::writer::trial_state::one_row;
use crate::pipeline::writer::verdict::{Evidence, Ruling, Verdict};
use crate::rows::batch::Rows;
use crate::rows::coalesce::Coalesced;
use crate::rows::{Plan, map_event};
use crate::spool::SpooledEvents;
use crate::threads::pulse;

/// The shortest time between two reports of the same reason.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// The neighbours that one round tries; the next one continues behind them.
const NEIGHBOURS_MAX: u64 = 256;
/// The neighbours of the first transaction of a round; of each further one four times as many.
const NEIGHBOURS_FIRST: usize = 4;
const NEIGHBOURS_BYTES_MAX: usize = 1 << 20;

impl Writer {
    /// Reads the catalogue again after the first refusal of a batch. False if the batch must not be judged by its plan: then the
    /// writer is no longer connected.
    pub(super) fn is_as_planned(&mut self, batch: &PreparedBatch) -> Result<bool> {
        let known = Some((batch.epoch, batch.from));
        if self.trials.examined == known {
            return Ok(true);
        }
        match self.destination.table().and_then(|table| Plan::new(&self.config, &table)) {
            Ok(plan) if *batch.rows.plan == plan => {
                self.trials.examined = known;
                return Ok(true);
            }
            Ok(_) => {
                log::info!("the table {} has changed", batch.rows.plan.table);
                self.trials.judge.forget();
                self.is_connected = false;
            }
            Err(error) if error.class() == Class::Permanent && error.kind() != ErrorKind::Config => return Err(error),
            Err(error) => self.stall(&error),
        }
        Ok(false)
    }

    /// Judges an event that was refused alone.
    pub(super) fn judge(&mut self, suspect: SubBatch<'_>, refusal: &Error) -> Result<Ruling> {
        if !self.is_as_planned(suspect.batch)? {
            return Ok(Ruling::TryAgain);
        }
        let evidence = match self.gather(suspect, refusal) {
            Ok(evidence) => evidence,
            Err(_) if self.status.abort.is_set() => return Ok(Ruling::GiveUp),
            Err(error) if error.class() == Class::Permanent => return Err(error),
            // Without a verdict everything is as after a failed write.
            Err(error) => {
                self.stall(&error);
                return Ok(Ruling::TryAgain);
            }
        };
        log::debug!("{refusal}: {evidence:?}");
        Ok(match self.trials.judge.judge(&reason(refusal), evidence) {
            Verdict::Event => {
                self.trials.end_wait();
                self.status.recover(self.side());
                Ruling::SetAside
            }
            Verdict::Table if self.hold(&refused_by_table(refusal)) => Ruling::TryAgain,
            Verdict::Table => Ruling::GiveUp,
            Verdict::Passes => {
                // Once, the reason may have just gone away.
                if self.trials.passed.replace(suspect.offset(0)) == Some(suspect.offset(0)) {
                    self.stall(&refused_beside_table(refusal));
                }
                Ruling::TryAgain
            }
        })
    }

    /// Stalls for this reason, and waits before the next try; false when the sink ends.
    pub(super) fn hold(&mut self, error: &Error) -> bool {
        let now = self.status.clock.steady();
        let is_known =
            |(reason, at): &(String, Instant)| reason == error.message() && now.duration_since(*at) < REPORT_INTERVAL;
        if !self.trials.reported.as_ref().is_some_and(is_known) {
            self.status.report(error);
            self.trials.reported = Some((error.message().to_owned(), now));
        }
        self.status.stall(self.side());
        self.trials.examined = None;
        let pause = self.trials.pause.next_delay();
        !self.status.stop.wait(pause)
    }

    /// Tries the suspect beside the events behind it, then with other values.
    fn gather(&mut self, suspect: SubBatch<'_>, refusal: &Error) -> Result<Evidence> {
        let rows = one_row(&suspect.batch.rows, suspect.rows[0] as usize);
        let behind = suspect.offset(0) + 1;
        let mut next = self.trials.next_neighbour.max(behind);
        // Those before it were tried in earlier rounds.
        let mut evidence = Evidence {
            is_refused: true,
            neighbour_passes: false,
            neighbours_refused: next - behind,
            variant_passes: false,
        };
        if self.trials.judge.is_proven(&reason(refusal)) {
            // Cheaper than the neighbours, of which many may be refused for the same reason.
            self.try_variants(&rows, refusal, &mut evidence)?;
            if !evidence.is_refused || evidence.variant_passes {
                return Ok(Evidence { neighbours_refused: 0, ..evidence });
            }
        }
        let (mut tried, mut count) = (0, NEIGHBOURS_FIRST);
        while tried < NEIGHBOURS_MAX {
            let mut neighbours = Rows::new(Arc::clone(&rows.plan));
            let Some(end) = self.read_neighbours(next, count, &mut neighbours)? else {
                // The next round begins again.
                next = 0;
                break;
            };
            let trial = self.try_beside(&rows, &neighbours)?;
            evidence.is_refused = trial.refusal.is_some();
            evidence.neighbour_passes = trial.witness.is_some();
            if let Some(witness) = trial.witness {
                self.trials.next_neighbour = neighbours.offsets[witness];
            }
            if !evidence.is_refused || evidence.neighbour_passes {
                return Ok(evidence);
            }
            let refused = neighbours.len() as u64;
            evidence.neighbours_refused += refused;
            tried += refused.max(1);
            next = end;
            count *= 4;
        }
        self.trials.next_neighbour = next;
        self.try_variants(&rows, refusal, &mut evidence)?;
        Ok(evidence)
    }

    fn try_variants(&mut self, suspect: &Rows, refusal: &Error, evidence: &mut Evidence) -> Result<()> {
        let trial = self.try_beside(suspect, &self.trials.variants(suspect, refusal))?;
        evidence.is_refused = trial.refusal.is_some();
        evidence.variant_passes = trial.witness.is_some();
        Ok(())
    }

    fn try_beside(&mut self, suspect: &Rows, witnesses: &Rows) -> Result<Trial> {
        let each = |rows: &Rows| (0..).take(rows.len()).map(One::new).collect::<Vec<_>>();
        let (suspects, others) = (each(suspect), each(witnesses));
        let spool_id = self.spool.id();
        let witnesses: Vec<Write<'_>> = others.iter().map(|one| one.write(witnesses, spool_id)).collect();
        pulse::beat();
        self.destination.trial(&suspects[0].write(suspect, spool_id), &witnesses)
    }

    /// Reads events from the spool and maps those that are valid; returns the offset behind the last one, or `None` if there is none.
    pub(super) fn read_neighbours(&self, from: u64, count: usize, into: &mut Rows) -> Result<Option<u64>> {
        let mut events = SpooledEvents::default();
        self.spool.read(from, count, NEIGHBOURS_BYTES_MAX, &mut events)?;
        let rules = self.trials.rules.now();
        for event in events.iter().filter(|event| !event.is_message) {
            // One that does not fit is no neighbour; it is rejected in its turn.
            let storable = rules.storable(event.bytes, || self.spool.is_redacted(event.offset));
            let _ = storable
                .and_then(|bytes| rules.schema.parse(&bytes).and_then(|json| map_event(&json, event.arrival(), into)));
        }
        Ok(events.end())
    }
}

/// One row by itself.
struct One {
    coalesced: [Coalesced; 1],
    events: [u32; 1],
}

impl One {
    fn new(row: u32) -> Self {
        Self { coalesced: [Coalesced { first: row, last: row }], events: [row] }
    }

    /// Without a fence.
    fn write<'a>(&'a self, rows: &'a Rows, spool_id: &'a str) -> Write<'a> {
        Write { rows, coalesced: &self.coalesced, fence: None, is_late: false, events: &self.events, spool_id }
    }
}

/// The part of a refusal that events share which are refused for the same reason.
fn reason(refusal: &Error) -> String {
    let of = Option::unwrap_or_default;
    [of(refusal.sqlstate()), of(refusal.constraint()), of(refusal.column())].join("/")
}

/// The table refuses whatever was tried.
fn refused_by_table(refusal: &Error) -> Error {
    let message = format!("{}: no other event passes either, so this one waits", refusal.message());
    let hint = refusal.hint().unwrap_or(
        "look at the triggers, policies, constraints, defaults and sequences of the table; nothing is set aside until an event passes",
    );
    let mut error = Error::new(ErrorKind::Database, message)
        .with_class(Class::Transient)
        .with_constraint(refusal.constraint())
        .with_column(refusal.column())
        .with_hint(hint);
    if let Some(sqlstate) = refusal.sqlstate() {
        error = error.with_sqlstate(sqlstate);
    }
    error
}

/// The table takes the row, so something else refuses it.
fn refused_beside_table(refusal: &Error) -> Error {
    let message = format!("{}: the same row passes without the checkpoint", refusal.message());
    let error = Error::new(ErrorKind::Database, message).with_class(Class::Transient);
    error.with_hint("look for a trigger, a constraint or a policy on cxsink_checkpoint")
}
