//! Between spool and writers: reads what has piled up, parses, validates, maps and collapses it.
//!
//! It takes whatever is there: under light load a batch is one event, under load batches grow, without a timer. It prepares the
//! next batch while the writers wait for the database.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::config::BatchConfig;
use crate::error::{Class, Error, Result};
use crate::pipeline::handoff::{Course, Pipeline, Prepared};
use crate::pipeline::replayer::Replayer;
use crate::report::dead_letter::DeadLetter;
use crate::report::status::Status;
use crate::rows::batch::Rows;
use crate::rows::partition::split;
use crate::rows::schema::Schema;
use crate::rows::{Plan, map_event};
use crate::spool::{Next, Spool, SpooledEvents};

/// After so long without events the spool is tidied.
const IDLE: Duration = Duration::from_millis(200);
/// How often the spool is asked for requests of other processes.
const REQUESTS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Preparer {
    spool: Arc<Spool>,
    pipeline: Arc<Pipeline>,
    status: Arc<Status>,
    schema: Arc<Schema>,
    batch: BatchConfig,
    /// Where to go on, and for which plan; `None` before the first.
    course: Option<Course>,
    /// The offsets that have a dead letter already, from an earlier try.
    decided: Vec<u64>,
    /// Used again for each batch.
    events: SpooledEvents,
}

impl Preparer {
    pub(crate) fn new(
        spool: &Arc<Spool>,
        pipeline: &Arc<Pipeline>,
        status: &Arc<Status>,
        schema: &Arc<Schema>,
        batch: &BatchConfig,
    ) -> Self {
        Self {
            spool: Arc::clone(spool),
            pipeline: Arc::clone(pipeline),
            status: Arc::clone(status),
            schema: Arc::clone(schema),
            batch: batch.clone(),
            course: None,
            decided: Vec::new(),
            events: SpooledEvents::default(),
        }
    }

    /// Runs until the pipeline is closed: by the writer, when the spool is drained after a stop, or by an abort.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn run(&mut self) -> Result<()> {
        let outcome = self.prepare_all();
        self.pipeline.finish();
        outcome
    }

    fn prepare_all(&mut self) -> Result<()> {
        if self.pipeline.first_course().is_none() {
            return Ok(());
        }
        let mut requests_due = Instant::now();
        let mut seen = 0;
        loop {
            let Some(course) = self.follow()?.cloned() else { return Ok(()) };
            if Instant::now() >= requests_due {
                requests_due = Instant::now() + self.answer_request(&course.plan);
            }
            match self.spool.wait_to_prepare(IDLE) {
                Next::Events => {}
                Next::Interrupted => continue,
                Next::Idle => {
                    let next = self.spool.end();
                    if mem::replace(&mut seen, next) == next && self.spool.committed() == next {
                        self.tidy();
                    }
                    continue;
                }
                Next::End => match self.pipeline.finish_course(course.generation) {
                    Some(_) => continue,
                    None => return Ok(()),
                },
            }
            if !self.pipeline.wait_for_place(course.generation) {
                return Ok(());
            }
            let is_open = match self.next() {
                Ok(prepared) => prepared.is_none_or(|prepared| self.pipeline.put(prepared)),
                Err(error) => !self.is_stopped_by(error)?,
            };
            if !is_open {
                return Ok(());
            }
        }
    }

    /// A disk in trouble may recover, and what is spooled waits: true if the sink stops meanwhile.
    fn is_stopped_by(&self, error: Error) -> Result<bool> {
        if error.class() != Class::Transient {
            return Err(error);
        }
        self.status.report(&error);
        Ok(self.status.stop.wait(IDLE))
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

    /// Nothing is to do: the moment to delete and to shrink.
    fn tidy(&self) {
        if let Err(error) = self.spool.tidy() {
            self.status.report(&error);
        }
    }

    /// Goes over to the latest course.
    fn follow(&mut self) -> Result<Option<&Course>> {
        if let Some(mut newer) = self.pipeline.newer_course(self.course.as_ref().map(|course| course.generation)) {
            newer.from = self.spool.rewind();
            self.decided = self.spool.dead_offsets(newer.from)?;
            self.course = Some(newer);
        }
        Ok(self.course.as_ref())
    }

    /// Prepares the next batch, if there are events for one.
    fn next(&mut self) -> Result<Option<Prepared>> {
        self.follow()?;
        let Some(course) = &self.course else { return Ok(None) };
        let bytes_max = usize::try_from(self.batch.bytes_max).unwrap_or(usize::MAX);
        self.spool.read(course.from, self.batch.events_max as usize, bytes_max, &mut self.events)?;
        let Some(to) = self.events.end() else { return Ok(None) };
        let prepared = self.prepare(course, to);
        if let Some(course) = &mut self.course {
            course.from = to;
        }
        self.decided.retain(|&offset| offset >= to);
        self.spool.take(to);
        Ok(Some(prepared))
    }

    fn prepare(&self, course: &Course, to: u64) -> Prepared {
        let mut rows = Rows::with_capacity(Arc::clone(&course.plan), self.events.len(), self.events.bytes());
        let mut dead_letters = Vec::new();
        let mut decided = Vec::new();
        let mut receipts: Vec<(i64, u64)> = Vec::new();
        for (offset, received_at, event) in self.events.iter() {
            match receipts.last_mut() {
                Some((at, count)) if *at == received_at => *count += 1,
                _ => receipts.push((received_at, 1)),
            }
            if self.decided.binary_search(&offset).is_ok() {
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

#[cfg(test)]
#[path = "tests/preparer.rs"]
mod tests;
