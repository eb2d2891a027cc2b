//! The loop between spool and handoff: reads pending events, parses, validates and maps them, and coalesces repeated keys.
//!
//! It takes all events that have arrived: under light load a batch is one event, under load batches grow, without a timer. It
//! prepares the next batch while the writers wait for the database.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::config::BatchConfig;
use crate::error::{Class, Error, Result};
use crate::pipeline::handoff::{Assignment, Handoff, PreparedBatch};
use crate::pipeline::replayer::Replayer;
use crate::report::dead_letter::DeadLetter;
use crate::report::status::Status;
use crate::rows::batch::Rows;
use crate::rows::map_event;
use crate::rows::partition::split;
use crate::rows::schema::Schema;
use crate::spool::{Next, Spool, SpooledEvents};

/// After this time without events the spool is tidied.
const IDLE: Duration = Duration::from_millis(200);
/// How often the spool is searched for requests of other processes.
const REQUESTS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Preparer {
    spool: Arc<Spool>,
    handoff: Arc<Handoff>,
    status: Arc<Status>,
    schema: Arc<Schema>,
    batch: BatchConfig,
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
        schema: &Arc<Schema>,
        batch: &BatchConfig,
    ) -> Self {
        Self {
            spool: Arc::clone(spool),
            handoff: Arc::clone(handoff),
            status: Arc::clone(status),
            schema: Arc::clone(schema),
            batch: batch.clone(),
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
        let mut next = self.handoff.wait_for_assignment(None);
        while let Some(assignment) = next {
            let epoch = Some(assignment.epoch);
            self.begin(&assignment)?;
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

    /// Goes back to the committed offset.
    fn begin(&mut self, assignment: &Assignment) -> Result<()> {
        let from = self.spool.rewind();
        log::debug!("preparing events from {from} on for the table {}", assignment.plan.table);
        self.rejected_before = self.spool.dead_offsets(from)?;
        Ok(())
    }

    /// Waits for events, and hands over a batch of them.
    fn step(&mut self, assignment: &Assignment) -> Result<Step> {
        if Instant::now() >= self.requests_due {
            self.requests_due = Instant::now() + self.replay_request(assignment);
        }
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
        if !self.handoff.wait_for_slot(assignment.epoch) {
            return Ok(Step::End);
        }
        let is_open = match self.take(assignment) {
            Ok(batch) => batch.is_none_or(|batch| self.handoff.put(batch)),
            // A disk in trouble may recover, and no event is lost.
            Err(error) if error.class() == Class::Transient => !self.wait_after(&error),
            Err(error) => return Err(error),
        };
        Ok(if is_open { Step::Continue } else { Step::End })
    }

    /// True if the sink stops during the wait.
    fn wait_after(&self, error: &Error) -> bool {
        self.status.report(error);
        self.status.stop.wait(IDLE)
    }

    /// Replays a page of the dead letters that another process requests; returns when to look again.
    fn replay_request(&self, assignment: &Assignment) -> Duration {
        let plan = Some(&assignment.plan);
        let replayer = Replayer { spool: &self.spool, status: &self.status, schema: &self.schema, plan };
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

    /// Takes events from the read position on and prepares them; `None` if there are none.
    fn take(&mut self, assignment: &Assignment) -> Result<Option<PreparedBatch>> {
        let from = self.spool.taken();
        let bytes_max = usize::try_from(self.batch.bytes_max).unwrap_or(usize::MAX);
        self.spool.read(from, self.batch.events_max as usize, bytes_max, &mut self.events)?;
        let Some(to) = self.events.end() else { return Ok(None) };
        let batch = self.prepare(assignment, from, to);
        self.rejected_before.retain(|&offset| offset >= to);
        self.spool.take(to);
        Ok(Some(batch))
    }

    fn prepare(&self, assignment: &Assignment, from: u64, to: u64) -> PreparedBatch {
        let mut rows = Rows::with_capacity(Arc::clone(&assignment.plan), self.events.len(), self.events.bytes());
        let mut dead_letters = Vec::new();
        let mut rejected = Vec::new();
        let mut receipts: Vec<(i64, u64)> = Vec::new();
        for (offset, received_at, event) in self.events.iter() {
            match receipts.last_mut() {
                Some((at, count)) if *at == received_at => *count += 1,
                _ => receipts.push((received_at, 1)),
            }
            if self.rejected_before.binary_search(&offset).is_ok() {
                rejected.push(offset);
                continue;
            }
            let mapped = self.schema.parse(event).and_then(|json| map_event(&json, offset, &mut rows));
            if let Err(error) = mapped {
                let now = self.status.clock.unix_micros();
                rejected.push(offset);
                dead_letters.push(DeadLetter::new(offset, received_at, now, &error, event));
            }
        }
        let shares = split(&rows, assignment.partitions);
        let shares_left = AtomicUsize::new(shares.len());
        PreparedBatch { epoch: assignment.epoch, from, to, rows, shares, shares_left, dead_letters, rejected, receipts }
    }
}

#[cfg(test)]
#[path = "tests/preparer.rs"]
mod tests;
