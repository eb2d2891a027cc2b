//! The handoff from the preparer to the writers: a slot for one prepared batch, while the writers write the one before.
//!
//! Every writer takes every batch, and writes the share of its partition. A batch stays in the slot until the last writer has
//! taken it, so the fastest writer is at most one batch ahead of the slowest.
//!
//! The assignment goes the other way: only a writer knows the table, and the plan that follows from it. A new assignment clears
//! the slot, and the preparer prepares again from the committed offset. The epoch identifies batches of an old assignment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::report::dead_letter::DeadLetter;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::partition::Share;
use crate::threads::sync;
use crate::threads::sync::Condition;

/// A batch, ready to be written.
#[derive(Debug)]
pub(crate) struct PreparedBatch {
    /// The epoch of its assignment.
    pub(crate) epoch: u64,
    /// The first offset of the batch, and the one after its last.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The size of its events.
    pub(crate) bytes: usize,
    /// More events may be added until a writer takes it.
    pub(crate) is_open: bool,
    /// Whether its events are late: all of them or none.
    pub(crate) is_late: bool,
    pub(crate) rows: Rows,
    /// The rows of each partition.
    pub(crate) shares: Vec<Share>,
    /// Shares that are not written yet.
    pub(crate) shares_left: AtomicUsize,
    /// The rejected events, and the space that they take in the spool.
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) dead_letters_space: u64,
    /// The offsets of events without a row: those that were rejected, now or in an earlier try.
    pub(crate) rejected: Vec<u64>,
    /// Times of receipt in microseconds since 1970-01-01 UTC, each with the number of events received then.
    pub(crate) receipts: Vec<(i64, u64)>,
}

