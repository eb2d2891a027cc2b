//! Writing a sub-batch: tries until it is committed, and splits it where that is needed.

use std::time::Duration;

use crate::destination::{Applied, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::pipeline::handoff::PreparedBatch;
use crate::pipeline::writer::run::{End, Partition, Writer};
use crate::pipeline::writer::verdict::Ruling;
use crate::report::stats::{Counter, Stored};
use crate::rows::coalesce::{Coalesced, coalesce, without_repeats};
use crate::rows::partition::Share;
use crate::threads::pulse;
use crate::time::backoff::Backoff;

/// The delay before the same sub-batch is tried again; it doubles each time.
const CONFLICT_DELAY_MIN: Duration = Duration::from_millis(2);
const CONFLICT_DELAY_MAX: Duration = Duration::from_secs(1);
/// After this many conflicts in a row, about two seconds, the next one counts as a transient failure.
const CONFLICTS_MAX: u32 = 10;

/// Rows of one partition that are written in one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubBatch<'a> {
    pub(super) batch: &'a PreparedBatch,
    /// The place of its partition among those of the writer.
    pub(super) partition: usize,
    /// In the order of their arrival.
    pub(super) rows: &'a [u32],
    /// The offset at which the next sub-batch of the partition begins.
    pub(super) to: u64,
}

impl<'a> SubBatch<'a> {
    pub(super) fn offset(&self, row: usize) -> u64 {
        self.batch.rows.offsets[self.rows[row] as usize]
    }

    /// The number of rows below this offset.
    fn rows_below(&self, offset: u64) -> usize {
        self.rows.partition_point(|&row| self.batch.rows.offsets[row as usize] < offset)
    }

    /// Some of its rows. It ends where the row after them begins.
    fn range(&self, range: std::ops::Range<usize>) -> Self {
        let to = if range.end < self.rows.len() { self.offset(range.end) } else { self.to };
        Self { rows: &self.rows[range], to, ..*self }
    }

    fn bisect(&self) -> [Self; 2] {
        let middle = self.rows.len() / 2;
        [self.range(0..middle), self.range(middle..self.rows.len())]
    }

    /// Ranges without repeated keys.
    fn without_repeats(&self) -> Vec<SubBatch<'a>> {
        without_repeats(&self.batch.rows, self.rows).into_iter().map(|range| self.range(range)).collect()
    }
}

