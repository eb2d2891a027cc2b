//! Dead letters in the spool's file: kept by the writer, listed, exported and purged by any process, replayed as new events.

mod expire;
mod followers;
mod handle;
mod keep;
mod keys;
mod pages;
mod purge;
mod redacted;
mod replay;
mod requests;
mod rows;
mod visit;

pub(crate) use expire::Expired;
pub use handle::DeadLetters;
#[cfg(test)]
pub(super) use keep::SEEN;
pub(crate) use keys::Follower;
pub(super) use keys::{OpenKeys, TABLE as KEYS_TABLE, read_open, unfollowed};
pub(crate) use pages::Page;
pub(super) use redacted::{Switches, TABLE as SWITCHES_TABLE, is_redacted, switch};
pub(crate) use replay::{Judged, Judgement, Replayed};
pub(crate) use requests::{Request, Requests};
pub(crate) use rows::space_of;
