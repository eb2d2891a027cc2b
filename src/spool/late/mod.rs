//! Which events of the spool are late: replayed dead letters, and imports of an export.
//!
//! They are noted in the transaction that appends them, so also after a crash they are written as late ones.

mod events;
mod ranges;

pub(super) use ranges::{LateRange, LateRanges, TABLE, note, read};
