//! One event of the sequence, before its bytes are written.

use super::options::InvalidKind;

/// The few numbers from which an event's bytes can be written again at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    /// The position whose random numbers fill the body.
    pub(super) body: u64,
    /// The position of the first event with this idempotency key.
    pub(super) key: u64,
    pub(super) stamp_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// The first valid event with its key.
    First,
    Redelivery,
    Update,
    Invalid(InvalidKind),
}

impl Entry {
    pub(super) fn invalid(&self) -> Option<InvalidKind> {
        match self.kind {
            EntryKind::Invalid(kind) => Some(kind),
            _ => None,
        }
    }
}
