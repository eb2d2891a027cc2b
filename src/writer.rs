//! The loop that writes batches: one statement, one transaction each, in order, until it is known to be committed.
//!
//! Every failure has a class, and the class decides: an outage is waited out, a conflict tried again, bad data split until the
//! bad event is alone. What was committed without an answer is found by the checkpoint that the same transaction moved.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::batch::{Merged, collapse};
use crate::config::Config;
use crate::dead_letter::DeadLetter;
use crate::destination::{Applied, Destination, Fence, Write};
use crate::error::{Class, Error, Result};
use crate::mapping::Plan;
use crate::notice::{Notice, Rejection, Stored};
use crate::pipeline::{Pipeline, Prepared};
use crate::reconcile;
use crate::spool::{Spool, SpooledEvents};
use crate::stats::Counter;
use crate::status::{Side, Status};

pub(crate) struct Writer {
    pub(crate) spool: Arc<Spool>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) status: Arc<Status>,
    config: Config,
    destination: Box<dyn Destination>,
    is_connected: bool,
    /// What the table was like when it was last seen.
    plan: Option<Arc<Plan>>,
    /// The destination's checkpoint; `None` where it keeps none.
    position: Option<u64>,
    /// Events below this offset were in the spool when it was opened.
    recovered_to: u64,
    dead_letters_logged: Option<Instant>,
    dead_letters_unlogged: u64,
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
/// How often a line about dead letters may come.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl Writer {
    pub(crate) fn new(
        spool: Arc<Spool>,
        pipeline: Arc<Pipeline>,
        status: Arc<Status>,
        config: Config,
        destination: Box<dyn Destination>,
    ) -> Self {
        let recovered_to = spool.next();
        Self {
            spool,
            pipeline,
            status,
            config,
            destination,
            is_connected: false,
            plan: None,
            position: None,
            recovered_to,
            dead_letters_logged: None,
            dead_letters_unlogged: 0,
        }
    }

    /// The first try to reach the destination, on the caller's thread, so that a table that does not fit is an error of
    /// `start()`. An outage is not.
    pub(crate) fn try_connect(&mut self) -> Result<()> {
        match self.connect() {
            Err(error) if matches!(error.class(), Class::Outage | Class::Conflict) => {
                self.stall(&error);
                Ok(())
            }
            outcome => outcome,
        }
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
        if !self.is_connected && !self.reconnect()? {
            return Ok(());
        }
        self.set_course();
        while let Some(prepared) = self.pipeline.take() {
            match self.write(&prepared)? {
                Done::Applied => {}
                Done::Outdated => self.set_course(),
                Done::GivenUp => break,
            }
        }
        Ok(())
    }

    fn set_course(&self) {
        if let Some(plan) = &self.plan {
            self.pipeline.set_course(Arc::clone(plan), self.spool.applied());
        }
    }

    // ---- the connection ----

    /// Connects, fits the plan to the table and learns the checkpoint.
    fn connect(&mut self) -> Result<()> {
        // Nothing is under way that a stop would have to wait for.
        let ended = self.status.destination_abort.clone();
        let _interrupt = self.status.stop.on_set(move || ended.set());
        let is_first = self.plan.is_none();
        let table = self.destination.connect()?;
        let plan = Plan::new(&self.config.mapping, self.config.destination.update, &table)?;
        // `self.plan` stays as it is until all of this has succeeded: the first comparison is made once, and never again.
        let plan = match &self.plan {
            Some(known) if **known == plan => Arc::clone(known),
            _ => Arc::new(plan),
        };
        self.destination.prepare(&plan)?;
        self.position = self.destination.position(self.spool.id(), self.spool.applied())?;
        match self.position {
            None if is_first => log::warn!(
                "the destination has no table cxsink_checkpoint: after a crash a batch may be applied again (at-least-once); \
                 `cxsink init-db` makes the table"
            ),
            None => {}
            Some(position) if is_first => {
                let fresh = reconcile::first(&self.spool, &self.status, self.destination.as_mut(), &plan, position)?;
                self.position = Some(fresh);
            }
            Some(position) => reconcile::again(&self.spool, &self.status, position)?,
        }
        self.plan = Some(plan);
        self.is_connected = true;
        self.status.recover(Side::Destination);
        Ok(())
    }

    /// Tries until it is connected; false when the sink ends first.
    fn reconnect(&mut self) -> Result<bool> {
        let mut backoff = Backoff::new(self.config.retry.delay_min, self.config.retry.delay_max);
        loop {
            if self.status.stop.wait(backoff.next_delay()) {
                return Ok(false);
            }
            match self.connect() {
                Ok(()) => return Ok(true),
                Err(error) if error.class() == Class::Fatal => return Err(error),
                Err(error) => self.stall(&error),
            }
        }
    }

    fn stall(&mut self, error: &Error) {
        self.is_connected = false;
        if self.status.abort.is_set() {
            return;
        }
        self.status.report(error);
        self.status.stall(Side::Destination);
    }

    // ---- a batch ----

    fn write(&mut self, prepared: &Prepared) -> Result<Done> {
        if !self.keep(&prepared.dead_letters)? {
            return Ok(Done::GivenUp);
        }
        let done = self.write_part(prepared, prepared.rows.all(), prepared.to, Some(&prepared.merged))?;
        if done == Done::Applied {
            self.record_latency(prepared);
        }
        Ok(done)
    }

    /// Keeps dead letters before the checkpoint passes their events; waits where the spool cannot take them.
    fn keep(&mut self, dead_letters: &[DeadLetter]) -> Result<bool> {
        let mut backoff = Backoff::new(self.config.retry.delay_min, self.config.retry.delay_max);
        while let Err(error) = self.spool.keep(dead_letters) {
            if error.class() != Class::Outage {
                return Err(error);
            }
            self.status.report(&error);
            self.status.stall(Side::Spool);
            if self.status.stop.wait(backoff.next_delay()) {
                return Ok(false);
            }
        }
        if !dead_letters.is_empty() {
            self.status.recover(Side::Spool);
        }
        self.log_dead_letters(dead_letters);
        for letter in dead_letters {
            self.status.notify(Notice::Rejected(Rejection::from(letter)));
        }
        Ok(true)
    }

    /// At most one line a second: a stream gone bad must not flood the log. Notices and dead letters tell all.
    fn log_dead_letters(&mut self, dead_letters: &[DeadLetter]) {
        let Some(first) = dead_letters.first() else { return };
        self.dead_letters_unlogged += dead_letters.len() as u64;
        let now = self.status.clock.steady();
        if self.dead_letters_logged.is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL) {
            return;
        }
        let count = std::mem::take(&mut self.dead_letters_unlogged);
        self.dead_letters_logged = Some(now);
        let others = if count == 1 { String::new() } else { format!(", and {} more are", count - 1) };
        log::warn!("event {} is a dead letter{others} ({}: {})", first.offset, first.stage, log_reason(first));
    }

    /// Writes the rows of `range` and moves the checkpoint to `to`. `merged`: the same rows collapsed, if that is done already.
    fn write_part(
        &mut self,
        prepared: &Prepared,
        range: Range<usize>,
        to: u64,
        merged: Option<&[Merged]>,
    ) -> Result<Done> {
        let mut conflict = Backoff::new(CONFLICT_DELAY_MIN, CONFLICT_DELAY_MAX);
        let collapsed;
        let merged = if let Some(merged) = merged {
            merged
        } else {
            collapsed = collapse(&prepared.rows, range.clone());
            &collapsed
        };
        loop {
            if !self.is_connected && !self.reconnect()? {
                return Ok(Done::GivenUp);
            }
            let applied = self.spool.applied();
            if applied >= to {
                return Ok(Done::Applied);
            }
            let is_outdated = self.plan.as_deref() != Some(&*prepared.rows.plan);
            // Applied up to a place inside this part: only another process's batches can have bounds of their own.
            let is_cut = range.start < range.end && prepared.rows.offsets[range.start] < applied;
            if is_outdated || is_cut {
                return Ok(Done::Outdated);
            }
            if range.is_empty() {
                self.complete(to, 0, Stored::default());
                return Ok(Done::Applied);
            }
            let fence = self.position.map(|from| Fence { spool_id: self.spool.id(), from, to });
            match self.destination.apply(&Write { rows: &prepared.rows, merged, fence }) {
                Ok(Applied::Committed { inserted, updated }) => {
                    self.position = self.position.map(|_| to);
                    let rows = merged.len() as u64;
                    self.status.counters.add(Counter::Batches, 1);
                    self.complete(
                        to,
                        range.len() as u64,
                        Stored {
                            inserted,
                            updated,
                            unchanged: rows - inserted - updated,
                            collapsed: range.len() as u64 - rows,
                            ..Stored::default()
                        },
                    );
                    return Ok(Done::Applied);
                }
                Ok(Applied::Fenced) => self.refused_by_fence()?,
                Err(error) if self.status.abort.is_set() => {
                    log::debug!("the sink ends during a statement: {error}");
                    return Ok(Done::GivenUp);
                }
                Err(error) => match error.class() {
                    Class::Conflict => {
                        log::debug!("{error}; trying again");
                        if self.status.abort.wait(conflict.next_delay()) {
                            return Ok(Done::GivenUp);
                        }
                    }
                    Class::BadData if range.len() == 1 => return self.set_aside(prepared, &range, to, &error),
                    Class::BadData => return self.write_halves(prepared, &range, to),
                    Class::Outage | Class::Misfit => self.stall(&error),
                    Class::Fatal => return Err(error),
                },
            }
        }
    }

    /// Somewhere in here is a bad event: the first half goes up to the event that begins the second.
    fn write_halves(&mut self, prepared: &Prepared, range: &Range<usize>, to: u64) -> Result<Done> {
        let middle = range.start + range.len() / 2;
        let first = self.write_part(prepared, range.start..middle, prepared.rows.offsets[middle], None)?;
        if first != Done::Applied {
            return Ok(first);
        }
        self.write_part(prepared, middle..range.end, to, None)
    }

    /// The database refuses this one event.
    fn set_aside(&mut self, prepared: &Prepared, range: &Range<usize>, to: u64, error: &Error) -> Result<Done> {
        let offset = prepared.rows.offsets[range.start];
        let mut events = SpooledEvents::default();
        self.spool.read(offset, 1, 0, &mut events)?;
        let now = self.status.clock.unix_micros();
        let letters: Vec<DeadLetter> = events
            .iter()
            .map(|(offset, received_at, event)| DeadLetter::new(offset, received_at, now, error, event))
            .collect();
        if !self.keep(&letters)? {
            return Ok(Done::GivenUp);
        }
        self.complete(to, 0, Stored::default());
        Ok(Done::Applied)
    }

    /// The checkpoint is not where it was left: learn where it is and go on from there.
    fn refused_by_fence(&mut self) -> Result<()> {
        match self.destination.position(self.spool.id(), self.spool.applied()) {
            Ok(position) => {
                log::warn!(
                    "the destination's checkpoint is {position:?}, expected {:?}: going on from there",
                    self.position
                );
                self.position = position;
                if let Some(position) = position {
                    reconcile::again(&self.spool, &self.status, position)?;
                }
            }
            Err(error) if error.class() == Class::Fatal => return Err(error),
            Err(error) => self.stall(&error),
        }
        Ok(())
    }

    /// Everything up to `to` is settled: `rows` of the events as `stored` says, the others as dead letters.
    fn complete(&mut self, to: u64, rows: u64, mut stored: Stored) {
        stored.dead_lettered = to - self.spool.applied() - rows;
        let counters = &self.status.counters;
        counters.add(Counter::Inserted, stored.inserted);
        counters.add(Counter::Updated, stored.updated);
        counters.add(Counter::Unchanged, stored.unchanged);
        counters.add(Counter::Collapsed, stored.collapsed);
        counters.add(Counter::DeadLettered, stored.dead_lettered);
        if let Err(error) = self.spool.mark_applied(to) {
            // It is applied; the rows go with the next delete.
            self.status.report(&error);
        }
        self.status.notify(Notice::Stored(stored));
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

/// What a log may say of a dead letter: places and rules. Names of unexpected members are the event's own, and stay out.
fn log_reason(letter: &DeadLetter) -> String {
    match letter.violations.first() {
        Some(violation) => format!(
            "{} at {}",
            violation.keyword,
            if violation.pointer.is_empty() { "the event" } else { &violation.pointer }
        ),
        None => letter.reason.clone(),
    }
}
