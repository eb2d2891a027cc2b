//! The partitions of a writer, and the positions of their checkpoints in the destination.

use std::sync::Arc;

use crate::destination::{Checkpoint, Destination};
use crate::error::{Class, Result};
use crate::pipeline::reconcile;
use crate::pipeline::writer::run::{Partition, Writer};
use crate::rows::Plan;
use crate::rows::partition::Partitioning;
use crate::spool::Spool;

impl Writer {
    /// Fetches the positions of the checkpoints; true if the partitions are new.
    pub(super) fn fetch_positions(&mut self, plan: &Arc<Plan>) -> Result<bool> {
        let wanted = self.wanted(plan);
        // While the partitions are those of an earlier run, an in-doubt transaction may have replaced their checkpoints.
        if self.is_first() && (!self.is_compared || self.partitioning != Some(wanted)) {
            if let Some(are_new) = self.compare(plan, wanted)? {
                return Ok(are_new);
            }
            if self.plan.is_none() {
                log::warn!(
                    "the destination has no table cxsink_checkpoint: after a crash the last events may be applied again \
                     (at-least-once); `cxsink init-db` or init_db creates the table"
                );
            }
        }
        let are_new = self.partitioning.is_none() && self.serve(wanted);
        self.compare_again()?;
        Ok(are_new)
    }

    /// Compares spool and checkpoints, and serves the partitions that follow. Whether those are new; `None` if the destination
    /// keeps no checkpoints.
    fn compare(&mut self, plan: &Arc<Plan>, wanted: Partitioning) -> Result<Option<bool>> {
        let destination = self.destination.as_mut();
        let found = reconcile::first(&self.spool, &self.status, destination, plan, wanted, !self.is_compared)?;
        let Some((partitioning, positions)) = found else { return Ok(None) };
        let are_new = self.serve(partitioning);
        for (name, position) in partitioning.checkpoints(self.spool.id()).iter().zip(&positions) {
            self.spool.note_checkpoint(name, *position);
        }
        for partition in &mut self.partitions {
            partition.position = positions.get(partition.index).copied();
        }
        self.is_compared = true;
        self.note_comparison();
        Ok(Some(are_new))
    }

    /// The partitioning to have. Where the order of different keys can matter, there is one partition. Decided once; another
    /// number than in the last run is used when all partitions have the same position.
    fn wanted(&mut self, plan: &Plan) -> Partitioning {
        let count = self.partitions_wanted.unwrap_or_else(|| {
            if !self.is_first() || self.writers == 1 || !plan.relates_rows {
                return self.writers;
            }
            let reason = if plan.has_loose_key {
                "may take two different values of the key for one"
            } else {
                "relates rows of different keys by a constraint or an index, or has a trigger that may change the key"
            };
            log::warn!(
                "the table {} {reason}, and several connections would write them in any order: \
                 destination.connections counts as 1",
                plan.table
            );
            1
        });
        self.partitions_wanted = Some(count);
        Partitioning::new(count, plan)
    }

    /// Takes over its own partition, or all of them if there is not one for each writer. True if they are new.
    fn serve(&mut self, partitioning: Partitioning) -> bool {
        if self.partitioning.replace(partitioning) == Some(partitioning) {
            return false;
        }
        if self.is_first() {
            self.spool.repartition(partitioning.count);
        }
        let names = partitioning.checkpoints(self.spool.id()).into_iter().enumerate();
        let partitions =
            names.map(|(index, checkpoint)| Partition { index, checkpoint, position: None, in_doubt_to: 0 });
        let are_all = partitioning.count != self.writers;
        self.partitions = partitions.filter(|partition| are_all || partition.index == self.index).collect();
        true
    }

    /// Compares the checkpoints of its partitions with their last known positions, which shows whether in-doubt transactions
    /// committed.
    pub(super) fn compare_again(&mut self) -> Result<()> {
        let Some(found) = reconcile::owned(&self.spool, self.destination.as_mut())? else {
            self.report_missing(|_| true);
            return Ok(());
        };
        let is_found = |name: &str| found.iter().any(|checkpoint| checkpoint.name == name);
        self.report_missing(|partition| !is_found(&partition.checkpoint));
        for partition in &mut self.partitions {
            let checkpoint = match found.iter().find(|checkpoint| checkpoint.name == partition.checkpoint) {
                Some(found) => found.clone(),
                None => create(&self.spool, self.destination.as_mut(), partition)?,
            };
            let (known, in_doubt_to) = (partition.position, partition.in_doubt_to);
            reconcile::again(&self.spool, &self.status, &checkpoint.name, known, in_doubt_to, checkpoint.position)?;
            partition.position = Some(checkpoint.position);
            self.spool.note_checkpoint(&checkpoint.name, checkpoint.position);
        }
        Ok(())
    }

    /// Reports checkpoints that were deleted, and forgets their positions.
    fn report_missing(&mut self, is_missing: impl Fn(&Partition) -> bool) {
        let missing = self.partitions.iter_mut().filter(|partition| is_missing(partition));
        let known = missing.filter_map(|partition| partition.position.take()).max();
        if let Some(known) = known.filter(|known| *known > 0) {
            reconcile::lost_checkpoint(&self.spool, &self.status, known);
        }
    }

    /// Changes over to the wanted partitions when those of an earlier run have the same position. Until then the first writer
    /// alone writes them. False when the sink ends first.
    pub(super) fn change_partitions(&mut self) -> Result<bool> {
        loop {
            let Some(plan) = self.plan.clone() else { return Ok(true) };
            let wanted = self.wanted(&plan);
            let committed = self.spool.committed();
            let is_level = self
                .partitions
                .iter()
                .all(|partition| partition.position.is_some_and(|position| position <= committed));
            if !self.is_first() || self.partitioning == Some(wanted) || !is_level || self.status.stop.is_set() {
                return Ok(true);
            }
            match self.replace_partitions(wanted, committed) {
                Ok(()) => {
                    self.assign(&plan);
                    return Ok(true);
                }
                Err(error) if error.class() == Class::Permanent => return Err(error),
                Err(error) => self.stall(&error),
            }
            if !self.reconnect()? {
                return Ok(false);
            }
        }
    }

    fn replace_partitions(&mut self, wanted: Partitioning, committed: u64) -> Result<()> {
        let old = |partition: &Partition| Checkpoint {
            name: partition.checkpoint.clone(),
            position: partition.position.unwrap_or(committed),
            owner: Some(self.spool.owner().into()),
        };
        let old: Vec<_> = self.partitions.iter().map(old).collect();
        reconcile::replace(&self.spool, self.destination.as_mut(), &old, wanted)?;
        self.serve(wanted);
        for partition in &mut self.partitions {
            partition.position = Some(committed);
        }
        Ok(())
    }
}

/// Creates the checkpoint of a partition at its committed offset.
fn create(spool: &Spool, destination: &mut dyn Destination, partition: &Partition) -> Result<Checkpoint> {
    let position = spool.committed_of(partition.index);
    let owner = Some(spool.owner().into());
    let checkpoint = Checkpoint { name: partition.checkpoint.clone(), position, owner };
    destination.replace_checkpoints(&[], std::slice::from_ref(&checkpoint)).map(|()| checkpoint)
}
