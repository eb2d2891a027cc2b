//! Dead letters in the spool's file: kept by the writer, listed, exported and purged by anyone, replayed as new events.

mod keep;
mod outside;
mod pages;
mod purge;
mod replay;
mod requests;
mod rows;

pub use outside::DeadLetters;
pub(crate) use pages::Page;
pub(crate) use replay::Judged;
pub(crate) use requests::{Request, Requests};
