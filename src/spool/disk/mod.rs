//! The spool's files on the disk: deleting, shrinking, keeping the log short, and room for the time when the disk is full.

mod cause;
pub(super) mod file_limit;
mod pages;
mod reserve;
mod room;
mod space;
mod upkeep;
mod wal;

pub(super) use cause::{FULL, cause, explain};
pub(super) use reserve::{LOAN_BYTES_MAX, Reserve, is_full};
pub(super) use space::{space, space_sql};
#[cfg(test)]
pub(super) use upkeep::DELETE_EVENTS_MAX;
pub(super) use wal::WalCheckpointer;
