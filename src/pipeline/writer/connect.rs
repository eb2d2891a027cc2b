//! Connecting a writer: the plan for the table as it is now, the positions of the checkpoints, and the assignment.

use std::sync::Arc;

use crate::error::{Class, Error, ErrorKind, Result};
use crate::pipeline::writer::run::Writer;
use crate::report::status::Tried;
use crate::rows::Plan;
use crate::threads::pulse;

impl Writer {
    /// Tries to connect for the first time, on the caller's thread, so that a table that does not fit is an error of `start()`. A
    /// destination that cannot be reached is not. The other writers connect after the first one has made the assignment.
    pub(crate) fn try_connect(&mut self) -> Result<()> {
        if !self.is_first() && !self.handoff.is_for(self.writers) {
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

    fn connect(&mut self) -> Result<()> {
        // No statement is under way, so a stop need not wait.
        let ended = self.destination_abort.clone();
        let _interrupt = self.status.stop.on_set(move || ended.set());
        pulse::beat();
        let table = self.destination.connect()?;
        pulse::beat();
        let plan = Plan::new(&self.config, &table)?;
        let plan = match &self.plan {
            Some(known) if **known == plan => Arc::clone(known),
            _ => Arc::new(plan),
        };
        self.destination.prepare(&plan)?;
        pulse::beat();
        let are_partitions_new = self.fetch_positions(&plan)?;
        // Only now, after everything has succeeded: the first comparison of a process is made once.
        let is_first_time = self.plan.replace(Arc::clone(&plan)).is_none();
        self.is_connected = true;
        self.status.measures.note_destination(self.index, !is_first_time);
        if are_partitions_new && self.is_first() {
            self.assign(&plan);
        } else if self.handoff.reassign(&plan) {
            self.spool.interrupt_wait();
        }
        // A destination that accepts the connection but refuses rows has not recovered.
        if is_first_time || self.spool.pending().events == 0 {
            self.backoff.reset();
            self.status.recover(self.side());
        }
        Ok(())
    }

    /// Makes the preparer prepare for this plan and the partitions as they are now.
    pub(super) fn assign(&self, plan: &Arc<Plan>) {
        let Some(partitioning) = self.partitioning else { return };
        let writers = if partitioning.count == self.writers { self.writers } else { 1 };
        self.handoff.assign(Arc::clone(plan), partitioning.count, writers);
        self.spool.interrupt_wait();
    }

    /// Tries until it is connected; false when the sink ends first.
    pub(super) fn reconnect(&mut self) -> Result<bool> {
        loop {
            let delay = self.backoff.next_delay();
            if !delay.is_zero() {
                log::info!("trying the destination again in {:.1} s", delay.as_secs_f64());
                self.status.note_next_try(Tried::Destination, delay);
            }
            if self.status.stop.wait(delay) {
                return Ok(false);
            }
            match self.connect() {
                Ok(()) => return Ok(true),
                // It was right once, and will be again: a file is being replaced, a column altered.
                Err(error) if error.kind() == ErrorKind::Config && self.plan.is_some() => self.stall(&error),
                Err(error) if error.class() == Class::Permanent => return Err(error),
                Err(error) => self.stall(&error),
            }
        }
    }

    /// Reports the error, and that the destination does not take rows; the next try connects again.
    pub(super) fn stall(&mut self, error: &Error) {
        self.is_connected = false;
        self.status.measures.note_destination_lost(self.index);
        if self.destination_abort.is_set() {
            return;
        }
        self.status.report(error);
        self.status.stall(self.side());
    }
}
