//! The spool's files on the disk: deleting, shrinking, keeping the log short, and room for the time when the disk is full.

mod pages;
mod reserve;
mod room;
mod upkeep;
mod wal;

pub(super) use reserve::{Reserve, is_full};
#[cfg(test)]
pub(super) use upkeep::DELETE_EVENTS_MAX;
pub(super) use wal::WalCheckpointer;
