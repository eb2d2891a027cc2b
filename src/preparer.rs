//! The loop between spool and writer: reads what has piled up, parses, validates, maps and collapses it.
//!
//! It works on the next batch while the writer waits for the database. It takes whatever is there: under light load a batch is
//! one event, under load batches grow, without a timer.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::batch::Rows;
use crate::config::BatchConfig;
use crate::dead_letter::DeadLetter;
use crate::error::{Class, Result};
use crate::lanes::split;
use crate::mapping::{Plan, map_event};
use crate::pipeline::{Course, Pipeline, Prepared};
use crate::replayer::Replayer;
use crate::schema::Schema;
use crate::spool::{Spool, SpooledEvents};
use crate::status::Status;

/// After so long without events the spool is tidied.
const IDLE: Duration = Duration::from_millis(200);
/// How often the spool is asked for requests of other processes.
const REQUESTS_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) struct Preparer {
    pub(crate) spool: Arc<Spool>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) status: Arc<Status>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) batch: BatchConfig,
}

impl Preparer {
    /// Runs until the pipeline is closed: by the writer, when the spool is drained after a stop, or by an abort.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn run(&self) -> Result<()> {
        let outcome = self.prepare_all();
        self.pipeline.finish();
        outcome
    }

    fn prepare_all(&self) -> Result<()> {
        let Some(mut course) = self.pipeline.first_course() else { return Ok(()) };
        let mut decided = self.spool.dead_offsets(course.from)?;
        let mut events = SpooledEvents::default();
        let mut requests_due = Instant::now();
        loop {
            if Instant::now() >= requests_due {
                requests_due = Instant::now() + self.answer_request(&course.plan);
            }
            if let Some(newer) = self.pipeline.newer_course(course.generation) {
                course = newer;
                decided = self.spool.dead_offsets(course.from)?;
            }
            if !self.spool.wait_for(course.from, IDLE) {
                if self.spool.is_intake_ended() && self.spool.next() <= course.from {
                    match self.pipeline.finish_course(course.generation) {
                        Some(_newer) => continue,
                        None => return Ok(()),
                    }
                }
                self.tidy(course.from);
                continue;
            }
            if !self.pipeline.wait_for_place(course.generation) {
                return Ok(());
            }
            let prepared = match self.step(&course, &decided, &mut events) {
                Ok(Some(prepared)) => prepared,
                Ok(None) => continue,
                // A disk in trouble may recover; what is spooled waits.
                Err(error) if error.class() == Class::Outage => {
                    self.status.report(&error);
                    if self.status.stop.wait(IDLE) {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            let to = prepared.to;
            if !self.pipeline.put(prepared) {
                return Ok(());
            }
            course.from = to;
            decided.retain(|&offset| offset >= to);
        }
    }

    /// Replays some of the dead letters that another process asks for; returns when to look again.
    fn answer_request(&self, plan: &Arc<Plan>) -> Duration {
        let replayer = Replayer { spool: &self.spool, status: &self.status, schema: &self.schema, plan: Some(plan) };
        let answer = || match self.spool.replay_request()? {
            Some(request) if !self.spool.is_intake_ended() => replayer.answer(&request).map(|()| Duration::ZERO),
            _ => Ok(REQUESTS_INTERVAL),
        };
        answer().unwrap_or_else(|error| {
            self.status.report(&error);
            REQUESTS_INTERVAL
        })
    }

    /// Nothing is to do: the moment to delete and to shrink, unless the writer is still at work.
    fn tidy(&self, from: u64) {
        if self.spool.applied() >= from
            && let Err(error) = self.spool.tidy()
        {
            self.status.report(&error);
        }
    }

    /// One batch, from `course.from` on. `decided`: the offsets that have a dead letter already, from an earlier try.
    fn step(&self, course: &Course, decided: &[u64], events: &mut SpooledEvents) -> Result<Option<Prepared>> {
        let bytes_max = usize::try_from(self.batch.bytes_max).unwrap_or(usize::MAX);
        self.spool.read(course.from, self.batch.events_max as usize, bytes_max, events)?;
        let Some(to) = events.end() else { return Ok(None) };
        Ok(Some(self.prepare(course, to, decided, events)))
    }

    fn prepare(&self, course: &Course, to: u64, decided_before: &[u64], events: &SpooledEvents) -> Prepared {
        let mut rows = Rows::with_capacity(Arc::clone(&course.plan), events.len(), events.bytes());
        let mut dead_letters = Vec::new();
        let mut decided = Vec::new();
        let mut receipts: Vec<(i64, u64)> = Vec::new();
        for (offset, received_at, event) in events.iter() {
            match receipts.last_mut() {
                Some((at, count)) if *at == received_at => *count += 1,
                _ => receipts.push((received_at, 1)),
            }
            if decided_before.binary_search(&offset).is_ok() {
                decided.push(offset);
                continue;
            }
            let mapped = self.schema.parse(event).and_then(|json| map_event(&json, offset, &mut rows));
            if let Err(error) = mapped {
                let now = self.status.clock.unix_micros();
                decided.push(offset);
                dead_letters.push(DeadLetter::new(offset, received_at, now, &error, event));
            }
        }
        let parts = split(&rows, course.lanes);
        let parts_left = AtomicUsize::new(parts.len());
        let (generation, from) = (course.generation, course.from);
        Prepared { generation, from, to, rows, parts, parts_left, dead_letters, decided, receipts }
    }
}
