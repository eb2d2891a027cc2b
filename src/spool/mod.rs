//! The queue between the stream and the table: events wait in one local SQLite file until they are committed.
//!
//! An event gets the next offset when it is appended, and keeps it. Events are stored a burst at a time, one row of at most
//! 64 KiB for many events, which takes a third of the CPU of a row per event. A row is deleted when its last event is
//! committed to the destination or kept as a dead letter.
//!
//! Three connections share the file: one appends, deletes and keeps dead letters, under a lock; one reads; one copies the
//! write-ahead log into the file. So neither reading nor copying delays an append.

mod append;
mod checkpoint_history;
mod checksum;
mod connections;
mod dead_letters;
mod disk;
mod errors;
pub(crate) mod examine;
mod file;
mod guard;
mod identity;
mod late;
mod offline;
mod offsets;
mod queue;
mod read;
mod row;
mod statements;
#[cfg(test)]
mod tests;

pub(crate) use append::Appended;
pub use connections::Connections;
pub(crate) use connections::Tally;
pub use dead_letters::DeadLetters;
pub(crate) use dead_letters::{Expired, Follower, Judged, Judgement, Page, Replayed, Request, Requests, space_of};
pub(crate) use identity::Ownership;
#[cfg(feature = "cli")]
pub(crate) use offline::{Look, look};
pub(crate) use queue::{Next, Spool};
pub(crate) use read::{SpooledEvent, SpooledEvents};
