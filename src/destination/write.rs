//! The work of one transaction, and its outcome.

use crate::error::Error;
use crate::rows::batch::Rows;
use crate::rows::coalesce::Coalesced;

/// The work of one transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) rows: &'a Rows,
    /// One entry for each row to write, sorted by key; each key at most once.
    pub(crate) coalesced: &'a [Coalesced],
    pub(crate) fence: Option<Fence<'a>>,
    /// Whether the events are late: a row that a later event of its key has written stays as it is.
    pub(crate) is_late: bool,
    /// The rows of all events, also of those that are coalesced, in the order of their arrival: for the history.
    pub(crate) events: &'a [u32],
    /// The id of the spool: for the history.
    pub(crate) spool_id: &'a str,
}

impl<'a> Write<'a> {
    /// No row and no fence.
    pub(crate) fn nothing(rows: &'a Rows) -> Self {
        Self { rows, coalesced: &[], fence: None, is_late: false, events: &[], spool_id: "" }
    }
}

/// A compare-and-set on the checkpoint, in the same transaction as a batch: the batch is refused unless the position is `from` and the
/// owner is `owner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence<'a> {
    pub(crate) spool_id: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Committed. Rows in neither count stayed as they were (late events, update modes `changed` and `newer`, or a key-only table).
    Committed { inserted: u64, updated: u64 },
    /// The checkpoint was not at `fence.from`, or has another owner: nothing was changed. Read
    /// [`checkpoints`](super::Destination::checkpoints) again.
    Fenced,
}

/// The outcome of a [`trial`](super::Destination::trial).
#[derive(Debug)]
pub(crate) struct Trial {
    /// Why the suspect is refused, by itself and without the checkpoint; `None` if it passes.
    pub(crate) refusal: Option<Error>,
    /// The index of the first witness that passes, between two refusals of the suspect.
    pub(crate) witness: Option<usize>,
}
