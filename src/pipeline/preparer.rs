//! The loop between spool and handoff: reads pending events, parses, validates and maps them, and coalesces repeated keys.
//!
//! It takes all events that have arrived: under light load a batch is one event, under load batches grow, without a timer. It
//! prepares the next batch while the writers wait for the database, and adds to it what arrives until they take it. So a writer finds its
//! next batch without a wait, and with all events in it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::config::{BatchConfig, Config};
use crate::error::{Class, Error, Result};
use crate::pipeline::event_rules::EventRules;
use crate::pipeline::handoff::{Assignment, Handoff, PreparedBatch, Slot};
use crate::pipeline::replayer::Replayer;
use crate::pipeline::retention::Retention;
use crate::report::status::Status;
use crate::rows::partition::split;
use crate::spool::{Next, Spool, SpooledEvent, SpooledEvents, space_of};
use crate::threads::pulse;

/// A batch that is smaller than both is open: until a writer takes it, what arrives is added. Adding takes a fraction of a
/// millisecond, for which a writer that becomes free has to wait.
const OPEN_EVENTS_MAX: usize = 256;
const OPEN_BYTES_MAX: usize = 64 << 10;

/// After this time without events the spool is tidied.
const IDLE: Duration = Duration::from_millis(200);
/// How often the spool is searched for requests of other processes.
const REQUESTS_INTERVAL: Duration = Duration::from_millis(500);

/// An event may use up its budget, but this many take far less than a loop may be silent.
const EVENTS_BEFORE_BEAT: u64 = 64;

/// At the end of a process: one with the writers, one in the handoff, one with the preparer.
const BATCHES_IN_FLIGHT: u64 = 3;

#[derive(Debug)]
pub(crate) struct Preparer {
    pub(super) spool: Arc<Spool>,
    handoff: Arc<Handoff>,
    pub(super) status: Arc<Status>,
    pub(super) rules: EventRules,
    batch: BatchConfig,
    retention: Retention,
    /// The offsets that have a dead letter from an earlier try, beyond the read position.
    rejected_before: Vec<u64>,
    /// A buffer for the events of one batch.
    events: SpooledEvents,
    requests_due: Instant,
    /// The end offset at the last idle moment.
    idle_end: u64,
}

/// How a step ended.
enum Step {
    Continue,
    /// The assignment has no more batches.
    Finished,
    /// The sink ends.
    End,
}

impl Preparer {
    pub(crate) fn new(
        spool: &Arc<Spool>,
        handoff: &Arc<Handoff>,
        status: &Arc<Status>,
        rules: &EventRules,
        config: &Config,
    ) -> Self {
        Self {
            spool: Arc::clone(spool),
            handoff: Arc::clone(handoff),
            status: Arc::clone(status),
            rules: rules.clone(),
            batch: config.batch.clone(),
            retention: Retention::new(config.retention.dead_letters),
            rejected_before: Vec::new(),
            events: SpooledEvents::default(),
            requests_due: Instant::now(),
            idle_end: 0,
        }
    }

