//! A writer and its loop.

use std::sync::Arc;

use crate::config::Config;
use crate::destination::{Destination, Link};
use crate::error::Result;
use crate::pipeline::event_rules::EventRules;
use crate::pipeline::handoff::{Handoff, PreparedBatch};
use crate::pipeline::writer::late_keys::LateKeys;
use crate::pipeline::writer::tally::Tally;
use crate::pipeline::writer::trial_state::Trials;
use crate::report::status::{Side, Status};
use crate::rows::Plan;
use crate::rows::partition::Partitioning;
use crate::spool::Spool;
use crate::threads::stop_signal::StopSignal;
use crate::time::backoff::Backoff;

/// See the [module documentation](super).
pub(crate) struct Writer {
    pub(super) spool: Arc<Spool>,
    pub(super) handoff: Arc<Handoff>,
    pub(super) status: Arc<Status>,
    pub(super) config: Config,
    pub(super) destination: Box<dyn Destination>,
    /// Ends the call to the destination that is under way: with an immediate stop, or by a stop that finds it connecting.
    pub(super) destination_abort: StopSignal,
    /// Its number, and the number of writers.
    pub(super) index: usize,
    pub(super) writers: usize,
    /// The number of partitions to have; `None` before the first connection.
    pub(super) partitions_wanted: Option<usize>,
    /// `None` before the first connection.
    pub(super) partitioning: Option<Partitioning>,
    /// The partitions that it writes: its own; or all, where there is one writer, or where an earlier run had another number.
    pub(super) partitions: Vec<Partition>,
    pub(super) is_connected: bool,
    /// The plan for the table as it was when last seen.
    pub(super) plan: Option<Arc<Plan>>,
    /// Whether spool and checkpoints have been compared in this process.
    pub(super) is_compared: bool,
    /// Whether that is noted in the spool's file.
    pub(super) is_comparison_noted: bool,
    pub(super) backoff: Backoff,
    /// The rows of one statement: fewer after one that did not finish in time.
    pub(super) rows_max: usize,
    pub(super) commits_in_time: u32,
    /// Events below this offset were in the spool when it was opened.
    pub(super) recovered_to: u64,
    pub(super) tally: Tally,
    pub(super) trials: Trials,
    pub(super) late_keys: LateKeys,
}

/// A partition and its checkpoint in the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) index: usize,
    /// The name of its checkpoint.
    pub(super) checkpoint: String,
    /// The position of the checkpoint; `None` where the destination keeps none.
    pub(super) position: Option<u64>,
    /// The highest position that an in-doubt transaction may have set, of this process or of an earlier one.
    pub(super) in_doubt_to: u64,
}

/// How the work on a batch, or on a part of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Committed,
    /// There is a newer assignment: the batch is prepared again.
    Outdated,
    /// The sink ends before the batch is committed; it stays in the spool.
    GivenUp,
}

impl Writer {
    /// The writers of a sink, one for each connection to the destination.
    pub(crate) fn all(
        spool: &Arc<Spool>,
        handoff: &Arc<Handoff>,
        status: &Arc<Status>,
        rules: &EventRules,
        config: &Config,
        links: Vec<Link>,
    ) -> Vec<Self> {
        let writers = links.len();
        let writer = |(index, link): (usize, Link)| Self {
            spool: Arc::clone(spool),
            handoff: Arc::clone(handoff),
            status: Arc::clone(status),
            config: config.clone(),
            destination: link.destination,
            destination_abort: link.abort,
            index,
            writers,
            partitions_wanted: None,
            partitioning: None,
            partitions: Vec::new(),
            is_connected: false,
            plan: None,
            is_compared: false,
            is_comparison_noted: false,
            backoff: Backoff::new(config.retry.delay_min, config.retry.delay_max),
            rows_max: config.batch.events_max as usize,
            commits_in_time: 0,
            recovered_to: spool.end(),
            tally: Tally::default(),
            trials: Trials::new(rules, &config.retry),
            late_keys: LateKeys::default(),
        };
        links.into_iter().enumerate().map(writer).collect()
    }

    /// The first writer compares spool and checkpoints, assigns, and keeps the dead letters of whole batches.
    pub(super) fn is_first(&self) -> bool {
        self.index == 0
    }

    pub(super) fn side(&self) -> Side {
        Side::Destination(self.index)
    }

    /// Runs until the preparer has finished or the sink is stopped immediately.
    ///
    /// # Errors
    /// Class `Permanent`.
    pub(crate) fn run(&mut self) -> Result<()> {
        let outcome = self.write_all();
        if let Some(line) = self.tally.line() {
            log::warn!("{line}");
        }
        self.status.measures.note_destination_lost(self.index);
        self.handoff.close();
        outcome
    }

    fn write_all(&mut self) -> Result<()> {
        if !self.begin()? {
            return Ok(());
        }
        while self.change_partitions()? {
            let Some(batch) = self.handoff.take(self.index) else { break };
            if self.write(&batch)? == End::GivenUp {
                break;
            }
        }
        Ok(())
    }

    /// Connects; false when the sink ends first.
    fn begin(&mut self) -> Result<bool> {
        if !self.is_first() {
            if !self.handoff.wait_for_writers(self.writers) {
                return Ok(false);
            }
            if !self.is_connected {
                self.try_connect()?;
            }
        }
        Ok(self.is_connected || self.reconnect()?)
    }

    fn write(&mut self, batch: &PreparedBatch) -> Result<End> {
        if self.is_first() {
            let end = self.judge_misfits(batch)?;
            if end != End::Committed {
                return Ok(end);
            }
            if !self.keep(&batch.dead_letters)? {
                return Ok(End::GivenUp);
            }
        }
        for partition in 0..self.partitions.len() {
            let Some(share) = batch.shares.get(self.partitions[partition].index) else { return Ok(End::Outdated) };
            let end = self.write_share(batch, partition, share)?;
            if end != End::Committed {
                return Ok(end);
            }
            if batch.is_last_share() {
                self.record_latency(batch);
            }
        }
        Ok(End::Committed)
    }
}
