//! The bookkeeping after a commit: counters, offsets, latency, and the size of later statements.

use crate::pipeline::handoff::PreparedBatch;
use crate::pipeline::writer::run::Writer;
use crate::pipeline::writer::sub_batch::SubBatch;
use crate::report::notice::Notice;
use crate::report::stats::Stored;
use crate::rows::{OnConflict, OnlyIf};

/// After this many statements that finished in time, the next ones may be twice as large.
const COMMITS_BEFORE_GROWTH: u32 = 64;

impl Writer {
    /// Commits the partition's events up to `to` in the spool, and counts them as `stored`. Rejected events have no partition, and
    /// count with the first one.
    pub(super) fn commit(&self, sub_batch: SubBatch<'_>, to: u64, mut stored: Stored) {
        let index = self.partitions[sub_batch.partition].index;
        if index == 0 {
            stored.dead_lettered += sub_batch.batch.rejected_in(self.spool.committed_of(index), to);
        }
        let events: u64 = stored.counts().iter().map(|(_, count)| count).sum();
        self.status.counters.add_stored(&stored);
        if let Err(error) = self.spool.commit(index, to, events) {
            // They are committed; their rows go with the next delete.
            self.status.report(&error);
        }
        if events > 0 {
            log::debug!("{events} events are committed or kept as dead letters, up to offset {to}");
            self.status.notify(Notice::Stored(stored));
        }
    }

    pub(super) fn note_success(&mut self) {
        self.note_comparison();
        self.backoff.reset();
        self.status.recover(self.side());
        self.commits_in_time += 1;
        if self.commits_in_time >= COMMITS_BEFORE_GROWTH {
            self.commits_in_time = 0;
            self.rows_max = (self.rows_max * 2).min(self.config.batch.events_max as usize);
        }
    }

    /// Warns once of a trigger that suppresses rows. It is the table's decision, but not always the user's.
    pub(super) fn note_unchanged(&mut self, sub_batch: SubBatch<'_>, rows: u64) {
        let plan = &sub_batch.batch.rows.plan;
        let writes_always = matches!(plan.on_conflict(), OnConflict::Update { only_if: OnlyIf::Always, .. });
        if rows > 0 && writes_always && !std::mem::replace(&mut self.trials.is_suppression_reported, true) {
            log::warn!("a trigger of the table {} suppressed {rows} rows: their events count as unchanged", plan.table);
        }
    }

    /// Notes the comparison of spool and checkpoints in the file. Tried again after each commit until it succeeds: on a full disk
    /// it fails, and must not stop the drain.
    pub(super) fn note_comparison(&mut self) {
        if self.is_compared && !self.is_comparison_noted {
            match self.spool.note_checked() {
                Ok(()) => self.is_comparison_noted = true,
                Err(error) => log::debug!("{error}; trying again later"),
            }
        }
    }

    pub(super) fn record_latency(&self, batch: &PreparedBatch) {
        if batch.from < self.recovered_to {
            return;
        }
        let now = self.status.clock.unix_micros();
        for &(received_at, events) in &batch.receipts {
            let micros = u64::try_from(now - received_at).unwrap_or(0);
            self.status.counters.record_latency(micros, events);
            self.status.measures.note_latency(micros, events);
        }
    }
}
