//! Between spool and writers: reads what has piled up, parses, validates, maps and collapses it.
//!
//! It takes whatever is there: under light load a batch is one event, under load batches grow, without a timer. A thread of its
//! own prepares the next batch while the writers wait for the database. A writer that is the only one, and has nothing left to
//! do, prepares a few events itself: waking another thread would take longer.

use std::mem;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
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
use crate::spool::{Spool, SpooledEvents};
use crate::threads::sync;

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
    /// Locked until a batch that was prepared has been handed over, so that batches stay in order.
    progress: Mutex<Progress>,
}

/// How far the events are prepared.
#[derive(Debug, Default)]
struct Progress {
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
            progress: Mutex::default(),
        }
    }

    /// For the thread: runs until the pipeline is closed: by the writer, when the spool is drained after a stop, or by an abort.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn run(&self) -> Result<()> {
        let outcome = self.prepare_all();
        self.pipeline.finish();
        outcome
    }

    fn prepare_all(&self) -> Result<()> {
        if self.pipeline.first_course().is_none() {
            return Ok(());
        }
        let mut requests_due = Instant::now();
        let mut seen = 0;
        loop {
            let Some(course) = self.follow(&mut sync::lock(&self.progress))?.cloned() else { return Ok(()) };
            if Instant::now() >= requests_due {
                requests_due = Instant::now() + self.answer_request(&course.plan);
            }
            let is_time = if course.writers == 1 {
                self.spool.wait_to_prepare_ahead(IDLE)
            } else {
                self.spool.wait_to_prepare(IDLE)
            };
            if !is_time {
                if self.spool.is_intake_ended() {
                    if self.pipeline.finish_course(course.generation).is_none() {
                        return Ok(());
                    }
                } else {
                    let next = self.spool.next();
                    if mem::replace(&mut seen, next) == next && self.spool.applied() == next {
                        self.tidy();
                    }
                }
                continue;
            }
            if !self.pipeline.wait_for_place(course.generation) {
                return Ok(());
            }
            let mut progress = sync::lock(&self.progress);
            let is_open = match self.next(&mut progress) {
                Ok(prepared) => prepared.is_none_or(|prepared| self.pipeline.put(prepared)),
                Err(error) => {
                    drop(progress);
                    !self.is_stopped_by(error)?
                }
            };
            if !is_open {
                return Ok(());
            }
        }
    }

    /// For a writer that is the only one and has nothing left to do: the batch that waits for it, or else one that is prepared now, of a few events.
    /// `None` when everything is written after the end of the intake, or the pipeline is closed.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn take(&self) -> Result<Option<Arc<Prepared>>> {
        loop {
            let mut progress = sync::lock(&self.progress);
            if self.pipeline.has_waiting() || self.spool.has_plenty() || self.spool.is_intake_ended() {
                // The thread's: large batches, so that their memory is taken and given back in one place, and the last, because
                // it knows when there is nothing left.
                drop(progress);
                return Ok(self.pipeline.take(0));
            }
            if self.pipeline.is_closed() {
                return Ok(None);
            }
            let prepared = self.next(&mut progress);
            drop(progress);
            match prepared {
                Ok(Some(prepared)) => return Ok(Some(Arc::new(prepared))),
                Ok(None) => drop(self.spool.wait_for_events(IDLE)),
                Err(error) => {
                    if self.is_stopped_by(error)? {
                        return Ok(None);
                    }
                }
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
    fn follow<'a>(&self, progress: &'a mut Progress) -> Result<Option<&'a Course>> {
        if let Some(newer) = self.pipeline.newer_course(progress.course.as_ref().map(|course| course.generation)) {
            progress.decided = self.spool.dead_offsets(newer.from)?;
            self.spool.note_taken(newer.from);
            progress.course = Some(newer);
        }
        Ok(progress.course.as_ref())
    }

    /// Prepares the next batch, if there are events for one.
    fn next(&self, progress: &mut Progress) -> Result<Option<Prepared>> {
        self.follow(progress)?;
        let Progress { course: Some(course), decided, events } = progress else { return Ok(None) };
        let bytes_max = usize::try_from(self.batch.bytes_max).unwrap_or(usize::MAX);
        self.spool.read(course.from, self.batch.events_max as usize, bytes_max, events)?;
        let Some(to) = events.end() else { return Ok(None) };
        let prepared = self.prepare(course, to, decided, events);
        course.from = to;
        decided.retain(|&offset| offset >= to);
        self.spool.note_taken(to);
        Ok(Some(prepared))
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

#[cfg(test)]
#[path = "tests/preparer.rs"]
mod tests;
