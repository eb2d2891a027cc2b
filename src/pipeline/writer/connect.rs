//! A writer's connection: what it learns of the table and of the checkpoints each time it connects.

use std::sync::Arc;

use crate::error::{Class, Error, ErrorKind, Result};
use crate::pipeline::reconcile;
use crate::pipeline::writer::{Lane, Writer};
use crate::rows::Plan;
use crate::rows::partition::Layout;

impl Writer {
    /// The first try to reach the destination, on the caller's thread, so that a table that does not fit is an error of
    /// `start()`. An outage is not. All but the first writer wait until that one knows where they are to begin.
    pub(crate) fn try_connect(&mut self) -> Result<()> {
        if !self.is_first() && !self.pipeline.is_for(self.writers) {
            return Ok(());
        }
        match self.connect() {
            Err(error) if !self.is_first() || matches!(error.class(), Class::Transient | Class::Conflict) => {
                self.stall(&error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Connects, fits the plan to the table and learns the checkpoints.
    fn connect(&mut self) -> Result<()> {
        // Nothing is under way that a stop would have to wait for.
        let ended = self.destination_abort.clone();
        let _interrupt = self.status.stop.on_set(move || ended.set());
        let table = self.destination.connect()?;
        let plan = Plan::new(&self.config.mapping, self.config.destination.update, &table)?;
        // `self.plan` stays as it is until all of this has succeeded: the first comparison is made once, and never again.
        let plan = match &self.plan {
            Some(known) if **known == plan => Arc::clone(known),
            _ => Arc::new(plan),
        };
        self.destination.prepare(&plan)?;
        let has_new_lanes = self.learn_positions(&plan)?;
        let was_known = self.plan.replace(Arc::clone(&plan)).is_some();
        self.is_connected = true;
        if has_new_lanes && self.is_first() {
            self.set_course(&plan);
        } else if self.pipeline.follow(&plan, self.spool.committed()) {
            self.spool.interrupt_wait();
        }
        // A destination that lets us in but takes no rows has not recovered.
        if !was_known || self.spool.pending().events == 0 {
            self.backoff.reset();
            self.status.recover(self.side());
        }
        Ok(())
    }

    /// Tries until it is connected; false when the sink ends first.
    pub(crate) fn reconnect(&mut self) -> Result<bool> {
        loop {
            if self.status.stop.wait(self.backoff.next_delay()) {
                return Ok(false);
            }
            match self.connect() {
                Ok(()) => return Ok(true),
                // What was right once is set right again: a file being replaced, a column being altered.
                Err(error) if error.kind() == ErrorKind::Config && self.plan.is_some() => self.stall(&error),
                Err(error) if error.class() == Class::Permanent => return Err(error),
                Err(error) => self.stall(&error),
            }
        }
    }

    pub(crate) fn stall(&mut self, error: &Error) {
        self.is_connected = false;
        if self.destination_abort.is_set() {
            return;
        }
        self.status.report(error);
        self.status.stall(self.side());
    }

    // ---- the lanes ----

    /// Learns where the checkpoints stand; true if the lanes are others than before.
    fn learn_positions(&mut self, plan: &Arc<Plan>) -> Result<bool> {
        let wanted = self.wanted(plan);
        // While the lanes are those of an earlier run, their checkpoints may have made way for today's without our learning of it.
        if self.is_first() && (!self.is_compared || self.layout != Some(wanted)) {
            let found = reconcile::first(
                &self.spool,
                &self.status,
                self.destination.as_mut(),
                plan,
                wanted,
                !self.is_compared,
            )?;
            if let Some((layout, positions)) = found {
                let has_new_lanes = self.serve(layout);
                for (name, position) in layout.checkpoints(self.spool.id()).iter().zip(&positions) {
                    self.spool.note_checkpoint(name, *position);
                }
                for lane in &mut self.lanes {
                    lane.position = positions.get(lane.index).copied();
                    lane.settled = lane.settled.max(self.spool.committed());
                }
                self.is_compared = true;
                self.note_comparison();
                return Ok(has_new_lanes);
            }
            if self.plan.is_none() {
                log::warn!(
                    "the destination has no table cxsink_checkpoint: after a crash the last events may be applied again \
                     (at-least-once); `cxsink init-db` makes the table"
                );
            }
        }
        let has_new_lanes = self.layout.is_none() && self.serve(wanted);
        self.look_for_checkpoints()?;
        for lane in 0..self.lanes.len() {
            if let Some(position) = self.position_of(lane)? {
                self.compare_again(lane, position)?;
            }
        }
        Ok(has_new_lanes)
    }

    /// How the keys are to be split. Where rows of different keys exclude or need each other, all go through one lane, in order. Decided
    /// once: another number of lanes takes the place of the last one only when they are level.
    fn wanted(&mut self, plan: &Plan) -> Layout {
        let lanes = self.lanes_wanted.unwrap_or_else(|| {
            if !self.is_first() || self.writers == 1 || !plan.relates_rows {
                return self.writers;
            }
            log::warn!(
                "constraints of the table {} relate rows of different keys, which several connections would write in any order: \
                 destination.connections counts as 1",
                plan.table
            );
            1
        });
        self.lanes_wanted = Some(lanes);
        Layout::new(lanes, plan)
    }

    /// A checkpoint that is not there any more is made anew, where the spool stands; but its loss is a sign.
    fn look_for_checkpoints(&mut self) -> Result<()> {
        let is_confirmed = |lane: &&Lane| lane.position.is_some_and(|position| position > 0);
        if !self.lanes.iter().any(|lane| is_confirmed(&lane)) {
            return Ok(());
        }
        let Some(found) = self.destination.checkpoints(self.spool.id())? else { return Ok(()) };
        let is_there = |lane: &&Lane| found.iter().any(|(name, _)| *name == lane.checkpoint);
        let missing: Vec<Lane> =
            self.lanes.iter().filter(|lane| is_confirmed(lane) && !is_there(lane)).cloned().collect();
        if let Some(known) = missing.iter().filter_map(|lane| lane.position).max() {
            reconcile::lost_checkpoint(&self.spool, &self.status, known);
        }
        for lane in &mut self.lanes {
            if missing.contains(lane) {
                lane.position = None;
            }
        }
        Ok(())
    }

    /// Takes over its lane of this layout, or all of them if they are not one for each writer. True if they are new to it.
    fn serve(&mut self, layout: Layout) -> bool {
        if self.layout.replace(layout) == Some(layout) {
            return false;
        }
        if self.is_first() {
            self.spool.repartition(layout.lanes);
        }
        let settled = self.spool.committed();
        // Of what an earlier process had spooled, a statement may still be under way on the server.
        let unanswered_to = self.recovered_to;
        let names = layout.checkpoints(self.spool.id()).into_iter().enumerate();
        let lanes = names.map(|(index, checkpoint)| Lane { index, checkpoint, position: None, unanswered_to, settled });
        let is_for_all = layout.lanes != self.writers;
        self.lanes = lanes.filter(|lane| is_for_all || lane.index == self.index).collect();
        true
    }

    fn set_course(&self, plan: &Arc<Plan>) {
        if let Some(layout) = self.layout {
            let writers = if layout.lanes == self.writers { self.writers } else { 1 };
            self.pipeline.set_course(Arc::clone(plan), self.spool.committed(), layout.lanes, writers);
            // The preparer may be waiting for events beyond those that it prepares again.
            self.spool.interrupt_wait();
        }
    }

    /// Where the lane's checkpoint stands in the destination.
    pub(crate) fn position_of(&mut self, lane: usize) -> Result<Option<u64>> {
        let Lane { checkpoint, settled, .. } = &self.lanes[lane];
        self.destination.position(checkpoint, *settled)
    }

    /// Learns what became of the lane's statements without an answer.
    pub(crate) fn compare_again(&mut self, lane: usize, position: u64) -> Result<()> {
        let Lane { position: known, unanswered_to, .. } = self.lanes[lane];
        reconcile::again(&self.spool, &self.status, &self.lanes[lane].checkpoint, known, unanswered_to, position)?;
        self.lanes[lane].position = Some(position);
        self.spool.note_checkpoint(&self.lanes[lane].checkpoint, position);
        Ok(())
    }

    /// The lanes of an earlier run with another number of connections go on until they are level, written by the first writer
    /// alone. Then they make way for today's. False when the sink ends first.
    pub(crate) fn change_layout(&mut self) -> Result<bool> {
        loop {
            let Some(plan) = self.plan.clone() else { return Ok(true) };
            let wanted = self.wanted(&plan);
            let applied = self.spool.committed();
            let is_level = self.lanes.iter().all(|lane| lane.position.is_some_and(|position| position <= applied));
            if !self.is_first() || self.layout == Some(wanted) || !is_level || self.status.stop.is_set() {
                return Ok(true);
            }
            let position = |lane: &Lane| (lane.checkpoint.clone(), lane.position.unwrap_or(applied));
            let old: Vec<_> = self.lanes.iter().map(position).collect();
            let new = wanted.checkpoints(self.spool.id());
            match self.destination.replace_checkpoints(&old, &new, applied) {
                Ok(()) => {
                    self.serve(wanted);
                    self.spool.replace_checkpoints(&new, applied);
                    for lane in &mut self.lanes {
                        lane.position = Some(applied);
                    }
                    self.set_course(&plan);
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

    /// Tried again after each commit until it succeeds: on a full disk it cannot, and that must not hold up the draining.
    pub(crate) fn note_comparison(&mut self) {
        if self.is_compared && !self.is_comparison_noted {
            match self.spool.note_checked() {
                Ok(()) => self.is_comparison_noted = true,
                Err(error) => log::debug!("{error}; trying again later"),
            }
        }
    }
}
