//! `dead-letters`: lists, shows, sums up, exports, replays and deletes the events that could not be stored.

mod actions;
mod replay;
mod summary;

pub(super) use actions::{dead_letters, describe};
