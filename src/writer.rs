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
use crate::dead_letter::{DeadLetter, Stage};
use crate::destination::{Applied, Destination, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
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
    /// The highest checkpoint that a statement without an answer may have set.
    unanswered_to: u64,
    /// Whether spool and checkpoint have been compared in this process.
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
        let backoff = Backoff::new(config.retry.delay_min, config.retry.delay_max);
        let rows_max = config.batch.events_max as usize;
        Self {
            spool,
            pipeline,
            status,
            config,
            destination,
            is_connected: false,
            plan: None,
            position: None,
            unanswered_to: 0,
            is_compared: false,
            is_comparison_noted: false,
            backoff,
            rows_max,
            commits_in_time: 0,
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
        let table = self.destination.connect()?;
        let plan = Plan::new(&self.config.mapping, self.config.destination.update, &table)?;
        // `self.plan` stays as it is until all of this has succeeded: the first comparison is made once, and never again.
        let plan = match &self.plan {
            Some(known) if **known == plan => Arc::clone(known),
            _ => Arc::new(plan),
        };
        self.destination.prepare(&plan)?;
        let position = self.destination.position(self.spool.id(), self.spool.applied())?;
        match position {
            None if self.plan.is_none() => log::warn!(
                "the destination has no table cxsink_checkpoint: after a crash a batch may be applied again (at-least-once); \
                 `cxsink init-db` makes the table"
            ),
            None => {}
            Some(position) if !self.is_compared => {
                let fresh = reconcile::first(&self.spool, &self.status, self.destination.as_mut(), &plan, position)?;
                self.position = Some(fresh);
                self.is_compared = true;
                self.note_comparison();
            }
            Some(position) => self.compare_again(position)?,
        }
        let was_known = self.plan.replace(plan).is_some();
        self.is_connected = true;
        // A destination that lets us in but takes no rows has not recovered.
        if !was_known || self.spool.backlog().events == 0 {
            self.backoff.reset();
            self.status.recover(Side::Destination);
        }
        Ok(())
    }

    /// Learns what became of the statements without an answer.
    fn compare_again(&mut self, position: u64) -> Result<()> {
        reconcile::again(&self.spool, &self.status, self.position, self.unanswered_to, position)?;
        self.position = Some(position);
        Ok(())
    }

    /// Tries until it is connected; false when the sink ends first.
    fn reconnect(&mut self) -> Result<bool> {
        loop {
            if self.status.stop.wait(self.backoff.next_delay()) {
                return Ok(false);
            }
            match self.connect() {
                Ok(()) => return Ok(true),
                // What was right once is set right again: a file being replaced, a column being altered.
                Err(error) if error.kind() == ErrorKind::Config && self.plan.is_some() => self.stall(&error),
                Err(error) if error.class() == Class::Fatal => return Err(error),
                Err(error) => self.stall(&error),
            }
        }
    }

    fn stall(&mut self, error: &Error) {
        self.is_connected = false;
        if self.status.destination_abort.is_set() {
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
            self.status.stall(Side::DeadLetters);
            if self.status.stop.wait(backoff.next_delay()) {
                return Ok(false);
            }
        }
        if !dead_letters.is_empty() {
            self.status.recover(Side::DeadLetters);
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
        let mut conflicts = 0;
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
            if range.len() > self.rows_max {
                return self.write_halves(prepared, &range, to);
            }
            let fence = self.position.map(|from| Fence { spool_id: self.spool.id(), from, to });
            match self.destination.apply(&Write { rows: &prepared.rows, merged, fence }) {
                Ok(Applied::Committed { inserted, updated }) => {
                    self.position = self.position.map(|_| to);
                    self.note_success();
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
                Ok(Applied::Fenced) => {
                    conflicts += 1;
                    self.refused_by_fence(conflicts)?;
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
                    Class::BadData if range.len() == 1 => return self.set_aside(prepared, &range, to, &error),
                    Class::BadData => return self.write_halves(prepared, &range, to),
                    Class::Outage | Class::Misfit => {
                        self.unanswered_to = self.unanswered_to.max(to);
                        if error.is_timeout() {
                            self.rows_max = (range.len() / 2).max(1);
                            self.commits_in_time = 0;
                        }
                        self.stall(&error);
                    }
                    Class::Fatal => return Err(error),
                },
            }
        }
    }

    /// Tried again after each commit until it succeeds: on a full disk it cannot, and that must not hold up the draining.
    fn note_comparison(&mut self) {
        if self.is_compared && !self.is_comparison_noted {
            match self.spool.note_checked() {
                Ok(()) => self.is_comparison_noted = true,
                Err(error) => log::debug!("{error}; trying again later"),
            }
        }
    }

    fn note_success(&mut self) {
        self.note_comparison();
        self.backoff.reset();
        self.status.recover(Side::Destination);
        self.commits_in_time += 1;
        if self.commits_in_time >= COMMITS_BEFORE_GROWTH {
            self.commits_in_time = 0;
            self.rows_max = (self.rows_max * 2).min(self.config.batch.events_max as usize);
        }
    }

    /// Somewhere in here is a bad event, or this was too much for one statement: the first half goes up to the event that begins the second.
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

    /// The checkpoint is not where it was left: learn where it is, and go on from there. `times`: in a row, with this batch.
    fn refused_by_fence(&mut self, times: u32) -> Result<()> {
        match self.destination.position(self.spool.id(), self.spool.applied()) {
            Ok(Some(position)) if times < CONFLICTS_MAX => self.compare_again(position),
            Ok(Some(_)) => {
                let message =
                    "the destination refuses to move this spool's checkpoint, although it stands where it should";
                self.stall(&Error::new(ErrorKind::Database, message).with_class(Class::Outage).with_hint(
                    "look for a trigger or a policy on cxsink_checkpoint, or a proxy that reads from another server",
                ));
                Ok(())
            }
            Ok(None) => {
                self.position = None;
                Ok(())
            }
            Err(error) if error.class() == Class::Fatal => Err(error),
            Err(error) => {
                self.stall(&error);
                Ok(())
            }
        }
    }

    /// Everything up to `to` is settled: `rows` of the events as `stored` says, the others as dead letters.
    fn complete(&mut self, to: u64, rows: u64, mut stored: Stored) {
        stored.dead_lettered = to - self.spool.applied() - rows;
        self.status.counters.add_stored(&stored);
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

/// What a log may say of a dead letter: which rule it broke. Where is said by the dead letter itself: a pointer into an event
/// is made of its member names, which may be anything.
fn log_reason(letter: &DeadLetter) -> String {
    match (letter.stage, letter.violations.first()) {
        (Stage::Schema, Some(violation)) => violation.keyword.clone(),
        _ => letter.reason.clone(),
    }
}
