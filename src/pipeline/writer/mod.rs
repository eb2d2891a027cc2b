//! The loop that writes batches: one statement, one transaction each, in order, until it is known to be committed.
//!
//! Every failure has a class, and the class decides: an outage is waited out, a conflict tried again, bad data split until the
//! bad event is alone. What was committed without an answer is found by the checkpoint that the same transaction moved.
//!
//! With several connections there are as many writers, each for a lane of its own ([`crate::rows::partition`]): it writes its part of
//! every batch, and moves its own checkpoint. The first one also keeps the dead letters of the whole batch.

mod connect;
mod dead_letters;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::destination::{Applied, Destination, Fence, Link, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::pipeline::handoff::{Pipeline, Prepared};
use crate::report::notice::Notice;
use crate::report::stats::Counter;
use crate::report::stats::Stored;
use crate::report::status::{Side, Status};
use crate::rows::Plan;
use crate::rows::batch::{Merged, collapse, without_repeats};
use crate::rows::partition::Layout;
use crate::spool::Spool;
use crate::threads::stop_signal::StopSignal;
use crate::time::backoff::Backoff;

pub(crate) struct Writer {
    pub(crate) spool: Arc<Spool>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) status: Arc<Status>,
    config: Config,
    destination: Box<dyn Destination>,
    /// Set once: end the call to the destination that is under way. With the sink's abort, or by a stop that finds it connecting.
    destination_abort: StopSignal,
    /// Its number, and how many there are.
    index: usize,
    writers: usize,
    /// Into how many lanes the keys are to be split; `None` before the first connection.
    lanes_wanted: Option<usize>,
    /// How they are split; `None` before the first connection.
    layout: Option<Layout>,
    /// The lanes that it serves: its own; or all, where there is one writer, or where an earlier run had other lanes.
    lanes: Vec<Lane>,
    is_connected: bool,
    /// What the table was like when it was last seen.
    plan: Option<Arc<Plan>>,
    /// Whether spool and checkpoints have been compared in this process.
    is_compared: bool,
    /// Whether the spool's file knows it, too.
    is_comparison_noted: bool,
    backoff: Backoff,
    /// How many rows one statement takes: fewer after one that did not finish in time.
    rows_max: usize,
    commits_in_time: u32,
    /// Events below this offset were in the spool when it was opened.
    recovered_to: u64,
    dead_letters_logged: Option<Instant>,
    dead_letters_unlogged: u64,
}

/// A share of the keys, and how far it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lane {
    index: usize,
    /// The name of its checkpoint.
    checkpoint: String,
    /// Where that stands; `None` where the destination keeps none.
    position: Option<u64>,
    /// The highest position that a statement without an answer may have set, of this process or of an earlier one.
    unanswered_to: u64,
    /// Its events below this offset are applied or kept as dead letters, and counted.
    settled: u64,
}

impl Lane {
    /// What is below is settled, or was committed without our learning of it.
    fn passed(&self) -> u64 {
        self.position.unwrap_or(0).max(self.settled)
    }
}

/// Rows of one lane that are to be written together.
#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    lane: usize,
    /// In the order of their arrival.
    rows: &'a [u32],
    /// The offset at which the lane's next piece begins.
    to: u64,
}

/// How the work on a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Applied,
    /// The table changed: the batch must be prepared again.
    Outdated,
    /// The sink ends before the batch could be applied; it stays in the spool.
    GivenUp,
}

/// A conflict is tried again after this, then after twice as long each time.
const CONFLICT_DELAY_MIN: Duration = Duration::from_millis(2);
const CONFLICT_DELAY_MAX: Duration = Duration::from_secs(1);
/// Conflicts in a row that are no passing trouble any more: from then on an outage. About two seconds.
const CONFLICTS_MAX: u32 = 10;
/// After so many statements that finished in time, they may be twice as large again.
const COMMITS_BEFORE_GROWTH: u32 = 64;

impl Writer {
    /// The writers of a sink, one for each of the destination's connections.
    pub(crate) fn all(
        spool: &Arc<Spool>,
        pipeline: &Arc<Pipeline>,
        status: &Arc<Status>,
        config: &Config,
        links: Vec<Link>,
    ) -> Vec<Self> {
        let writers = links.len();
        let writer = |(index, link): (usize, Link)| Self {
            spool: Arc::clone(spool),
            pipeline: Arc::clone(pipeline),
            status: Arc::clone(status),
            config: config.clone(),
            destination: link.destination,
            destination_abort: link.abort,
            index,
            writers,
            lanes_wanted: None,
            layout: None,
            lanes: Vec::new(),
            is_connected: false,
            plan: None,
            is_compared: false,
            is_comparison_noted: false,
            backoff: Backoff::new(config.retry.delay_min, config.retry.delay_max),
            rows_max: config.batch.events_max as usize,
            commits_in_time: 0,
            recovered_to: spool.end(),
            dead_letters_logged: None,
            dead_letters_unlogged: 0,
        };
        links.into_iter().enumerate().map(writer).collect()
    }

    /// The one that compares spool and checkpoints, and keeps the dead letters of whole batches.
    fn is_first(&self) -> bool {
        self.index == 0
    }

