//! Deleting dead letters: which of them, and how many there were.

use serde_json::json;

/// Which dead letters to delete. Nothing is selected unless it is asked for.
///
/// Those that nobody has seen, neither exported nor replayed, are deleted only with `unseen`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purge {
    /// Those that were exported.
    pub exported: bool,
    /// Those that were replayed.
    pub replayed: bool,
    /// Those that were neither exported nor replayed: nothing is left of them then.
    pub unseen: bool,
    /// Of these, only those that were set aside before this time, in microseconds since 1970-01-01 UTC.
    pub before: Option<i64>,
}

impl Purge {
    /// Those that were exported.
    pub fn exported() -> Self {
        Self { exported: true, ..Self::default() }
    }

    /// Those that were replayed.
    pub fn replayed() -> Self {
        Self { replayed: true, ..Self::default() }
    }

    /// All of them, also those that nobody has seen.
    pub fn all() -> Self {
        Self { exported: true, replayed: true, unseen: true, before: None }
    }

    /// Those exported or replayed that were set aside before this time, in microseconds since 1970-01-01 UTC.
    pub fn before(unix_micros: i64) -> Self {
        Self { exported: true, replayed: true, unseen: false, before: Some(unix_micros) }
    }
}

/// What a purge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// How many were deleted.
    pub deleted: u64,
    /// How many are left because they were neither exported nor replayed, among those of the time asked for.
    pub unseen: u64,
    /// How many are left because the sink has not finished the batch that they came in, or not noted it yet; its end
    /// makes them ready to go.
    pub unfinished: u64,
}

impl Purged {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json!({"deleted": self.deleted, "unseen": self.unseen, "unfinished": self.unfinished}).to_string()
    }
}
