//! The brake: how long no rows are tried as fresh after a try that failed.
//!
//! A try that fails costs about as much as one that succeeds saves, so tries pay while fewer than a third of them fail. After each failure
//! as many batches as the penalty says go by the upsert alone. A failure doubles the penalty, and a success takes one off: where fewer than
//! a third fail it stays near one batch, otherwise it grows to its maximum, and what tries cost sinks to a hundredth.

/// The longest pause, in batches. With full batches these are 320,000 events.
const PENALTY_MAX: u32 = 64;

/// A pause after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brake {
    /// The number of batches that are still to go by the upsert.
    pause: u32,
    /// The next pause.
    penalty: u32,
}

impl Default for Brake {
    fn default() -> Self {
        Self { pause: 0, penalty: 1 }
    }
}

impl Brake {
    pub(super) fn is_on(self) -> bool {
        self.pause > 0
    }

    /// All rows that were tried as fresh were fresh.
    pub(super) fn note_success(&mut self) {
        self.penalty = (self.penalty - 1).max(1);
    }

    /// The database refused the statement.
    pub(super) fn note_failure(&mut self) {
        self.pause = self.penalty;
        self.penalty = (self.penalty * 2).min(PENALTY_MAX);
    }

    /// A batch went by the upsert because the brake is on. It does not shorten the pause if its counts prove that a try would have failed.
    pub(super) fn note_pause(&mut self, would_have_failed: bool) {
        if !would_have_failed {
            self.pause = self.pause.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[path = "tests/brake.rs"]
mod tests;