    fn side(&self) -> Side {
        Side::Destination(self.index)
    }

    /// Runs until the preparer has finished or the sink is aborted.
    ///
    /// # Errors
    /// What no retry can help.
    pub(crate) fn run(&mut self) -> Result<()> {
        let outcome = self.write_all();
        self.pipeline.close();
        outcome
    }

    fn write_all(&mut self) -> Result<()> {
        if !self.is_first() {
            if !self.pipeline.wait_for_writers(self.writers) {
                return Ok(());
            }
            if !self.is_connected {
                self.try_connect()?;
            }
        }
        if !self.is_connected && !self.reconnect()? {
            return Ok(());
        }
        while self.change_layout()? {
            let Some(prepared) = self.pipeline.take(self.index) else { break };
            if self.write(&prepared)? == Done::GivenUp {
                break;
            }
        }
        Ok(())
    }

    // ---- a batch ----

    fn write(&mut self, prepared: &Prepared) -> Result<Done> {
        if self.is_first() && !self.keep(&prepared.dead_letters)? {
            return Ok(Done::GivenUp);
        }
        for lane in 0..self.lanes.len() {
            let Some(part) = prepared.parts.get(self.lanes[lane].index) else { return Ok(Done::Outdated) };
            let piece = Piece { lane, rows: &part.rows, to: prepared.to };
            let done = self.write_piece(prepared, piece, Some(&part.merged))?;
            if done != Done::Applied {
                return Ok(done);
            }
            if prepared.parts_left.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.record_latency(prepared);
            }
        }
        Ok(Done::Applied)
    }

    /// Writes the piece and moves the lane's checkpoint. `merged`: its rows collapsed, if that is done already.
    fn write_piece(&mut self, prepared: &Prepared, piece: Piece<'_>, merged: Option<&[Merged]>) -> Result<Done> {
        let Piece { lane, rows, to } = piece;
        let mut conflict = Backoff::new(CONFLICT_DELAY_MIN, CONFLICT_DELAY_MAX);
        let mut conflicts = 0;
        let collapsed;
        let merged = if let Some(merged) = merged {
            merged
        } else {
            collapsed = collapse(&prepared.rows, rows);
            &collapsed
        };
        loop {
            if !self.is_connected && !self.reconnect()? {
                return Ok(Done::GivenUp);
            }
            if self.pipeline.newer_course(Some(prepared.generation)).is_some() {
                return Ok(Done::Outdated);
            }
            if self.plan.as_deref() != Some(&*prepared.rows.plan) {
                // Another writer has seen the table since.
                self.is_connected = false;
                continue;
            }
            if let Some(rest) = self.skip_passed(prepared, piece) {
                if !rest.is_empty() {
                    return self.write_piece(prepared, Piece { rows: rest, ..piece }, None);
                }
                // Nothing is left that the destination could refuse.
                self.status.recover(self.side());
                return Ok(Done::Applied);
            }
            if prepared.rows.plan.is_guarded && merged.len() < rows.len() {
                return self.write_without_repeats(prepared, piece);
            }
            if rows.len() > self.rows_max {
                return self.write_halves(prepared, piece);
            }
            let Lane { checkpoint, position, .. } = &self.lanes[lane];
            let fence = position.map(|from| Fence { spool_id: checkpoint, from, to });
            match self.destination.apply(&Write { rows: &prepared.rows, merged, fence }) {
                Ok(Applied::Committed { inserted, updated }) => {
                    let Lane { position, unanswered_to, .. } = &mut self.lanes[lane];
                    if position.is_some() {
                        *position = Some(to);
                        // The fences of those are behind the checkpoint now.
                        *unanswered_to = 0;
                        self.spool.note_checkpoint(&self.lanes[lane].checkpoint, to);
                    }
                    self.note_success();
                    let (events, written) = (rows.len() as u64, merged.len() as u64);
                    let unchanged = written - inserted - updated;
                    self.status.counters.add(Counter::Batches, 1);
                    let collapsed = events - written;
                    let stored = Stored { inserted, updated, unchanged, collapsed, ..Stored::default() };
                    self.settle(prepared, lane, to, stored);
                    return Ok(Done::Applied);
                }
                Ok(Applied::Fenced) => {
                    conflicts += 1;
                    self.refused_by_fence(lane, conflicts)?;
                    if conflicts > 1 && self.status.abort.wait(conflict.next_delay()) {
                        return Ok(Done::GivenUp);
                    }
                }
                Err(error) if self.status.abort.is_set() => {
                    log::debug!("the sink ends during a statement: {error}");
                    return Ok(Done::GivenUp);
                }
                Err(error) => match error.class() {
                    Class::Conflict if conflicts < CONFLICTS_MAX => {
                        log::debug!("{error}; trying again");
                        conflicts += 1;
                        if self.status.abort.wait(conflict.next_delay()) {
                            return Ok(Done::GivenUp);
                        }
                    }
                    Class::Conflict => self.stall(&error),
                    Class::BadRow if rows.len() == 1 => return self.set_aside(prepared, piece, &error),
                    Class::BadRow => return self.write_halves(prepared, piece),
                    Class::Transient | Class::Mismatch => {
                        let unanswered_to = &mut self.lanes[lane].unanswered_to;
                        *unanswered_to = to.max(*unanswered_to);
                        if error.is_timeout() {
                            self.rows_max = (rows.len() / 2).max(1);
                            self.commits_in_time = 0;
                        }
                        self.stall(&error);
                    }
                    Class::Permanent => return Err(error),
                },
            }
        }
    }

    /// Leaves out the rows that are settled, or that the checkpoint shows to be applied; returns what is left of the piece if
    /// that is less than all.
    fn skip_passed<'a>(&mut self, prepared: &Prepared, piece: Piece<'a>) -> Option<&'a [u32]> {
        let Lane { settled, .. } = self.lanes[piece.lane];
        let passed = if piece.rows.is_empty() { piece.to } else { self.lanes[piece.lane].passed().min(piece.to) };
        let below = |offset| piece.rows.partition_point(|&row| prepared.rows.offsets[row as usize] < offset);
        let (known, gone) = (below(settled), below(passed));
        if gone == 0 && passed < piece.to {
            return None;
        }
        let confirmed = gone.saturating_sub(known) as u64;
        if confirmed > 0 {
            // It has taken rows: it is well.
            self.note_success();
        }
        self.settle(prepared, piece.lane, passed, Stored { confirmed, ..Stored::default() });
        Some(&piece.rows[gone..])
    }

    /// The table judges each event by itself, so those of one key go one after the other.
    fn write_without_repeats(&mut self, prepared: &Prepared, piece: Piece<'_>) -> Result<Done> {
        for part in without_repeats(&prepared.rows, piece.rows) {
            let to = piece.rows.get(part.end).map_or(piece.to, |&next| prepared.rows.offsets[next as usize]);
            let done = self.write_piece(prepared, Piece { rows: &piece.rows[part], to, ..piece }, None)?;
            if done != Done::Applied {
                return Ok(done);
            }
        }
        Ok(Done::Applied)
    }

    /// Somewhere in here is a bad event, or this was too much for one statement: the first half goes up to the event that begins the second.
    fn write_halves(&mut self, prepared: &Prepared, piece: Piece<'_>) -> Result<Done> {
        let (first, second) = piece.rows.split_at(piece.rows.len() / 2);
        let middle = prepared.rows.offsets[second[0] as usize];
        let done = self.write_piece(prepared, Piece { rows: first, to: middle, ..piece }, None)?;
        if done != Done::Applied {
            return Ok(done);
        }
        self.write_piece(prepared, Piece { rows: second, ..piece }, None)
    }

    /// The checkpoint is not where it was left: learn where it is, and go on from there. `times`: in a row, with this piece.
    fn refused_by_fence(&mut self, lane: usize, times: u32) -> Result<()> {
        match self.position_of(lane) {
            Ok(Some(position)) if times < CONFLICTS_MAX => self.compare_again(lane, position),
            Ok(Some(_)) => {
                let message =
                    "the destination refuses to move this spool's checkpoint, although it stands where it should";
                self.stall(&Error::new(ErrorKind::Database, message).with_class(Class::Transient).with_hint(
                    "look for a trigger or a policy on cxsink_checkpoint, or a proxy that reads from another server",
                ));
                Ok(())
            }
            Ok(None) => {
                self.lanes[lane].position = None;
                Ok(())
            }
            Err(error) if error.class() == Class::Permanent => Err(error),
            Err(error) => {
                self.stall(&error);
                Ok(())
            }
        }
    }

    fn note_success(&mut self) {
        self.note_comparison();
        self.backoff.reset();
        self.status.recover(self.side());
        self.commits_in_time += 1;
        if self.commits_in_time >= COMMITS_BEFORE_GROWTH {
            self.commits_in_time = 0;
            self.rows_max = (self.rows_max * 2).min(self.config.batch.events_max as usize);
        }
    }

    /// The lane's events up to `to` are settled, as `stored` says. Those without a row belong to no lane, and count with the first.
    fn settle(&mut self, prepared: &Prepared, lane: usize, to: u64, mut stored: Stored) {
        let Lane { index, settled, .. } = &mut self.lanes[lane];
        if *index == 0 {
            let below = |offset| prepared.decided.partition_point(|&decided| decided < offset);
            stored.dead_lettered += below(to).saturating_sub(below(*settled)) as u64;
        }
        *settled = to.max(*settled);
        let events = stored.counts().iter().map(|(_, count)| count).sum();
        self.status.counters.add_stored(&stored);
        if let Err(error) = self.spool.commit(*index, *settled, events) {
            // They are applied; their rows go with the next delete.
            self.status.report(&error);
        }
        if events > 0 {
            self.status.notify(Notice::Stored(stored));
        }
    }

    fn record_latency(&self, prepared: &Prepared) {
        if prepared.from < self.recovered_to {
            return;
        }
        let now = self.status.clock.unix_micros();
        for &(received_at, events) in &prepared.receipts {
            let micros = u64::try_from(now - received_at).unwrap_or(0);
            self.status.counters.record_latency(micros, events);
        }
    }
}