impl PreparedBatch {
    /// A batch without events, which begins at this offset.
    pub(crate) fn new(assignment: &Assignment, from: u64) -> Self {
        Self {
            epoch: assignment.epoch,
            from,
            to: from,
            bytes: 0,
            is_open: true,
            is_late: false,
            rows: Rows::new(Arc::clone(&assignment.plan)),
            shares: Vec::new(),
            shares_left: AtomicUsize::new(0),
            dead_letters: Vec::new(),
            dead_letters_space: 0,
            rejected: Vec::new(),
            receipts: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The number of its events, with rejected ones.
    pub(crate) fn events(&self) -> usize {
        usize::try_from(self.to - self.from).unwrap_or(usize::MAX)
    }

    /// Notes that one more share is written; true for the last.
    pub(crate) fn is_last_share(&self) -> bool {
        self.shares_left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// The number of rejected events from offset `from` to below `to`.
    pub(crate) fn rejected_in(&self, from: u64, to: u64) -> u64 {
        let below = |offset| self.rejected.partition_point(|&rejected| rejected < offset);
        below(to).saturating_sub(below(from)) as u64
    }
}

/// The slot, as the preparer finds it.
#[derive(Debug)]
pub(crate) enum Slot {
    Free,
    /// An open batch, which no writer has taken yet.
    Open(Box<PreparedBatch>),
    /// The writers take no more batches.
    Closed,
}

/// The plan for which the preparer prepares, and the writers for which it splits batches.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// Higher than that of every assignment before.
    pub(crate) epoch: u64,
    pub(crate) plan: Arc<Plan>,
    /// The number of shares of a batch.
    pub(crate) partitions: usize,
    /// The number of writers that take each batch: one for each partition, or a single one for all of them.
    pub(crate) writers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Handoff {
    state: Mutex<HandoffState>,
    /// Writers wait for a batch, or for their first assignment.
    for_writers: Condition,
    /// The preparer waits for a free slot, or for another assignment.
    for_preparer: Condition,
}

#[derive(Debug, Default)]
struct HandoffState {
    assignment: Option<Assignment>,
    slot: Option<Arc<PreparedBatch>>,
    /// The writers that have taken the batch in the slot.
    has_taken: Vec<bool>,
    /// Writers that wait for a batch and have written all before.
    idle: usize,
    /// The preparer has no more batches of this assignment.
    is_finished: bool,
    /// The writers take no more batches.
    is_closed: bool,
}

impl HandoffState {
    fn is_for(&self, writers: usize) -> bool {
        self.assignment.as_ref().is_some_and(|assignment| assignment.writers == writers)
    }

    fn newer_than(&self, epoch: Option<u64>) -> Option<&Assignment> {
        self.assignment.as_ref().filter(|assignment| Some(assignment.epoch) > epoch)
    }

    fn assign(&mut self, plan: Arc<Plan>, partitions: usize, writers: usize) {
        let epoch = self.assignment.as_ref().map_or(0, |assignment| assignment.epoch + 1);
        self.assignment = Some(Assignment { epoch, plan, partitions, writers });
        self.clear_slot();
        self.is_finished = false;
    }

    fn clear_slot(&mut self) {
        self.slot = None;
        let writers = self.assignment.as_ref().map_or(0, |assignment| assignment.writers);
        self.has_taken = vec![false; writers];
    }

    /// The batch in the slot, if this writer has not taken it yet.
    fn take(&mut self, writer: usize) -> Option<Arc<PreparedBatch>> {
        let batch = self.slot.clone()?;
        let has_taken = self.has_taken.get_mut(writer).filter(|has_taken| !**has_taken)?;
        *has_taken = true;
        if self.has_taken.iter().all(|has_taken| *has_taken) {
            self.clear_slot();
        }
        Some(batch)
    }

    /// Takes back the batch in the slot if it is open.
    fn take_back(&mut self) -> Option<PreparedBatch> {
        if self.has_taken.contains(&true) {
            return None;
        }
        let open = self.slot.take_if(|batch| batch.is_open)?;
        // Only writers share it, and none has it.
        Arc::into_inner(open)
    }

    /// Whether the preparer has finished and this writer is the last one at work.
    fn is_drained(&self) -> bool {
        self.is_finished && self.slot.is_none() && self.idle + 1 >= self.has_taken.len()
    }
}

impl Handoff {
    // ---- for writers ----

    /// Makes the preparer prepare for this plan, from the committed offset on.
    pub(crate) fn assign(&self, plan: Arc<Plan>, partitions: usize, writers: usize) {
        self.state().assign(plan, partitions, writers);
        self.notify_all();
    }

    /// Keeps the partitions for another plan. False if the assignment has this plan already, or there is none yet.
    pub(crate) fn reassign(&self, plan: &Arc<Plan>) -> bool {
        let mut state = self.state();
        let Some(assignment) = state.assignment.as_ref().filter(|assignment| assignment.plan != *plan) else {
            return false;
        };
        let (partitions, writers) = (assignment.partitions, assignment.writers);
        state.assign(Arc::clone(plan), partitions, writers);
        drop(state);
        self.notify_all();
        true
    }

    /// Whether there is an assignment for this many writers.
    pub(crate) fn is_for(&self, writers: usize) -> bool {
        self.state().is_for(writers)
    }

    /// Waits until there is an assignment for this many writers; false when the handoff is closed.
    pub(crate) fn wait_for_writers(&self, writers: usize) -> bool {
        let mut state = self.state();
        while !state.is_closed && !state.is_for(writers) {
            state = self.for_writers.wait(state, None);
        }
        !state.is_closed
    }

    /// Takes this writer's next batch; `None` when the preparer has finished and every writer has written its batches.
    pub(crate) fn take(&self, writer: usize) -> Option<Arc<PreparedBatch>> {
        let mut state = self.state();
        loop {
            if let Some(batch) = state.take(writer) {
                let is_free = state.slot.is_none();
                // Unlocked first: the preparer wants the lock.
                drop(state);
                if is_free {
                    self.for_preparer.notify_all();
                }
                return Some(batch);
            }
            // Until then another writer may still find that its last batch is outdated.
            if state.is_closed || state.is_drained() {
                drop(state);
                self.close();
                return None;
            }
            state.idle += 1;
            state = self.for_writers.wait(state, None);
            state.idle -= 1;
        }
    }

    /// Takes no more batches, and ends every wait.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.notify_all();
    }

    /// Whether there is a later assignment than that of this epoch.
    pub(crate) fn is_outdated(&self, epoch: u64) -> bool {
        self.state().newer_than(Some(epoch)).is_some()
    }

    /// The plan of the latest assignment, if a destination was reached yet.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        self.state().assignment.as_ref().map(|assignment| Arc::clone(&assignment.plan))
    }

    // ---- for the preparer ----

    /// A later assignment than that of this epoch, if there is one; with `None`, any.
    pub(crate) fn newer_assignment(&self, epoch: Option<u64>) -> Option<Assignment> {
        self.state().newer_than(epoch).cloned()
    }

    /// Waits for a later assignment than that of this epoch; with `None`, for any. `None` when the handoff is closed.
    pub(crate) fn wait_for_assignment(&self, epoch: Option<u64>) -> Option<Assignment> {
        let mut state = self.state();
        while !state.is_closed && state.newer_than(epoch).is_none() {
            state = self.for_preparer.wait(state, None);
        }
        state.newer_than(epoch).cloned()
    }

    /// Waits until the slot is free or holds an open batch, or there is a later assignment than that of this epoch. The preparer
    /// prepares no batch before, so that at most two are in memory.
    pub(crate) fn wait_for_slot(&self, epoch: u64) -> Slot {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return Slot::Closed;
            }
            if state.slot.is_none() || state.newer_than(Some(epoch)).is_some() {
                return Slot::Free;
            }
            if let Some(open) = state.take_back() {
                return Slot::Open(Box::new(open));
            }
            state = self.for_preparer.wait(state, None);
        }
    }

    /// Puts a batch into the free slot. A batch of an old epoch is dropped. False when the handoff is closed.
    pub(crate) fn put(&self, batch: PreparedBatch) -> bool {
        let mut state = self.state();
        if state.newer_than(Some(batch.epoch)).is_none() {
            state.slot = Some(Arc::new(batch));
        }
        let is_open = !state.is_closed;
        // Unlocked first: the writers want the lock.
        drop(state);
        self.for_writers.notify_all();
        is_open
    }

    /// The assignment of this epoch has no more batches. A later one may still come, from a writer that finds its last batch
    /// outdated: see [`wait_for_assignment`](Self::wait_for_assignment).
    pub(crate) fn finish(&self, epoch: u64) {
        let mut state = self.state();
        if state.newer_than(Some(epoch)).is_none() {
            state.is_finished = true;
        }
        drop(state);
        self.for_writers.notify_all();
    }

    /// The preparer has ended: there are no more batches; for every assignment.
    pub(crate) fn end(&self) {
        self.state().is_finished = true;
        self.for_writers.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, HandoffState> {
        sync::lock(&self.state)
    }

    fn notify_all(&self) {
        self.for_writers.notify_all();
        self.for_preparer.notify_all();
    }
}

#[cfg(test)]
#[path = "tests/handoff.rs"]
pub(crate) mod tests;
