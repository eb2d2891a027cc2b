//! The keys whose rows a late event has inserted.

use std::collections::HashSet;

/// More keys are not told apart: their events count as overtaken.
const KEYS_MAX: usize = 200_000;

/// Keys by their hash. What comes after the late event that inserted the row, in the same replay, may update it: no later event can have
/// written it before. Lost at the end of the process.
#[derive(Debug, Default)]
pub(super) struct LateKeys(HashSet<u64>);

impl LateKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }

    pub(super) fn insert(&mut self, hash: u64) {
        if self.0.len() < KEYS_MAX {
            self.0.insert(hash);
        }
    }

    /// An event that is not late has written the row.
    pub(super) fn remove(&mut self, hash: u64) {
        self.0.remove(&hash);
    }
}
