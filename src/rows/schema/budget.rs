//! The budget of one validation: steps, which stand for time, and the memory for its reasons.
//!
//! Where alternatives of a schema refer to themselves, the work can grow exponentially with the depth of an event: 500 bytes took minutes
//! and gigabytes. Steps are counted instead of time, so that an event has the same verdict on every machine, however busy it is.

use std::cell::Cell;

/// Far more than an ordinary event needs, and a few hundredths of a second.
const STEPS: u64 = 1_000_000;
/// An ordinary schema visits each value of an event a few times, and a value has at least two bytes.
const STEPS_PER_BYTE: u64 = 20;
/// The memory for the reasons of one event.
const REASONS_BYTES: u64 = 16 << 20;

/// The steps and the memory that are left. A step is one access of the validator to the event.
#[derive(Debug)]
pub(super) struct Budget {
    steps: Cell<u64>,
    reasons_bytes: Cell<u64>,
    /// The memory of each reason, without the names of unexpected members.
    reason_bytes: u64,
}

impl Budget {
    /// The budget for an event of this size.
    pub(super) fn new(event_bytes: usize) -> Self {
        Self::for_reasons(event_bytes, 0)
    }

    /// The budget for finding the reasons why an event is invalid, each of which takes this memory.
    pub(super) fn for_reasons(event_bytes: usize, reason_bytes: usize) -> Self {
        Self {
            steps: Cell::new(steps_max(event_bytes)),
            reasons_bytes: Cell::new(REASONS_BYTES),
            reason_bytes: reason_bytes as u64,
        }
    }

    /// Takes these steps; false if fewer are left.
    #[inline]
    pub(super) fn spend(&self, steps: u64) -> bool {
        let left = self.steps.get().saturating_sub(steps);
        self.steps.set(left);
        left > 0
    }

    /// Takes the memory of a reason that names members of this total length. Where it is too little, no steps are left either.
    pub(super) fn spend_reason(&self, names_bytes: usize) {
        let left = self.reasons_bytes.get().saturating_sub(self.reason_bytes.saturating_add(names_bytes as u64));
        self.reasons_bytes.set(left);
        if left == 0 {
            self.steps.set(0);
        }
    }

    #[cfg(test)]
    pub(super) fn steps_left(&self) -> u64 {
        self.steps.get()
    }

    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.steps.get() == 0
    }
}

impl Default for Budget {
    /// No limit.
    fn default() -> Self {
        Self { steps: Cell::new(u64::MAX), reasons_bytes: Cell::new(u64::MAX), reason_bytes: 0 }
    }
}

/// The maximum number of steps for an event of this size.
pub(super) fn steps_max(event_bytes: usize) -> u64 {
    (event_bytes as u64).saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS)
}