    /// Runs until the handoff is closed: by a writer, when the spool is drained after a stop, or by an immediate stop.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn run(&mut self) -> Result<()> {
        let outcome = self.prepare_all();
        self.handoff.end();
        outcome
    }

    fn prepare_all(&mut self) -> Result<()> {
        self.spool.take_reserve();
        let mut next = self.handoff.wait_for_assignment(None);
        while let Some(assignment) = next {
            let epoch = Some(assignment.epoch);
            if !self.begin(&assignment)? {
                break;
            }
            next = loop {
                if let Some(newer) = self.handoff.newer_assignment(epoch) {
                    break Some(newer);
                }
                match self.step(&assignment)? {
                    Step::Continue => {}
                    Step::Finished => break self.handoff.wait_for_assignment(epoch),
                    Step::End => break None,
                }
            };
        }
        Ok(())
    }

    /// Goes back to the committed offset; false if the sink stops first.
    fn begin(&mut self, assignment: &Assignment) -> Result<bool> {
        let from = self.spool.rewind();
        self.spool.begin_preparing(from, BATCHES_IN_FLIGHT * u64::from(self.batch.events_max));
        log::debug!("preparing events from {from} on for the table {}", assignment.plan.table);
        loop {
            match self.spool.dead_offsets(from) {
                Ok(offsets) => {
                    self.rejected_before = offsets;
                    return Ok(true);
                }
                Err(error) if error.class() == Class::Transient => {
                    if self.wait_after(&error) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for events, and hands over a batch of them.
    fn step(&mut self, assignment: &Assignment) -> Result<Step> {
        pulse::beat();
        self.rules.refresh();
        if Instant::now() >= self.requests_due {
            self.requests_due = Instant::now() + self.replay_request(assignment);
        }
        self.retention.step(&self.spool, &self.status);
        match self.spool.wait_to_prepare(IDLE) {
            Next::Events => {}
            Next::Interrupted => return Ok(Step::Continue),
            Next::Idle => {
                self.tidy_if_idle();
                return Ok(Step::Continue);
            }
            Next::End => {
                self.handoff.finish(assignment.epoch);
                return Ok(Step::Finished);
            }
        }
        let mut batch = match self.handoff.wait_for_slot(assignment.epoch) {
            Slot::Free => PreparedBatch::new(assignment, self.spool.taken()),
            Slot::Open(batch) => *batch,
            Slot::Closed => return Ok(Step::End),
        };
        let outcome = self.extend(&mut batch, assignment);
        let is_open = batch.is_empty() || self.handoff.put(batch);
        let is_going_on = match outcome {
            Ok(()) => is_open,
            // A disk in trouble may recover, and no event is lost.
            Err(error) if error.class() == Class::Transient => is_open && !self.wait_after(&error),
            Err(error) => return Err(error),
        };
        Ok(if is_going_on { Step::Continue } else { Step::End })
    }

    /// True if the sink stops during the wait.
    fn wait_after(&self, error: &Error) -> bool {
        self.status.report(error);
        self.status.stop.wait(IDLE)
    }

    /// Replays a page of the dead letters that another process requests; returns when to look again.
    fn replay_request(&self, assignment: &Assignment) -> Duration {
        let replayer = Replayer {
            spool: &self.spool,
            status: &self.status,
            rules: &self.rules,
            plan: Some(&assignment.plan),
            is_forced: false,
        };
        let replay = || match self.spool.replay_request()? {
            Some(request) if !self.spool.is_intake_ended() => replayer.answer(&request).map(|()| Duration::ZERO),
            _ => Ok(REQUESTS_INTERVAL),
        };
        replay().unwrap_or_else(|error| {
            self.status.report(&error);
            REQUESTS_INTERVAL
        })
    }

    /// Tidies the spool when every event is committed and none has come since the last idle moment.
    fn tidy_if_idle(&mut self) {
        let end = self.spool.end();
        let was_idle = std::mem::replace(&mut self.idle_end, end) == end;
        if was_idle
            && self.spool.committed() == end
            && let Err(error) = self.spool.tidy()
        {
            self.status.report(&error);
        }
    }

    /// Adds events from the read position on: all that there is room for to an empty batch, a few to one that a writer may wait for.
    fn extend(&mut self, batch: &mut PreparedBatch, assignment: &Assignment) -> Result<()> {
        // Late events and others are written by different statements.
        let (is_late, alike_to) = self.spool.lateness(batch.to);
        if !batch.is_empty() && is_late != batch.is_late {
            batch.is_open = false;
            return Ok(());
        }
        batch.is_late = is_late;
        let alike = usize::try_from(alike_to - batch.to).unwrap_or(usize::MAX);
        let bytes_of_batch = usize::try_from(self.batch.bytes_max).unwrap_or(usize::MAX);
        let events_of_batch = self.batch.events_max as usize;
        let open_events = events_of_batch.min(OPEN_EVENTS_MAX);
        let open_bytes = bytes_of_batch.min(OPEN_BYTES_MAX);
        let (events_max, bytes_max) = if batch.is_empty() {
            (events_of_batch, bytes_of_batch)
        } else {
            (open_events.min(events_of_batch - batch.events()), open_bytes.min(bytes_of_batch - batch.bytes))
        };
        self.spool.read(batch.to, events_max.min(alike), bytes_max, &mut self.events)?;
        let Some(end) = self.events.end() else { return Ok(()) };
        self.prepare(batch, assignment);
        batch.is_open = batch.to == end && batch.events() < open_events && batch.bytes < open_bytes;
        batch.shares = split(&batch.rows, assignment.partitions);
        batch.shares_left = AtomicUsize::new(batch.shares.len());
        self.rejected_before.retain(|&offset| offset >= batch.to);
        self.spool.take(batch.to);
        Ok(())
    }

    /// Adds the events that were read, or fewer. The dead letters of a batch are kept at once, so it ends before they take too much; and
    /// it ends at an immediate stop, which thousands of events that use up their budget would delay.
    fn prepare(&self, batch: &mut PreparedBatch, assignment: &Assignment) {
        batch.rows.reserve(self.events.len(), self.events.bytes());
        for event in self.events.iter() {
            let SpooledEvent { offset, received_at, .. } = event;
            if offset % EVENTS_BEFORE_BEAT == 0 {
                pulse::beat();
            }
            if self.status.abort.is_set() {
                break;
            }
            if self.rejected_before.binary_search(&offset).is_ok() {
                batch.rejected.push(offset);
            } else if let Err(letter) = self.prepare_event(event, assignment, &mut batch.rows) {
                let space = batch.dead_letters_space + space_of(&letter);
                if space > self.spool.dead_letters_max() && !batch.dead_letters.is_empty() {
                    break;
                }
                batch.dead_letters_space = space;
                batch.rejected.push(offset);
                batch.dead_letters.push(*letter);
            }
            match batch.receipts.last_mut() {
                Some((at, count)) if *at == received_at => *count += 1,
                _ => batch.receipts.push((received_at, 1)),
            }
            batch.to = offset + 1;
            batch.bytes += event.bytes.len();
        }
        self.spool.end_preparing();
    }
}

#[cfg(test)]
#[path = "tests/preparer.rs"]
mod tests;