/// The outcome of one try to write a sub-batch.
enum Outcome<'a> {
    /// It is committed and counted.
    Committed,
    /// Its first rows were committed before, by this process or an earlier one; this is the rest.
    Skipped(SubBatch<'a>),
    /// The writer is not connected, or has an older plan than the batch.
    Disconnected,
    /// There is a newer assignment.
    Outdated,
    /// It has too many rows for one statement.
    TooLarge,
    /// Keys are repeated, and each event is judged by itself: by the table, or as a late one.
    Repeated,
    /// Some of its events are late ones, and others not: ranges of one kind.
    Mixed(Vec<SubBatch<'a>>),
    /// The fence refused it: the checkpoint is not at its last known position.
    Fenced,
    /// Another transaction was in the way.
    Conflict(Error),
    /// The database refused it: for one of its rows, or whatever the row.
    Refused(Error),
    /// The connection is gone or the table is not as expected, and the transaction is in doubt.
    InDoubt(Error),
    /// The sink is stopped immediately.
    Stopped,
}

impl Writer {
    /// Writes the share of one partition.
    pub(super) fn write_share(&mut self, batch: &PreparedBatch, partition: usize, share: &Share) -> Result<End> {
        let sub_batch = SubBatch { batch, partition, rows: &share.rows, to: batch.to };
        self.write_coalesced(sub_batch, &share.coalesced)
    }

    fn write_sub_batch(&mut self, sub_batch: SubBatch<'_>) -> Result<End> {
        self.write_coalesced(sub_batch, &coalesce(&sub_batch.batch.rows, sub_batch.rows))
    }

    /// Writes the sub-batch and moves the checkpoint of its partition. `coalesced`: its rows, coalesced.
    fn write_coalesced(&mut self, sub_batch: SubBatch<'_>, coalesced: &[Coalesced]) -> Result<End> {
        let mut delay = Backoff::new(CONFLICT_DELAY_MIN, CONFLICT_DELAY_MAX);
        let mut conflicts = 0;
        loop {
            let outcome = match self.try_once(sub_batch, coalesced)? {
                // Another transaction would be out of the way by now.
                Outcome::Conflict(error) if conflicts >= CONFLICTS_MAX && error.is_refusal() => Outcome::Refused(error),
                outcome => outcome,
            };
            match outcome {
                Outcome::Committed => return Ok(End::Committed),
                Outcome::Skipped(rest) if rest.rows.is_empty() => {
                    // No row is left that the destination could refuse.
                    self.status.recover(self.side());
                    return Ok(End::Committed);
                }
                Outcome::Skipped(rest) => return self.write_sub_batch(rest),
                Outcome::Disconnected => {
                    if !self.reconnect()? {
                        return Ok(End::GivenUp);
                    }
                }
                Outcome::Stopped => return Ok(End::GivenUp),
                Outcome::Outdated => return Ok(End::Outdated),
                Outcome::Repeated => return self.write_in_turn(&sub_batch.without_repeats()),
                Outcome::Mixed(ranges) => return self.write_in_turn(&ranges),
                Outcome::TooLarge => return self.write_in_turn(&sub_batch.bisect()),
                Outcome::Refused(error) if sub_batch.rows.len() == 1 => match self.judge(sub_batch, &error)? {
                    Ruling::SetAside => return self.reject(sub_batch, &error),
                    Ruling::TryAgain => {}
                    Ruling::GiveUp => return Ok(End::GivenUp),
                },
                Outcome::Refused(_) => {
                    // Bisection: the poison event is in one of the halves.
                    if self.is_as_planned(sub_batch.batch)? {
                        return self.write_in_turn(&sub_batch.bisect());
                    }
                }
                Outcome::InDoubt(error) => self.note_in_doubt(sub_batch, &error),
                Outcome::Conflict(error) if conflicts >= CONFLICTS_MAX => self.stall(&error),
                Outcome::Conflict(error) => {
                    log::debug!("{error}; trying again");
                    conflicts += 1;
                    if self.status.abort.wait(delay.next_delay()) {
                        return Ok(End::GivenUp);
                    }
                }
                Outcome::Fenced => {
                    conflicts += 1;
                    self.follow_checkpoint(conflicts)?;
                    if conflicts > 1 && self.status.abort.wait(delay.next_delay()) {
                        return Ok(End::GivenUp);
                    }
                }
            }
        }
    }

    /// Writes sub-batches one after the other.
    fn write_in_turn(&mut self, sub_batches: &[SubBatch<'_>]) -> Result<End> {
        for sub_batch in sub_batches {
            let end = self.write_sub_batch(*sub_batch)?;
            if end != End::Committed {
                return Ok(end);
            }
        }
        Ok(End::Committed)
    }

    /// Tries to write the sub-batch in one statement, if it can be written so at all.
    ///
    /// # Errors
    /// Class `Permanent`.
    fn try_once<'a>(&mut self, sub_batch: SubBatch<'a>, coalesced: &[Coalesced]) -> Result<Outcome<'a>> {
        let SubBatch { batch, rows, .. } = sub_batch;
        pulse::beat();
        if !self.is_connected {
            return Ok(Outcome::Disconnected);
        }
        if self.handoff.is_outdated(batch.epoch) {
            return Ok(Outcome::Outdated);
        }
        if self.plan.as_deref() != Some(&*batch.rows.plan) {
            // Another writer has seen a later version of the table.
            self.is_connected = false;
            return Ok(Outcome::Disconnected);
        }
        if let Some(rest) = self.skip_committed(sub_batch) {
            return Ok(Outcome::Skipped(rest));
        }
        let is_late = match self.by_lateness(sub_batch) {
            Ok(ranges) if ranges.len() > 1 => {
                return Ok(Outcome::Mixed(ranges.into_iter().map(|(range, _)| sub_batch.range(range)).collect()));
            }
            Ok(ranges) => ranges.first().is_some_and(|(_, is_late)| *is_late),
            Err(error) => return wait_for_spool(error),
        };
        if (batch.rows.plan.is_guarded || is_late) && coalesced.len() < rows.len() {
            return Ok(Outcome::Repeated);
        }
        if rows.len() > self.rows_max {
            return Ok(Outcome::TooLarge);
        }
        self.apply(sub_batch, coalesced, is_late)
    }

    /// Runs the statement.
    fn apply<'a>(&mut self, sub_batch: SubBatch<'a>, coalesced: &[Coalesced], is_late: bool) -> Result<Outcome<'a>> {
        let followers = self.followers(sub_batch);
        if let Some(first) = followers.first().map(|_| sub_batch.offset(0))
            && let Err(error) = self.spool.note_followers(&followers, first)
        {
            return wait_for_spool(error);
        }
        let Partition { checkpoint, position, .. } = &self.partitions[sub_batch.partition];
        let owner = self.spool.owner();
        let fence = position.map(|from| Fence { spool_id: checkpoint, owner, from, to: sub_batch.to });
        let rows = &sub_batch.batch.rows;
        // The statement only counts them.
        let superseded_rows = if is_late { self.destination.superseded(rows, sub_batch.rows) } else { Ok(Vec::new()) };
        pulse::beat();
        let applied = superseded_rows.and_then(|superseded| {
            let (events, spool_id) = (sub_batch.rows, self.spool.id());
            let write = Write { rows, coalesced, fence, is_late, events, spool_id };
            self.destination.apply(&write).map(|applied| (applied, superseded))
        });
        let error = match applied {
            Ok((Applied::Committed { inserted, updated }, superseded_rows)) => {
                let (events, written) = (sub_batch.rows.len() as u64, coalesced.len() as u64);
                let (left, coalesced) = (written - inserted - updated, events - written);
                let (unchanged, superseded) = if is_late { (0, left) } else { (left, 0) };
                self.note_unchanged(sub_batch, unchanged);
                let stored = Stored { inserted, updated, unchanged, coalesced, superseded, ..Stored::default() };
                self.spool.close_keys(&followers);
                // Otherwise another program has written in between.
                let is_known = superseded == superseded_rows.len() as u64;
                if is_known || !is_late {
                    self.note_late_keys(sub_batch, is_late.then_some(&superseded_rows));
                }
                if superseded > 0 {
                    self.note_superseded(sub_batch, superseded, &superseded_rows);
                }
                self.note_committed(sub_batch, stored);
                return Ok(Outcome::Committed);
            }
            Ok((Applied::Fenced, _)) => return Ok(Outcome::Fenced),
            Err(error) => error,
        };
        if self.status.abort.is_set() {
            log::debug!("the sink ends during a statement: {error}");
            return Ok(Outcome::Stopped);
        }
        match error.class() {
            Class::Conflict => Ok(Outcome::Conflict(error)),
            _ if error.is_refusal() => Ok(Outcome::Refused(error)),
            Class::Transient | Class::BadRow | Class::Mismatch => Ok(Outcome::InDoubt(error)),
            Class::Permanent => Err(error),
        }
    }

    fn note_committed(&mut self, sub_batch: SubBatch<'_>, stored: Stored) {
        let partition = &mut self.partitions[sub_batch.partition];
        if let Some(position) = &mut partition.position {
            *position = sub_batch.to;
            // The fences of earlier in-doubt transactions are behind the checkpoint now.
            partition.in_doubt_to = 0;
            self.spool.note_checkpoint(&partition.checkpoint, sub_batch.to);
        }
        self.status.counters.add(Counter::Batches, 1);
        self.status.measures.note_commit(sub_batch.rows.len() as u64, self.status.clock.unix_micros());
        self.trials.note_committed(&sub_batch.batch.rows, sub_batch.rows.last());
        self.note_success();
        self.commit(sub_batch, sub_batch.to, stored);
    }

    fn note_in_doubt(&mut self, sub_batch: SubBatch<'_>, error: &Error) {
        let in_doubt_to = &mut self.partitions[sub_batch.partition].in_doubt_to;
        *in_doubt_to = sub_batch.to.max(*in_doubt_to);
        if error.is_timeout() {
            self.rows_max = (sub_batch.rows.len() / 2).max(1);
            self.commits_in_time = 0;
        }
        self.stall(error);
    }

    /// Leaves out rows below the committed offset of the partition, and below its checkpoint: the rest, if that is less than
    /// all. The latter were in doubt, and are committed now.
    fn skip_committed<'a>(&mut self, sub_batch: SubBatch<'a>) -> Option<SubBatch<'a>> {
        let Partition { index, position, .. } = self.partitions[sub_batch.partition];
        let committed = self.spool.committed_of(index);
        let passed = if sub_batch.rows.is_empty() {
            sub_batch.to
        } else {
            position.unwrap_or(0).max(committed).min(sub_batch.to)
        };
        let (known, gone) = (sub_batch.rows_below(committed), sub_batch.rows_below(passed));
        if gone == 0 && passed < sub_batch.to {
            return None;
        }
        let confirmed = gone.saturating_sub(known) as u64;
        if confirmed > 0 {
            // It has taken rows, so it works.
            self.note_success();
        }
        self.commit(sub_batch, passed, Stored { confirmed, ..Stored::default() });
        Some(SubBatch { rows: &sub_batch.rows[gone..], ..sub_batch })
    }

    /// After the fence refused a sub-batch for the `times`th time in a row: compares the checkpoints again, and continues from
    /// there.
    fn follow_checkpoint(&mut self, times: u32) -> Result<()> {
        let compared = if times < CONFLICTS_MAX { self.compare_again() } else { Err(unmoved()) };
        match compared {
            Err(error) if error.class() == Class::Permanent => Err(error),
            Err(error) => {
                self.stall(&error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

fn unmoved() -> Error {
    let message = "moving the checkpoint of this spool: the destination refuses although its position is right";
    Error::new(ErrorKind::Database, message)
        .with_class(Class::Transient)
        .with_hint("look for a trigger or a policy on cxsink_checkpoint, or a proxy that reads from another server")
}

/// The spool cannot be used at the moment: the same sub-batch again, after a pause.
///
/// # Errors
/// It can never be used again.
fn wait_for_spool<'a>(error: Error) -> Result<Outcome<'a>> {
    if error.class() == Class::Transient { Ok(Outcome::Conflict(error)) } else { Err(error) }
}
