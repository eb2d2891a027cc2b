//! The keys whose rows a late event has inserted.

use std::collections::HashMap;

/// More keys are not told apart: their events count as overtaken.
const KEYS_MAX: usize = 200_000;

/// Keys by their hash, each with the origin of the last late event that wrote its row. A late event of the same origin or a higher one may
/// update the row: no event that is later than itself has written it. Lost at the end of the process.
#[derive(Debug, Default)]
pub(super) struct LateKeys(HashMap<u64, u64>);

impl LateKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the row of the key was inserted by a late event, and last written by one that is not later than this one.
    pub(super) fn is_followed_by(&self, hash: u64, origin: u64) -> bool {
        self.0.get(&hash).is_some_and(|last| *last <= origin)
    }

    /// A late event has inserted the row.
    pub(super) fn insert(&mut self, hash: u64, origin: u64) {
        if self.0.len() < KEYS_MAX {
            self.0.insert(hash, origin);
        }
    }

    /// A late event has written a row that may be one of these.
    pub(super) fn advance(&mut self, hash: u64, origin: u64) {
        if let Some(last) = self.0.get_mut(&hash) {
            *last = origin.max(*last);
        }
    }

    /// An event that is not late has written the row.
    pub(super) fn remove(&mut self, hash: u64) {
        self.0.remove(&hash);
    }
}
