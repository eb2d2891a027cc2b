//! The guard against an event that takes the process down: by a stack that overflows, by all the memory there is, by a bug.
//!
//! The file holds a note of the event that is being prepared, with the number of processes that ended during that. After the second the
//! event is set aside as a dead letter, so that one event cannot stop all others. A note costs a transaction, so in the ordinary course
//! there is none; one is written
//! - after a process that ended without closing its spool: for each event that may have been prepared then;
//! - when an event takes long, as most do that take a process down: by the thread that watches.
//!
//! An event that was prepared loses its note: a process may end at any time for reasons of its own, and twice in the same event of
//! microseconds is no accident.

mod notes;
mod preparing;

pub(super) use notes::{Guard, WATCH_INTERVAL};
