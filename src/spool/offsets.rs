//! How far the events of a spool have come.
//!
//! ```text
//!   rows deleted      committed: in the table,    taken: on the way      waiting
//!   from the file     or kept as dead letters     to the destination     to be taken
//! ──────────────────┬───────────────────────────┬──────────────────────┬──────────────┬──► offset
//! 0               deleted                   committed                taken           end
//! ```
//!
//! Invariant: `deleted ≤ committed ≤ taken ≤ end`. Each name is the first offset to the right of its line. The file keeps
//! `deleted` and `end`; after a restart the destination's checkpoint gives the committed offset.

use std::collections::BTreeMap;

/// The offsets of an open spool. See the [module documentation](self).
#[derive(Debug, Clone)]
pub(super) struct Offsets {
    deleted: u64,
    /// The committed offset of each partition. The lowest is the committed offset of the spool.
    partitions: Vec<u64>,
    /// Events beyond the committed offset that faster partitions have committed.
    ahead: u64,
    taken: u64,
    end: u64,
}

impl Offsets {
    /// After a start: rows below `deleted` are gone, rows end at `end`, one partition.
    pub(super) fn new(deleted: u64, end: u64) -> Self {
        Self { deleted, partitions: vec![deleted], ahead: 0, taken: deleted, end }.checked()
    }

    /// Rows of events below this offset are deleted, unless they hold later events too.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted
    }

    /// Events below this offset are committed or kept as dead letters, in every partition.
    pub(super) fn committed(&self) -> u64 {
        self.partitions.iter().min().copied().unwrap_or(self.deleted)
    }

    /// The same for one partition.
    pub(super) fn committed_of(&self, partition: usize) -> u64 {
        self.partitions.get(partition).copied().unwrap_or_else(|| self.committed())
    }

    /// The read position: events below this offset were taken to be prepared.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The offset that the next event gets.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Pending events: those that are not committed.
    pub(super) fn lag(&self) -> u64 {
        self.end - self.committed() - self.ahead
    }

    /// Moves the end: this many events were appended.
    pub(super) fn append(&mut self, events: u64) {
        self.end += events;
        self.check();
    }

    /// Moves the read position.
    pub(super) fn take(&mut self, to: u64) {
        self.taken = to;
        self.check();
    }

    /// Moves the read position back to the committed offset: what is not committed is taken again.
    pub(super) fn rewind(&mut self) {
        self.taken = self.committed();
        self.check();
    }

    /// Moves the committed offset of one partition: `events` more are committed.
    pub(super) fn commit(&mut self, partition: usize, to: u64, events: u64) {
        let before = self.committed();
        if let Some(committed) = self.partitions.get_mut(partition) {
            *committed = to.max(*committed);
        }
        self.ahead += events;
        self.drop_committed(before);
    }

    /// Moves the committed offset of every partition, as the destination's checkpoint says.
    pub(super) fn commit_all(&mut self, to: u64) {
        let before = self.committed();
        for committed in &mut self.partitions {
            *committed = to.max(*committed);
        }
        self.drop_committed(before);
    }

    /// From here on there are this many partitions, all at the committed offset.
    pub(super) fn repartition(&mut self, partitions: usize) {
        self.partitions = vec![self.committed(); partitions];
        self.check();
    }

    /// Moves the deleted offset.
    pub(super) fn delete(&mut self, to: u64) {
        self.deleted = to;
        self.check();
    }

    /// Takes newly committed events out of `ahead`, and moves the read position past them. The committed offset was `before`.
    fn drop_committed(&mut self, before: u64) {
        let committed = self.committed();
        self.ahead = self.ahead.saturating_sub(committed - before);
        self.taken = committed.max(self.taken);
        self.check();
    }

    fn checked(self) -> Self {
        self.check();
        self
    }

    fn check(&self) {
        let (deleted, committed) = (self.deleted, self.committed());
        debug_assert!(deleted <= committed && committed <= self.taken && self.taken <= self.end, "{self:?}");
    }
}

/// The destination's checkpoints by name, as they were last seen.
///
/// They are kept in the spool's file, a line of name and position for each, so that the next process notices a checkpoint
/// that went back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checkpoints(pub(super) BTreeMap<String, u64>);

impl Checkpoints {
    pub(super) fn parse(text: &str) -> Self {
        let line =
            |line: &str| line.split_once(' ').and_then(|(name, position)| Some((name.into(), position.parse().ok()?)));
        Self(text.lines().filter_map(line).collect())
    }

    pub(super) fn to_text(&self) -> String {
        let lines: Vec<String> = self.0.iter().map(|(name, position)| format!("{name} {position}")).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
#[path = "tests/offsets.rs"]
mod tests;
