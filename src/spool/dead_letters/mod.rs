//! Dead letters in the spool's file: kept by the writer, listed, exported and purged by any process, replayed as new events.

mod handle;
mod keep;
mod pages;
mod purge;
mod replay;
mod requests;
mod rows;

pub use handle::DeadLetters;
#[cfg(test)]
pub(super) use keep::SEEN;
pub(crate) use pages::Page;
pub(crate) use replay::Judged;
pub(crate) use requests::{Request, Requests};
pub(crate) use rows::space_of;
