//! Deleting dead letters: which of them, and how many were deleted.

use std::time::SystemTime;

use serde::Serialize;

use crate::report::json;

/// Selects the dead letters to delete. The default selects none.
///
/// Unseen ones, neither exported nor replayed, are deleted only with `unseen`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeFilter {
    /// Selects those that were exported.
    pub exported: bool,
    /// Selects those that were replayed.
    pub replayed: bool,
    /// Selects those that were neither exported nor replayed. Their events are lost.
    pub unseen: bool,
    /// Of the selected ones, deletes only those rejected before this time.
    pub before: Option<SystemTime>,
}

impl PurgeFilter {
    /// Selects those that were exported.
    pub fn exported() -> Self {
        Self { exported: true, ..Self::default() }
    }

    /// Selects those that were replayed.
    pub fn replayed() -> Self {
        Self { replayed: true, ..Self::default() }
    }

    /// Selects all, the unseen ones too.
    pub fn all() -> Self {
        Self { exported: true, replayed: true, unseen: true, before: None }
    }

    /// Selects those exported or replayed that were rejected before this time.
    pub fn before(time: SystemTime) -> Self {
        Self { exported: true, replayed: true, unseen: false, before: Some(time) }
    }
}

/// The result of a purge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PurgeReport {
    /// The number of deleted dead letters.
    pub deleted: u64,
    /// The number of those left because they were neither exported nor replayed, among those rejected before the given time.
    pub unseen: u64,
    /// The number of those left because their batch is not finished, or its end is not recorded yet. Purge again later.
    pub unfinished: u64,
}

impl PurgeReport {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}
