//! A stream with a script.

use std::collections::VecDeque;

use super::super::*;
use crate::event::Burst;
use crate::source::{ReadOutcome, Source};
use crate::threads::stop_signal::StopSignal;

/// Yields these bursts, then this end.
pub(super) struct Scripted {
    pub(super) bursts: VecDeque<Vec<String>>,
    pub(super) end: Option<Error>,
    pub(super) stop: StopSignal,
}

impl Source for Scripted {
    fn connect(&mut self, _early: &mut Burst) -> Result<()> {
        Ok(())
    }

    fn kept(&mut self) {}

    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome> {
        match self.bursts.pop_front() {
            Some(events) => {
                for event in events {
                    burst.push(event.as_bytes());
                }
                // The last burst comes with the error; it has been read all the same.
                match self.end.take_if(|_| self.bursts.is_empty()) {
                    Some(error) => Err(error),
                    None => Ok(ReadOutcome::Events),
                }
            }
            None if self.stop.wait(Duration::from_millis(1)) => Err(Error::stopped()),
            None => Ok(ReadOutcome::Closed),
        }
    }
}
